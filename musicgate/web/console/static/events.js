// A job's events over fetch, since EventSource cannot send the key. It reconnects by itself and misses nothing.
import { LostError, failure, lost, noteLost, open } from "./api.js";

const RETRY_FIRST_MS = 1000;
const RETRY_LAST_MS = 10_000;
// The server sends a comment every 15 seconds; without one for this long, the connection is dead.
const SILENCE_MS = 40_000;

// Splits a stream of server-sent events. Feed it text; it calls `onEvent` with the parsed `data` of each event.
export function eventReader(onEvent) {
  let rest = "";
  return (text) => {
    rest += text;
    const frames = rest.split(/\r?\n\r?\n/);
    rest = frames.pop();
    for (const frame of frames) {
      const data = frame
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, ""))
        .join("\n");
      if (data) onEvent(JSON.parse(data));
    }
  };
}

// Calls `onEvent` for every event of a job from the first one, and `onError` with an ApiError that ends it.
// Returns what stops it.
export function follow(jobId, { onEvent, onError }) {
  const stopped = new AbortController();
  let last = 0;
  let isSettled = false;
  let retryMs = RETRY_FIRST_MS;

  const receive = (event) => {
    if (event.number <= last) return;
    last = event.number;
    isSettled = event.type === "settled";
    retryMs = RETRY_FIRST_MS;
    onEvent(event);
  };

  const readOnce = async () => {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    stopped.signal.addEventListener("abort", abort, { once: true });
    let timer = setTimeout(abort, SILENCE_MS);
    try {
      const path = `v1/music/generate/${encodeURIComponent(jobId)}/events`;
      const headers = last ? { "Last-Event-ID": String(last) } : {};
      const answer = await open(path, { headers, signal: attempt.signal });
      if (answer.status === 204) {
        isSettled = true;
        return null;
      }
      if (!answer.ok) return failure(answer, await answer.json().catch(() => null));
      lost.set(false);
      const feed = eventReader(receive);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return null;
        clearTimeout(timer);
        timer = setTimeout(abort, SILENCE_MS);
        feed(value);
      }
    } catch (error) {
      if (!stopped.signal.aborted && !(error instanceof LostError)) noteLost();
      return null;
    } finally {
      clearTimeout(timer);
      stopped.signal.removeEventListener("abort", abort);
    }
  };

  const run = async () => {
    while (!stopped.signal.aborted && !isSettled) {
      const error = await readOnce();
      if (stopped.signal.aborted || isSettled) return;
      if (error && error.status !== 429 && error.status !== 503) return onError(error);
      await pause(error?.retryAfterS ? error.retryAfterS * 1000 : retryMs, stopped.signal);
      retryMs = Math.min(retryMs * 1.5, RETRY_LAST_MS);
    }
  };
  run();
  return () => stopped.abort();
}

// Until the time is over, the connection is back, or the signal says so.
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const unsubscribe = lost.subscribe((isLost) => isLost || end());
    signal.addEventListener("abort", end, { once: true });
  });
}
