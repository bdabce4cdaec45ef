"""The routes of `examples/conformance` by Tornado 6.6.1, to look whether a case is the server's fault.

    python3 -m venv peer && peer/bin/pip install tornado==6.6.1
    peer/bin/python ci/cases/peers/by_tornado.py 8889
"""

import asyncio
import sys
import zlib

import tornado.httpserver
import tornado.web

LIMIT = 1024 * 1024
ALL = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")


class Any(tornado.web.RequestHandler):
    """Answers every method by `any`."""

    async def any(self, *arguments):
        raise NotImplementedError

    async def get(self, *arguments):
        await self.any(*arguments)

    head = post = delete = patch = put = options = get


class Get(tornado.web.RequestHandler):
    """Answers GET, HEAD and OPTIONS; 405 has Allow."""

    allowed = "GET, HEAD, OPTIONS"

    def head(self, *arguments):
        return self.get(*arguments)

    def options(self, *arguments):
        self.set_header("Allow", self.allowed)
        self.set_status(204)

    def write_error(self, status_code, **others):
        if status_code == 405:
            self.set_header("Allow", self.allowed)
        self.finish("error")


class Hello(Get):
    def get(self):
        self.write("hello")


class Echo(Any):
    async def any(self):
        if len(self.request.body) > LIMIT:
            raise tornado.web.HTTPError(413)
        self.write(self.request.body)


class Dump(Any):
    async def any(self):
        request = self.request
        lines = [
            "method=" + request.method,
            "path=" + request.path,
            "query=" + request.query,
            "version=" + request.version[5:],
        ]
        lines += [f"h.{name.lower()}={value}" for name, value in request.headers.get_all()]
        lines.append(f"body={len(request.body)}")
        self.write("\n".join(lines) + "\n")


@tornado.web.stream_request_body
class Upload(Get):
    allowed = "POST"
    get = head = None

    def prepare(self):
        self.request.connection.set_max_body_size(64 << 20)
        self.length, self.crc = 0, 0

    def data_received(self, chunk):
        self.length, self.crc = self.length + len(chunk), zlib.crc32(chunk, self.crc)

    def post(self):
        self.write(f"len={self.length} crc32={self.crc:08x}\n")


class OnlyPost(Get):
    allowed = "POST"

    def post(self):
        self.write("posted")

    def get(self):
        raise tornado.web.HTTPError(405)


class Chunked(Get):
    async def get(self):
        for part in ("one", "two", "three"):
            self.write(part)
            await self.flush()


class Stream(Get):
    async def get(self):
        count, ms = int(self.get_argument("n", "3")), int(self.get_argument("ms", "0"))
        await self.flush()
        for number in range(count):
            self.write(f"chunk {number}\n")
            await self.flush()
            await asyncio.sleep(ms / 1000)


class Slow(Get):
    async def get(self):
        await asyncio.sleep(int(self.get_argument("ms", "0")) / 1000)
        self.write("slow")


class Large(Get):
    def get(self):
        self.write(b"x" * int(self.get_argument("n", "0")))


class Status(Get):
    def get(self, status):
        self.set_status(int(status), "Status")
        if status not in ("204", "304"):
            self.write(f"status {status}")


class Redirect(Get):
    def get(self):
        self.redirect("/")


class Cookie(Get):
    def get(self):
        self.add_header("Set-Cookie", "a=1; Path=/")
        self.add_header("Set-Cookie", "b=2; Path=/; HttpOnly")
        self.write("".join(f"{name}={morsel.value}\n" for name, morsel in self.cookies.items()))


async def main():
    routes = [
        ("/", Hello),
        ("/echo", Echo),
        ("/dump", Dump),
        ("/upload", Upload),
        ("/only-post", OnlyPost),
        ("/chunked", Chunked),
        ("/stream", Stream),
        ("/slow", Slow),
        ("/large", Large),
        ("/status/([0-9]+)", Status),
        ("/redirect", Redirect),
        ("/cookie", Cookie),
    ]
    server = tornado.httpserver.HTTPServer(
        tornado.web.Application(routes),
        max_body_size=LIMIT,
        body_timeout=12,
        idle_connection_timeout=12,
    )
    server.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
