"""GraphQL over WebSocket: the server to connect to, the options, and the protocols to offer."""

from __future__ import annotations

import os
import ssl as ssl_module
from collections.abc import Mapping
from functools import partial
from inspect import signature
from types import EllipsisType
from typing import Any, Literal, TypedDict, Unpack

import msgspec
from anyio.abc import TaskGroup

from ..documents.request import OperationKind
from ..json import JSON, MsgspecJSON, encode_named
from ..net.headers import Headers, check_headers, pairs
from ..net.options import NoOptions, Provider, refuse_options, resolve, seconds
from ..net.urls import check_url, redact
from ..protocols.base import Prepared, SubscriptionProtocol
from ..protocols.negotiation import negotiated_protocol, protocols_to_offer
from .connection import Opened, WebSocketConnection
from .keep_alive import KeepAliveTimes
from .sockets.base import Connector
from .sockets.opening import Opening
from .sockets.stream import StreamConnector

__all__ = ["ConnectArgs", "WebSocketTransport"]

DEFAULT_MAX_MESSAGE_SIZE = 2**24

#: What to write in the place of options that other clients have.
_HINTS = {
    "subprotocols": 'write protocol="graphql-transport-ws"',
    "connection_params": "write init_payload=",
    "payload": "write init_payload=",
    "max_size": "write max_message_size=",
    "timeout": "write connect_timeout=, or Client(…, execute_timeout=) for operations",
    "answer_pings": "pings are always answered",
    "proxy": 'write connect_args={"proxy": …}',
    "compression": 'write connect_args={"compression": …}',
    "auth": "write headers=, or init_payload=",
    "verify": "write ssl=, an ssl.SSLContext",
}


class ConnectArgs(TypedDict, total=False):
    """The options in ``connect_args``, for type checkers and editors.

    Any mapping will do; other connectors may take other names.
    """

    #: An HTTP proxy's URL, ``None`` for a direct connection, ``True`` for the environment's.
    proxy: str | bool | None
    #: The path of a Unix socket to connect to.
    uds: str | os.PathLike[str] | None
    compression: Literal["deflate"] | None
    local_host: str | None
    server_hostname: str | None
    #: Seconds before another address of the host is tried as well.
    happy_eyeballs_delay: float


