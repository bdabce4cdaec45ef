"""aiohttp: one session, which waits for `100 Continue` when it is told to."""

import time

import aiohttp

import battery


class Client:
    KEEPS_COOKIES = True
    WAITS_FOR_CONTINUE = True

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        # Cookies of a host that is an address are kept only by a jar that is told so.
        jar = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(total=battery.PATIENCE)
        self.session = aiohttp.ClientSession(cookie_jar=jar, timeout=timeout)
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def ask(
        self, method, path, body=None, pieces=None, headers=None, follow=False, expect=False
    ):
        data = produce(pieces) if pieces else body
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, allow_redirects=follow,
            expect100=expect,
        ) as response:
            parts, arrivals = [], []
            async for part in response.content.iter_any():
                parts.append(part)
                arrivals.append(time.monotonic())
            fields = list(response.headers.items())
            return battery.Answer(response.status, fields, b"".join(parts), arrivals)


async def produce(pieces):
    for piece in pieces:
        yield piece


battery.run(Client)
