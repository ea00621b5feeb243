/** Pauses and timeouts, which an `AbortSignal` ends early. */

/** Longest pause between two tries. */
export const MAX_PAUSE_MS = 60_000;

/** Wait; throws the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** The pause before try number `attempt`, from 0: half a second, doubled each time, and up to a quarter less. */
export function backoffMs(attempt: number): number {
  return Math.min(MAX_PAUSE_MS, 500 * 2 ** attempt) * (1 - Math.random() / 4);
}

/** Seconds that a `Retry-After` header says: a number, or a date. */
export function retryAfterS(headers: Headers): number | undefined {
  const text = headers.get("Retry-After");
  if (text === null) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
