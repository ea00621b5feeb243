/** Sends requests to one server, and repeats those that may be repeated. Knows HTTP, and nothing of jobs. */
import {
  ApiError,
  MusicgateError,
  NotFoundError,
  UnreachableError,
  apiError,
  placeOf,
  unreachable,
} from "./errors.ts";
import type { ErrorAnswer } from "./schema.ts";
import { MAX_PAUSE_MS, backoffMs, retryAfterS, sleep } from "./time.ts";

export interface ClientOptions {
  /** Where the server is, such as `https://music.example.com`, with the path of a proxy if there is one. */
  url: string;
  /** The key of an account. Servers without accounts need none. */
  key?: string | undefined;
  /** Used in place of the global `fetch`, such as one with a proxy. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Milliseconds that one try may take until it is answered. Default: 90 seconds. */
  timeoutMs?: number | undefined;
  /** How often a request is repeated at most. Default: 4 times, which takes 7 seconds without `Retry-After`. */
  maxRetries?: number | undefined;
}

/** One request. It must mean the same when it is sent twice. */
export interface Call {
  method?: "GET" | "POST" | "DELETE";
  path: string;
  query?: Record<string, string | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Only for audio: another address than the server's may have it. */
  followRedirects?: boolean;
  signal?: AbortSignal | undefined;
}

export class Connection {
  readonly #maxRetries: number;
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;
  /** Until a first answer, a refused connection means a wrong URL; afterwards, a server that restarts. */
  #hasAnswered = false;

  constructor({ url, key, fetch, timeoutMs = 90_000, maxRetries = 4 }: ClientOptions) {
    this.#base = readBase(url);
    // fetch would show a key with such characters in its error.
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
      throw new MusicgateError(
        "invalid_key_format",
        "the key is empty, or has blanks or other foreign characters",
      );
    }
    this.#headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#timeoutMs = timeoutMs;
    this.#maxRetries = maxRetries;
  }

  /** Send a request until it is answered, and read the JSON of the answer, which names this `object`. */
  json<T>(object: string, call: Call): Promise<T> {
    return this.send(call, (response) => readJson<T>(response, object));
  }

  /**
   * Send a request until it is answered.
   *
   * @param read reads the answer, within the same timeout. If the connection is lost there, the request is
   *   repeated.
   */
  async send<T>(call: Call, read: (response: Response) => Promise<T> | T): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const wasReached = this.#hasAnswered;
      try {
        return await this.#try(call, read);
      } catch (error) {
        // The answer to an earlier try was lost: it is deleted.
        const isDeleted = call.method === "DELETE" && attempt > 0 && error instanceof NotFoundError;
        if (isDeleted) return read(new Response(null, { status: 204 }));
        const pauseMs = pauseBeforeRetry(error, attempt, wasReached);
        if (pauseMs === undefined || attempt >= this.#maxRetries) throw error;
        await sleep(pauseMs, call.signal);
      }
    }
  }

  async #try<T>(call: Call, read: (response: Response) => Promise<T> | T): Promise<T> {
    const url = this.#url(call);
    const headers = new Headers({ ...this.#headers, ...call.headers });
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    if (body !== null) headers.set("Content-Type", "application/json");
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#timeoutMs);
    try {
      const response = await this.#fetch(url, {
        method: call.method ?? "GET",
        headers,
        body,
        // A POST that is redirected becomes a GET: it would list jobs instead of creating one.
        redirect: call.followRedirects ? "follow" : "manual",
        signal: call.signal ? AbortSignal.any([call.signal, late.signal]) : late.signal,
      });
      if (!response.ok) throw await readError(response);
      const answer = await read(response);
      this.#hasAnswered = true;
      return answer;
    } catch (error) {
      if (error instanceof ApiError) this.#hasAnswered = true;
      if (error instanceof MusicgateError) throw error;
      call.signal?.throwIfAborted();
      if (!late.signal.aborted) throw unreachable(url, error);
      const text = `no answer from ${new URL(url).origin} within ${this.#timeoutMs} ms`;
      throw new UnreachableError("no_answer", text, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  #url({ path, query = {} }: Call): string {
    const given = Object.entries(query).filter((item): item is [string, string] => item[1] !== undefined);
    const search = new URLSearchParams(given).toString();
    return this.#base + path + (search && `?${search}`);
  }
}

/** Milliseconds until a failed request may be sent again; undefined if it would fail again. */
function pauseBeforeRetry(error: unknown, attempt: number, wasReached: boolean): number | undefined {
  if (error instanceof UnreachableError) {
    const isTransient = error.code === "no_answer" || (error.code === "wrong_url" && wasReached);
    return isTransient ? backoffMs(attempt) : undefined;
  }
  // An error of a vendor is stored with the Idempotency-Key: the answer would be the same.
  if (!(error instanceof ApiError) || error.code === "upstream_error") return undefined;
  if (![408, 429, 503].includes(error.status)) return undefined;
  if (error.retryAfterS === undefined) return backoffMs(attempt);
  return error.retryAfterS * 1000 <= MAX_PAUSE_MS ? error.retryAfterS * 1000 : undefined;
}

function readBase(url: string): string {
  const wrong = (text: string) => new UnreachableError("wrong_url", `the URL of the server ${text}`);
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw wrong("must be absolute, such as https://music.example.com");
  }
  if (!/^https?:$/.test(parsed.protocol)) throw wrong("must begin with https:// or http://");
  if (parsed.username || parsed.password) throw wrong("must have no user or password; the key is an option");
  if (parsed.search || parsed.hash) throw wrong("must have no query and no fragment");
  return parsed.origin + parsed.pathname.replace(/\/+$/, "");
}

/** Read an answer with this `object`, which every answer of musicgate has. */
export async function readJson<T>(response: Response, object: string): Promise<T> {
  const answer = parse(await response.text());
  if (isObject(answer) && answer["object"] === object) return answer as T;
  throw foreign(response, "in another form than musicgate");
}

async function readError(response: Response): Promise<MusicgateError> {
  const text = await response.text();
  if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
    const target = response.headers.get("Location");
    return foreign(response, `with a redirect${target === null ? "" : ` to ${target}`}`);
  }
  const answer = parse(text);
  if (isErrorAnswer(answer)) return apiError(response.status, answer, retryAfterS(response.headers));
  return foreign(response, "in another form than musicgate");
}

/** Something else answered: a proxy without its server, or another service. */
function foreign(response: Response, how: string): UnreachableError {
  const place = placeOf(response.url);
  if ([502, 503, 504].includes(response.status)) {
    return new UnreachableError("no_answer", `a proxy at ${place} answers with HTTP ${response.status}`);
  }
  const text = `${place} answers with HTTP ${response.status} ${how}: is the URL right?`;
  return new UnreachableError("wrong_url", text);
}

function isErrorAnswer(answer: unknown): answer is ErrorAnswer {
  if (!isObject(answer)) return false;
  return typeof answer["error"] === "string" && "description" in answer && "status_code" in answer;
}

function isObject(answer: unknown): answer is Record<string, unknown> {
  return typeof answer === "object" && answer !== null;
}

/** JSON, or undefined. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
