"""What every Python client asks of the conformance server, and what must come out.

A client is a class with one coroutine, `ask`, and two facts about itself; it asserts nothing. The
battery runs on it: `battery.run(Client)`, with the command line `URL BODY LARGE`: where the server
is, how many bytes `/echo` takes, and how many bytes a long answer has here.
"""

import asyncio
import dataclasses
import sys
import time
import zlib

# Seconds that one answer may take.
PATIENCE = 20


@dataclasses.dataclass
class Answer:
    """An answer as the client understood it: field names in lower case, arrivals as they came."""

    status: int
    fields: list
    body: bytes
    arrivals: list = dataclasses.field(default_factory=list)

    def field(self, name):
        """The value of the only field of this name, or None."""
        values = self.values(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def values(self, name):
        """All values of this name, in the order in which they came."""
        return [value for own, value in self.fields if own.lower() == name]


class Battery:
    """All questions, each a method; `expect` and `early` depend on what a client can do."""

    def __init__(self, client, body, large):
        self.client = client
        self.body = bytes(index * 7 % 251 for index in range(body))
        self.large = large

    async def ask(self, method, path, want=200, **more):
        answer = await self.client.ask(method, path, **more)
        seen = (answer.status, answer.body[:200])
        assert answer.status == want, f"{method} {path}: {seen} and not {want}"
        assert answer.field("content-encoding") is None, "nobody compresses here"
        return answer

    async def get(self):
        for _ in range(20):
            answer = await self.ask("GET", "/")
            assert answer.body == b"hello", answer
            assert answer.field("content-length") == "5", answer

    async def head(self):
        for path, length in ("/", "5"), (f"/large?n={self.large}", str(self.large)):
            answer = await self.ask("HEAD", path)
            assert (answer.body, answer.field("content-length")) == (b"", length), answer

    async def echo(self):
        for method in "POST", "PUT", "PATCH":
            answer = await self.ask(method, "/echo", body=self.body)
            assert answer.body == self.body, f"{method}: {len(answer.body)} bytes came back"
        answer = await self.ask("POST", "/echo", body=b"")
        assert answer.body == b"", answer
        dump = await self.dump("POST", "/dump", body=b"12345")
        assert dump["h.content-length"] == ["5"], dump

    async def echo_chunked(self):
        sizes = [1, 2, 500, 1, 3000]
        sizes = [size for size in sizes if sum(sizes) <= len(self.body)]
        pieces, at = [], 0
        for size in [*sizes, len(self.body) - sum(sizes)]:
            pieces.append(self.body[at : at + size])
            at += size
        answer = await self.ask("POST", "/echo", pieces=pieces)
        assert answer.body == self.body, f"{len(answer.body)} bytes came back"
        dump = await self.dump("POST", "/dump", pieces=[b"123", b"45"])
        # A proxy may have counted them first; the bytes are the same.
        framing = dump.get("h.transfer-encoding") or dump.get("h.content-length")
        assert framing in (["chunked"], ["5"]) and dump["body"] == ["5"], dump

    async def upload(self):
        body = self.body * 3
        wanted = f"len={len(body)} crc32={zlib.crc32(body):08x}\n".encode()
        answer = await self.ask("POST", "/upload", body=body)
        assert answer.body == wanted, answer
        answer = await self.ask("POST", "/upload", pieces=[self.body] * 3)
        assert answer.body == wanted, answer

    async def fields(self):
        given = {"X-One": "1", "X-Text": "a b;c=\"d\"", "Accept-Language": "de, en;q=0.5"}
        dump = await self.dump("GET", "/dump?a=b&c=%20d", headers=given)
        assert (dump["method"], dump["path"]) == (["GET"], ["/dump"]), dump
        assert dump["query"] == ["a=b&c=%20d"] and dump["body"] == ["0"], dump
        for name, value in given.items():
            assert dump[f"h.{name.lower()}"] == [value], dump

    async def long(self):
        answer = await self.ask("GET", f"/large?n={self.large}")
        assert answer.body == b"x" * self.large, len(answer.body)

    async def chunked(self):
        answer = await self.ask("GET", "/chunked")
        assert answer.body == b"onetwothree", answer

    async def stream(self):
        answer = await self.ask("GET", "/stream?n=5&ms=50")
        lines = answer.body.decode().splitlines()
        assert [line.split()[0] for line in lines] == ["chunk"] * 5, lines
        took = answer.arrivals[-1] - answer.arrivals[0]
        assert len(answer.arrivals) > 1 and took > 0.12, f"not as it was sent: {answer.arrivals}"

    async def slow(self):
        start = time.monotonic()
        answer = await self.ask("GET", "/slow?ms=100")
        assert answer.body == b"slow" and time.monotonic() - start >= 0.1, answer

    async def status(self):
        for status in 200, 204, 304, 404, 410, 500, 503:
            answer = await self.ask("GET", f"/status/{status}", status)
            empty = status in (204, 304)
            assert answer.body == (b"" if empty else b"status %d" % status), answer
        await self.ask("GET", "/nowhere", 404)

    async def redirect(self):
        answer = await self.ask("GET", "/redirect", 302)
        assert answer.field("location").endswith("/"), answer
        answer = await self.ask("GET", "/redirect", follow=True)
        assert answer.body == b"hello", answer

    async def cookie(self):
        answer = await self.ask("GET", "/cookie")
        wanted = ["a=1; Path=/", "b=2; Path=/; HttpOnly"]
        assert answer.values("set-cookie") == wanted, answer
        given = {} if self.client.KEEPS_COOKIES else {"Cookie": "a=1; b=2"}
        answer = await self.ask("GET", "/cookie", headers=given)
        assert sorted(answer.body.split()) == [b"a=1", b"b=2"], answer

    async def refused(self):
        answer = await self.ask("GET", "/only-post", 405)
        assert "POST" in answer.field("allow").split(", "), answer
        answer = await self.ask("POST", "/only-post", body=b"")
        assert answer.body == b"posted", answer

    async def too_long(self):
        for sent in {"body": self.body + b"!"}, {"body": self.body * 2}:
            await self.ask("POST", "/echo", 413, **sent)
        await self.ask("POST", "/echo", 413, pieces=[self.body, self.body])
        # The next one is asked as if nothing had been.
        answer = await self.ask("GET", "/")
        assert answer.body == b"hello", answer

    async def expect(self):
        answer = await self.ask("POST", "/echo", body=self.body, expect=True)
        assert answer.body == self.body, len(answer.body)
        await self.ask("POST", "/echo", 413, body=self.body * 2, expect=True)

    async def dump(self, method, path, **more):
        answer = await self.ask(method, path, **more)
        dump = {}
        for line in answer.body.decode().splitlines():
            name, _, value = line.partition("=")
            dump.setdefault(name, []).append(value)
        return dump

    async def all(self):
        questions = [
            self.get, self.head, self.echo, self.echo_chunked, self.upload, self.fields,
            self.long, self.chunked, self.stream, self.slow, self.status, self.redirect,
            self.cookie, self.refused, self.too_long, self.get,
        ]
        if self.client.WAITS_FOR_CONTINUE:
            questions.append(self.expect)
        for question in questions:
            try:
                await asyncio.wait_for(question(), 3 * PATIENCE)
            except Exception as error:
                raise AssertionError(f"{question.__name__}: {error!r}") from error
        print(f"{len(questions)} questions answered")


def run(client):
    """Runs the battery on a client of this class, made with the server's address."""
    url, body, large = sys.argv[1].rstrip("/"), int(sys.argv[2]), int(sys.argv[3])

    async def main():
        async with client(url) as client_now:
            await Battery(client_now, body, large).all()

    asyncio.run(main())