class WebSocketTransport:
    """Connects to a GraphQL server over WebSocket.

    Times are in seconds, and ``None`` means no limit. ``url``, ``headers`` and ``init_payload`` may
    be functions or async functions without arguments, which are called again at each attempt.

    The subprotocols are ``graphql-transport-ws`` and the legacy ``graphql-ws``, over RFC 6455.

    Args:
        url: The server's URL, ``ws://`` or ``wss://``. A user and password in it are sent as Basic
            authorization.
        headers: Headers for the handshake, a mapping or pairs. Default: none.
        ssl: An ``ssl.SSLContext`` for ``wss://``. Default: a context that verifies.
        init_payload: The payload of ``connection_init``, a mapping. Default: none.
        protocol: ``"auto"``, the name of a subprotocol, or a protocol value. The default,
            ``"auto"``, offers ``graphql-transport-ws``, then ``graphql-ws``.
        connect_timeout: Limit until the WebSocket is open. It includes the functions for
            ``url``, ``headers`` and ``init_payload``. Default: 10.
        ack_timeout: Limit from then until the server has acknowledged. Default: 10.
        close_timeout: Limit for the closing handshake; 0 doesn't wait. Default: 10.
        keep_alive_timeout: A connection on which nothing was heard for so long is dead. With the
            legacy protocol, it counts from the first ``ka`` on. Default: no limit.
        ping_interval: Time from the answer to a ping to the next ping, ``None`` for no pings.
            Default: ``...``, as the protocol has it: none, but for Phoenix, which has 30.
        pong_timeout: A connection is dead if no pong follows a ping within this time. Default:
            half of ``ping_interval``; with Phoenix, all of it.
        connect_args: Options of the connector: ``proxy``, ``uds``, ``compression``, ….
            Default: none.
        max_message_size: Maximum size of a received message in bytes. A larger message ends the
            connection with 1009. Default: 16 MiB.
        connector: The connector that opens the sockets. Default: ``StreamConnector()``.
        json: The encoder and decoder of values. Default: msgspec's.

    Raises:
        TransportInvalidURL: The URL is not ``ws://`` or ``wss://``, or has no host.
        ValueError: An option has a value that can't work.
        TypeError: An option has the wrong type.
    """

    def __init__(
        self,
        url: Provider[str],
        *,
        headers: Provider[Headers] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        init_payload: Provider[Mapping[str, Any] | None] = None,
        protocol: str | SubscriptionProtocol = "auto",
        connect_timeout: float | None = 10,
        ack_timeout: float | None = 10,
        close_timeout: float | None = 10,
        keep_alive_timeout: float | None = None,
        ping_interval: float | EllipsisType | None = ...,
        pong_timeout: float | None = None,
        connect_args: ConnectArgs | Mapping[str, Any] | None = None,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        connector: Connector | None = None,
        json: JSON | None = None,
        **mistaken: Unpack[NoOptions],
    ) -> None:
        if mistaken:
            refuse_options(
                "WebSocketTransport()", mistaken, _HINTS, signature(type(self)).parameters
            )
        self._offered = protocols_to_offer(protocol)
        only = self._offered[0]  # what "auto" offers differs in names only
        if headers is not None and not callable(headers):
            check_headers(headers)
        if not callable(url):
            url = check_url(url, only.url_schemes)
            only.check_url(url)
        if init_payload is not None:
            _check_init_payload(init_payload, only)
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ssl is an ssl.SSLContext, not {type(ssl).__name__}")
        if ssl is not None and isinstance(url, str) and url.startswith(("ws://", "http://")):
            scheme = url.partition(":")[0]
            raise ValueError(
                f"ssl needs a {scheme}s:// URL: over {scheme}:// nothing would be encrypted"
            )
        if max_message_size < 1:
            raise ValueError(f"max_message_size must be at least 1 byte, not {max_message_size}")
        if isinstance(ping_interval, EllipsisType):
            ping_interval = only.default_ping_interval
        if pong_timeout is not None and ping_interval is None:
            raise ValueError("pong_timeout needs ping_interval: no pong comes without a ping")
        self._url = url
        self._headers = headers
        self._ssl = ssl
        self._init_payload = init_payload
        self.connect_timeout = seconds("connect_timeout", connect_timeout)
        self.ack_timeout = seconds("ack_timeout", ack_timeout)
        self.close_timeout = seconds("close_timeout", close_timeout, zero=True)
        self.keep_alive = KeepAliveTimes(
            seconds("keep_alive_timeout", keep_alive_timeout),
            seconds("ping_interval", ping_interval),
            seconds("pong_timeout", pong_timeout),
            only.default_pong_share,
        )
        self._connect_args: dict[str, Any] = {**(connect_args or {})}
        self._max_message_size = max_message_size
        self._connector: Connector = StreamConnector() if connector is None else connector
        self.json: JSON = MsgspecJSON() if json is None else json
        self._description = "the server" if callable(url) else redact(url)

    @property
    def description(self) -> str:
        """The server's URL without what may be secret in it."""
        return self._description

    @property
    def asks_anew(self) -> bool:
        """Whether what the server is told may change from one attempt to the next."""
        given = (self._url, self._headers, self._init_payload)
        return any(map(callable, given)) or any(each.asks_anew for each in self._offered)

    @property
    def operations(self) -> frozenset[OperationKind]:
        """The kinds of operations that may travel over it: those of any protocol it offers."""
        return frozenset(kind for each in self._offered for kind in each.operations)

    @property
    def takes_extensions(self) -> bool:
        """Whether operations may have ``extensions``, by each protocol that it offers."""
        return all(each.takes_extensions for each in self._offered)

    def connect(self) -> WebSocketConnection:
        """Return a connection for one attempt. Entering it connects, and leaving it closes.

        Entering raises ``TransportError``.
        """
        return WebSocketConnection(self)

    async def open(self, task_group: TaskGroup) -> Opened:
        """Open a socket in ``task_group``; return it, and what is to be spoken over it."""
        init_payload = await self._resolve_init_payload()
        schemes = self._offered[0].url_schemes
        url = check_url(await resolve(self._url, "url", self._description), schemes)
        prepared = await self._prepare(url)
        opening = await self._opening(prepared)
        socket = await self._connector.connect(opening, task_group)
        try:
            chosen = opening.shown(socket.subprotocol)
            protocol = negotiated_protocol(self._offered, chosen, self._description)
        except BaseException:
            await socket.aclose_forcefully()
            raise
        if prepared.init_payload is not None:
            init_payload = prepared.init_payload
        return Opened(socket, protocol, protocol.codec(self.json), init_payload, url, self.json)

    async def _resolve_init_payload(self) -> Any:
        payload = await resolve(self._init_payload, "init_payload", self._description)
        if payload is not None:
            _check_init_payload(payload, self._offered[0])
            encode_named(self.json, payload, "init_payload")  # raise a mistake before connecting
        return payload  # pyright: ignore[reportUnknownVariableType]

    async def _prepare(self, url: str) -> Prepared:
        """Ask the protocols that are offered what to connect with."""
        self._description = redact(url)
        prepared = Prepared(url=url)
        for protocol in self._offered:
            prepare = partial(protocol.prepare, prepared.url)
            each: Prepared = await resolve(prepare, "prepare", self._description)
            prepared = msgspec.structs.replace(
                each,
                subprotocols=[*prepared.subprotocols, *each.subprotocols],
                headers=[*prepared.headers, *each.headers],
            )
        return prepared

    async def _opening(self, prepared: Prepared) -> Opening:
        headers = pairs(await resolve(self._headers, "headers", self._description))
        return Opening(
            url=check_url(prepared.url, ("ws", "wss")),
            headers=[*headers, *prepared.headers],
            subprotocols=prepared.subprotocols,
            ssl=self._ssl,
            max_message_size=self._max_message_size,
            connect_args=self._connect_args,
            advice=prepared.advice,
        )

    def __repr__(self) -> str:
        return f"<WebSocketTransport {self._description}>"


def _check_init_payload(payload: object, protocol: SubscriptionProtocol) -> None:
    """Raise ``TypeError`` for what can't be an init payload, unless it is a function."""
    if protocol.instead_of_init_payload:
        raise TypeError(
            f"{type(protocol).__name__} has no init_payload: {protocol.instead_of_init_payload}"
        )
    if not isinstance(payload, Mapping) and not callable(payload):
        given = type(payload).__name__
        raise TypeError(f'init_payload must be a mapping, such as {{"token": "…"}}, not {given}')
