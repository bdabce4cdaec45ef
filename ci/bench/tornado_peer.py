"""Python's Tornado, beside the servers in src/bin: the same words, routes and answers.

It is set up as its documentation has it, without a log of accesses.
"""

import argparse
import asyncio
import socket

import tornado.web

PLAINTEXT = "Hello, World!"
BODY = b"x" * (100 * 1024)


class Plaintext(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(PLAINTEXT)


class Json(tornado.web.RequestHandler):
    def get(self):
        self.write({"message": PLAINTEXT})


class Body(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "application/octet-stream")
        self.write(BODY)


async def main():
    words = argparse.ArgumentParser()
    words.add_argument("--port", type=int, default=0)
    # All routes are there; the floor alone needs to be told.
    words.add_argument("--serve")
    port = words.parse_args().port
    routes = [("/plaintext", Plaintext), ("/json", Json), ("/body", Body)]
    application = tornado.web.Application(routes, log_function=lambda handler: None)
    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1", socket.AF_INET, 1024)
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    print(f"listening on http://127.0.0.1:{port}/", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
