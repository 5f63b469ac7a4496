"""Three fields without a GraphQL library, for tests of connections: it starts quickly."""

from __future__ import annotations

import json

from tests.peers import source

ANSWERS = {
    "{ hello }": lambda: {"hello": "Hello, world!"},
    "{ counter }": lambda: {"counter": source.counter()},
    "mutation { increment }": lambda: {"increment": source.increment(1)},
}


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")  # so that servers do without the rest
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    data = json.dumps({"data": ANSWERS[json.loads(body)["query"]]()}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
