/** Songs from a real server in the sandbox. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  type JobEvent,
  JobFailedError,
  JobTimeoutError,
  type MusicJob,
  type MusicRequest,
  NotFoundError,
} from "musicgate";
import { client, cutting } from "./server.ts";

const RAIN: MusicRequest = { model: "suno/v5", prompt: "rain", provider: { only: ["suno_kie"] } };
const UNFINISHED: MusicRequest = { ...RAIN, prompt: "rain [emulate stuck=TEXT_SUCCESS callbacks=off]" };

/** Jobs with a label. */
async function labelled(label: string): Promise<MusicJob[]> {
  const found: MusicJob[] = [];
  for await (const job of client().list({ pageSize: 2 }))
    if (job.metadata?.["label"] === label) found.push(job);
  return found;
}

async function collect(events: AsyncIterable<JobEvent>): Promise<JobEvent[]> {
  const found: JobEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

test("a song is planned, made, read, listed, heard and deleted", async () => {
  const plan = await client().plan(RAIN);
  assert.equal(plan.candidates[0]?.provider, "suno");
  const job = await client().generate({ ...RAIN, metadata: { label: "whole" } }, { timeoutMs: 20_000 });
  assert.equal(job.status, "completed");
  assert.equal((await client().get(job.nativeResponseId ?? "")).id, job.id);
  const track = job.output?.[1];
  assert(track?.audio?.sha256);
  const whole = await client().audio(job.id, { index: 1 });
  const audio = new Uint8Array(await whole.arrayBuffer());
  assert.equal(createHash("sha256").update(audio).digest("hex"), track.audio.sha256);
  const etag = whole.headers.get("ETag") ?? "";
  const rest = await client().audio(job.id, { index: 1, fromByte: 1000, etag });
  assert.equal(rest.status, 206);
  assert.deepEqual(new Uint8Array(await rest.arrayBuffer()), audio.subarray(1000));
  const another = await client().audio(job.id, { index: 1, fromByte: 1000, etag: '"another"' });
  assert.equal((await another.arrayBuffer()).byteLength, audio.length);
  const wav = await client().audio(job.id, { format: "wav" });
  assert.equal(wav.headers.get("Content-Type"), "audio/wav");
  await wav.body?.cancel();
  assert.deepEqual(
    (await labelled("whole")).map((found) => found.id),
    [job.id],
  );
  assert.equal(await client().delete(job.id), undefined);
  await assert.rejects(client().get(job.id), NotFoundError);
});

test("the list goes on to the last page, and can be narrowed", async () => {
  const metadata = { label: "pages" };
  for (let number = 0; number < 3; number++) await client().submit({ ...RAIN, metadata });
  assert.equal((await labelled("pages")).length, 3);
  for await (const job of client().list({ state: ["queued", "failed"], model: "suno/v5" })) {
    assert.match(job.status, /queued|failed/);
  }
  for await (const job of client().list({ model: "minimax/music-2.6" })) assert.fail(job.id);
});

test("models and providers say what can be asked of whom", async () => {
  const models = await client().models();
  assert(models.some((model) => model.id === "suno/v5"));
  const providers = await client().providers();
  assert(providers.some((provider) => provider.provider_plugin === "suno_kie" && provider.configured));
});

test("events come once and in order, to the last one, which has the job", async () => {
  const { id } = await client().submit(RAIN);
  const events = await collect(client().events(id));
  assert.deepEqual(
    events.map((event) => event.number),
    events.map((_, index) => index + 1),
  );
  assert.equal(events[0]?.type, "created");
  const last = events.at(-1);
  assert(last?.type === "settled" && last.job?.status === "completed");
  assert.deepEqual(await collect(client().events(id, { after: last.number - 1 })), [last]);
  assert.deepEqual(await collect(client().events(id, { after: last.number })), []);
});

test("events go on after a lost connection", async (context) => {
  const { id } = await client().generate(RAIN);
  const whole = await collect(client().events(id));
  const { url, seen } = await cutting(context, [1800]);
  assert.deepEqual(await collect(client({ url }).events(id)), whole);
  assert(seen.length > 1);
});

test("a reader of events can stop, by leaving the loop or by a signal", async () => {
  const { id } = await client().submit(UNFINISHED);
  for await (const event of client().events(id)) {
    assert.equal(event.type, "created");
    break;
  }
  const stop = new AbortController();
  const stopped = new Error("enough");
  const read = (async () => {
    for await (const event of client().events(id, { signal: stop.signal }))
      if (event.type === "state") stop.abort(stopped);
  })();
  await assert.rejects(read, stopped);
  await client().cancel(id);
});

for (const bytes of [0, 300]) {
  test(`a create call whose answer is lost after ${bytes} bytes is repeated, and makes one song`, async (context) => {
    const { url, seen } = await cutting(context, [bytes]);
    const label = `lost after ${bytes}`;
    const job = await client({ url }).generate({ ...RAIN, metadata: { label } });
    assert.deepEqual(
      (await labelled(label)).map((found) => found.id),
      [job.id],
    );
    const keys = seen.flatMap((request) => /^POST .*?idempotency-key: (\S+)/is.exec(request)?.[1] ?? []);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  });
}

test("two create calls have two keys, unless the caller gives one", async () => {
  const first = await client().submit(RAIN);
  assert.notEqual((await client().submit(RAIN)).id, first.id);
  const idempotencyKey = 'order 17, "the blue one" \\';
  const second = await client().submit(RAIN, { idempotencyKey });
  assert.equal((await client().submit(RAIN, { idempotencyKey })).id, second.id);
});

test("a job is cancelled, and the song fails with that reason", async () => {
  const { id } = await client().submit(UNFINISHED);
  const waiting = client().wait(id);
  const cancelled = await client().cancel(id);
  assert.equal(cancelled.error?.reason, "cancelled");
  assert.equal(cancelled.error.may_have_cost, true);
  assert.equal((await waiting).status, "failed");
});

test("a song that fails is an error with its job", async () => {
  const refused = client().generate({ ...RAIN, prompt: "rain [emulate end=SENSITIVE_WORD_ERROR]" });
  await assert.rejects(refused, (error) => {
    assert(error instanceof JobFailedError);
    assert.equal(error.job.status, "failed");
    assert.equal(error.code, error.job.error?.reason);
    return true;
  });
});

test("waiting ends at its timeout or by a signal, and the job goes on", async () => {
  const { id } = await client().submit(UNFINISHED);
  await assert.rejects(client().wait(id, { timeoutMs: 200 }), (error) => {
    assert(error instanceof JobTimeoutError);
    assert.equal(error.jobId, id);
    return true;
  });
  const stopped = new Error("enough");
  const signal = AbortSignal.timeout(200);
  await assert.rejects(client().wait(id, { signal }), { name: "TimeoutError" });
  await assert.rejects(client().get(id, { signal: AbortSignal.abort(stopped) }), stopped);
  assert.match((await client().cancel(id)).status, /failed/);
});

test("a strict request is refused where a lenient one has warnings", async () => {
  const request: MusicRequest = { model: "minimax/music-2.6", prompt: "tango", duration: 60 };
  const [warning] = (await client().plan(request)).candidates[0]?.warnings ?? [];
  assert.deepEqual(warning?.path, ["duration"]);
  await assert.rejects(client().submit(request, { strict: true }), { status: 400 });
});
