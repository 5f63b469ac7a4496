"""Connecting to a host with several addresses: which one wins, and what is left of the others."""

from __future__ import annotations

import errno
import gc
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from anygql.net import connecting
from anygql.net.connecting import connect_tcp, connect_unix

#: Nothing listens there.
REFUSING = "127.0.0.2"


@asynccontextmanager
async def listening() -> AsyncGenerator[int]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def serve(stream: Any) -> None:
        async with stream:
            await stream.send(b"hello")
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tg.cancel_scope.cancel()


class Resolver:
    """A host's addresses, and the attempts to connect to them.

    ``hanging``: addresses to which nothing comes through, and which say nothing.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *hosts: str, hanging: Sequence[str] = ()
    ) -> None:
        self.hosts = hosts
        self.hanging = hanging
        self.tried: list[str] = []
        self.sockets: list[socket.socket] = []
        self._connect = connecting._connect
        monkeypatch.setattr(anyio, "getaddrinfo", self.getaddrinfo)
        monkeypatch.setattr(connecting, "_connect", self.connect)

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[Any]:
        await anyio.lowlevel.checkpoint()
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port))
            for one in self.hosts
        ]

    async def connect(self, address: Any, source: Any) -> socket.socket:
        host = address[1][0]
        self.tried.append(host)
        if host in self.hanging:
            await anyio.sleep_forever()
        if ":" in host:
            raise OSError(errno.ENETUNREACH, "no route")
        return await self._connect(address, source)


async def test_an_address() -> None:
    async with listening() as port, await connect_tcp("127.0.0.1", port) as stream:
        assert await stream.receive() == b"hello"
        raw = stream.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect_tcp("127.0.0.1", 1)


async def test_a_name_that_is_none() -> None:
    with pytest.raises(socket.gaierror):
        await connect_tcp("nowhere.invalid", 80)


async def test_the_next_address_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, REFUSING, "127.0.0.1")
    async with listening() as port, await connect_tcp("x", port, delay=60) as stream:
        assert await stream.receive() == b"hello"
    assert resolver.tried == [REFUSING, "127.0.0.1"]


async def test_the_next_address_is_tried_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, "10.0.0.1", "127.0.0.1", hanging=["10.0.0.1"])
    async with listening() as port, await connect_tcp("x", port, delay=0.01) as stream:
        assert await stream.receive() == b"hello"
    assert resolver.tried == ["10.0.0.1", "127.0.0.1"]


async def test_an_address_that_comes_late_may_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt isn't given up when the next one begins."""
    Resolver(monkeypatch, "127.0.0.1", "10.0.0.1", hanging=["10.0.0.1"])
    plain = connecting._connect

    async def slow(address: Any, source: Any) -> socket.socket:
        if address[1][0] == "127.0.0.1":
            await anyio.sleep(0.03)
        return await plain(address, source)

    monkeypatch.setattr(connecting, "_connect", slow)
    async with listening() as port, await connect_tcp("x", port, delay=0.01) as stream:
        assert await stream.receive() == b"hello"


async def test_two_addresses_win_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is connected just before the other would be canceled: it is closed."""
    Resolver(monkeypatch, "127.0.0.1", "127.0.0.1")
    plain = connecting._connect
    sockets: list[socket.socket] = []
    both = anyio.Event()

    async def together(address: Any, source: Any) -> socket.socket:
        connected = await plain(address, source)
        sockets.append(connected)
        if len(sockets) == 2:
            both.set()
        else:
            await both.wait()
        return connected

    monkeypatch.setattr(connecting, "_connect", together)
    async with listening() as port, await connect_tcp("x", port, delay=0) as stream:
        assert await stream.receive() == b"hello"
        (closed,) = (one for one in sockets if one.fileno() < 0)
        assert closed is not stream.extra(SocketAttribute.raw_socket)


async def test_an_address_with_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system knows the number of the zone."""
    asked: list[object] = []
    to = ("fe80::1", 80, 0, 7)

    async def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        asked.append((host, port))
        await anyio.lowlevel.checkpoint()
        return [(socket.AF_INET6, 1, 6, "", to)]

    async def connect(address: Any, _: object) -> socket.socket:
        asked.append(address)
        await anyio.lowlevel.checkpoint()
        raise OSError(errno.ENETUNREACH, "no route")

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(connecting, "_connect", connect)
    with pytest.raises(OSError, match="no route"):
        await connect_tcp("fe80::1%eth0", 80)
    assert asked == [("fe80::1%eth0", 80), (socket.AF_INET6, to)]


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ["10.0.0.1", "10.0.0.2", "127.0.0.1", "fd00::1", "fd00::2"]
    resolver = Resolver(monkeypatch, *hosts, hanging=["10.0.0.1", "10.0.0.2"])
    async with listening() as port, await connect_tcp("x", port, delay=0.001):
        pass
    assert resolver.tried == ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "127.0.0.1"]


async def test_no_address_can_be_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, "fd00::1", REFUSING)
    with pytest.raises(OSError, match="no address of the host") as caught:
        await connect_tcp("x", 1)
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [type(error) for error in group.exceptions] == [OSError, ConnectionRefusedError]


async def test_from_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, "fd00::1", "127.0.0.1")
    async with listening() as port:
        async with await connect_tcp("x", port, local_host="127.0.0.1") as stream:
            raw = stream.extra(SocketAttribute.raw_socket)
            assert raw.getsockname()[0] == "127.0.0.1"
    # Only those of the same family.
    assert resolver.tried == ["127.0.0.1"]
    with pytest.raises(OSError, match="no address of the family"):
        await connect_tcp("127.0.0.1", port, local_host="::1")


@pytest.mark.parametrize("delay", [0.001, 60])
async def test_canceling_closes_all(delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    real = socket.socket

    def make(*args: Any, **options: Any) -> socket.socket:
        made.append(real(*args, **options))
        return made[-1]

    class Module:
        socket = staticmethod(make)

        def __getattr__(self, name: str) -> Any:
            return getattr(socket, name)

    monkeypatch.setattr(connecting, "socket", Module())
    waiting = anyio.Event()

    async def never(_: object) -> None:
        if len(made) == (3 if delay < 1 else 1):
            waiting.set()
        await anyio.sleep_forever()

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 9))] * 3

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(connecting, "wait_writable", never)
    async with anyio.create_task_group() as tg:
        tg.start_soon(lambda: connect_tcp("x", 9, delay=delay))
        with anyio.move_on_after(5):
            await waiting.wait()
        tg.cancel_scope.cancel()
    assert made
    assert all(one.fileno() == -1 for one in made)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_canceled_natively_as_it_connects() -> None:
    """Whenever that is: no socket is left, which would warn."""
    import asyncio

    async with listening() as port:
        for turns in range(12):
            task = asyncio.ensure_future(connect_tcp("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                (await task).close()
            gc.collect()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with await anyio.create_unix_listener(path) as listener:
        async with await connect_unix(path) as stream, await listener.accept() as theirs:
            await theirs.send(b"hello")
            assert await stream.receive() == b"hello"
    with pytest.raises(FileNotFoundError):
        await connect_unix(tmp_path / "nothing")


async def test_an_attempt_that_begins_after_another_has_won_is_none() -> None:
    """It isn't canceled with those that had begun."""
    race, over = connecting._Race(None), anyio.Event()
    async with listening() as port:
        await race.run((socket.AF_INET, ("127.0.0.1", port)), anyio.Event())
        assert race.is_won
        await race.run((socket.AF_INET, (REFUSING, port)), over)
        assert over.is_set()
        async with race.result() as stream:
            assert await stream.receive() == b"hello"
