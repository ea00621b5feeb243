/** What a caller is told, and which requests are sent again. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { ApiError, AuthenticationError, MusicgateClient, RateLimitError, UnreachableError } from "musicgate";
import { answering, client, json, portOf, refusal, server } from "./server.ts";

/** An answer that comes in these pieces. */
function inPieces(...pieces: Uint8Array[]): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  return new Response(body);
}

const DONE = { id: "music_1", object: "music", status: "completed" };

test("a wrong URL is named", async () => {
  const unused = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => unused.once("listening", resolve));
  const url = `http://127.0.0.1:${portOf(unused)}`;
  await new Promise((resolve) => unused.close(resolve));
  await assert.rejects(client({ url }).models(), (error) => {
    assert(error instanceof UnreachableError);
    assert.equal(error.code, "wrong_url");
    assert.equal(error.message, `nothing answers at ${url} (ECONNREFUSED): is the URL right?`);
    return true;
  });
});

test("a URL that cannot be one is refused by the constructor", () => {
  for (const url of [
    "",
    "music.example.com",
    "ftp://music.example.com",
    "http://me:secret@a.example",
    "http://a.example/?b",
  ]) {
    assert.throws(
      () => client({ url }),
      (error) => {
        assert(error instanceof UnreachableError && error.code === "wrong_url");
        return !error.message.includes("secret");
      },
    );
  }
});

test("https for a server without TLS is a wrong URL", async () => {
  await assert.rejects(client({ url: server.url.replace("http:", "https:") }).models(), {
    code: "wrong_url",
  });
});

test("a certificate that is not trusted is named", async () => {
  await assert.rejects(client({ url: server.tls_url }).models(), {
    name: "UnreachableError",
    code: "wrong_certificate",
    message: `the certificate of ${server.tls_url} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)`,
  });
});

for (const [code, expected, requestsSent] of [
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "wrong_certificate", 1],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "wrong_certificate", 1],
  ["ENOTFOUND", "wrong_url", 1],
  ["ECONNREFUSED", "wrong_url", 1],
  ["ECONNRESET", "no_answer", 2],
] as const) {
  test(`${code} of Node.js is ${expected}, after ${requestsSent} requests`, async () => {
    const failure = () => new TypeError("fetch failed", { cause: Object.assign(new Error(), { code }) });
    const { fetch, requests } = answering(failure(), failure());
    await assert.rejects(client({ fetch, maxRetries: 1 }).models(), { code: expected });
    assert.equal(requests.length, requestsSent);
  });
}

test("a wrong key is an AuthenticationError, and none shows the key", async () => {
  await assert.rejects(client({ key: "another-key-not-real" }).models(), (error) => {
    assert(error instanceof AuthenticationError);
    assert.deepEqual([error.status, error.code, error.type], [401, "unauthorised", "user"]);
    assert.equal(error.reason, "key_not_found_or_revoked");
    return !error.message.includes("not-real");
  });
  await assert.rejects(new MusicgateClient({ url: server.url }).models(), {
    reason: "missing_or_invalid_authorization_header",
  });
  for (const key of ["", "two words", "schlüssel", "line\n"]) {
    assert.throws(() => client({ key }), { code: "invalid_key_format" });
  }
});

test("what is wrong with a request is said by path", async () => {
  await assert.rejects(client().submit({ model: "suno/v5", duration: 0 }), (error) => {
    assert(error instanceof ApiError);
    assert.deepEqual([error.status, error.code, error.reason], [400, "validation_error", "too_small"]);
    assert.deepEqual(
      error.violations.map((violation) => violation.path),
      [["duration"]],
    );
    assert.match(error.requestId, /^G-/);
    return true;
  });
});

test("an id that would lead to another route is refused, and a key that no header can have", async () => {
  for (const id of ["", ".", ".."]) await assert.rejects(client().delete(id), { code: "invalid_id" });
  for (const idempotencyKey of ["", "ключ", "two\nlines", "x".repeat(256)]) {
    const refused = client().submit({ model: "suno/v5" }, { idempotencyKey });
    await assert.rejects(refused, { code: "invalid_idempotency_key" });
  }
});

for (const [what, answer] of [
  ["HTML", new Response("<html>Hello</html>")],
  ["other JSON", json({ object: "list", data: [] })],
  ["a 404 of another server", new Response("not found", { status: 404 })],
  [
    "a redirect, by which a POST would become a GET",
    new Response(null, { status: 301, headers: { Location: "/" } }),
  ],
] as const) {
  test(`${what} is not musicgate, and is asked once`, async () => {
    const { fetch, requests } = answering(answer);
    await assert.rejects(client({ fetch }).submit({ model: "suno/v5" }), { code: "wrong_url" });
    assert.equal(requests.length, 1);
  });
}

