// Requests to the server that the page came from, with the key of this tab. Errors keep the server's words.
import { Store } from "./store.js";

// The root of the server, also behind the path prefix of a proxy.
const ROOT = new URL("../", import.meta.url);
const KEY = "musicgate.key";
const PROBE_FIRST_MS = 1000;
const PROBE_LAST_MS = 10_000;
// Answers of a proxy whose server is away, unless they are in the server's own envelope.
const PROXY_STATUSES = new Set([502, 503, 504]);

// The key is kept by this tab only, and gone with it.
export const session = new Store(sessionStorage.getItem(KEY) ?? "");
// Why the server refuses this tab: an ApiError, or null.
export const refused = new Store(null);
// True while the server cannot be reached.
export const lost = new Store(false);

export function signIn(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
  refused.set(null);
  session.set(key);
}

export class ApiError extends Error {
  constructor(status, body, retryAfterS) {
    super(body?.description ?? `The server answered HTTP ${status}.`);
    this.status = status;
    this.reason = body?.reason ?? body?.error ?? null;
    this.musicId = body?.music_id ?? null;
    this.requestId = body?.request_id ?? null;
    this.details = Array.isArray(body?.details) ? body.details : [];
    // An error about one field has its path beside the description, or in the details.
    if (!this.details.length && Array.isArray(body?.path)) {
      this.details = [{ message: this.message, path: body.path }];
    }
    this.retryAfterS = retryAfterS;
  }
}

// The server was not reached, or its answer broke off. The request may have arrived.
export class LostError extends Error {
  constructor() {
    super("The connection to the server is lost.");
  }
}

export function address(path) {
  return new URL(path, ROOT).href;
}

// Links of answers begin with the address that the server is known by; this page may have come by another one.
// A link to a vendor is kept if it is a web address, and null otherwise.
export function playable(link) {
  if (typeof link !== "string") return null;
  const found = /\/(v1\/music\/generate\/music_\w+\/(?:audio|stream|image)\/\d+(?:\/[\w.]+)?(?:\?[^#]*)?)$/.exec(link);
  if (found) return address(found[1]);
  return /^https?:\/\//i.test(link) ? link : null;
}

export function isOurs(link) {
  return link !== null && link.startsWith(ROOT.href);
}

// A fetch with the key. Throws LostError, or the AbortError of the signal.
export async function open(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (session.value) sent.Authorization = `Bearer ${session.value}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(path), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    noteLost();
    throw new LostError();
  }
  return answer;
}

// The JSON of an answer; null where there is none.
export async function call(path, options = {}) {
  const answer = await open(path, options);
  let body = null;
  try {
    body = answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (answer.ok || PROXY_STATUSES.has(answer.status)) {
      noteLost();
      throw new LostError();
    }
  }
  if (!answer.ok) throw failure(answer, body);
  lost.set(false);
  return body;
}

export function failure(answer, body) {
  const error = new ApiError(answer.status, body, Number(answer.headers.get("Retry-After")) || null);
  // Another 401 is that of a vendor, about the operator's key.
  if (answer.status === 401 && body?.error === "unauthorised") refused.set(error);
  return error;
}

// A key for one create call; crypto.randomUUID is missing on pages without TLS.
export function idempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Ask for a sign of life until there is one. What waits for the server listens to `lost`.
export function noteLost() {
  if (lost.value) return;
  lost.set(true);
  let waitMs = PROBE_FIRST_MS;
  const probe = async () => {
    if (!lost.value) return;
    try {
      const answer = await fetch(address("livez"), { cache: "no-store" });
      if (answer.ok) return lost.set(false);
    } catch {
      // Still away.
    }
    waitMs = Math.min(waitMs * 1.5, PROBE_LAST_MS);
    setTimeout(probe, waitMs);
  };
  setTimeout(probe, waitMs);
}
