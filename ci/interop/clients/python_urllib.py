"""What comes with Python itself: `urllib` with cookies, a connection for each request.

`http.client` below it is what `urllib3` and so `requests` stand on; here it is used as it is.
"""

import http.cookiejar
import time
import urllib.error
import urllib.request

import battery


class Stay(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to the one who asked."""

    def redirect_request(self, *_):
        return None


class Client:
    KEEPS_COOKIES = True
    WAITS_FOR_CONTINUE = False

    def __init__(self, url):
        self.url = url
        no_proxy = urllib.request.ProxyHandler({})
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.follow = urllib.request.build_opener(no_proxy, cookies)
        self.stay = urllib.request.build_opener(no_proxy, cookies, Stay)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.follow.close()
        self.stay.close()

    async def ask(self, method, path, body=None, pieces=None, headers=None, follow=False):
        data = iter(pieces) if pieces else body
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        opener = self.follow if follow else self.stay
        try:
            response = opener.open(request, timeout=battery.PATIENCE)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            parts, arrivals = [], []
            while part := response.read1(65536):
                parts.append(part)
                arrivals.append(time.monotonic())
            fields = list(response.headers.items())
            return battery.Answer(response.status, fields, b"".join(parts), arrivals)


battery.run(Client)
