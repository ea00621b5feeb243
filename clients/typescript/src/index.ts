/** The public API for browsers and Node.js. What writes files is in `musicgate/node`. */
export {
  type AudioOptions,
  type CallOptions,
  type EventsOptions,
  type ListOptions,
  MusicgateClient,
  type SubmitOptions,
  type WaitOptions,
} from "./client.ts";
export type { ClientOptions } from "./connection.ts";
export {
  ApiError,
  AuthenticationError,
  JobFailedError,
  JobTimeoutError,
  MusicgateError,
  NotFoundError,
  RateLimitError,
  UnreachableError,
  WebhookVerificationError,
} from "./errors.ts";
export type * from "./schema.ts";
export { type ReceivedHeaders, type VerifyOptions, verifyWebhook } from "./webhook.ts";
