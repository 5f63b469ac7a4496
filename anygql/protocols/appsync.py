"""AWS AppSync's real-time protocol: a relative of the legacy ``graphql-ws``.

https://docs.aws.amazon.com/appsync/latest/devguide/real-time-websocket-client.html

Each subscription is authorized by itself, over the bytes that start it. The server confirms each
start and each end, so a subscription has the states in ``_Stage``. Where AppSync does other things
than its documentation says, the comments say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, cast

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import BODY_LIMIT, ProtocolViolation
from ..json import JSON, encode_named, is_mapping, replace_lone_surrogates
from ..results.appsync_errors import error_code, error_type, is_unauthorized
from .base import Codec
from .close_codes import CloseCode
from .events import (
    NOTHING,
    Ack,
    Complete,
    Error,
    Event,
    Failed,
    KeepAlive,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    Unknown,
)
from .messages import result_event

__all__ = ["AppSyncCodec", "AuthorizedStart", "RefusalMemory", "start_data"]

#: Seconds of silence after which a connection is dead, if the server names no time.
DEFAULT_TIMEOUT = 300.0

#: Maximum number of subscriptions that were left before the server has confirmed their start, and
#: of those whose next authorization is their second. Older ones are forgotten.
MAX_REMEMBERED = 1024

_encode = msgspec.json.Encoder().encode


class AuthorizedStart(NamedTuple):
    """What a subscription is started with."""

    #: The operation, as JSON text: the very bytes that the authorization is for.
    data: bytes
    #: The headers that authorize it.
    headers: Mapping[str, str]
    #: Whether other credentials may follow these if they are refused.
    is_refreshable: bool = False

    def __repr__(self) -> str:
        return "<AuthorizedStart>"


def start_data(json: JSON, request: GraphQLRequest) -> bytes:
    """Return an operation as the JSON text that starts it.

    Raises:
        TypeError: AppSync can't take the request, or a variable has no JSON form.
    """
    if request.extensions:
        raise TypeError("AppSync takes no extensions with a subscription: leave them out")
    if request.source.is_incremental:
        raise TypeError("AppSync has no @defer and @stream: leave them out")
    if len(request.source.operations) > 1:
        raise TypeError(
            "AppSync takes no operation name with a subscription: send a document with this "
            "operation alone"
        )
    variables = encode_named(json, request.variable_values or {}, "variables")
    return _encode({"query": request.source.json, "variables": msgspec.Raw(variables)})


class RefusalMemory:
    """Whether the last attempt to connect was refused for its credentials.

    It outlives connections: after one such refusal, an attempt with new credentials is made.
    """

    def __init__(self) -> None:
        self.is_refused = False


class _Stage(Enum):
    """How far a subscription has come."""

    #: The server hasn't confirmed its start.
    STARTING = "starting"
    #: The same, and it was left: it can be stopped only when its start is confirmed. (Until then
    #: AppSync ignores a ``stop``, and counts what runs on against its maximum of subscriptions.)
    LEFT = "left"
    RUNNING = "running"
    #: The server hasn't confirmed its end.
    STOPPING = "stopping"


class _Subscription:
    """A subscription that the server may know of."""

    __slots__ = ("data", "is_refreshable", "is_second", "stage")

    def __init__(self, start: AuthorizedStart, *, is_second: bool) -> None:
        self.data = start.data
        self.is_refreshable = start.is_refreshable
        #: Whether it was refused for its credentials, and this is the other try.
        self.is_second = is_second
        self.stage = _Stage.STARTING


class AppSyncCodec(Codec):
    """The protocol as one connection speaks it.

    Args:
        json: How JSON becomes values.
        is_refreshable: Whether other credentials may follow those that are refused.
        memory: What outlives connections.
    """

    __slots__ = (
        "_is_acknowledged",
        "_is_refreshable",
        "_json",
        "_memory",
        "_refused",
        "_subscriptions",
        "keep_alive_timeout",
    )

    def __init__(self, json: JSON, *, is_refreshable: bool, memory: RefusalMemory) -> None:
        self.keep_alive_timeout: float | None = None
        self._json = json
        self._is_refreshable = is_refreshable
        self._memory = memory
        self._is_acknowledged = False
        self._subscriptions: dict[str, _Subscription] = {}
        # By the text of the operation, since another try has another id.
        self._refused: dict[bytes, int] = {}

    # What is sent.

    def connection_init(self, payload: Any) -> bytes:
        """Return the message that opens the connection. It has no payload."""
        return b'{"type":"connection_init"}'

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        """Return the message that starts a subscription, from its ``AuthorizedStart``."""
        start: AuthorizedStart = authorization
        self._subscriptions[id] = _Subscription(start, is_second=self._takes_second(start))
        payload = {
            "data": start.data.decode(),
            "extensions": {"authorization": dict(start.headers)},
        }
        return _encode({"id": id, "type": "start", "payload": payload})

    def _takes_second(self, start: AuthorizedStart) -> bool:
        refused = self._refused.pop(start.data, 0)
        if refused > 1:
            self._refused[start.data] = refused - 1
        return refused > 0

    def complete(self, id: str) -> bytes | None:
        """Return the message that stops a subscription, if it can be stopped already."""
        subscription = self._subscriptions.get(id)
        if subscription is None:
            return None
        if subscription.stage is _Stage.STARTING:
            self._leave(id, subscription)
            return None
        return self._stop(id, subscription)

    def _leave(self, id: str, subscription: _Subscription) -> None:
        """Let a subscription be stopped when its start is confirmed."""
        subscription.stage = _Stage.LEFT
        if len(self._subscriptions) > MAX_REMEMBERED:
            left = (each for each, it in self._subscriptions.items() if it.stage is _Stage.LEFT)
            del self._subscriptions[next(left, id)]

    def _stop(self, id: str, subscription: _Subscription) -> bytes:
        subscription.stage = _Stage.STOPPING
        return _encode({"id": id, "type": "stop"})

    def forget(self, id: str) -> None:
        """Forget a subscription that was never sent."""
        self._subscriptions.pop(id, None)

    def terminate(self) -> Sequence[bytes]:
        """Return the messages that stop everything."""
        return [
            self._stop(id, subscription)
            for id, subscription in self._subscriptions.items()
            if subscription.stage is _Stage.RUNNING
        ]

    @property
    def is_terminated(self) -> bool:  # type: ignore[override]
        """Whether the server has confirmed the end of everything that was stopped."""
        return all(it.stage is not _Stage.STOPPING for it in self._subscriptions.values())

    # What is received.

    def receive(self, message: bytes | str) -> Event:
        """Return the event in a message. One of an unknown type, or id, does no harm."""
        received = self._decode(message)
        id, payload = _text(received.get("id")), received.get("payload")
        match received.get("type"):
            case "data":
                return result_event(id, payload) if self._is_wanted(id) else NOTHING
            case "ka":
                return KeepAlive()  # it says no more than any other message
            case "start_ack":
                return self._started(id)
            case "complete":
                return self._completed(id)
            case "error":
                return self._failed(id, payload) if id else self._failed_for_unknown(payload)
            case "connection_ack":
                return self._acknowledged(payload)
            case "connection_error":
                return self._connection_refused(payload)
            case kind:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                return Unknown(_text(kind) or None, text[:BODY_LIMIT])

    def _decode(self, message: bytes | str) -> Mapping[str, Any]:
        text = message.encode(errors="surrogatepass") if isinstance(message, str) else message
        try:
            received = self._decode_json(text)
        except (ValueError, RecursionError):
            raise _violation(text) from None
        if not is_mapping(received):
            raise ProtocolViolation(CloseCode.BAD_REQUEST, "a message is not a JSON object")
        return received

    def _decode_json(self, text: bytes) -> Any:
        try:
            return self._json.decode(text)
        except ValueError:
            return self._json.decode(replace_lone_surrogates(text))

    def _acknowledged(self, payload: Any) -> Event:
        self._is_acknowledged = True
        self._memory.is_refused = False
        self.keep_alive_timeout = _timeout_in(payload)
        return Ack(payload)

    def _connection_refused(self, payload: Any) -> Event:
        if self._is_acknowledged:
            return Refusal(payload)  # about a message of ours: it is logged
        if _is_unauthorized(payload) and self._is_refreshable and not self._memory.is_refused:
            self._memory.is_refused = True
            return Rejection(payload)
        return Refusal(payload) if _is_final(payload) else Rejection(payload)

    def _started(self, id: str) -> Event:
        subscription = self._subscriptions.get(id)
        if subscription is None:
            return NOTHING
        if subscription.stage is _Stage.LEFT:
            return Say(self._stop(id, subscription))
        if subscription.stage is not _Stage.STARTING:
            return NOTHING
        subscription.stage = _Stage.RUNNING
        subscription.is_second = False
        return Started(id)

    def _is_wanted(self, id: str) -> bool:
        subscription = self._subscriptions.get(id)
        if subscription is None:
            return False
        return subscription.stage is _Stage.RUNNING or subscription.stage is _Stage.STARTING

    def _completed(self, id: str) -> Event:
        is_wanted = self._is_wanted(id)
        self._subscriptions.pop(id, None)
        return Complete(id) if is_wanted else NOTHING

    def _failed(self, id: str, payload: Any) -> Event:
        is_wanted = self._is_wanted(id)
        subscription = self._subscriptions.pop(id, None)
        if subscription is None or not is_wanted:
            return NOTHING
        if _types_in(payload) & _PASSING:
            return Failed(id, payload)
        has_another_try = subscription.is_refreshable and not subscription.is_second
        if has_another_try and _is_unauthorized(payload):
            # Never the connection: other subscriptions have authorizations of their own.
            self._remember_refused(subscription.data)
            return Failed(id, payload)
        return Error(id, payload)

    def _remember_refused(self, data: bytes) -> None:
        self._refused[data] = self._refused.get(data, 0) + 1
        if len(self._refused) > MAX_REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def _failed_for_unknown(self, payload: Any) -> Event:
        """Handle an error without an id: ``LimitExceededError`` comes like this.

        It is about what has just been asked for, never about what runs.
        """
        if not self._is_acknowledged:
            return self._connection_refused(payload)
        starting = [
            (id, subscription)
            for id, subscription in self._subscriptions.items()
            if subscription.stage is _Stage.STARTING
        ]
        if not starting:
            return Refusal(payload)  # which is logged
        for id, subscription in starting:
            # One of them may have been started after all: then it is to be stopped.
            self._leave(id, subscription)
        return Several([Failed(id, payload) for id, _ in starting])


def _violation(text: bytes) -> ProtocolViolation:
    """Return what is wrong with a message that can't be decoded."""
    try:
        text.decode()
    except UnicodeDecodeError:
        # RFC 6455 §8.1: the endpoint must then fail the connection (with 1007, §7.4.1).
        return ProtocolViolation(CloseCode.INVALID_DATA, "a message is not valid UTF-8")
    return ProtocolViolation(CloseCode.BAD_REQUEST, "a message is not JSON")