for (const [what, answer] of [
  [
    "a lost connection",
    new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) }),
  ],
  ["a proxy without its server", new Response("bad gateway", { status: 502 })],
  ["a busy server", refusal(503, "gateway_error", "connections", { "Retry-After": "0" })],
  ["a rate limit", refusal(429, "key_limit_exceeded", "requests_per_minute", { "Retry-After": "0" })],
] as const) {
  test(`after ${what} the same request is sent again`, async () => {
    const { fetch, requests } = answering(answer, json(DONE));
    assert.equal((await client({ fetch }).submit({ model: "suno/v5" })).id, "music_1");
    const [first, second] = requests;
    assert.equal(first?.headers.get("Idempotency-Key"), second?.headers.get("Idempotency-Key"));
    assert.equal(await first?.text(), await second?.text());
  });
}

for (const [what, answer] of [
  [
    "of a vendor, which is stored with the key",
    refusal(503, "upstream_error", "unavailable", { "Retry-After": "0" }),
  ],
  ["of the request", refusal(400, "validation_error", "too_small")],
  [
    "that lasts longer than anyone waits",
    refusal(429, "key_limit_exceeded", "requests_per_minute", { "Retry-After": "61" }),
  ],
] as const) {
  test(`an error ${what}, is not asked for again`, async () => {
    const { fetch, requests } = answering(answer, json(DONE));
    await assert.rejects(client({ fetch }).submit({ model: "suno/v5" }), ApiError);
    assert.equal(requests.length, 1);
  });
}

test("retries end", async () => {
  const busy = () => refusal(429, "key_limit_exceeded", "max_open_jobs", { "Retry-After": "0" });
  const { fetch, requests } = answering(...Array.from({ length: 9 }, busy));
  await assert.rejects(client({ fetch, maxRetries: 2 }).get("music_1"), (error) => {
    assert(error instanceof RateLimitError);
    assert.equal(error.retryAfterS, 0);
    return true;
  });
  assert.equal(requests.length, 3);
});

test("a server that is gone after it answered is asked again", async () => {
  const gone = new TypeError("fetch failed", {
    cause: Object.assign(new Error(), { code: "ECONNREFUSED" }),
  });
  const { fetch, requests } = answering(json(DONE), gone, json(DONE));
  const asked = client({ fetch });
  await asked.get("music_1");
  await asked.get("music_1");
  assert.equal(requests.length, 3);
});

test("a job that an earlier try deleted is deleted", async () => {
  const { fetch } = answering(new Response(null, { status: 502 }), refusal(404, "not_found", "not_found"));
  await client({ fetch }).delete("music_1");
});

test("a server where too many wait is polled, when it says", async () => {
  const open = { ...DONE, status: "in_progress" };
  const full = refusal(429, "key_limit_exceeded", "waiting_requests", { "Retry-After": "3600" });
  const { fetch, requests } = answering(full, json(open, 200, { "Retry-After": "0" }), json(DONE));
  assert.equal((await client({ fetch }).wait("music_1")).status, "completed");
  assert.deepEqual(
    requests.map((request) => request.headers.get("Prefer")),
    ["wait=30", null, null],
  );
});

test("an event stream goes on after the last event, and shows none twice", async () => {
  const lost = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('retry: 0\ndata: {"number": 1}\n\n')),
    pull: (controller) => controller.error(new TypeError("terminated")),
  });
  const again = 'data: {"number": 1}\n\ndata: {"number": 2, "type": "settled"}\n\n';
  const { fetch, requests } = answering(new Response(lost), inPieces(new TextEncoder().encode(again)));
  const numbers: number[] = [];
  for await (const event of client({ fetch }).events("music_1")) numbers.push(event.number);
  assert.deepEqual(numbers, [1, 2]);
  assert.deepEqual(
    requests.map((request) => request.headers.get("Last-Event-ID")),
    ["0", "1"],
  );
});

test("an event stream may be cut anywhere, also within a letter", async () => {
  const text = [
    "retry: 0",
    ": still here",
    "id: 1",
    'data: {"type": "created", "number": 1, "note":',
    'data: "für"}',
    "",
    "",
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    const bytes = new TextEncoder().encode(text.join(end));
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { fetch } = answering(
        inPieces(bytes.slice(0, cut), bytes.slice(cut)),
        new Response(null, { status: 204 }),
      );
      const seen: unknown[] = [];
      for await (const event of client({ fetch }).events("music_1")) seen.push(event);
      assert.deepEqual(
        seen,
        [{ type: "created", number: 1, note: "für" }],
        `${cut} of ${JSON.stringify(end)}`,
      );
    }
  }
});
