/** What needs a file system: downloads that resume. */
import { type Hash, createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";

import type { AudioOptions, MusicgateClient } from "./client.ts";
import { MusicgateError, unreachable } from "./errors.ts";
import { backoffMs, sleep } from "./time.ts";

/** How often the connection may be lost in a row without a byte in between. */
const MAX_LOSSES = 5;

export interface Downloaded {
  sizeBytes: number;
  contentType: string;
  /** SHA-256 of the file, in hexadecimal. */
  sha256: string;
}

/**
 * Write the audio of a track into a file, and go on where the connection is lost.
 *
 * The file appears under its name when it is whole; until then it is `<path>.part`.
 *
 * @throws MusicgateError (`corrupt_download`) if it is not the file that the server has.
 */
export async function download(
  client: MusicgateClient,
  id: string,
  path: string,
  options: Omit<AudioOptions, "fromByte" | "etag"> = {},
): Promise<Downloaded> {
  const part = `${path}.part`;
  try {
    const file = await open(part, "a");
    let done: Downloaded;
    try {
      done = await new Download(file).run(client, id, options);
    } finally {
      await file.close();
    }
    await rename(part, path);
    return done;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

class Download {
  readonly #file: FileHandle;
  #hash: Hash = createHash("sha256");
  #received = 0;
  #losses = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async run(client: MusicgateClient, id: string, options: AudioOptions): Promise<Downloaded> {
    let etag = "";
    for (;;) {
      // Without a strong ETag nothing says that the rest belongs to what was received.
      const isResumable = this.#received > 0 && etag.startsWith('"');
      const from = isResumable ? { fromByte: this.#received, etag } : {};
      const response = await client.audio(id, { ...options, ...from });
      const { start, total } = readRange(response);
      if (start === 0) await this.#restart();
      if (start !== this.#received) {
        throw new MusicgateError(
          "invalid_answer",
          `the server sent byte ${start} instead of ${this.#received}`,
        );
      }
      etag = response.headers.get("ETag") ?? "";
      const lost = await this.#write(response, options.signal);
      if (lost === undefined && (total === undefined || total === this.#received)) {
        const sha256 = this.#hash.digest("hex");
        // Here the ETag is the SHA-256; a redirect leads to a store with ETags of its own.
        if (!response.redirected && /^"[0-9a-f]{64}"$/.test(etag) && etag !== `"${sha256}"`) {
          throw new MusicgateError("corrupt_download", "the file differs from the one that the server has");
        }
        const contentType = response.headers.get("Content-Type") ?? "application/octet-stream";
        return { sizeBytes: this.#received, contentType, sha256 };
      }
      if (++this.#losses > MAX_LOSSES)
        throw unreachable(response.url, lost ?? new Error("the audio was cut off"));
      await sleep(backoffMs(this.#losses - 1), options.signal);
    }
  }

  async #restart(): Promise<void> {
    await this.#file.truncate();
    this.#hash = createHash("sha256");
    this.#received = 0;
  }

  /** Write what comes; returns the error of a lost connection. */
  async #write(response: Response, signal?: AbortSignal): Promise<unknown> {
    const reader = response.body?.getReader();
    for (;;) {
      let piece: Uint8Array | undefined;
      try {
        piece = (await reader?.read())?.value;
      } catch (error) {
        signal?.throwIfAborted();
        return error;
      }
      if (piece === undefined) return undefined;
      await this.#file.appendFile(piece);
      this.#hash.update(piece);
      this.#received += piece.length;
      this.#losses = 0;
    }
  }
}

/** Where the bytes of an answer begin, and how long the whole is if it says so. */
function readRange({ status, headers }: Response): { start: number; total: number | undefined } {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("Content-Range") ?? "") ?? [];
  if (status === 206 && start !== undefined) return { start: Number(start), total: Number(total) };
  const length = headers.get("Content-Length");
  const isPlain = length !== null && !headers.has("Content-Encoding");
  return { start: 0, total: isPlain ? Number(length) : undefined };
}
