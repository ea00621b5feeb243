// What the official JavaScript SDK makes of the emulator: one line for each check.
//
// Run by run.py; the only argument is the emulator's address.

import assert from "node:assert/strict";
import { ElevenLabs, ElevenLabsClient, ElevenLabsError } from "@elevenlabs/elevenlabs-js";

const baseUrl = process.argv[2];
const once = { maxRetries: 0 };
const song = { data: Buffer.from("not read by the emulator"), filename: "song.mp3", contentType: "audio/mpeg" };
const video = { data: Buffer.from("not read by the emulator"), filename: "video.mp4", contentType: "video/mp4" };
const chunk = { text: "[Verse]\nla la", durationMs: 3000, positiveStyles: ["folk"] };
const part = (songId) => ({ songId, range: { startMs: 0, endMs: 2000 } });

const print = console.log;
console.log = () => {}; // the SDK reports its successes there

const client = (apiKey = "test-key-not-real") => new ElevenLabsClient({ baseUrl, apiKey });
const music = client().music;

async function joined(stream) {
  const pieces = [];
  for await (const piece of await stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

function mp3RateHz(audio) {
  assert.equal(audio[0], 0xff);
  assert.equal(audio[1] & 0xe0, 0xe0);
  return [44100, 48000, 32000][(audio[2] >> 2) & 3];
}

const seconds = (audio, kbps) => audio.length / ((kbps * 1000) / 8);
const near = (given, expected) => assert.ok(Math.abs(given - expected) < 0.1, `${given} is not about ${expected}`);

/** Names of the files of a zip without compression, from its local headers. */
function namesIn(zip) {
  const names = [];
  for (let at = 0; zip.readUInt32LE(at) === 0x04034b50; ) {
    assert.equal(zip.readUInt16LE(at + 8), 0, "compressed");
    const end = at + 30 + zip.readUInt16LE(at + 26);
    names.push(zip.toString("utf8", at + 30, end));
    mp3RateHz(zip.subarray(end));
    at = end + zip.readUInt32LE(at + 18);
  }
  return names;
}

/** Checks that the SDK throws this error, whose body has this code. */
async function refused(kind, statusCode, code, promise) {
  const error = await Promise.resolve(promise).then(
    () => assert.fail("no error"),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, error);
  assert.equal(error.statusCode, statusCode);
  assert.ok(JSON.stringify(error.body).includes(code), JSON.stringify(error.body));
  return error;
}

const checks = {
  "compose makes a song of the requested length": async () => {
    const audio = await joined(music.compose({ prompt: "Warm jazz", musicLengthMs: 5000, modelId: "music_v2" }));
    assert.equal(mp3RateHz(audio), 48000);
    near(seconds(audio, 192), 5);
  },
  "compose takes v1 as the default model": async () => {
    assert.equal(mp3RateHz(await joined(music.compose({ prompt: "Warm jazz" }))), 44100);
  },
  "compose sends the output format": async () => {
    const audio = await joined(music.compose({ prompt: "x", musicLengthMs: 3000, outputFormat: "pcm_8000" }));
    assert.equal(audio.length, 3 * 8000 * 2 * 2);
  },
  "compose takes a plan of sections": async () => {
    const names = { sectionName: "Verse", positiveLocalStyles: [], negativeLocalStyles: [] };
    const section = { ...names, durationMs: 4000, lines: ["One two"] };
    const compositionPlan = { positiveGlobalStyles: ["folk"], negativeGlobalStyles: [], sections: [section] };
    near(seconds(await joined(music.compose({ compositionPlan, respectSectionsDurations: false })), 128), 4);
  },
  "compose takes a plan of chunks": async () => {
    const compositionPlan = { chunks: [chunk, chunk] };
    near(seconds(await joined(music.compose({ compositionPlan, modelId: "music_v2_5" })), 192), 6);
  },
  "raw response has the song id": async () => {
    const { data, rawResponse } = await music.compose({ prompt: "x", musicLengthMs: 3000 }).withRawResponse();
    await joined(data);
    assert.match(rawResponse.headers.get("song-id"), /^[0-9A-Za-z]{20}$/);
    assert.equal(rawResponse.headers.get("character-cost"), "45");
  },
  "compose detailed has facts and audio": async () => {
    const made = await music.composeDetailed({ prompt: "x", modelId: "music_v2", withTimestamps: true });
    assert.equal(made.filename, "music.mp3");
    assert.match(made.songId, /^[0-9A-Za-z]{20}$/);
    near(seconds(made.audio, 192), 8);
    assert.deepEqual(made.json.songMetadata.languages, ["English"]);
    assert.equal(made.json.wordsTimestamps[0].word, "la");
    assert.equal(made.json.compositionPlan.chunks.length, 1);
  },
  "waveform is a flat list of four numbers a second": async () => {
    const made = await music.composeDetailed({ prompt: "x", musicLengthMs: 3000, withWaveformVisual: true });
    assert.equal(made.json.waveformVisual.length, 12);
    assert.ok(made.json.waveformVisual.every((number) => Number.isInteger(number) && Math.abs(number) <= 1000));
  },
  "stream begins before the song is done": async () => {
    const begun = Date.now();
    let first = 0;
    let size = 0;
    for await (const piece of await music.stream({ prompt: "x [emulate done_s=50]" })) {
      first ||= Date.now() - begun;
      size += piece.length;
    }
    assert.ok(first < (Date.now() - begun) / 2);
    near(size / (128000 / 8), 8);
  },
  "detailed stream of JSON strings is read": async () => {
    const request = { prompt: "x [emulate events=strings]", withTimestamps: true };
    const names = [];
    for await (const event of await music.composeDetailedStream(request)) names.push(JSON.parse(event).event);
    assert.deepEqual(names.slice(0, 3), ["composition_plan", "song_metadata", "audio_chunk"]);
    assert.equal(names.at(-1), "completion");
  },
  "detailed stream of server-sent events is not read by this SDK": async () => {
    // It parses each line as JSON, and "data: {...}" is none.
    const stream = await music.composeDetailedStream({ prompt: "x" });
    await assert.rejects(stream[Symbol.asyncIterator]().next(), SyntaxError);
  },
  "composition plan has sections by default": async () => {
    const compositionPlan = await music.compositionPlan.create({ prompt: "Warm jazz", musicLengthMs: 130000 });
    const lengths = compositionPlan.sections.map((section) => section.durationMs);
    assert.equal(
      lengths.reduce((sum, length) => sum + length),
      130000,
    );
    mp3RateHz(await joined(music.compose({ compositionPlan })));
  },
  "composition plan of chunks is accepted back": async () => {
    const modelId = "music_v2";
    const compositionPlan = await music.compositionPlan.create({ prompt: "x", musicLengthMs: 4000, modelId });
    near(seconds(await joined(music.compose({ compositionPlan, modelId })), 192), 4);
  },
  "uploaded song is part of another song": async () => {
    const wanted = { extractCompositionPlan: "music_v2", withTimestamps: true, withWaveformVisual: true };
    const found = await music.upload({ file: song, ...wanted });
    assert.ok(found.compositionPlan.chunks.length && found.wordsTimestamps.length && found.waveformVisual.length);
    const compositionPlan = { chunks: [part(found.songId), chunk] };
    near(seconds(await joined(music.compose({ compositionPlan, modelId: "music_v2" })), 192), 5);
  },
  "song that was not stored is 404": () => {
    const compositionPlan = { chunks: [part("nothing"), chunk] };
    return refused(ElevenLabsError, 404, "song_not_found", music.compose({ compositionPlan, modelId: "music_v2" }));
  },
  "six stems come as a zip": async () => {
    const names = ["vocals", "drums", "bass", "guitar", "piano", "other"].map((name) => `${name}.mp3`);
    assert.deepEqual(namesIn(await joined(music.separateStems({ file: song }))), names);
  },
  "two stems come as a zip": async () => {
    const zip = await joined(music.separateStems({ file: song, stemVariationId: "two_stems_v1" }));
    assert.deepEqual(namesIn(zip), ["vocals.mp3", "instrumental.mp3"]);
  },
  "video gets music": async () => {
    const request = { videos: [video, video], tags: ["upbeat", "warm"], addSfx: true };
    mp3RateHz(await joined(music.videoToMusic(request)));
  },
  "video gets separate tracks": async () => {
    const request = { videos: [video], separateTracks: true, modelId: "music_v2" };
    assert.deepEqual(namesIn(await joined(music.videoToMusic(request))), ["music.mp3", "sfx.mp3"]);
  },
  "missing scope is a ForbiddenError": () => {
    const request = client("no-scope-403-key").music.videoToMusic({ videos: [video] });
    return refused(ElevenLabs.ForbiddenError, 403, "insufficient_permissions", request);
  },
  "finetune is trained, changed and deleted": async () => {
    const { finetunes } = client("js-finetune-key").music;
    const made = await finetunes.create({ name: "Our sound", primaryGenre: "folk", files: [song], tags: ["a", "b"] });
    assert.deepEqual([made.status, made.createdBy, made.tags], ["pending", "self", ["a", "b"]]);
    while ((await finetunes.get(made.id)).status !== "completed") {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal((await finetunes.update(made.id, { name: "Our new sound" })).name, "Our new sound");
    assert.deepEqual(
      (await finetunes.list()).finetunes.map((one) => one.name),
      ["Our new sound"],
    );
    assert.equal((await finetunes.delete(made.id)).id, made.id);
    await refused(ElevenLabs.NotFoundError, 404, "not_found", finetunes.get(made.id));
  },
  "field out of range is an UnprocessableEntityError": () =>
    refused(
      ElevenLabs.UnprocessableEntityError,
      422,
      "music_length_ms",
      music.compose({ prompt: "x", musicLengthMs: 1 }),
    ),
  "plan of the wrong kind is an UnprocessableEntityError": () => {
    const request = music.compose({ compositionPlan: { chunks: [chunk] }, modelId: "music_v1" });
    return refused(ElevenLabs.UnprocessableEntityError, 422, "Invalid composition plan type", request);
  },
  "wrong key is 401": () =>
    refused(ElevenLabsError, 401, "invalid_api_key", client("bad-key").music.compose({ prompt: "x" })),
  "spent credits and free plan are 402": async () => {
    const request = { prompt: "x" };
    const { music: spent } = client("no-credits-key");
    await refused(ElevenLabsError, 402, "insufficient_credits", spent.compose(request));
    const { music: free } = client("free-plan-key");
    await refused(ElevenLabsError, 402, "limited_access", free.compose(request));
  },
  "refused prompt has a suggestion": () =>
    refused(ElevenLabsError, 400, "Like a well-known artist", music.compose({ prompt: "Like The Beatles" })),
  "rate limit has its retry time": async () => {
    const request = music.compose({ prompt: "x [emulate create=429 retry_after=7]" }, once);
    const error = await refused(ElevenLabsError, 429, "rate_limit_exceeded", request);
    assert.equal(error.rawResponse.headers.get("retry-after"), "7");
  },
  "song is made after a retry at the stated time": async () => {
    const begun = Date.now();
    mp3RateHz(await joined(music.compose({ prompt: "y [emulate create=system_busy retry_after=1]" })));
    assert.ok(Date.now() - begun >= 1000);
  },
  "page of a load balancer is an error with its status": () =>
    refused(ElevenLabsError, 502, "<html>", music.compose({ prompt: "x [emulate create=html]" }, once)),
  "cut answer is an error": () => assert.rejects(joined(music.compose({ prompt: "x [emulate create=cut]" }))),
};

let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  try {
    await run();
    print(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    print(`FAILED  ${name}: ${error}`);
  }
}
const total = Object.keys(checks).length;
print(`${total - failed} of ${total} checks passed`);
process.exitCode = failed ? 1 : 0;
