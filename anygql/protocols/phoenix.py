"""Phoenix channels with Absinthe: GraphQL over the sockets of Elixir's Phoenix.

A message is an array ``[join_ref, ref, topic, event, payload]`` (version 2.0.0 of Phoenix's
serializer). The client joins one topic, asks by ``doc``, and gets a ``phx_reply`` with the same
``ref``: a result, or the id of a subscription, which is the topic of its results. Everything that a
server sends has an event, and ``_EVENTS`` says what each means.

https://hexdocs.pm/phoenix/writing_a_channels_client.html and Absinthe.Phoenix.Channel
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from itertools import count
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import ProtocolViolation
from ..json import (
    JSON,
    MsgspecJSON,
    checked_utf8,
    encode_named,
    is_mapping,
    replace_lone_surrogates,
)
from ..results.answers import server_words
from ..results.result import ExecutionResult, is_result
from .base import Codec, Prepared, Secret, SubscriptionProtocol
from .close_codes import CloseCode
from .events import (
    NOTHING,
    Ack,
    Complete,
    Ended,
    Error,
    Event,
    Malformed,
    Next,
    Pong,
    Refusal,
    Say,
    Several,
    Started,
)
from .messages import encode, read_replacing_surrogates, result_event
from .phoenix_topics import Topics

__all__ = ["PHOENIX", "Phoenix"]

_T = TypeVar("_T")

#: A value, or a function or async function that returns it.
_Provider: TypeAlias = _T | Callable[[], _T] | Callable[[], Awaitable[_T]]

#: The version of the messages' form. Without it a server speaks 1.0.0.
VERSION = "2.0.0"

_ADVICE = (
    "The path of a Phoenix socket ends in /websocket by convention, and its connect/3 gets params"
)
_SOCKET_TOPIC = "phoenix"

#: Topics that have been left, whose results are ignored until the server has heard it.
MAX_LEFT = 4096


class Phoenix(SubscriptionProtocol):
    """GraphQL over Phoenix channels, as Absinthe serves it. ``PHOENIX`` is one with all defaults.

    Each of ``params``, ``auth_token`` and ``join_payload`` may be a function or async function
    without arguments, which is called again at each attempt to connect.

    Args:
        params: The parameters of the socket, which its ``connect/3`` gets: a mapping of names to
            texts, numbers and booleans. They are added to the URL's query. Default: none.
        auth_token: The token of a socket that takes it in a header (Phoenix 1.8): a text. Default:
            none.
        topic: The topic of Absinthe's channel. Default: ``"__absinthe__:control"``.
        join_payload: What the channel is joined with: a mapping. Default: an empty one.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: The token can't be sent in a header, or ``params`` have a ``vsn``.
    """

    must_be_chosen = False
    is_incremental = False
    takes_extensions = False
    instead_of_init_payload = (
        "write Phoenix(params=…) for what the socket's connect/3 gets, or join_payload=…"
    )
    default_ping_interval = 30.0
    default_pong_share = 1.0

    def __init__(
        self,
        *,
        params: _Provider[Mapping[str, Any] | None] = None,
        auth_token: _Provider[str | None] = None,
        topic: str = "__absinthe__:control",
        join_payload: _Provider[Mapping[str, Any] | None] = None,
    ) -> None:
        if not topic or not isinstance(topic, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"topic is a text, such as '__absinthe__:control', not {topic!r}")
        if not callable(params):
            _query(params)
        if not callable(auth_token) and auth_token is not None:
            _bearer(auth_token)
        if not callable(join_payload):
            _mapping("join_payload", join_payload)
        self._params = params
        self._auth_token = auth_token
        self._join_payload = join_payload
        self.topic = topic
        self.asks_anew = any(map(callable, (params, auth_token, join_payload)))
        if auth_token is not None:
            self.subprotocols = (_SOCKET_TOPIC,)
            self.must_be_chosen = True

    def __repr__(self) -> str:
        return f"<Phoenix, topic {self.topic!r}>"

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection.

        Args:
            json: The encoder and decoder of values.
        """
        return _PhoenixCodec(json, self.topic)

    async def prepare(self, url: str) -> Prepared:
        """Return the URL with ``vsn`` and ``params``, and the token as a subprotocol.

        Args:
            url: The transport's URL.
        """
        query = _query(await _provided(self._params))
        token = await _provided(self._auth_token)
        names = [] if self._auth_token is None else [_SOCKET_TOPIC]
        if token is not None:
            names.append(_bearer(token))
        payload = _mapping("join_payload", await _provided(self._join_payload))
        return Prepared(
            url=_with_query(url, query), subprotocols=names, init_payload=payload, advice=_ADVICE
        )


