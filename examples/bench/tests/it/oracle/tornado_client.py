"""Tornado's asynchronous client against the workshop at 127.0.0.1:argv[1]."""

import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

HERE = f"http://127.0.0.1:{sys.argv[1]}"


async def main():
    client = AsyncHTTPClient(max_clients=20)

    async def fetch(path, **options):
        return await client.fetch(HERE + path, request_timeout=20, **options)

    response = await fetch("/")
    assert (response.code, response.body) == (200, b"Hello, World!")
    assert response.headers["Server"] == "Dustdevil"
    assert (await fetch("/", method="HEAD")).headers["Content-Length"] == "13"
    assert (await fetch("/pieces")).body == b"0123456789" * 100
    big = (await fetch("/big")).body
    assert len(big) == 256 * 4099

    # With and without waiting for `100 Continue`.
    for expect in (True, False):
        echo = await fetch("/echo", method="POST", body=big, expect_100_continue=expect)
        assert echo.body == big

    async def produce(write):
        for number in range(50):
            await write(b"%d," % number * 50)
            await asyncio.sleep(0.001)

    count = await fetch("/count", method="POST", body_producer=produce)
    assert count.body == b"%d" % sum(len(b"%d," % number * 50) for number in range(50))

    received = []
    await fetch("/pieces", streaming_callback=received.append)
    assert b"".join(received) == b"0123456789" * 100

    responses = await asyncio.gather(*(fetch(f"/sleep/{n % 7}") for n in range(200)))
    assert all(response.body == b"slept" for response in responses)
    try:
        await fetch("/nowhere")
    except HTTPClientError as error:
        assert error.code == 404
    else:
        raise AssertionError("404 is an error")
    print("done")


asyncio.run(main())
