// Make a song with the client that @hey-api/openapi-ts generates; address and key are the arguments.
import assert from "node:assert/strict";
import { createClient, createConfig } from "./generated/hey-api/client/index.js";
import * as musicgate from "./generated/hey-api/index.js";

const [url, key] = process.argv.slice(2);
const client = createClient(createConfig({ baseUrl: url, auth: () => key }));

const plan = await musicgate.planMusic({ client, body: { model: "suno/v5", prompt: "rain" } });
assert.equal(plan.data?.candidates[0]?.provider, "suno");
const { data: job, error } = await musicgate.generateMusic({
  client,
  headers: { "Idempotency-Key": "a-song-of-hey-api" },
  body: { model: "suno/v5", prompt: "rain", suno: { instrumental: true } },
});
assert(job, JSON.stringify(error));

const seen: string[] = [];
const { stream } = await musicgate.streamMusicEvents({ client, path: { music_id: job.id } });
for await (const item of stream) {
  // This client yields the parsed data of an event.
  assert(item && "type" in item);
  seen.push(item.type);
  if (item.type === "settled") assert.equal(item.data.state, "completed");
}
assert.equal(seen.at(0), "created");
assert.equal(seen.at(-1), "settled");

const { data: done } = await musicgate.getMusicGeneration({ client, path: { music_id: job.id } });
const track = done?.output?.[0];
assert(track);
const audio = await musicgate.getAudio({ client, path: { music_id: job.id, index: track.index }, parseAs: "blob" });
assert(audio.data);
const refused = await musicgate.generateMusic({ client, body: { model: "none/such" } });
assert.equal(refused.error?.error, "unsupported_model_or_endpoint");
console.log(`${job.id}: ${track.title}, ${audio.data.size} bytes, events ${seen.join(" ")}`);
