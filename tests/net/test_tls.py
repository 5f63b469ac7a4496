"""TLS over streams: its own messages, large writes, closing, and TLS within TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
import trustme

from anygql.net import tls
from anygql.net.errors import FAULTS
from anygql.net.streams import NetworkStream, socket_stream

TLS_VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Server:
    """The other end, over memory: it reads and writes when a test says so."""

    def __init__(self, context: ssl.SSLContext, raw: socket.socket) -> None:
        raw.setblocking(False)
        self.raw = raw
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                return step(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                await anyio.wait_readable(self.raw)
                data = self.raw.recv(2**16)
                if not data:
                    self._in.write_eof()
                self._in.write(data)
            finally:
                await self.flush()

    async def flush(self) -> None:
        rest = self._out.read()
        while rest:
            try:
                rest = rest[self.raw.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self.raw)

    def take(self) -> None:
        """Read what has come of TLS itself: no data are expected."""
        self._in.write(self.raw.recv(2**16))
        with suppress(ssl.SSLWantReadError):
            raise AssertionError(self.tls.read(1))

    async def shake_hands(self) -> None:
        await self._step(self.tls.do_handshake)

    async def read(self) -> bytes:
        data: bytes = await self._step(self.tls.read, 2**16)
        return data

    async def write(self, data: bytes) -> None:
        await self._step(self.tls.write, data)


@asynccontextmanager
async def shaken(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> AsyncGenerator[tuple[NetworkStream, Server]]:
    ours, theirs = socket.socketpair()
    stream = socket_stream(ours)
    with theirs:
        server = Server(server_tls, theirs)
        async with anyio.create_task_group() as tg:
            tg.start_soon(server.shake_hands)
            secure = await tls.wrap(stream, "localhost", client_tls)
        try:
            yield secure, server
        finally:
            secure.close()


def of_version(authority: trustme.CA, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", TLS_VERSIONS)
async def test_there_and_back(
    authority: trustme.CA, client_tls: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    async with shaken(of_version(authority, version), client_tls) as (stream, server):
        before = stream.bytes_sent
        assert stream.write(b"ping")
        assert stream.bytes_sent > before
        assert await server.read() == b"ping"
        await server.write(b"pong")
        assert await stream.receive() == b"pong"
        assert stream.receive_nowait() is None


async def test_a_server_s_own_messages_are_not_data(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Session tickets come behind the handshake, when a connection may idle (RFC 8446 §4.6)."""
    async with shaken(server_tls, client_tls) as (stream, server):
        assert await has_come(stream)
        assert stream.receive_nowait() is None
        await server.write(b"x")
        assert await stream.receive() == b"x"


async def has_come(stream: Any) -> bool:
    """Return whether there is something to read on the socket itself."""
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    with anyio.move_on_after(5):
        while True:
            with suppress(BlockingIOError):
                if raw.recv(1, socket.MSG_PEEK):
                    return True
            await anyio.sleep(0.001)
    return False


async def test_a_server_may_ask_for_a_certificate_later(
    authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    """What TLS answers by itself is sent, though nobody writes (RFC 8446 §4.6.2)."""
    server_context = of_version(authority, ssl.TLSVersion.TLSv1_3)
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_OPTIONAL
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    authority.issue_cert("me@example.org").configure_cert(client_context)
    server_context.post_handshake_auth = client_context.post_handshake_auth = True
    async with shaken(server_context, client_context) as (stream, server):
        assert server.tls.getpeercert() in (None, {})
        server.tls.verify_client_post_handshake()
        await server.write(b"who are you?")
        assert await stream.receive() == b"who are you?"
        with anyio.fail_after(5):
            while not server.tls.getpeercert():
                await anyio.wait_readable(server.raw)
                server.take()
        assert await round_trip(stream, server) == b"pong"


async def round_trip(stream: NetworkStream, server: Server) -> bytes:
    await stream.send(b"ping")
    assert await server.read() == b"ping"
    await server.write(b"pong")
    return await stream.receive()


@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})])
async def test_a_server_s_own_messages_do_not_end_an_idle_connection(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with shaken(server_tls, client_tls) as (stream, server):
        alive: list[bool] = []
        stream.watch_idle(lambda: alive.append(stream.receive_nowait() is None))
        with anyio.fail_after(5):
            while not alive:
                await anyio.sleep(0.001)
        assert set(alive) == {True}
        await server.write(b"x")
        with anyio.fail_after(5):
            while alive[-1]:
                await anyio.sleep(0.001)


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "no TLS", "end", "alert"])
async def test_a_handshake_that_fails(
    fault: str, authority: trustme.CA, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    ours, theirs = socket.socketpair()
    stream = socket_stream(ours)
    context = ssl.create_default_context() if fault == "unknown authority" else client_tls
    if fault == "wrong host":
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("elsewhere.example").configure_cert(server_tls)
    server = Server(server_tls, theirs)

    async def serve() -> None:
        if fault == "no TLS":
            theirs.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif fault == "end":
            theirs.shutdown(socket.SHUT_WR)
        elif fault == "alert":
            theirs.send(b"\x15\x03\x03\x00\x02\x02\x28")
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)alert"):  # it is told why
                await server.shake_hands()

    with theirs:
        async with anyio.create_task_group() as tg:
            tg.start_soon(serve)
            with pytest.raises(anyio.EndOfStream if fault == "end" else ssl.SSLError):
                await tls.wrap(stream, "localhost", context)
        stream.close()