async def _provided(value: Any) -> Any:
    """Return a value, or what the function or async function returns."""
    if callable(value):
        value = value()
    return await value if isawaitable(value) else value


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not is_mapping(value):
        raise TypeError(f"{name} is a mapping, not {type(value).__name__}")
    return dict(value)


def _query(params: Any) -> str:
    """Return the socket's parameters as a part of a query. The errors don't show the values."""
    pairs: list[tuple[str, str]] = [("vsn", VERSION)]
    for name, value in _mapping("params", params).items():
        if name == "vsn":
            raise ValueError(_OTHER_VERSION)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif not isinstance(value, str | int | float):
            raise TypeError(
                f"params[{name!r}] is a text, a number or a boolean, not {type(value).__name__}"
            )
        pairs.append((str(name), str(value)))
    return urlencode(pairs, quote_via=quote, safe="")


_OTHER_VERSION = (
    f"vsn is added to the URL, and is {VERSION}, which this client speaks: leave it out"
)


def _with_query(url: str, query: str) -> str:
    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)).get("vsn")
    if given not in {None, VERSION}:
        raise ValueError(_OTHER_VERSION)
    if given is not None:
        query = query.partition("&")[2]
    base, mark, fragment = url.partition("#")
    separator = "" if not query or base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{separator}{query}{mark}{fragment}"


def _bearer(token: Any) -> Secret:
    """Return the subprotocol that carries a token. The errors don't show the token."""
    if not isinstance(token, str):
        raise TypeError(f"auth_token is a text, not {type(token).__name__}")
    # Despite the name, phoenix.js uses the standard alphabet here, and Phoenix decodes that.
    text = base64.b64encode(token.encode()).decode().rstrip("=")
    if "/" in text or not text:
        raise ValueError(
            "auth_token can't be sent as a subprotocol: its base64 has a '/', or is empty. Hand it "
            "to the socket by params="
        )
    return Secret(f"base64url.bearer.phx.{text}")


class _Frame(msgspec.Struct, array_like=True, frozen=True):
    """Any message, with its payload still JSON text."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: msgspec.Raw


class _Doc(msgspec.Struct, frozen=True):
    query: msgspec.Raw
    variables: msgspec.Raw


class _Data(msgspec.Struct, frozen=True, gc=False):
    """The payload of a ``subscription:data``."""

    result: ExecutionResult


class _DataFrame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A result with all around it, read at once."""

    join_ref: None
    ref: None
    topic: str
    event: Literal["subscription:data"]
    payload: _Data


_FRAMES = msgspec.json.Decoder(_Frame)
_DATA = msgspec.json.Decoder(_Data)
_DATA_FRAMES = msgspec.json.Decoder(_DataFrame)
_EMPTY = msgspec.Raw(b"{}")


class _Asked(msgspec.Struct):
    """An operation whose reply is awaited."""

    id: str
    is_subscription: bool
    is_left: bool = False


