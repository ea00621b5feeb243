/** The client: one method for everything that a caller does with jobs. */
import { type ClientOptions, Connection, readJson } from "./connection.ts";
import { ApiError, JobFailedError, JobTimeoutError, MusicgateError } from "./errors.ts";
import { followEvents } from "./events.ts";
import type { JobEvent, JobList, Model, MusicJob, MusicRequest, Plan, Provider } from "./schema.ts";
import { MAX_PAUSE_MS, retryAfterS, sleep } from "./time.ts";

const JOBS = "/v1/music/generate";
/** How long the server is asked to hold an answer; proxies begin to time out at about a minute. */
const WAIT_S = 30;
/** Pause between two polls where the server says none. */
const POLL_MS = 2_000;

export interface CallOptions {
  /** Stops the call; its reason is thrown. */
  signal?: AbortSignal | undefined;
}

export interface SubmitOptions extends CallOptions {
  /** One for each song, such as the id of your order: a second call with it returns the first one's job. */
  idempotencyKey?: string | undefined;
  /** Refuse what would be a warning: an option that the provider cannot honour. */
  strict?: boolean | undefined;
}

export interface WaitOptions extends CallOptions {
  /** Milliseconds until a `JobTimeoutError`. Default: until the job ends, which its deadline bounds. */
  timeoutMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Only jobs in these states. */
  state?: MusicJob["status"] | readonly MusicJob["status"][] | undefined;
  /** Only jobs for this model, spelled as in the request. */
  model?: string | undefined;
  /** Jobs of a page, up to 100. The iterator goes on to the last page. */
  pageSize?: number | undefined;
}

export interface EventsOptions extends CallOptions {
  /** Only events with a higher number. */
  after?: number | undefined;
}

export interface AudioOptions extends CallOptions {
  /** Which track of the job, from 0. */
  index?: number | undefined;
  /** Another format than it is kept in. */
  format?: "mp3" | "wav" | "ogg" | "aac" | "flac" | "original" | undefined;
  /** The position of the first byte. The status of the answer is 206 if it begins there. */
  fromByte?: number | undefined;
  /** The `ETag` of what came before: another file is then sent whole. */
  etag?: string | undefined;
}

/**
 * A client of one server and one account.
 *
 * Every call is repeated after a lost connection and where the server says when. None is sent twice that would make
 * a second song: a create call has an `Idempotency-Key`, the same for every try.
 */
export class MusicgateClient {
  readonly #connection: Connection;

  constructor(options: ClientOptions) {
    this.#connection = new Connection(options);
  }

  /** Create a job; it is returned as soon as it is stored. */
  async submit(request: MusicRequest, options: SubmitOptions = {}): Promise<MusicJob> {
    const { idempotencyKey = randomKey(), strict = false, signal } = options;
    const headers: Record<string, string> = { "Idempotency-Key": quoted(idempotencyKey) };
    if (strict) headers["Prefer"] = "handling=strict";
    return this.#connection.json("music", { method: "POST", path: JOBS, headers, body: request, signal });
  }

  /**
   * Wait for the end of a job, `completed` or `failed`.
   *
   * The server holds its answers until the job is final, or as long as it can.
   */
  async wait(id: string, { timeoutMs, signal }: WaitOptions = {}): Promise<MusicJob> {
    const endsAt = timeoutMs === undefined ? Infinity : Date.now() + timeoutMs;
    const late = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const either = late && signal ? AbortSignal.any([late, signal]) : (late ?? signal);
    const path = jobPath(id);
    let mayHold = true;
    try {
      for (;;) {
        const askedAt = Date.now();
        const waitS = mayHold ? Math.min(WAIT_S, Math.ceil((endsAt - askedAt) / 1000)) : 0;
        const headers: Record<string, string> = waitS > 0 ? { Prefer: `wait=${waitS}` } : {};
        try {
          const [job, pauseMs] = await this.#connection.send({ path, headers, signal: either }, readJob);
          if (isFinal(job)) return job;
          // The pause is counted from the request: an answer that was held has had it.
          await sleep(Math.max(0, askedAt + pauseMs - Date.now()), either);
        } catch (error) {
          // Too many wait already: then this one polls.
          if (!(mayHold && error instanceof ApiError && error.reason === "waiting_requests")) throw error;
          mayHold = false;
        }
      }
    } catch (error) {
      if (late?.aborted && error === late.reason) throw new JobTimeoutError(id, timeoutMs ?? 0);
      throw error;
    }
  }

