/** The server under test, which Python starts, and what stands between it and a client. */
import { type Socket, createServer as createTcpServer, connect } from "node:net";
import { type TestContext } from "node:test";
import { MusicgateClient } from "musicgate";

interface ServerUnderTest {
  /** A server in the sandbox, with one account. */
  url: string;
  key: string;
  /** Of the account: the present one and the previous one. */
  webhook_secrets: [string, string];
  /** Something that speaks TLS with a self-signed certificate. */
  tls_url: string;
}

export const server = JSON.parse(process.env["SERVER_UNDER_TEST"] ?? "{}") as ServerUnderTest;

export function client(more: { url?: string; key?: string; fetch?: typeof fetch; maxRetries?: number } = {}) {
  return new MusicgateClient({ url: server.url, key: server.key, ...more });
}

/**
 * Pass connections on to the server, and cut the answer of the n-th one after `cuts[n]` bytes.
 *
 * @returns the URL of the proxy, and the requests that it saw.
 */
export async function cutting(test: TestContext, cuts: number[]): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = createTcpServer((near) => {
    const far = connect(Number(new URL(server.url).port), "127.0.0.1");
    let left = cuts.shift() ?? Infinity;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (data) => {
      seen.push(data.toString("latin1"));
      far.write(data);
    });
    far.on("data", (data) => {
      near.write(data.subarray(0, left));
      // What a client has received and not read yet is lost with the connection: give it the time.
      left = Math.max(0, left - data.length);
      if (left === 0) setTimeout(() => near.end(), 300);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://127.0.0.1:${portOf(proxy)}`, seen };
}

export function portOf(listening: { address(): unknown }): number {
  return (listening.address() as { port: number }).port;
}

/** A `fetch` that gives these answers in order, and keeps the requests. An Error stands for a lost connection. */
export function answering(...answers: (Response | Error)[]) {
  const requests: Request[] = [];
  const fake: typeof fetch = async (input, init) => {
    requests.push(new Request(input, init));
    const answer = answers.shift();
    if (answer === undefined) throw new Error("one request too many");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { fetch: fake, requests };
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

export function refusal(
  status: number,
  error: string,
  reason: string,
  headers: Record<string, string> = {},
): Response {
  const texts = { description: "no", generation_id: "G-1", request_id: "G-1", error_type: "user" };
  return json({ error, reason, status_code: status, ...texts }, status, headers);
}
