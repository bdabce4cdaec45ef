"""Tornado's asynchronous client: a connection for each request."""

import time

from tornado.httpclient import AsyncHTTPClient

import battery


class Client:
    KEEPS_COOKIES = False
    WAITS_FOR_CONTINUE = True

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.client = AsyncHTTPClient(force_instance=True)
        return self

    async def __aexit__(self, *_):
        self.client.close()

    async def ask(
        self, method, path, body=None, pieces=None, headers=None, follow=False, expect=False
    ):
        async def produce(write):
            for piece in pieces:
                await write(piece)

        parts, arrivals = [], []

        def arrived(part):
            parts.append(part)
            arrivals.append(time.monotonic())

        response = await self.client.fetch(
            self.url + path, method=method, headers=headers, body=body,
            body_producer=produce if pieces else None, follow_redirects=follow,
            expect_100_continue=expect, streaming_callback=arrived, raise_error=False,
            decompress_response=False, request_timeout=battery.PATIENCE,
        )
        if response.code == 599:
            raise response.error
        fields = list(response.headers.get_all())
        return battery.Answer(response.code, fields, b"".join(parts), arrivals)


battery.run(Client)
