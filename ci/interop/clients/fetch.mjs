// Node's fetch against the conformance server: fetch.mjs URL BODY LARGE, one line when all is well.

import assert from "node:assert/strict";
import zlib from "node:zlib";

const url = process.argv[2].replace(/\/$/, "");
const [bodyBytes, largeBytes] = process.argv.slice(3).map(Number);
const body = Uint8Array.from({ length: bodyBytes }, (_, index) => (index * 7) % 251);

// Milliseconds that one answer may take.
const PATIENCE = 20_000;

async function ask(method, path, want = 200, more = {}) {
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(url + path, { method, redirect: "manual", signal, ...more });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = Buffer.from(bytes).toString("latin1");
  assert.equal(response.status, want, `${method} ${path}: ${text.slice(0, 200)}`);
  assert.equal(response.headers.get("content-encoding"), null);
  return { headers: response.headers, bytes, text };
}

function pieces(...parts) {
  return { body: ReadableStream.from(parts), duplex: "half" };
}

function lines(text) {
  return text.split("\n").filter((line) => line !== "");
}

const questions = {
  async get() {
    for (let time = 0; time < 20; time += 1) {
      const { text, headers } = await ask("GET", "/");
      assert.deepEqual([text, headers.get("content-length")], ["hello", "5"]);
    }
  },
  async head() {
    const { text, headers } = await ask("HEAD", `/large?n=${largeBytes}`);
    assert.deepEqual([text, headers.get("content-length")], ["", String(largeBytes)]);
  },
  async echo() {
    for (const method of ["POST", "PUT", "PATCH"]) {
      const { bytes } = await ask(method, "/echo", 200, { body });
      assert.ok(Buffer.from(bytes).equals(body), `${method}: ${bytes.length} bytes came back`);
    }
    assert.equal((await ask("POST", "/echo", 200, { body: "" })).text, "");
  },
  async echoChunked() {
    const parts = [body.slice(0, 1), body.slice(1, 500), body.slice(500)];
    const { bytes } = await ask("POST", "/echo", 200, pieces(...parts));
    assert.ok(Buffer.from(bytes).equals(body), `${bytes.length} bytes came back`);
    const two = [Buffer.from("123"), Buffer.from("45")];
    const dump = lines((await ask("POST", "/dump", 200, pieces(...two))).text);
    const framings = ["h.transfer-encoding=chunked", "h.content-length=5"];
    assert.ok(dump.includes("body=5") && framings.some((line) => dump.includes(line)), `${dump}`);
  },
  async upload() {
    const whole = Buffer.concat([body, body, body]);
    const sum = zlib.crc32 ? zlib.crc32(whole).toString(16).padStart(8, "0") : null;
    const { text } = await ask("POST", "/upload", 200, pieces(body, body, body));
    assert.ok(text.startsWith(`len=${whole.length} crc32=${sum ?? ""}`), text);
    assert.equal((await ask("POST", "/upload", 200, { body: whole })).text, text);
  },
  async fields() {
    const headers = { "X-One": "1", "X-Text": 'a b;c="d"' };
    const dump = lines((await ask("GET", "/dump?a=b&c=%20d", 200, { headers })).text);
    const given = ["h.x-one=1", 'h.x-text=a b;c="d"'];
    for (const line of ["method=GET", "path=/dump", "query=a=b&c=%20d", ...given, "body=0"]) {
      assert.ok(dump.includes(line), `${line} is not in ${dump}`);
    }
  },
  async long() {
    assert.equal((await ask("GET", `/large?n=${largeBytes}`)).text, "x".repeat(largeBytes));
    assert.equal((await ask("GET", "/chunked")).text, "onetwothree");
  },
  async stream() {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(`${url}/stream?n=5&ms=50`, { signal });
    const arrivals = [];
    let text = "";
    for await (const part of response.body) {
      arrivals.push(performance.now());
      text += Buffer.from(part).toString();
    }
    assert.deepEqual(lines(text).map((line) => line.split(" ")[0]), Array(5).fill("chunk"));
    assert.ok(arrivals.at(-1) - arrivals[0] > 120, `not as it was sent: ${arrivals}`);
  },
  async status() {
    for (const status of [200, 204, 304, 404, 500, 503]) {
      const wanted = status === 204 || status === 304 ? "" : `status ${status}`;
      assert.equal((await ask("GET", `/status/${status}`, status)).text, wanted);
    }
  },
  async redirect() {
    await ask("GET", "/redirect", 302);
    assert.equal((await ask("GET", "/redirect", 200, { redirect: "follow" })).text, "hello");
  },
  async cookie() {
    const { headers } = await ask("GET", "/cookie");
    assert.deepEqual(headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/; HttpOnly"]);
    const { text } = await ask("GET", "/cookie", 200, { headers: { cookie: "a=1; b=2" } });
    assert.deepEqual(lines(text).sort(), ["a=1", "b=2"]);
  },
  async refused() {
    assert.match((await ask("GET", "/only-post", 405)).headers.get("allow"), /\bPOST\b/);
    assert.equal((await ask("POST", "/only-post", 200, { body: "" })).text, "posted");
    await ask("GET", "/nowhere", 404);
  },
  async tooLong() {
    await ask("POST", "/echo", 413, { body: Buffer.concat([body, body]) });
    await ask("POST", "/echo", 413, pieces(body, body));
    assert.equal((await ask("GET", "/")).text, "hello");
  },
};

for (const [name, question] of Object.entries(questions)) {
  try {
    await question();
  } catch (error) {
    console.error(`${name}: ${error.stack}${error.cause ? `\n${error.cause.stack}` : ""}`);
    process.exit(1);
  }
}
console.log(`${Object.keys(questions).length} questions answered`);
process.exit(0);
