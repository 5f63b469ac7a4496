"""What travels: GraphQL values of an exact size, and the frames, events and parts that carry them.

The values look like what servers send (objects, lists, numbers, short strings), since one long
string would make parsing free.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

__all__ = [
    "FORMATS", "QUERY", "SUBSCRIPTION", "StreamFormat", "answer", "complete_frame", "event_data",
    "frame", "next_frame",
]  # fmt: skip

#: The document of every subscription, and of every query over WebSocket and HTTP.
SUBSCRIPTION = """
subscription Events($size: Int!, $count: Int!, $group: Int!, $token: String!) {
  event(size: $size, count: $count, group: $group, token: $token) {
    n
    at
    items { id name price stock }
    text
  }
}
"""
QUERY = """
query Event($size: Int!) {
  event(size: $size) { n at items { id name price stock } text }
}
"""

_HEAD = '{"id":"%s","type":"next","payload":{"data":'
#: What surrounds the data in a message, for an id of one digit.
_AROUND = len(_HEAD % "1") + len("}}")
#: Bytes of an answer below which there is room for no more than a number and a text.
_LEAST = 80
#: Room for what pads the data to its exact size.
_PADDING = len(',"text":""}}')


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@lru_cache(maxsize=4096)
def event_data(size: int, n: int) -> bytes:
    """The data of event ``n``: with a WebSocket message around it, ``size`` bytes of JSON.

    Sizes below about 120 bytes give the smallest that there is.
    """
    goal = size - _AROUND
    event: dict[str, Any] = {"n": n, "at": "2026-01-01T00:00:00Z"}
    text = _dump({"event": event})[:-2]
    items = []
    length = len(text) + len(',"items":[]')
    for k in count():
        item = _dump(
            {"id": f"item-{k:05}", "name": f"thing number {k}", "price": 12.5 + k, "stock": k % 97}
        )
        if length + len(item) + 1 + _PADDING > goal:
            break
        items.append(item)
        length += len(item) + 1
    if items:
        text += f',"items":[{",".join(items)}]'
    return f'{text},"text":"{"x" * max(0, goal - len(text) - _PADDING)}"}}}}'.encode()


def answer(size: int) -> bytes:
    """The body of an answer over HTTP, of ``size`` bytes (of 36 at least)."""
    if size < _LEAST:
        return b'{"data":{"event":{"n":0,"text":"%b"}}}' % (b"x" * (size - 36))
    return b'{"data":' + event_data(size + _AROUND - len('{"data":}'), 0) + b"}"


def frame(message: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455 §5.2)."""
    length = len(message)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + message
    if length < 2**16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + message
    return b"\x81\x7f" + length.to_bytes(8, "big") + message


def next_frame(id: str, data: bytes) -> bytes:
    """``next`` of graphql-transport-ws, its members in the order that most servers write."""
    return frame((_HEAD % id).encode() + data + b"}}")


def complete_frame(id: str) -> bytes:
    """``complete`` of graphql-transport-ws."""
    return frame(b'{"id":"%s","type":"complete"}' % id.encode())


@dataclass(frozen=True)
class StreamFormat:
    """How the events of a subscription are written."""

    #: What comes before the first event.
    head: bytes
    #: An event of the subscription with this id.
    event: Callable[[str, bytes], bytes]
    #: The end of that subscription.
    end: Callable[[str], bytes]
    #: What is sent again and again while there are no events, if anything.
    heartbeat: bytes = b""


def _chunk(data: bytes) -> bytes:
    """A chunk of a body (RFC 9112 §7.1): each event is one, as servers have it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _stream_head(content_type: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode()


FORMATS = {
    "ws": StreamFormat(b"", next_frame, complete_frame),
    # graphql-sse, distinct connections mode.
    "sse": StreamFormat(
        _stream_head("text/event-stream"),
        lambda _, data: _chunk(b'event: next\ndata: {"data":' + data + b"}\n\n"),
        lambda _: _chunk(b"event: complete\ndata: \n\n") + b"0\r\n\r\n",
    ),
    # Apollo's protocol. The delimiter is sent behind each part, which is complete only then.
    "multipart": StreamFormat(
        _stream_head("multipart/mixed;boundary=graphql;subscriptionSpec=1.0")
        + _chunk(b"--graphql"),
        lambda _, data: _chunk(
            b'\r\nContent-Type: application/json\r\n\r\n{"payload":{"data":'
            + data
            + b"}}\r\n--graphql"
        ),
        lambda _: _chunk(b"--\r\n") + b"0\r\n\r\n",
        # aiohttp hands a part out only when more has come, in another read.
        _chunk(b"\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql"),
    ),
}
