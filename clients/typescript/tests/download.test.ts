/** Downloads into files, over connections that break. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NotFoundError } from "musicgate";
import { download } from "musicgate/node";
import { answering, client, cutting } from "./server.ts";

async function folder(context: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "musicgate-"));
  context.after(() => rm(made, { recursive: true }));
  return made;
}

/** An answer with this body that breaks off after `cut` bytes. */
function audio(
  body: string,
  headers: Record<string, string>,
  { status = 200, cut = body.length } = {},
): Response {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(body.slice(0, cut)));
      if (cut === body.length) controller.close();
    },
    pull(controller) {
      controller.error(new TypeError("terminated"));
    },
  });
  return new Response(stream, { status, headers: { "Content-Length": String(body.length), ...headers } });
}

test("a download that is cut twice is whole", async (context) => {
  const job = await client().generate({ model: "suno/v5", prompt: "rain", provider: { only: ["suno_kie"] } });
  const track = job.output?.[0]?.audio;
  const { url, seen } = await cutting(context, [10_000, 20_000]);
  const into = await folder(context);
  const done = await download(client({ url }), job.id, join(into, "song.mp3"));
  assert.deepEqual(done, {
    sizeBytes: track?.size_bytes,
    contentType: "audio/mpeg",
    sha256: track?.sha256,
  });
  assert.equal((await readFile(join(into, "song.mp3"))).length, track?.size_bytes);
  assert.deepEqual(await readdir(into), ["song.mp3"]);
  assert(seen.length > 2);
});

test("a cut download asks for what is missing of the same file", async (context) => {
  const path = join(await folder(context), "song");
  const { fetch, requests } = answering(
    audio("first and rest", { ETag: '"1"' }, { cut: 6 }),
    audio("and rest", { ETag: '"1"', "Content-Range": "bytes 6-13/14" }, { status: 206, cut: 4 }),
    audio("rest", { ETag: '"1"', "Content-Range": "bytes 10-13/14" }, { status: 206 }),
  );
  assert.equal((await download(client({ fetch }), "music_1", path)).sizeBytes, 14);
  assert.equal(await readFile(path, "utf-8"), "first and rest");
  const asked = requests.map(({ headers }) => [headers.get("Range"), headers.get("If-Range")]);
  assert.deepEqual(asked, [
    [null, null],
    ["bytes=6-", '"1"'],
    ["bytes=10-", '"1"'],
  ]);
});

test("another file in between begins anew", async (context) => {
  const path = join(await folder(context), "song");
  const { fetch, requests } = answering(
    audio("first version", { ETag: '"1"' }, { cut: 6 }),
    audio("second", { ETag: '"2"' }),
  );
  await download(client({ fetch }), "music_1", path);
  assert.equal(await readFile(path, "utf-8"), "second");
  assert.deepEqual(
    requests.map((request) => request.headers.get("Range")),
    [null, "bytes=6-"],
  );
});

test("without a strong ETag a cut download begins anew", async (context) => {
  const path = join(await folder(context), "song");
  const { fetch, requests } = answering(audio("audio", {}, { cut: 2 }), audio("audio", {}));
  await download(client({ fetch }), "music_1", path);
  assert.equal(await readFile(path, "utf-8"), "audio");
  assert.equal(requests[1]?.headers.get("Range"), null);
});

test("a range that is not the one asked for is an error", async (context) => {
  const into = await folder(context);
  const wrong = { ETag: '"1"', "Content-Range": "bytes 4-4/5" };
  const { fetch } = answering(
    audio("audio", { ETag: '"1"' }, { cut: 2 }),
    audio("o", wrong, { status: 206 }),
  );
  await assert.rejects(download(client({ fetch }), "music_1", join(into, "song")), {
    code: "invalid_answer",
  });
  assert.deepEqual(await readdir(into), []);
});

test("a file that differs from the digest of the server is not kept", async (context) => {
  const into = await folder(context);
  const { fetch } = answering(audio("audio", { ETag: `"${"0".repeat(64)}"` }));
  await assert.rejects(download(client({ fetch }), "music_1", join(into, "song")), {
    code: "corrupt_download",
  });
  assert.deepEqual(await readdir(into), []);
});

test("what is not there leaves no file", async (context) => {
  const into = await folder(context);
  await assert.rejects(download(client(), "music_1", join(into, "song.mp3")), NotFoundError);
  assert.deepEqual(await readdir(into), []);
});

test("an aborted download leaves no file", async (context) => {
  const into = await folder(context);
  const { fetch } = answering(audio("audio", { ETag: '"1"' }, { cut: 2 }));
  const signal = AbortSignal.timeout(100);
  await assert.rejects(download(client({ fetch }), "music_1", join(into, "song"), { signal }), {
    name: "TimeoutError",
  });
  assert.deepEqual(await readdir(into), []);
});
