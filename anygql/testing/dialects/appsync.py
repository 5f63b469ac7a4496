"""AWS AppSync's real-time protocol, from the server's side."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from ...protocols.close_codes import CloseCode
from ..websocket import HandshakeRequest
from .base import (
    Answer,
    Dialect,
    Handshake,
    Init,
    Malformed,
    Message,
    Request,
    Start,
    Stop,
    member,
)

__all__ = ["AppSync", "AppSyncAuthorization"]

#: How the name of the subprotocol begins that carries the authorization of a handshake.
HEADER = "header-"

#: Maximum number of subscriptions on one connection, and the time of silence, as of AWS.
MAX_SUBSCRIPTIONS = 100
TIMEOUT_MS = 300_000

_ERROR_TYPE = re.compile(r"(?P<type>\w+(?:Error|Exception)): (?P<message>.*)", re.DOTALL)


class _Data(msgspec.Struct):
    query: str
    variables: dict[str, Any]


class AppSyncAuthorization(dict[str, str]):
    """The headers that authorize a connection or a subscription. Their ``repr`` shows none.

    Attributes:
        url: The URL of the request that they authorize, such as ``http://h/graphql/connect``.
        body: The body of that request.
    """

    def __init__(self, headers: Mapping[str, str], url: str, body: bytes) -> None:
        super().__init__(headers)
        self.url = url
        self.body = body

    def __repr__(self) -> str:
        return "<AppSyncAuthorization>"


class AppSync(Dialect):
    """AWS AppSync's real-time protocol.

    A subscription that is stopped before ``start_ack`` runs on, as there.
    """

    name = "appsync"
    refusal_code = CloseCode.NORMAL
    has_keep_alive = True

    def __init__(self, request: HandshakeRequest | None) -> None:
        super().__init__(request)
        self._endpoint = "" if request is None else _endpoint(request)
        self._headers = (None if request is None else _headers_in(request)) or {}
        self._is_acknowledged = False
        # Those that run, and whether the client has been told.
        self._running: dict[str, bool] = {}

    @classmethod
    def answer(cls, request: HandshakeRequest) -> Handshake | None:
        """Return how to answer a handshake, or ``None`` if it has no authorization."""
        if "graphql-ws" not in request.subprotocols or _header_in(request) is None:
            return None
        if _headers_in(request) is None:
            return Handshake(status=HTTPStatus.BAD_REQUEST)
        return Handshake("graphql-ws")

    def parse(self, message: Message) -> Request:
        """Return the request in a message; raise ``Malformed`` if there is none."""
        kind = message.get("type")
        if kind == "connection_init":
            url = f"{self._endpoint}/connect"
            return Init(AppSyncAuthorization(self._headers, url, b"{}"))
        if kind not in {"start", "stop"}:
            raise Malformed(f"a client does not send messages of type {kind!r}")
        id: str = member(message, "id", str, required=True)
        if kind == "start":
            return self._start(id, message)
        # A stop that comes too early is lost.
        return Stop([id]) if self._running.get(id) else Answer()

    def _start(self, id: str, message: Message) -> Request:
        if len(self._running) >= MAX_SUBSCRIPTIONS:
            text = f"MaxSubscriptionsReachedError: Max number of {MAX_SUBSCRIPTIONS} reached"
            return Answer([self.errors(id, _errors(text))])
        payload = member(message, "payload", dict, required=True)
        extensions = member(payload, "extensions", dict, required=True)
        headers = member(extensions, "authorization", dict, required=True)
        text = member(payload, "data", str, required=True)
        try:
            data = msgspec.json.decode(text, type=_Data)
        except msgspec.DecodeError as exc:
            raise Malformed("data is no operation in JSON") from exc
        self._running[id] = False
        authorization = AppSyncAuthorization(headers, self._endpoint, text.encode())
        return Start(id, data.query, data.variables, authorization=authorization)

    def ack(self, payload: Any) -> list[Message]:
        """Return the acknowledgement of the connection."""
        self._is_acknowledged = True
        return [
            {
                "type": "connection_ack",
                "payload": {"connectionTimeoutMs": TIMEOUT_MS, **(payload or {})},
            }
        ]

    def refuse(self, text: str) -> list[Message]:
        """Return the refusal of the connection, or of an unreadable message.

        A text such as ``"LimitExceededError: too many"`` has a type of its own.
        """
        kind = "error" if self._is_acknowledged else "connection_error"
        return [{"type": kind, "payload": {"errors": _errors(text)}}]

    def refuse_start(self, id: str, text: str) -> list[Message]:
        """Return the refusal of a subscription's authorization."""
        return [self.errors(id, _errors(text))]

    def keep_alive(self) -> Message:
        """Return a keep-alive message."""
        return {"type": "ka"}

    def started(self, id: str) -> list[Message]:
        """Return the ``start_ack``."""
        self._running[id] = True
        return [{"type": "start_ack", "id": id}]

    def next(self, id: str, result: Mapping[str, Any]) -> Message:
        """Return a message with one result."""
        return {"id": id, "type": "data", "payload": result}

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return the message that ends an operation with errors."""
        self._running.pop(id, None)
        return {"id": id, "type": "error", "payload": {"errors": list(errors)}}

    def complete(self, id: str) -> list[Message]:
        """Return the message that ends an operation."""
        self._running.pop(id, None)
        return [{"id": id, "type": "complete"}]

    def stopped(self, id: str) -> list[Message]:
        """Return a ``complete``, which confirms the end."""
        return self.complete(id)


def _errors(text: str) -> list[Message]:
    match = _ERROR_TYPE.fullmatch(text)
    if match is None:
        return [{"errorType": "UnauthorizedException", "message": text}]
    return [{"errorType": match["type"], "message": match["message"]}]


def _header_in(request: HandshakeRequest) -> str | None:
    """Return the authorization of a handshake, in Base64, if it has one."""
    for name in request.subprotocols:
        if name.startswith(HEADER):
            return name.removeprefix(HEADER)
    return next(iter(parse_qs(urlsplit(request.path).query).get("header", [])), None)


def _headers_in(request: HandshakeRequest) -> dict[str, str] | None:
    """Return the authorization of a handshake, if it can be read."""
    text = _header_in(request) or ""
    try:
        # The query has the standard alphabet; `urlsafe_b64decode` takes both.
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(decoded, type=dict[str, str])
    except (ValueError, msgspec.MsgspecError):
        return None


def _endpoint(request: HandshakeRequest) -> str:
    """Return the URL of the HTTP endpoint that a handshake's URL belongs to."""
    path = urlsplit(request.path).path.removesuffix("/realtime")
    return f"http://{request.headers['Host']}{path}"
