/** Verifies webhooks by Standard Webhooks 1.0.0, with WebCrypto. */
import { MusicgateError, WebhookVerificationError } from "./errors.ts";
import type { WebhookMessage, WebhookTestMessage } from "./schema.ts";

export interface VerifyOptions {
  /** Seconds that a message may be older or newer than this machine's clock. Default: five minutes. */
  toleranceS?: number | undefined;
  /** The time, in milliseconds since 1970. Default: now. */
  nowMs?: number | undefined;
}

/** Headers as frameworks have them: of `fetch`, or of Node.js, in upper or lower case. */
export type ReceivedHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Check the signature of a received webhook and read it.
 *
 * Messages come at least once: skip those whose `webhook-id` you have processed.
 *
 * @param body as received, byte for byte. JSON that was parsed and written again has another signature.
 * @param secrets `whsec_...`; several while a secret is being changed: one that matches is enough.
 * @throws WebhookVerificationError if it is not to be trusted; answer with 401.
 * @throws MusicgateError (`invalid_secret`) if a secret has the wrong form.
 */
export async function verifyWebhook(
  body: string | Uint8Array | ArrayBuffer,
  headers: ReceivedHeaders,
  secrets: string | readonly string[],
  { toleranceS = 300, nowMs = Date.now() }: VerifyOptions = {},
): Promise<WebhookMessage | WebhookTestMessage> {
  const keys = (typeof secrets === "string" ? [secrets] : secrets).map(readSecret);
  if (keys.length === 0)
    throw new MusicgateError("invalid_secret", "there is no secret to verify webhooks with");
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) =>
    readHeader(headers, `webhook-${name}`),
  ) as [string, string, string];
  if (!/^\d{1,15}$/.test(timestamp)) throw new WebhookVerificationError("webhook-timestamp is not a time");
  if (!(Math.abs(nowMs / 1000 - Number(timestamp)) <= toleranceS)) {
    throw new WebhookVerificationError(`the webhook is over ${toleranceS} seconds old, or from the future`);
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + bytes.length);
  signed.set(prefix);
  signed.set(bytes, prefix.length);
  const candidates = signatures
    .split(" ")
    .filter((item) => item.startsWith("v1,"))
    .map((item) => decodeBase64(item.slice(3)));
  for (const key of keys) {
    const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [
      "verify",
    ]);
    for (const signature of candidates) {
      // It compares in constant time.
      if (signature && (await crypto.subtle.verify("HMAC", hmac, signature, signed)))
        return readMessage(bytes);
    }
  }
  throw new WebhookVerificationError("no signature of the webhook matches");
}

function readHeader(headers: ReceivedHeaders, name: string): string {
  const value =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  if (typeof value !== "string" || value === "")
    throw new WebhookVerificationError(`the header ${name} is missing`);
  return value;
}

function readSecret(secret: string): Uint8Array<ArrayBuffer> {
  const text = secret.trim();
  const key = text.startsWith("whsec_") ? decodeBase64(text.slice(6)) : undefined;
  if (key === undefined || key.length < 24 || key.length > 64) {
    const form = "a webhook secret must be whsec_ and the base64 form of 24 to 64 bytes";
    throw new MusicgateError("invalid_secret", form);
  }
  return key;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function readMessage(bytes: Uint8Array): WebhookMessage | WebhookTestMessage {
  try {
    const message: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof message === "object" && message !== null)
      return message as WebhookMessage | WebhookTestMessage;
  } catch {
    // Said below.
  }
  throw new WebhookVerificationError("the webhook's body is no JSON object");
}
