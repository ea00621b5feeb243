// Make a song with openapi-fetch and the types that openapi-typescript generates; address and key are the arguments.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/openapi-typescript.js";

const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

const { data: created, error } = await client.POST("/v1/music/generate", {
  params: { header: { "Idempotency-Key": "a-song-of-openapi-typescript" } },
  body: { model: "suno/v5", prompt: "rain", suno: { instrumental: true } },
});
assert(created, JSON.stringify(error));

let job: components["schemas"]["MusicJob"] = created;
while (job.status === "queued" || job.status === "in_progress") {
  const { data } = await client.GET("/v1/music/generate/{music_id}", {
    params: { path: { music_id: job.id }, header: { Prefer: "wait=10" } },
  });
  assert(data);
  job = data;
}
assert.equal(job.status, "completed");
const track = job.output?.[0];
assert(track);
const audio = await client.GET("/v1/music/generate/{music_id}/audio/{index}", {
  params: { path: { music_id: job.id, index: track.index } },
  parseAs: "arrayBuffer",
});
assert(audio.data);
const refused = await client.POST("/v1/music/generate", { body: { model: "none/such" } });
assert.equal(refused.error?.error, "unsupported_model_or_endpoint");
console.log(`${job.id}: ${track.title}, ${audio.data.byteLength} bytes`);
