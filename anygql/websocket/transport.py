"""GraphQL over WebSocket: what to connect to, how, and what is spoken there."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Mapping
from typing import Any

from anyio.abc import TaskGroup

from ..json import JSON, MsgspecJSON, encode_named
from ..net.headers import Headers, pairs
from ..net.options import Provider, resolve, seconds
from ..net.urls import check_url, redact
from ..protocols import Codec, SubscriptionProtocol, negotiated_protocol, protocols_to_offer
from .connection import WebSocketConnection
from .keep_alive import KeepAliveTimes
from .sockets.base import Connector, WebSocket
from .sockets.opening import Opening
from .sockets.stream import StreamConnector

__all__ = ["WebSocketTransport"]

DEFAULT_MAX_MESSAGE_SIZE = 2**24


class WebSocketTransport:
    """Connects to a GraphQL server over WebSocket.

    ``url`` (``ws://`` or ``wss://``), ``headers`` and ``init_payload`` are values, or functions or
    async functions that are asked again at each attempt. ``protocol`` is ``"auto"`` (offer
    graphql-transport-ws, then the legacy graphql-ws), a subprotocol's name, or a protocol value.

    Times are in seconds, and ``None`` means no limit. ``connect_timeout``: until the WebSocket is
    open, what is asked for it included. ``ack_timeout``: from then until the server has
    acknowledged. ``close_timeout``: for the closing handshake. ``keep_alive_timeout``: a connection
    on which nothing is heard for so long is dead (with the legacy protocol, from the first ``ka``
    on). ``ping_interval``: a ping this long after the last one was answered; ``pong_timeout``: no
    pong by then and the connection is dead (half of ``ping_interval`` if it isn't given).

    ``ssl``: the context for ``wss://`` instead of the default, which verifies. ``connect_args``:
    what the connector knows (``proxy``, ``uds``, ``compression``, …). ``max_message_size``: bytes.
    ``connector``: which sockets; ``json``: how values become JSON.

    Raises ``TransportInvalidURL``, ``ValueError`` or ``TypeError`` for what can't work.
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
        ping_interval: float | None = None,
        pong_timeout: float | None = None,
        connect_args: Mapping[str, Any] | None = None,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        connector: Connector | None = None,
        json: JSON | None = None,
    ) -> None:
        if not callable(url):
            check_url(url, ("ws", "wss"))
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ssl is an ssl.SSLContext, not {type(ssl).__name__}")
        if ssl is not None and isinstance(url, str) and url.startswith("ws://"):
            raise ValueError("ssl needs a wss:// URL: over ws:// nothing would be encrypted")
        if max_message_size < 1:
            raise ValueError(f"max_message_size must be at least 1 byte, not {max_message_size}")
        if pong_timeout is not None and ping_interval is None:
            raise ValueError("pong_timeout needs ping_interval: no pong comes without a ping")
        self._url = url
        self._headers = headers
        self._ssl = ssl
        self._init_payload = init_payload
        self._offered = protocols_to_offer(protocol)
        self.connect_timeout = seconds("connect_timeout", connect_timeout)
        self.ack_timeout = seconds("ack_timeout", ack_timeout)
        self.close_timeout = seconds("close_timeout", close_timeout, zero=True)
        self.keep_alive = KeepAliveTimes(
            seconds("keep_alive_timeout", keep_alive_timeout),
            seconds("ping_interval", ping_interval),
            seconds("pong_timeout", pong_timeout),
        )
        self._connect_args = dict(connect_args or {})
        self._max_message_size = max_message_size
        self._connector: Connector = StreamConnector() if connector is None else connector
        self._json: JSON = MsgspecJSON() if json is None else json
        self._description = "the server" if callable(url) else redact(url)

    @property
    def description(self) -> str:
        """The server's URL without what may be secret in it."""
        return self._description

    def connect(self) -> WebSocketConnection:
        """One attempt: entering connects, leaving closes. Raises ``TransportError``."""
        return WebSocketConnection(self)

    async def open(self, task_group: TaskGroup) -> tuple[WebSocket, Codec, Any]:
        """Open a socket; return it, a codec for what is spoken on it, and the init payload."""
        init_payload = await self._resolve_init_payload()
        socket = await self._connector.connect(await self._opening(), task_group)
        try:
            protocol = negotiated_protocol(self._offered, socket.subprotocol, self._description)
        except BaseException:
            await socket.aclose_forcefully()
            raise
        return socket, protocol.codec(self._json), init_payload

    async def _resolve_init_payload(self) -> Any:
        payload = await resolve(self._init_payload)
        if payload is not None:
            if not isinstance(payload, Mapping):
                raise TypeError(f"init_payload must be a mapping, not {type(payload).__name__}")
            encode_named(self._json, payload, "init_payload")  # a mistake shows before we connect
        return payload  # pyright: ignore[reportUnknownVariableType]

    async def _opening(self) -> Opening:
        url = check_url(await resolve(self._url), ("ws", "wss"))
        self._description = redact(url)
        return Opening(
            url=url,
            headers=pairs(await resolve(self._headers)),
            subprotocols=[protocol.subprotocol for protocol in self._offered],
            ssl=self._ssl,
            max_message_size=self._max_message_size,
            connect_args=self._connect_args,
        )

    def __repr__(self) -> str:
        return f"<WebSocketTransport {self._description}>"
