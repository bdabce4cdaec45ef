"""Python's own HTTP client against the workshop at 127.0.0.1:argv[1]."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)


def ask(method, path, body=None, headers={}, chunked=False):
    connection.request(method, path, body, headers, encode_chunked=chunked)
    response = connection.getresponse()
    return response, response.read()


for _ in range(100):
    response, body = ask("GET", "/")
    assert (response.status, body) == (200, b"Hello, World!"), (response.status, body)
    socket = connection.sock
assert socket is connection.sock, "one connection for all"

response, body = ask("HEAD", "/")
assert (response.status, body) == (200, b"") and response.headers["Content-Length"] == "13"
response, body = ask("GET", "/pieces")
assert response.chunked and body == b"0123456789" * 100
response, body = ask("GET", "/big")
assert len(body) == 256 * 4099
response, echoed = ask("POST", "/echo", body)
assert echoed == body
pieces = [b"a", b"bc" * 3000, b"def" * 10]
chunked = {"Transfer-Encoding": "chunked"}
response, echoed = ask("POST", "/echo", iter(pieces), chunked, chunked=True)
assert echoed == b"".join(pieces)
response, body = ask("POST", "/refuse", b"x" * 10_000)
assert response.status == 403
response, body = ask("GET", "/nowhere")
assert response.status == 404
assert connection.sock is socket, "none of these ended the connection"
response, body = ask("GET", "/", headers={"Connection": "close"})
assert response.will_close and body == b"Hello, World!"
print("done")