# Errors, which AppSync has in several shapes: a list, a single object, or a message alone.

#: Refusals of a connection that nothing but other credentials can change.
_FINAL_TYPES = frozenset({"BadRequestException", "UnauthorizedException"})
_FINAL_CODES = frozenset({400, 401, 403})

#: Errors of one subscription that pass, as others end.
_PASSING = frozenset({"LimitExceededError", "MaxSubscriptionsReachedError"})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _timeout_in(payload: Any) -> float:
    """Return the seconds of silence that the server names. Its simulator has another name."""
    if is_mapping(payload):
        for name in ("connectionTimeoutMs", "connectionTimeout"):
            value: Any = payload.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                return value / 1000
    return DEFAULT_TIMEOUT


def _errors_in(payload: Any) -> Iterator[Mapping[str, Any]]:
    errors: Any = payload.get("errors") if is_mapping(payload) else None
    listed = cast("list[Any]", errors) if isinstance(errors, list) else [errors or payload]
    return (error for error in listed if is_mapping(error))


def _types_in(payload: Any) -> set[str]:
    return {error_type(error) for error in _errors_in(payload)}


def _codes_in(payload: Any) -> set[int | None]:
    return {error_code(error) for error in _errors_in(payload)}


def _is_final(payload: Any) -> bool:
    return bool(_types_in(payload) & _FINAL_TYPES or _codes_in(payload) & _FINAL_CODES)


def _is_unauthorized(payload: Any) -> bool:
    return any(is_unauthorized(error, is_appsync=True) for error in _errors_in(payload))
