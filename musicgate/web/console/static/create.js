// Send a create call so that it makes one song, whatever happens to the connection.
import { LostError, call, idempotencyKey, lost } from "./api.js";

// A proxy may answer the probe and lose every create call.
const MOST_TRIES = 20;

// Returns the job. A lost call is repeated with its Idempotency-Key when the server is back, also if another view
// is shown by then.
export async function create(body, { isStrict = false } = {}) {
  const prefer = ["wait=0", ...(isStrict ? ["handling=strict"] : [])].join(", ");
  const headers = { "Idempotency-Key": idempotencyKey(), Prefer: prefer };
  for (let tries = 1; ; tries += 1) {
    try {
      return await call("v1/music/generate", { method: "POST", body, headers });
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      if (tries === MOST_TRIES) throw new Error("No answer came to this request. Look among the jobs before you send it again.");
      await isBack();
    }
  }
}

function isBack() {
  if (!lost.value) return Promise.resolve();
  return new Promise((resolve) => {
    const end = lost.subscribe((isLost) => {
      if (isLost) return;
      end();
      resolve();
    });
  });
}