class _PhoenixCodec(Codec):
    def __init__(self, json: JSON, topic: str) -> None:
        self._json = json
        self._reads_at_once = type(json) is MsgspecJSON
        self._topic = topic
        self._refs = map(str, count(1))
        self._join_ref = ""
        self._joined = False
        self._heartbeat_ref = ""
        #: The operations whose reply is awaited, by the refs of their messages, and those by ids.
        self._asked: dict[str, _Asked] = {}
        self._ref_of: dict[str, str] = {}
        #: The topics of the subscriptions that run, by ids.
        self._topic_of: dict[str, str] = {}
        self._topics = Topics()
        #: Topics by the refs of the messages that leave them. Until the reply, their results are
        #: late.
        self._left: dict[str, str] = {}
        self._late: set[str] = set()
        #: What has come of messages that were withdrawn, to be handed out with the next.
        self._waiting: list[Event] = []

    # What is sent.

    def _message(self, ref: str, event: str, payload: Any) -> bytes:
        return encode((self._join_ref, ref, self._topic, event, payload))

    def connection_init(self, payload: Any) -> bytes:
        self._join_ref = ref = next(self._refs)
        given = msgspec.Raw(encode_named(self._json, payload or {}, "join_payload"))
        return self._message(ref, "phx_join", given)

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        if request.extensions:
            raise TypeError(
                "Absinthe's channel reads a document and its variables only, so extensions would "
                "be lost: leave them out, or use HTTPTransport"
            )
        if len(request.source.operations) > 1:
            raise TypeError(
                "Absinthe's channel doesn't read operation_name: send a document with one operation"
            )
        variables = encode_named(self._json, request.variable_values or {}, "variables")
        ref = next(self._refs)
        is_subscription = request.kind == "subscription"
        document = encode(_Doc(request.source.json, msgspec.Raw(variables)))
        message = self._message(ref, "doc", msgspec.Raw(document))
        self._asked[ref] = _Asked(id, is_subscription)
        self._ref_of[id] = ref
        if is_subscription:
            self._topics.await_reply(ref, document)
        return message

    def complete(self, id: str) -> bytes | None:
        ref = self._ref_of.get(id)
        if ref is not None:
            # A query can't be stopped. A subscription has no id yet: its reply brings one.
            self._asked[ref].is_left = True
            return None
        topic = self._topic_of.pop(id, None)
        if topic is None or not self._topics.leave(id, topic):
            return None
        return self._unsubscribe(topic)

    def _unsubscribe(self, topic: str) -> bytes:
        ref = next(self._refs)
        self._left[ref] = topic
        self._late.add(topic)
        if len(self._left) > MAX_LEFT:  # the server answers none of them
            self._late.discard(self._left.pop(next(iter(self._left))))
        return self._message(ref, "unsubscribe", {"subscriptionId": topic})

    def forget(self, id: str) -> None:
        ref = self._ref_of.pop(id)
        if self._asked.pop(ref).is_subscription:
            self._waiting += self._settle(ref, None)

    def ping(self, payload: Any = None) -> bytes:
        self._heartbeat_ref = ref = next(self._refs)
        return encode((None, ref, _SOCKET_TOPIC, "heartbeat", _EMPTY))

    def terminate(self) -> Sequence[bytes]:
        if not self._joined:
            return ()
        # Its reply is not waited for: what the server does about it, it does at the close, too.
        return [self._message(next(self._refs), "phx_leave", _EMPTY)]

    # What comes.

    def receive(self, message: bytes | str) -> Event:
        # Most messages are results for one operation.
        if message[:11] == b"[null,null," and self._reads_at_once and not self._waiting:
            try:
                data = _DATA_FRAMES.decode(message)
            except (ValueError, RecursionError):
                pass
            else:
                id = self._topics.only(data.topic)
                if id is not None and type(data.payload.result.data) is dict:
                    return Next(id, data.payload.result)
        frame = _read(message)
        handle = _EVENTS.get(frame.event)
        event = NOTHING if handle is None else handle(self, frame)
        if not self._waiting:
            return event
        waiting, self._waiting = self._waiting, []
        return Several([*waiting, event])

    def on_reply(self, frame: _Frame) -> Event:
        ref = frame.ref or ""
        if frame.topic == _SOCKET_TOPIC:
            return Pong() if ref == self._heartbeat_ref else NOTHING
        if ref in self._asked:
            return self._on_answer(ref, frame.payload)
        if ref == self._join_ref and frame.topic == self._topic:
            return self._on_joined(frame.payload)
        if ref in self._left:
            self._late.discard(self._left.pop(ref))
        return NOTHING

    def _on_joined(self, payload: msgspec.Raw) -> Event:
        status, response = self._reply(payload)
        if status == "ok":
            self._joined = True
            return Ack(response)
        words = server_words(response)
        if words == "unmatched topic":
            words = f"{words}: this socket doesn't serve {self._topic!r}. Is it one with Absinthe?"
        return Refusal({**response, "message": words} if is_mapping(response) else words)

    def _on_answer(self, ref: str, payload: msgspec.Raw) -> Event:
        """Handle the reply to an operation: a result, the id of a subscription, or errors."""
        asked = self._asked.pop(ref)
        del self._ref_of[asked.id]
        status, response = self._reply(payload)
        topic = response.get("subscriptionId") if is_mapping(response) else None
        events: list[Event] = []
        if status == "ok" and isinstance(topic, str) and asked.is_subscription:
            events += self._on_started(asked, ref, topic)
        elif is_mapping(response) and response.get("reason") == "unmatched topic":
            self._joined = False
            return Ended("the server doesn't know the channel any more (unmatched topic)")
        elif not asked.is_left:
            events += _answer(asked.id, status, response, payload)
        if asked.is_subscription:
            events += self._settle(ref, topic if isinstance(topic, str) else None)
        return events[0] if len(events) == 1 else Several(events)

    def _on_started(self, asked: _Asked, ref: str, topic: str) -> list[Event]:
        early = self._topics.add(asked.id, topic, ref)
        if asked.is_left:
            if self._topics.leave(asked.id, topic, ref):
                return [Say(self._unsubscribe(topic))]
            return []
        self._topic_of[asked.id] = topic
        return [Started(asked.id), *(self._result(asked.id, result) for result in early)]

    def _settle(self, ref: str, topic: str | None) -> list[Event]:
        """Return what has waited for a reply, which names a topic or none."""
        results, topics = self._topics.settle(ref, topic)
        events: list[Event] = [self._result(id, each) for ids, each in results for id in ids]
        return [*events, *(Say(self._unsubscribe(topic)) for topic in topics)]

    def on_data(self, frame: _Frame) -> Event:
        if frame.topic in self._late:
            return NOTHING
        payload = bytes(frame.payload)
        ids = self._topics.take(frame.topic, payload)
        if len(ids) == 1:
            return self._result(ids[0], payload)
        return Several([self._result(id, payload) for id in ids]) if ids else NOTHING

    def on_error(self, frame: _Frame) -> Event:
        if frame.topic != self._topic or frame.join_ref not in {None, self._join_ref}:
            return NOTHING
        self._joined = False
        return Ended("the channel crashed on the server (phx_error)")

    def on_close(self, frame: _Frame) -> Event:
        if frame.topic != self._topic or frame.join_ref != self._join_ref:
            return NOTHING
        self._joined = False
        return Ended("the server closed the channel (phx_close)")

    # Reading payloads.

    def _reply(self, payload: msgspec.Raw) -> tuple[Any, Any]:
        """Return the status and the response of a reply."""
        reply = self._decode(bytes(payload))
        return (reply.get("status"), reply.get("response")) if is_mapping(reply) else (None, reply)

    def _decode(self, text: bytes) -> Any:
        """Return the value of a payload, or the text of one that can't be read."""
        try:
            return self._json.decode(text)
        except (ValueError, RecursionError):
            try:
                return self._json.decode(replace_lone_surrogates(text))
            except (ValueError, RecursionError):
                return text.decode(errors="replace")

    def _result(self, id: str, payload: bytes) -> Next | Malformed:
        """Return the result in the payload of a ``subscription:data``."""
        if self._reads_at_once:
            try:
                result = _DATA.decode(payload).result
                if type(result.data) is dict or is_result(result):
                    return Next(id, result)
            except (ValueError, RecursionError):
                pass
        decoded = self._decode(payload)
        given = decoded.get("result") if is_mapping(decoded) else decoded
        return result_event(id, given, payload.decode(errors="replace"))


