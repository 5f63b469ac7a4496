"""AppSync's real-time protocol as a value for a transport: where to connect, and authorized."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..net.authorization import Authorization, is_refreshable
from ..net.options import seconds
from ..protocols.appsync import AppSyncCodec, AuthorizedStart, RefusalMemory, start_data
from ..protocols.base import Codec, Prepared, Secret, SubscriptionProtocol
from .auth import check_authorization, realtime_headers
from .urls import connect_url, realtime_url

__all__ = ["AppSync"]

#: The body of the request that a handshake is signed as.
CONNECT = b"{}"


class AppSync(SubscriptionProtocol):
    """The protocol of AWS AppSync's subscriptions: give it to ``WebSocketTransport``.

    The transport's URL is then the HTTP endpoint of the API, from which that of the WebSocket
    follows. The handshake and each subscription are authorized anew each time.

    Args:
        auth: ``ApiKey(…)``, ``Token(…)``, ``IAM(…)``, or an object of yours with an async method
            ``headers(url, body)``. ``transport_args={"auth": …}`` of ``subscribe`` is for that
            subscription alone.
        start_timeout: Limit until the server has confirmed a subscription, in seconds; ``None``
            for no limit. Past it, the subscription fails with ``TransportTimeout``, and a
            permanent session subscribes again. Default: 15.
        handshake: Where the authorization of a handshake is: in a ``"subprotocol"``, or in the
            ``"query"`` of the URL, which proxies may log. AppSync's simulator knows only
            ``"query"``. Default: ``"subprotocol"``.

    Raises:
        TypeError: ``auth`` can't authorize.
        ValueError: Another option has a value that can't work.
    """

    subprotocols = ("graphql-ws",)
    must_be_chosen = True
    url_schemes = ("https", "http")
    operations = frozenset({"subscription"})
    is_incremental = False
    takes_extensions = False
    instead_of_init_payload = "write protocol=AppSync(auth=…)"
    authorizes = True

    def __init__(
        self,
        auth: Authorization,
        *,
        start_timeout: float | None = 15,
        handshake: Literal["subprotocol", "query"] = "subprotocol",
    ) -> None:
        check_authorization(auth)
        if handshake not in {"subprotocol", "query"}:
            raise ValueError(f'handshake is "subprotocol" or "query", not {handshake!r}')
        self._auth = auth
        self._handshake = handshake
        self._memory = RefusalMemory()
        self.start_timeout = seconds("start_timeout", start_timeout)

    def check_url(self, url: str) -> None:
        """Check an endpoint, when a transport is made for it.

        Args:
            url: The HTTP endpoint.

        Raises:
            ValueError: Its AWS region is unknown, but ``auth`` needs it.
        """
        check_authorization(self._auth, url)

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection.

        Args:
            json: The encoder and decoder of values.
        """
        return AppSyncCodec(json, is_refreshable=is_refreshable(self._auth), memory=self._memory)

    async def prepare(self, url: str) -> Prepared:
        """Return the URL of the WebSocket, with the authorization of this attempt.

        Args:
            url: The HTTP endpoint.

        Raises:
            Exception: What ``auth`` raises.
        """
        headers = await realtime_headers(self._auth, connect_url(url), CONNECT)
        text = msgspec.json.encode(headers)
        if self._handshake == "query":
            query = {"header": b64encode(text).decode(), "payload": b64encode(CONNECT).decode()}
            return Prepared(url=realtime_url(url, **query), subprotocols=self.subprotocols)
        name = Secret(f"header-{urlsafe_b64encode(text).decode().rstrip('=')}")
        return Prepared(url=realtime_url(url), subprotocols=(*self.subprotocols, name))

    async def authorize(
        self,
        request: GraphQLRequest,
        transport_args: Mapping[str, Any] | None,
        *,
        url: str,
        json: JSON,
    ) -> AuthorizedStart:
        """Return what starts a subscription, and its authorization.

        Args:
            request: The subscription.
            transport_args: The caller's: ``{"auth": …}`` comes before the protocol's ``auth``.
            url: The HTTP endpoint.
            json: The encoder and decoder of values.

        Raises:
            TypeError: ``transport_args`` has something else than ``auth``, or AppSync can't take
                the request.
            Exception: What ``auth`` raises.
        """
        auth = self._auth if transport_args is None else _auth_in(transport_args, self._auth)
        check_authorization(auth, url)
        data = start_data(json, request)
        headers = await realtime_headers(auth, url, data)
        return AuthorizedStart(data, headers, is_refreshable(auth))

    def __repr__(self) -> str:
        return f"AppSync(auth={self._auth!r})"


def _auth_in(transport_args: Mapping[str, Any], default: Authorization) -> Any:
    if unknown := [name for name in transport_args if name != "auth"]:
        raise TypeError(
            f"transport_args has {', '.join(map(repr, unknown))}: for a subscription of AppSync's "
            "there is only 'auth'"
        )
    return transport_args.get("auth", default)
