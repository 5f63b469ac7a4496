"""Phoenix channels, as a Phoenix server with Absinthe speaks them (version 2.0.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar
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
    Ping,
    Request,
    Reset,
    Start,
    Stop,
    decode_json,
)

__all__ = ["Phoenix"]

_UNMATCHED = {"reason": "unmatched topic"}


class Phoenix(Dialect):
    """A socket with one channel, Absinthe's.

    Equal documents get one ``subscriptionId`` if the socket's parameters have a ``context_id``, as
    with Absinthe's ``context_id`` in a field's configuration.
    """

    name = "phoenix"
    violation = CloseCode.INTERNAL_ERROR
    closes_refused = False
    topic: ClassVar[str] = "__absinthe__:control"

    def __init__(self, request: HandshakeRequest | None) -> None:
        super().__init__(request)
        self._context = _params(request).get("context_id") if request else None
        self._join_ref: str | None = None
        self._joining: tuple[str | None, str | None] = (None, None)
        self._documents: dict[str, bytes] = {}
        #: The ids of subscriptions, by the refs of their documents.
        self._subscriptions: dict[str, str] = {}
        self._numbers = count(1)

    @classmethod
    def answer(cls, request: HandshakeRequest) -> Handshake | None:
        """Accept a client that offers no subprotocol, or ``phoenix`` (with a token behind it)."""
        if request.subprotocols and cls.name not in request.subprotocols:
            return None
        is_known = _params(request).get("vsn") == "2.0.0"  # Phoenix has 1.0.0, too
        return Handshake(cls.name if request.subprotocols else None, 101 if is_known else 403)

    @staticmethod
    def decode(text: str) -> Message:
        """Decode a text message; raise ``Malformed`` if it is not an array of five."""
        message = decode_json(text)
        if not isinstance(message, list) or len(message) != 5:  # pyright: ignore[reportUnknownArgumentType]
            raise Malformed("not an array of five")
        return message  # pyright: ignore[reportUnknownVariableType]

    @staticmethod
    def kind(message: Message) -> str | None:
        """Return the event."""
        return str(message[3])

    def parse(self, message: Message) -> Request:
        """Return the request in a message."""
        join_ref, ref, topic, event, payload = message
        if topic == "phoenix" and event == "heartbeat":
            return Ping(ref)
        if topic == self.topic and event == "phx_join":
            self._joining = (join_ref, ref)
            return Init(payload)
        if topic != self.topic or self._join_ref is None:
            return Answer([[None, ref, topic, "phx_reply", _reply("error", _UNMATCHED)]])
        if event == "doc":
            return self._doc(ref, payload)
        if event == "unsubscribe":
            name = payload.get("subscriptionId")
            refs = [each for each, id in self._subscriptions.items() if id == name]
            for each in refs:
                del self._subscriptions[each]
            return Stop(refs, [self._answer(ref, "ok", {"subscriptionId": name})])
        return self._end(ref, event)

    def _doc(self, ref: str, payload: Any) -> Request:
        variables = payload.get("variables", {})
        if not isinstance(variables, dict):
            text = "Could not parse variables as map"
            return Answer([self._answer(ref, "error", {"error": text})])
        self._documents[ref] = msgspec.json.encode(payload)
        return Start(ref, str(payload.get("query") or ""), variables)  # pyright: ignore[reportUnknownArgumentType]

    def _end(self, ref: str, event: str) -> Request:
        """End the channel: it is left, or crashes on an event that it doesn't know."""
        join_ref, self._join_ref = self._join_ref, None
        self._subscriptions.clear()
        if event != "phx_leave":
            return Reset([[join_ref, join_ref, self.topic, "phx_error", {}]])
        closed: Message = [join_ref, join_ref, self.topic, "phx_close", {}]
        return Reset([[join_ref, ref, self.topic, "phx_reply", _reply("ok", {})], closed])

    def _answer(self, ref: str | None, status: str, response: Any) -> Message:
        return [self._join_ref, ref, self.topic, "phx_reply", _reply(status, response)]

    def ack(self, payload: Any) -> list[Message]:
        """Return the reply to the join, and the end of a channel that was joined before."""
        before, (self._join_ref, ref) = self._join_ref, self._joining
        messages = [self._answer(ref, "ok", {} if payload is None else payload)]
        if before is not None:
            messages.append([before, before, self.topic, "phx_close", {}])
        return messages

    def refuse(self, text: str) -> list[Message]:
        """Return the reply that refuses the join."""
        join_ref, ref = self._joining
        return [[join_ref, ref, self.topic, "phx_reply", _reply("error", {"reason": text})]]

    def pong(self, payload: Any) -> Message:
        """Return the reply to the heartbeat with this ref."""
        return [None, payload, "phoenix", "phx_reply", _reply("ok", {})]

    def started(self, id: str) -> list[Message]:
        """Return the reply with the id of the subscription."""
        document = self._documents.pop(id)
        salt = self._context or next(self._numbers)
        name = f"__absinthe__:doc:{salt}:{hashlib.sha256(document).hexdigest().upper()}"
        self._subscriptions[id] = name
        return [self._answer(id, "ok", {"subscriptionId": name})]

    def next(self, id: str, result: Mapping[str, Any]) -> Message:
        """Return a message to the topic of a subscription, or else the reply with the result."""
        name = self._subscriptions.get(id)
        if name is not None:
            payload = {"result": result, "subscriptionId": name}
            return [None, None, name, "subscription:data", payload]
        self._documents.pop(id, None)
        if result.get("data") is None and result.get("errors"):
            return self.errors(id, result["errors"])
        return self._answer(id, "ok", result)

    def errors(self, id: str, errors: Sequence[Any]) -> Message:
        """Return the reply with the errors of a document that isn't executed."""
        self._documents.pop(id, None)
        return self._answer(id, "error", {"errors": list(errors)})

    def source_failed(self, id: str, error: Any) -> list[Message]:
        """Return a result with the error: no message ends a subscription."""
        return [self.next(id, {"errors": [error]})]

    def complete(self, id: str) -> list[Message]:
        """Return nothing: a reply is the end of a query, and a subscription has none."""
        return []


def _reply(status: str, response: Any) -> dict[str, Any]:
    return {"response": response, "status": status}


def _params(request: HandshakeRequest) -> dict[str, str]:
    """Return the socket's parameters: of several with one name, the last counts."""
    query = urlsplit(request.path).query
    return {name: values[-1] for name, values in parse_qs(query).items()}
