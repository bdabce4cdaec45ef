"""requests: one session, one connection."""

import time

import requests

import battery


class Client:
    KEEPS_COOKIES = True
    WAITS_FOR_CONTINUE = False

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.session = requests.Session()
        # No proxy and no password of this machine.
        self.session.trust_env = False
        return self

    async def __aexit__(self, *_):
        self.session.close()

    async def ask(self, method, path, body=None, pieces=None, headers=None, follow=False):
        data = iter(pieces) if pieces else body
        with self.session.request(
            method, self.url + path, data=data, headers=headers, stream=True,
            allow_redirects=follow, timeout=battery.PATIENCE,
        ) as response:
            parts, arrivals = [], []
            for part in response.iter_content(None):
                parts.append(part)
                arrivals.append(time.monotonic())
            fields = list(response.raw.headers.items())
            return battery.Answer(response.status_code, fields, b"".join(parts), arrivals)


battery.run(Client)
