/** Reads server-sent events over `fetch`, which can send a key, as `EventSource` cannot. */
import type { Connection } from "./connection.ts";
import { MusicgateError, UnreachableError, unreachable } from "./errors.ts";
import type { JobEvent } from "./schema.ts";
import { MAX_PAUSE_MS, sleep } from "./time.ts";

/** The server sends a comment every 15 seconds: after three of them without a byte, the connection is lost. */
const STALL_MS = 45_000;
/** Until the stream says its own. */
const RETRY_MS = 2_000;

/** A field of an event stream that counts here: the text of an event, or a new pause before a reconnect. */
export type Message = { data: string } | { retryMs: number };

/** Parses an event stream piece by piece. Source: html.spec.whatwg.org, "Server-sent events", November 2026. */
export class EventParser {
  #rest = "";
  #endsWithCr = false;
  #data: string[] = [];

  /** Add what was received, cut anywhere. */
  *push(text: string): Generator<Message> {
    // Half of a CRLF was the last that came.
    const more = this.#endsWithCr && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") this.#endsWithCr = text.endsWith("\r");
    const lines = (this.#rest + more).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === "data") this.#data.push(value);
      if (field === "retry" && /^\d+$/.test(value)) yield { retryMs: Math.min(Number(value), MAX_PAUSE_MS) };
      if (line === "" && this.#data.length > 0) {
        yield { data: this.#data.join("\n") };
        this.#data = [];
      }
    }
  }
}

/**
 * Yield the events of a job with a number above `after`, each once and in order, until it is final.
 *
 * A lost connection is made again after the last event. What the server refuses is thrown.
 */
export async function* followEvents(
  connection: Connection,
  path: string,
  after: number,
  signal?: AbortSignal,
): AsyncGenerator<JobEvent, void, undefined> {
  let retryMs = RETRY_MS;
  for (;;) {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
    const response = await connection.send({ path, headers, signal }, (answer) => answer);
    if (response.status === 204 || response.body === null) return;
    try {
      for await (const message of readMessages(response.body, response.url, signal)) {
        if ("retryMs" in message) {
          retryMs = message.retryMs;
          continue;
        }
        const event = readEvent(message.data);
        if (event.number <= after) continue;
        after = event.number;
        yield event;
        if (event.type === "settled") return;
      }
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
    }
    await sleep(retryMs, signal);
  }
}

function readEvent(data: string): JobEvent {
  try {
    return JSON.parse(data) as JobEvent;
  } catch (error) {
    throw new MusicgateError("invalid_answer", "the server sent an event that is not JSON", {
      cause: error,
    });
  }
}

/** Yield the messages of one connection. It is closed when the caller stops. */
async function* readMessages(
  body: ReadableStream<Uint8Array>,
  url: string,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await readInTime(reader, url, signal);
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function readInTime(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  url: string,
  signal?: AbortSignal,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the event stream has stalled")), STALL_MS);
  });
  try {
    return await Promise.race([reader.read(), stalled]);
  } catch (error) {
    signal?.throwIfAborted();
    throw unreachable(url, error);
  } finally {
    clearTimeout(timer);
  }
}
