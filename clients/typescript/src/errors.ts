/** The errors that this package throws. What an `AbortSignal` of the caller says is thrown as it is. */
import type { ErrorAnswer, MusicJob, Violation } from "./schema.ts";

/** An error of this package: `code` is for programs, `message` for people. Neither shows a key or a secret. */
export class MusicgateError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * There is no answer of a musicgate server. `code` says why:
 *
 * - `wrong_url`: nothing listens there, the name is unknown, or what answers is something else;
 * - `wrong_certificate`: the server's certificate is not trusted, has expired or is for another name;
 * - `no_answer`: the connection was lost, or nothing came in time. Browsers do not tell scripts more than this.
 *
 * A wrong key is an `AuthenticationError`.
 */
export class UnreachableError extends MusicgateError {
  declare readonly code: "wrong_url" | "wrong_certificate" | "no_answer";
}

/** The server refused, or failed. `code` and `reason` are those of docs/http.md. */
export class ApiError extends MusicgateError {
  /** HTTP status. */
  readonly status: number;
  /** Whose error it is. */
  readonly type: "user" | "system";
  readonly reason: string | undefined;
  /** What is wrong with the request, by path. */
  readonly violations: readonly Violation[];
  /** For questions to the operator: the server's log has it. */
  readonly requestId: string;
  /** Seconds after which another try may succeed, where the server knows. */
  readonly retryAfterS: number | undefined;
  /** The whole answer. */
  readonly answer: ErrorAnswer;

  constructor(status: number, answer: ErrorAnswer, retryAfterS?: number) {
    super(answer.error, `${answer.description} (HTTP ${status}, ${answer.reason ?? answer.error})`);
    this.status = status;
    this.type = answer.error_type;
    this.reason = answer.reason;
    this.violations = answer.details ?? [];
    this.requestId = answer.request_id;
    this.retryAfterS = retryAfterS;
    this.answer = answer;
  }
}

/** The key is missing, wrong, revoked or expired; `reason` says which. */
export class AuthenticationError extends ApiError {}

/** There is no such job, or no such audio. */
export class NotFoundError extends ApiError {}

/** Too much was asked for; `retryAfterS` says when it is worth asking again. */
export class RateLimitError extends ApiError {}

/** The class of error for an answer. */
export function apiError(status: number, answer: ErrorAnswer, retryAfterS?: number): ApiError {
  const kind =
    status === 401 && answer.error === "unauthorised"
      ? AuthenticationError
      : status === 404 && answer.error === "not_found"
        ? NotFoundError
        : status === 429
          ? RateLimitError
          : ApiError;
  return new kind(status, answer, retryAfterS);
}

/** The job ended as `failed`; `job.error` says why, and whether it may have cost money. */
export class JobFailedError extends MusicgateError {
  readonly job: MusicJob;

  constructor(job: MusicJob) {
    super(
      job.error?.reason ?? "failed",
      `job ${job.id} failed: ${job.error?.message ?? "no reason is known"}`,
    );
    this.job = job;
  }
}

/** The job was not final in time. It goes on: `wait(jobId)` waits again. */
export class JobTimeoutError extends MusicgateError {
  readonly jobId: string;

  constructor(jobId: string, timeoutMs: number) {
    super("timeout", `job ${jobId} was not final after ${timeoutMs} ms; it goes on`);
    this.jobId = jobId;
  }
}

/** A webhook is not to be trusted: the signature does not match, is too old, or cannot be read. */
export class WebhookVerificationError extends MusicgateError {
  constructor(message: string) {
    super("invalid_webhook_signature", message);
  }
}

/** Node.js's codes for a certificate that is not trusted: X509_verify_cert_error_string and `tls`. */
const CERTIFICATE = /CERT|^UNABLE_TO_|^INVALID_(CA|PURPOSE)$|^HOSTNAME_MISMATCH$|^PATH_LENGTH_EXCEEDED$/;
/** Its codes where nothing listens, or something that does not speak HTTP (with or without TLS). */
const ADDRESS =
  /^(ENOTFOUND|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EPROTO|ERR_SSL_|HPE_|UND_ERR_CONNECT_TIMEOUT)/;

/** What a URL leads to, for messages. A `fetch` of the caller may know none. */
export function placeOf(url: string): string {
  return url === "" ? "the server" : new URL(url).origin;
}

/** Say why `fetch` failed, by the code that Node.js gives to the cause. Browsers give none. */
export function unreachable(url: string, error: unknown): UnreachableError {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const place = placeOf(url);
  if (CERTIFICATE.test(code)) {
    const text = `the certificate of ${place} is not trusted (${code})`;
    return new UnreachableError("wrong_certificate", text, { cause: error });
  }
  const detail = code || (cause instanceof Error ? cause.message : String(cause));
  if (ADDRESS.test(code) || detail === "bad port") {
    const text = `nothing answers at ${place} (${detail}): is the URL right?`;
    return new UnreachableError("wrong_url", text, { cause: error });
  }
  return new UnreachableError("no_answer", `no answer from ${place}: ${detail}`, { cause: error });
}
