"""The load server: a process of its own that answers from bytes made beforehand.

It speaks just enough of HTTP/1.1, WebSocket and graphql-transport-ws to be believed, and checks
nothing. One port serves all, and another one the same over TLS:

- ``POST /http/<size>``: an answer of that size.
- ``POST /stream/sse`` and ``POST /stream/multipart``: a subscription, as below.
- ``GET /tls``: the port for TLS, and behind it the certificate to trust.
- A WebSocket: a ``subscribe`` whose variables have no ``count`` is a query, answered at once with
  ``next`` and ``complete``. One with ``count`` is a subscription: one event at once, so that the
  client knows that it runs, then nothing until the start signal.
- A line ``go <token>`` on a plain connection is the start signal: every subscription with that
  token gets ``count`` events, in turn with the others, as fast as the client reads, and then
  ``complete``. The blocks for that are built before the first subscription's event.

``python -m benchmarks.server`` prints the port, and ends when its standard input does. It runs on
uvloop where that is installed.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import importlib.util
import socket
import ssl
import sys
from functools import lru_cache
from typing import cast

import msgspec
import trustme
from websockets.speedups import apply_mask

from .messages import FORMATS, answer, complete_frame, event_data, frame, next_frame

#: Bytes of a block that is written at once, unless one round of a group is more.
BLOCK = 2**18
#: Events of one subscription that differ from each other.
VARIETY = 64
#: Seconds between two heartbeats.
HEARTBEAT = 0.02
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class _Variables(msgspec.Struct):
    size: int = 140
    #: -1: a query.
    count: int = -1
    group: int = 1
    token: str = ""


class _Payload(msgspec.Struct):
    variables: _Variables | None = None


class _Message(msgspec.Struct):
    type: str
    id: str = ""
    payload: _Payload | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode


@lru_cache(maxsize=64)
def _block(form: str, ids: tuple[str, ...], size: int, rounds: int) -> bytes:
    """``rounds`` events for each of the ids, in turn."""
    event = FORMATS[form].event
    return b"".join(event(id, event_data(size, n % VARIETY)) for n in range(rounds) for id in ids)


class _Group:
    """Subscriptions that get their events in turn."""

    def __init__(self, form: str, connection: _Connection, variables: _Variables) -> None:
        self.form = form
        self.connection = connection
        self.variables = variables
        self.ids: list[str] = []

    def add(self, id: str) -> None:
        self.ids.append(id)
        if len(self.ids) == self.variables.group and self.variables.count:
            self.prepare()

    def prepare(self) -> None:
        """Make what will be written, before anybody measures."""
        size, left = self.variables.size, self.variables.count
        ids = tuple(self.ids)
        rounds = max(1, min(left, VARIETY, BLOCK // (size * len(ids))))
        self.blocks = [(_block(self.form, ids, size, rounds), left // rounds)]
        if left % rounds:
            self.blocks.append((_block(self.form, ids, size, left % rounds), 1))
        self.blocks.append((b"".join(FORMATS[self.form].end(id) for id in ids), 1))

    def start(self) -> None:
        self.connection.stream(self.blocks)


_groups: dict[str, _Group] = {}
#: What `GET /tls` is answered: set when the server listens.
_tls_answer = b""


def _http_response(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


@lru_cache
def _http_answer(size: int) -> bytes:
    return _http_response(answer(size))


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._buffer = bytearray()
        self._feed = self._feed_requests
        self._paused = False
        self._blocks: list[tuple[bytes, int]] = []
        self._tokens: list[str] = []
        self._beating: asyncio.TimerHandle | None = None
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        self.transport.set_write_buffer_limits(high=2**20)

    def connection_lost(self, exc: Exception | None) -> None:
        self._blocks = []
        for token in self._tokens:
            _groups.pop(token, None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._feed()

    # HTTP, and the start signal.

    def _feed_requests(self) -> None:
        buffer = self._buffer
        out: list[bytes] = []
        while buffer:
            if buffer.startswith(b"go "):
                line, newline, _ = buffer.partition(b"\n")
                if not newline:
                    break
                del buffer[: len(line) + 1]
                _groups[line[3:].decode()].start()
                continue
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            head = bytes(buffer[:end]).lower()
            if b"\r\nupgrade: websocket" in head:
                key = bytes(buffer[head.index(b"sec-websocket-key:") + 18 : end])
                del buffer[: end + 4]
                self._upgrade(key.split(b"\r\n")[0].strip())
                return
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(buffer) < end + 4 + length:
                break
            body = bytes(buffer[end + 4 : end + 4 + length])
            del buffer[: end + 4 + length]
            self._answer(head.split(b" ", 2)[1], body, out)
        if out:
            self.transport.write(b"".join(out))

    def _answer(self, path: bytes, body: bytes, out: list[bytes]) -> None:
        _, kind, what = path.split(b"/") if path.count(b"/") == 2 else (b"", path, b"")
        if kind == b"http":
            out.append(_http_answer(int(what)))
        elif kind == b"stream":
            form = what.decode()
            variables = _decode_payload(body).variables or _Variables()
            out += [FORMATS[form].head, FORMATS[form].event("", event_data(variables.size, 0))]
            self._join(form, variables, "")
            if FORMATS[form].heartbeat:
                self._beat(FORMATS[form].heartbeat)
        else:
            out.append(_http_response(_tls_answer))

    def _beat(self, heartbeat: bytes) -> None:
        """Send a heartbeat again and again, until the stream starts."""

        def beat() -> None:
            if not self.transport.is_closing():
                self.transport.write(heartbeat)
                self._beat(heartbeat)

        self._beating = asyncio.get_running_loop().call_later(HEARTBEAT, beat)

    def _join(self, form: str, variables: _Variables, id: str) -> None:
        group = _groups.get(variables.token)
        if group is None:
            group = _groups[variables.token] = _Group(form, self, variables)
            self._tokens.append(variables.token)
        group.add(id)

    def _upgrade(self, key: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
        )
        self._feed = self._feed_frames
        self._feed_frames()

    # WebSocket: masked frames in (RFC 6455 §5.2), whole messages only.

    def _feed_frames(self) -> None:
        buffer, start, end = self._buffer, 0, len(self._buffer)
        out: list[bytes] = []
        while end - start >= 6:
            length, mask = buffer[start + 1] & 0x7F, start + 2
            if length == 126:
                length, mask = int.from_bytes(buffer[start + 2 : start + 4], "big"), start + 4
            elif length == 127:
                length, mask = int.from_bytes(buffer[start + 2 : start + 10], "big"), start + 10
            stop = mask + 4 + length
            if stop > end:
                break
            data = apply_mask(bytes(buffer[mask + 4 : stop]), bytes(buffer[mask : mask + 4]))
            opcode = buffer[start] & 0x0F
            start = stop
            if opcode == 1:
                self._message(_decode(data), out)
            elif opcode == 8:
                out.append(b"\x88" + bytes([len(data)]) + data)
                self.transport.write(b"".join(out))
                self.transport.close()
                return
            elif opcode == 9:
                out.append(b"\x8a" + bytes([len(data)]) + data)
        del buffer[:start]
        if out:
            self.transport.write(b"".join(out))

    def _message(self, message: _Message, out: list[bytes]) -> None:
        if message.type == "subscribe":
            variables = (message.payload and message.payload.variables) or _Variables()
            out.append(next_frame(message.id, event_data(variables.size, 0)))
            if variables.count < 0:
                out.append(complete_frame(message.id))
                return
            self._join("ws", variables, message.id)
        elif message.type == "connection_init":
            out.append(frame(b'{"type":"connection_ack"}'))
        elif message.type == "ping":
            out.append(frame(b'{"type":"pong"}'))

    # Streaming, as fast as the client reads.

    def stream(self, blocks: list[tuple[bytes, int]]) -> None:
        if self._beating is not None:
            self._beating.cancel()
        self._blocks = self._blocks + blocks
        self._pump()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def _pump(self) -> None:
        while self._blocks and not self._paused:
            block, times = self._blocks[0]
            if times > 1:
                self._blocks[0] = (block, times - 1)
            else:
                del self._blocks[0]
            self.transport.write(block)


async def _serve() -> None:
    global _tls_answer
    loop = asyncio.get_running_loop()
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    secure = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=2048, ssl=context)
    port = secure.sockets[0].getsockname()[1]
    _tls_answer = b"%d\n%b" % (port, authority.cert_pem.bytes())
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    secure.close()


def _run() -> None:
    if importlib.util.find_spec("uvloop"):
        import uvloop

        uvloop.run(_serve())
    else:
        asyncio.run(_serve())


if __name__ == "__main__":
    gc.disable()  # what it makes has no cycles, and its pauses would be the client's
    _run()
