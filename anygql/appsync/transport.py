"""Both endpoints of an AppSync API as one transport."""

from __future__ import annotations

import ssl as ssl_module
from inspect import signature
from typing import Literal, Unpack

from ..http.httpx.client import HTTPClient
from ..json import JSON
from ..net.authorization import Authorization
from ..net.headers import Headers
from ..net.options import NoOptions, Provider, refuse_options
from ..session.split import SplitTransport
from ..websocket.transport import WebSocketTransport
from .http import AppSyncHTTPTransport
from .protocol import AppSync

__all__ = ["AppSyncTransport"]

_BY_PARTS = "make the parts: SplitTransport(HTTPTransport(…), subscriptions=WebSocketTransport(…))"

#: What to write in the place of options that other clients have.
_HINTS = {
    **dict.fromkeys(("init_payload", "api_key", "token"), "write auth=ApiKey(…) or auth=Token(…)"),
    **dict.fromkeys(("region", "credentials"), "write auth=IAM(credentials, region)"),
    **dict.fromkeys(("connector", "connect_args", "max_message_size", "uds"), _BY_PARTS),
    **dict.fromkeys(("ack_timeout", "ping_interval", "max_connections"), _BY_PARTS),
}


class AppSyncTransport(SplitTransport):
    """An API of AWS AppSync: queries and mutations over HTTP, subscriptions over a WebSocket.

    It is a ``SplitTransport`` of an ``HTTPTransport`` and a ``WebSocketTransport``. Make those
    yourself for options that are not here.

    Args:
        url: The HTTP endpoint, ``https://ID.appsync-api.REGION.amazonaws.com/graphql`` or that of
            a domain of your own; or a function or async function that returns it.
        auth: ``ApiKey(…)``, ``Token(…)``, ``IAM(…)``, or an object of yours with an async method
            ``headers(url, body)``. It is asked for each request, each attempt to connect and each
            subscription.
        headers: More headers of HTTP requests and of the WebSocket's handshake, as for
            ``HTTPTransport``. Default: none.
        handshake: Where the authorization of the WebSocket is: in a ``"subprotocol"`` or in the
            ``"query"`` of the URL. Default: ``"subprotocol"``.
        start_timeout: Limit until the server has confirmed a subscription, in seconds; ``None``
            for no limit. Default: 15.
        eager: Whether a session opens the WebSocket when it is entered. Default: ``False``, at the
            first subscription.
        client: Your own ``httpx.AsyncClient`` for queries and mutations. Default: our own.
        ssl: The TLS context. Default: one that verifies the server.
        proxy: An HTTP proxy, as for ``HTTPTransport``. Default: ``True``, the environment's.
        connect_timeout: Limit until a connection is open, in seconds; ``None`` for no limit.
            Default: 10.
        keep_alive_timeout: A WebSocket on which nothing was heard for so many seconds is dead.
            Default: ``None``, what the server says (5 minutes).
        close_timeout: Limit for closing the WebSocket, in seconds. Default: 10.
        json: The encoder and decoder of values. Default: msgspec's.

    Raises:
        TransportInvalidURL: The URL is no HTTP URL. This is a ``ValueError`` too.
        ValueError: An option has a value that can't work, or the AWS region is unknown.
        TypeError: An option has the wrong type.
    """

    def __init__(
        self,
        url: Provider[str],
        *,
        auth: Authorization,
        headers: Provider[Headers] | None = None,
        handshake: Literal["subprotocol", "query"] = "subprotocol",
        start_timeout: float | None = 15,
        eager: bool = False,
        client: HTTPClient | None = None,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | bool | None = True,
        connect_timeout: float | None = 10,
        keep_alive_timeout: float | None = None,
        close_timeout: float | None = 10,
        json: JSON | None = None,
        **mistaken: Unpack[NoOptions],
    ) -> None:
        if mistaken:
            refuse_options("AppSyncTransport()", mistaken, _HINTS, signature(type(self)).parameters)
        subscriptions = WebSocketTransport(
            url,
            headers=headers,
            ssl=ssl,
            protocol=AppSync(auth, start_timeout=start_timeout, handshake=handshake),
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            keep_alive_timeout=keep_alive_timeout,
            connect_args={"proxy": proxy},
            json=json,
        )
        http = AppSyncHTTPTransport(
            url,
            headers=headers,
            auth=auth,
            client=client,
            # A client of the user's own has its own.
            ssl=ssl if client is None else None,
            proxy=proxy if client is None else True,
            connect_timeout=connect_timeout,
            json=json,
        )
        super().__init__(http, subscriptions=subscriptions, eager=eager)
