"""httpx: one asynchronous client, which stands on h11."""

import time

import httpx

import battery


class Client:
    KEEPS_COOKIES = True
    WAITS_FOR_CONTINUE = False

    def __init__(self, url):
        self.client = httpx.AsyncClient(base_url=url, timeout=battery.PATIENCE, trust_env=False)

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.client.__aexit__(*error)

    async def ask(self, method, path, body=None, pieces=None, headers=None, follow=False):
        content = produce(pieces) if pieces else body
        async with self.client.stream(
            method, path, content=content, headers=headers, follow_redirects=follow
        ) as response:
            parts, arrivals = [], []
            async for part in response.aiter_raw():
                parts.append(part)
                arrivals.append(time.monotonic())
            fields = list(response.headers.multi_items())
            return battery.Answer(response.status_code, fields, b"".join(parts), arrivals)


async def produce(pieces):
    for piece in pieces:
        yield piece


battery.run(Client)
