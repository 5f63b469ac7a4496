"""What ``anygql doctor`` asks over WebSocket: by each subprotocol, and whether pings come."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import anyio

from ..client import Client
from ..exceptions import TransportError
from ..websocket.sockets.stream import StreamConnector
from ..websocket.transport import WebSocketTransport
from .endpoint import Endpoint
from .probes import PATIENCE, Findings

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ..session.session import Session
    from ..websocket.sockets.base import WebSocket
    from ..websocket.sockets.opening import Opening

__all__ = ["SUBPROTOCOLS", "probe_socket"]

SUBPROTOCOLS = ("graphql-transport-ws", "graphql-ws")


async def probe_socket(
    endpoint: Endpoint, name: str, findings: Findings, turn: anyio.Semaphore, ping_wait: float
) -> None:
    """Connect by one subprotocol, ask over it, and wait for a ping.

    Args:
        endpoint: Where to connect.
        name: The subprotocol.
        findings: What was found out.
        turn: Held while something is asked, but not while a ping is waited for.
        ping_wait: Seconds to wait for a ping.
    """
    asking = _Turn(turn)
    await asking.take()
    watch = _PingWatch()
    try:
        with anyio.fail_after(PATIENCE) as limit:
            begun = anyio.current_time()
            async with Client(_transport(endpoint, name, watch)) as session:
                took = (anyio.current_time() - begun) * 1000
                await _ask(session, name, findings, took)
                limit.deadline = inf
                asking.give_back()
                await _await_ping(watch, name, findings, ping_wait)
    except TimeoutError:
        findings.add(name, False, f"nothing within {PATIENCE:g} s")
    except TransportError as error:
        findings.add(name, False, str(error))
    finally:
        asking.give_back()


class _Turn:
    """A semaphore that is held once at most."""

    def __init__(self, semaphore: anyio.Semaphore) -> None:
        self._semaphore = semaphore
        self._is_held = False

    async def take(self) -> None:
        await self._semaphore.acquire()
        self._is_held = True

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._semaphore.release()


def _transport(endpoint: Endpoint, name: str, watch: _PingWatch) -> WebSocketTransport:
    options = endpoint.options
    connect_args: dict[str, Any] = {"compression": "deflate"}
    if options.proxy is not None:
        connect_args["proxy"] = options.proxy or None
    return WebSocketTransport(
        endpoint.url,
        headers=endpoint.headers,
        init_payload=endpoint.init_payload,
        protocol=name,
        ssl=endpoint.ssl_context() if endpoint.url.startswith("wss") else None,
        connect_args=connect_args,
        connector=watch,
        close_timeout=1,
    )


async def _ask(session: Session, name: str, findings: Findings, took: float) -> None:
    """Ask for a type's name, in a few seconds, and note what the handshake said."""
    detail = f"acknowledged after {took:.0f} ms"
    if "permessage-deflate" in session.response_headers.get("sec-websocket-extensions", ""):
        detail += ", permessage-deflate"
    findings.add(name, True, detail)
    try:
        await session.execute("{ __typename }", timeout=2)
        findings.add(f"queries by {name}", True)
    except TransportError as error:
        findings.add(f"queries by {name}", False, str(error))


async def _await_ping(watch: _PingWatch, name: str, findings: Findings, patience: float) -> None:
    with anyio.move_on_after(patience):
        await watch.seen.wait()
    kind = watch.kind or f"none within {patience:g} s"
    findings.add(f"pings by {name}", bool(watch.kind), kind)


class _PingWatch:
    """A connector whose socket notices pings: WebSocket's own, and those of the subprotocols."""

    def __init__(self) -> None:
        self.seen = anyio.Event()
        self.kind = ""
        self._begun = 0.0

    async def connect(self, opening: Opening, task_group: TaskGroup) -> WebSocket:
        """Open a WebSocket that notices pings."""
        socket = await StreamConnector().connect(opening, task_group)
        self._begun = anyio.current_time()
        watched: Any = _WatchedSocket(socket, self)
        return watched  # type: ignore[no-any-return]

    def note(self, kind: str) -> None:
        """Note a ping."""
        if not self.seen.is_set():
            after = anyio.current_time() - self._begun
            self.kind = f"{kind}, the first after {after:.1f} s"
            self.seen.set()


class _WatchedSocket:
    """A socket that tells of each ping."""

    def __init__(self, socket: WebSocket, watch: _PingWatch) -> None:
        self.__dict__.update(_socket=socket, _watch=watch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "on_output":
            # Until it closes, the socket's own frames are pongs.
            given, value = value, lambda: (self._watch.note("WebSocket pings"), given())
        setattr(self._socket, name, value)

    async def receive(self) -> Sequence[bytes | str]:
        messages: Sequence[bytes | str] = await self._socket.receive()
        for message in messages:
            kind = _type_of(message)
            if kind in {"ping", "ka"}:
                self._watch.note(f"{kind} messages")
        return messages


def _type_of(message: bytes | str) -> Any:
    import msgspec

    try:
        decoded: Any = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return None
    return decoded.get("type") if isinstance(decoded, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