_EVENTS: dict[str, Callable[[_PhoenixCodec, _Frame], Event]] = {
    "phx_reply": _PhoenixCodec.on_reply,
    "subscription:data": _PhoenixCodec.on_data,
    "phx_error": _PhoenixCodec.on_error,
    "phx_close": _PhoenixCodec.on_close,
}


def _decode_frame(message: bytes | str) -> _Frame:
    # What stays JSON text for now would not be checked otherwise.
    return _FRAMES.decode(message if message.isascii() else checked_utf8(message))


def _read(message: bytes | str) -> _Frame:
    """Read a message; raise ``ProtocolViolation`` for what is no frame."""
    try:
        return _decode_frame(message)
    except (ValueError, RecursionError) as exc:
        try:
            return read_replacing_surrogates(_decode_frame, message, exc)
        except ProtocolViolation as violation:
            if violation.code != CloseCode.BAD_REQUEST:
                raise
            raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, violation.reason) from exc


def _answer(id: str, status: Any, response: Any, payload: msgspec.Raw) -> list[Event]:
    """Return what the reply to an operation means that started no subscription."""
    if status == "ok":
        return [result_event(id, response, bytes(payload).decode(errors="replace")), Complete(id)]
    if is_mapping(response):
        for name in ("errors", "error"):
            if response.get(name):
                return [Error(id, response[name])]
        if server_words(response):
            return [Error(id, response)]
    return [Error(id, bytes(encode(response)).decode())]


PHOENIX = Phoenix()