async def test_a_handshake_that_is_canceled(client_tls: ssl.SSLContext) -> None:
    ours, theirs = socket.socketpair()
    stream = socket_stream(ours)
    with theirs, anyio.move_on_after(0.01) as scope:
        await tls.wrap(stream, "localhost", client_tls)
    assert scope.cancelled_caught
    stream.close()


@pytest.mark.parametrize("version", TLS_VERSIONS)
async def test_large_writes_wait(
    authority: trustme.CA, client_tls: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    data = bytes(range(256)) * 2**13
    async with shaken(of_version(authority, version), client_tls) as (stream, server):
        assert not stream.write(data)
        assert not stream.write(b"the end")
        before = stream.bytes_sent
        await anyio.sleep(0.005)
        assert stream.bytes_sent == before < len(data)
        got = bytearray()
        async with anyio.create_task_group() as tg:
            tg.start_soon(stream.drain)
            while len(got) < len(data) + 7:
                got += await server.read()
        assert got == data + b"the end"
        assert stream.write(b"x")
        assert await server.read() == b"x"


async def test_both_ways_at_once(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    data = bytes(range(256)) * 2**12
    async with shaken(server_tls, client_tls) as (stream, server):
        got = bytearray()
        back = bytearray()

        async def serve() -> None:
            while len(got) < len(data):
                piece = await server.read()
                got.extend(piece)
                await server.write(piece)

        async with anyio.create_task_group() as tg:
            tg.start_soon(serve)
            tg.start_soon(stream.send, data)
            while len(back) < len(data):
                back += await stream.receive()
        assert got == back == data


@pytest.mark.parametrize("how", ["close_notify", "end"])
async def test_the_end(how: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with shaken(server_tls, client_tls) as (stream, server):
        await server.write(b"last")
        if how == "close_notify":
            with suppress(ssl.SSLError):
                server.tls.unwrap()
            await server.flush()
        server.raw.shutdown(socket.SHUT_WR)
        assert await stream.receive() == b"last"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()


async def test_what_is_no_record(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with shaken(server_tls, client_tls) as (stream, server):
        server.raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError):
            await stream.receive()


async def test_closing_tells_the_server(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with shaken(server_tls, client_tls) as (stream, server):
        assert stream.write(b"x")
        stream.close()
        stream.close()
        assert await server.read() == b"x"
        with suppress(ssl.SSLZeroReturnError):
            assert await server.read() == b""  # not SSLEOFError: it was told
        with pytest.raises(FAULTS):
            stream.receive_nowait()
        with pytest.raises(FAULTS):
            await stream.receive()
        with pytest.raises(FAULTS):
            await stream.send(b"x")


@pytest.mark.parametrize("how", ["reads", "writes"])
async def test_closing_wakes_who_waits(
    how: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with shaken(server_tls, client_tls) as (stream, _):

        async def wait() -> None:
            with pytest.raises(FAULTS):
                if how == "reads":
                    await stream.receive()
                else:
                    await stream.send(bytes(2**22))

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.sleep(0.01)
            stream.close()


async def test_tls_within_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """As through a proxy that is reached over TLS."""
    async with shaken(server_tls, client_tls) as (outer, proxy):
        far, near = socket.socketpair()
        server = Server(server_tls, far)
        near.setblocking(False)

        async def forward() -> None:
            while True:
                await anyio.wait_readable(near)
                await proxy.write(near.recv(2**16))

        async def back() -> None:
            while True:
                rest = await proxy.read()
                while rest:
                    await anyio.wait_writable(near)
                    rest = rest[near.send(rest) :]

        with far, near:
            async with anyio.create_task_group() as tg:
                tg.start_soon(forward)
                tg.start_soon(back)
                async with anyio.create_task_group() as shaking:
                    shaking.start_soon(server.shake_hands)
                    inner = await tls.wrap(outer, "localhost", client_tls)
                data = bytes(range(256)) * 2**10
                got = bytearray()
                async with anyio.create_task_group() as sending:
                    sending.start_soon(inner.send, data)
                    while len(got) < len(data):
                        got += await server.read()
                assert got == data
                await server.write(b"pong")
                assert await inner.receive() == b"pong"
                tg.cancel_scope.cancel()


def test_the_default_context_verifies() -> None:
    context = tls.default_context()
    assert context is tls.default_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_certificates_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, tmp_path: Any
) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = tls.default_context()
    assert context is not ssl.create_default_context()
    assert [dict(pair[0] for pair in ca["subject"]) for ca in context.get_ca_certs()]
