// In a page that the conformance server sent: arguments are the length of the longest body, that of
// a long answer, and what is called at the end, with `N questions answered` or what was wrong.
const [bodyBytes, largeBytes, done] = arguments;
const body = Uint8Array.from({ length: bodyBytes }, (_, index) => (index * 7) % 251);
let asked = 0;

function is(found, wanted, what) {
  asked += 1;
  if (found !== wanted) {
    const [came, wished] = [found, wanted].map((value) => String(value).slice(0, 200));
    throw new Error(`${what}: ${came} and not ${wished}`);
  }
}

async function ask(method, path, status, more = {}) {
  const response = await fetch(path, { method, cache: "no-store", ...more });
  is(response.status, status, `${method} ${path}`);
  return response;
}

async function text(method, path, status, more) {
  return (await ask(method, path, status, more)).text();
}

async function all() {
  is(document.body.innerText.trim(), "hello", "the page itself");
  for (let time = 0; time < 10; time += 1) {
    is(await text("GET", "/", 200), "hello", "GET");
  }
  const head = await ask("HEAD", `/large?n=${largeBytes}`, 200);
  is(head.headers.get("content-length"), String(largeBytes), "the length of a HEAD");
  is(await head.text(), "", "the body of a HEAD");
  const large = await text("GET", `/large?n=${largeBytes}`, 200);
  is(large === "x".repeat(largeBytes), true, `${large.length} bytes came`);
  for (const method of ["POST", "PUT", "PATCH"]) {
    const answer = await ask(method, "/echo", 200, { body });
    const echoed = new Uint8Array(await answer.arrayBuffer());
    is(echoed.length, body.length, `the length of an echo, ${method}`);
    is(echoed.every((byte, index) => byte === body[index]), true, "an echo");
  }
  const form = new FormData();
  form.append("name", "value");
  const dump = await text("POST", "/dump?a=b", 200, { body: form });
  is(dump.includes("query=a=b\n"), true, dump);
  is(dump.includes("h.content-type=multipart/form-data"), true, dump);
  is(await text("GET", "/chunked", 200), "onetwothree", "chunks");
  await stream();
  is(await text("GET", "/redirect", 200), "hello", "what a redirect leads to");
  await text("GET", "/cookie", 200);
  const cookies = await text("GET", "/cookie", 200);
  is(cookies.trim().split("\n").sort().join(" "), "a=1 b=2", "cookies");
  is(document.cookie, "a=1", "the cookie that scripts may see");
  for (const status of [204, 304, 404, 500]) {
    // To whoever has nothing to compare it with, 304 is an answer like another.
    const wanted = [204, 304].includes(status) ? "" : `status ${status}`;
    is(await text("GET", `/status/${status}`, status), wanted, "a status");
  }
  is((await ask("GET", "/only-post", 405)).headers.get("allow").includes("POST"), true, "Allow");
  is(await text("POST", "/only-post", 200), "posted", "POST");
  await text("POST", "/echo", 413, { body: new Uint8Array(2 * bodyBytes) });
  const slow = await Promise.all(Array.from({ length: 12 }, () => text("GET", "/slow?ms=50", 200)));
  is(slow.join(""), "slow".repeat(12), "12 at once");
}

async function stream() {
  const response = await ask("GET", "/stream?n=5&ms=50", 200);
  const reader = response.body.getReader();
  const arrivals = [];
  for (;;) {
    const { done: isOver } = await reader.read();
    if (isOver) {
      break;
    }
    arrivals.push(performance.now());
  }
  is(arrivals.length > 1 && arrivals.at(-1) - arrivals[0] > 120, true, `a stream: ${arrivals}`);
}

all().then(() => done(`${asked} questions answered`), (error) => done(error.stack));