  /**
   * Make music and wait for it.
   *
   * `timeoutMs` is counted from the answer to the create call.
   *
   * @throws JobFailedError if the job fails.
   */
  async generate(request: MusicRequest, options: SubmitOptions & WaitOptions = {}): Promise<MusicJob> {
    const created = await this.submit(request, options);
    const job = isFinal(created) ? created : await this.wait(created.id, options);
    if (job.status === "failed") throw new JobFailedError(job);
    return job;
  }

  /** A job in its current state, by our id or the vendor's. */
  async get(id: string, { signal }: CallOptions = {}): Promise<MusicJob> {
    return this.#connection.json("music", { path: jobPath(id), signal });
  }

  /** All jobs of the account, newest first. */
  async *list(options: ListOptions = {}): AsyncGenerator<MusicJob, void, undefined> {
    const { state, model, pageSize, signal } = options;
    const query = { state: state?.toString(), model, limit: pageSize?.toString() };
    let cursor: string | undefined;
    do {
      const call = { path: JOBS, query: { ...query, cursor }, signal };
      const page = await this.#connection.json<JobList>("list", call);
      yield* page.data;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** What happens to a job, from its beginning to `settled`; lost connections are made again. */
  async *events(
    id: string,
    { after = 0, signal }: EventsOptions = {},
  ): AsyncGenerator<JobEvent, void, undefined> {
    yield* followEvents(this.#connection, `${jobPath(id)}/events`, after, signal);
  }

  /** End an open job; `error.may_have_cost` of the answer says whether it may be billed. */
  async cancel(id: string, { signal }: CallOptions = {}): Promise<MusicJob> {
    return this.#connection.json("music", { method: "POST", path: `${jobPath(id)}/cancel`, signal });
  }

  /** Delete a job with its events and its audio; an open one is cancelled first. */
  async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#connection.send({ method: "DELETE", path: jobPath(id), signal }, () => undefined);
  }

  /** Dry run: which providers would be asked, with which request, at what price. */
  plan(request: MusicRequest, { signal }: CallOptions = {}): Promise<Plan> {
    return this.#connection.json("plan", { method: "POST", path: "/v1/music/plan", body: request, signal });
  }

  /** Every model with its providers, limits, prices and rights. */
  async models({ signal }: CallOptions = {}): Promise<Model[]> {
    const { data } = await this.#connection.json<{ data: Model[] }>("list", {
      path: "/v1/music/models",
      signal,
    });
    return data;
  }

  /** The providers, and whether each has a key. */
  async providers({ signal }: CallOptions = {}): Promise<Provider[]> {
    const { data } = await this.#connection.json<{ data: Provider[] }>("list", {
      path: "/v1/music/providers",
      signal,
    });
    return data;
  }

  /**
   * The audio of a track: `await (await client.audio(id)).arrayBuffer()`, or its `body` as a stream.
   *
   * In Node.js, `download` of `musicgate/node` writes it into a file and resumes where it was cut.
   */
  async audio(id: string, options: AudioOptions = {}): Promise<Response> {
    const { index = 0, format, fromByte = 0, etag, signal } = options;
    const headers: Record<string, string> = fromByte > 0 ? { Range: `bytes=${fromByte}-` } : {};
    if (fromByte > 0 && etag !== undefined) headers["If-Range"] = etag;
    const path = `${jobPath(id)}/audio/${index}`;
    const call = { path, query: { format }, headers, followRedirects: true, signal };
    return this.#connection.send(call, (response) => response);
  }
}

function jobPath(id: string): string {
  // An empty id would be the list, and dots would climb to another route.
  if (/^\.{0,2}$/.test(id)) throw new MusicgateError("invalid_id", "the id of a job is needed");
  return `${JOBS}/${encodeURIComponent(id)}`;
}

function isFinal(job: MusicJob): boolean {
  return job.status === "completed" || job.status === "failed";
}

async function readJob(response: Response): Promise<[MusicJob, number]> {
  const pauseS = retryAfterS(response.headers);
  const pauseMs = pauseS === undefined ? POLL_MS : Math.min(pauseS * 1000, MAX_PAUSE_MS);
  return [await readJson<MusicJob>(response, "music"), pauseMs];
}

/** A key as a string of structured fields. Source: draft-ietf-httpapi-idempotency-key-header-07. */
function quoted(key: string): string {
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw new MusicgateError(
      "invalid_idempotency_key",
      "an idempotencyKey is 1 to 255 printable letters of ASCII",
    );
  }
  return `"${key.replace(/["\\]/g, "\\$&")}"`;
}

/** Random, also where a page has no `crypto.randomUUID` because it came without TLS. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
