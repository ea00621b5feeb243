/** Webhooks that the courier of a real server signed. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type IncomingHttpHeaders, createServer } from "node:http";
import { before, test } from "node:test";
import { verifyWebhook } from "musicgate";
import { client, portOf, server } from "./server.ts";

const [present, previous] = server.webhook_secrets;
const another = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
let received: { body: Buffer; headers: IncomingHttpHeaders };
let jobId = "";

before(async () => {
  const receiver = createServer().listen(0, "127.0.0.1");
  const message = new Promise<typeof received>((resolve) => {
    receiver.on("request", async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      response.writeHead(204).end();
      resolve({ body: Buffer.concat(pieces), headers: request.headers });
    });
  });
  await new Promise((resolve) => receiver.once("listening", resolve));
  const webhook_url = `http://127.0.0.1:${portOf(receiver)}/hook`;
  const provider = { only: ["suno_kie"] };
  jobId = (await client().generate({ model: "suno/v5", prompt: "Frühling", provider, webhook_url })).id;
  received = await message;
  receiver.close();
});

test("a message of the courier is verified and read", async () => {
  for (const secrets of [present, previous, [another, present], [previous, another]]) {
    const message = await verifyWebhook(received.body, received.headers, secrets);
    assert.equal(message.type, "music.completed");
    assert.equal(message.data["id"], jobId);
  }
});

test("body and headers may have any form that frameworks give", async () => {
  const headers = new Headers(received.headers as Record<string, string>);
  const upper = Object.fromEntries([...headers].map(([name, value]) => [name.toUpperCase(), value]));
  for (const body of [
    received.body.toString(),
    new Uint8Array(received.body),
    new Uint8Array(received.body).buffer,
  ]) {
    for (const form of [headers, upper]) await verifyWebhook(body, form, present);
  }
});

test("an unknown secret, another body, id, time or signature is refused", async () => {
  const changed = Buffer.from(received.body);
  changed[10]! ^= 1;
  const sentAtMs = Number(received.headers["webhook-timestamp"]) * 1000;
  for (const [body, headers, secrets, nowMs] of [
    [received.body, {}, another],
    [changed, {}, present],
    [received.body, { "webhook-id": "msg_other" }, present],
    [received.body, { "webhook-id": undefined }, present],
    [received.body, { "webhook-timestamp": String(sentAtMs / 1000 + 1) }, present],
    [received.body, { "webhook-timestamp": "now" }, present],
    [received.body, { "webhook-signature": "v1,AAAA v1,%% v1, v2,AAAA nonsense" }, present],
    [
      received.body,
      { "webhook-signature": String(received.headers["webhook-signature"]).replaceAll("v1,", "v2,") },
      present,
    ],
    [received.body, {}, present, sentAtMs + 301_000],
    [received.body, {}, present, sentAtMs - 301_000],
  ] as const) {
    const verified = verifyWebhook(
      body,
      { ...received.headers, ...headers },
      secrets,
      nowMs === undefined ? {} : { nowMs },
    );
    await assert.rejects(verified, {
      name: "WebhookVerificationError",
      code: "invalid_webhook_signature",
    });
  }
  await verifyWebhook(received.body, received.headers, present, {
    nowMs: sentAtMs + 301_000,
    toleranceS: 600,
  });
});

test("a signed body that is no object is refused", async () => {
  const timestamp = String(Math.floor(Date.now() / 1000));
  for (const body of ["null", "17", "{", "\udcff"]) {
    const key = Buffer.from(another.slice(6), "base64");
    const signature = createHmac("sha256", key).update(`msg_1.${timestamp}.${body}`).digest("base64");
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${signature}`,
    };
    await assert.rejects(verifyWebhook(body, headers, another), { name: "WebhookVerificationError" });
  }
});

test("a secret of another form is named, and not shown", async () => {
  for (const secrets of [
    [],
    "",
    "secret",
    "whsec_",
    "whsec_c2hvcnQ=",
    "whsec_!!!!",
    [present, "whsec_c2hvcnQ="],
  ]) {
    await assert.rejects(verifyWebhook(received.body, received.headers, secrets), (error) => {
      assert.equal((error as { code: string }).code, "invalid_secret");
      return !String(error).includes("c2hvcnQ");
    });
  }
});
