"""A protocol of a user's own, with everything that a protocol can have: arrays, named by words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from anygql import ExecutionResult
from anygql.documents.request import GraphQLRequest
from anygql.json import JSON
from anygql.protocols import (
    NOTHING,
    Ack,
    Codec,
    Complete,
    Ended,
    Error,
    Event,
    Failed,
    Malformed,
    Next,
    Pong,
    Prepared,
    Refusal,
    Rejection,
    Say,
    Several,
    Started,
    SubscriptionProtocol,
    result_event,
)

__all__ = ["Arrays", "ArraysCodec"]

encode = msgspec.json.encode


class ArraysCodec(Codec):
    """Each message is an array that begins with a word."""

    def __init__(self, json: JSON) -> None:
        self.forgotten: list[str] = []

    def connection_init(self, payload: Any) -> bytes:
        return encode(["hello", payload])

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        parts = ["run", id, request.text]
        return encode(parts if authorization is None else [*parts, authorization])

    def complete(self, id: str) -> bytes | None:
        return encode(["stop", id])

    def forget(self, id: str) -> None:
        self.forgotten.append(id)

    def ping(self, payload: Any = None) -> bytes | None:
        return encode(["ping"])

    def receive(self, message: bytes | str) -> Event:
        return self.event(msgspec.json.decode(message))

    def event(self, parts: Any) -> Event:
        match parts:
            case ["welcome", *rest]:
                self.keep_alive_timeout = rest[0] if rest else None
                return Ack()
            case ["result", str(id), payload]:
                return result_event(id, payload)
            case ["over", str(id)]:
                return Complete(id)
            case ["refused", str(id), why]:
                return Error(id, why)
            case ["failed", str(id), why]:
                return Failed(id, why)
            case ["started", str(id)]:
                return Started(id)
            case ["pong"]:
                return Pong()
            case ["go away", why]:
                return Refusal(why)
            case ["not now", why]:
                return Rejection(why)
            case ["useless", str(why), bool(retryable)]:
                return Ended(why, retryable)
            case ["echo", what]:
                return Say(encode(what))
            case ["several", *messages]:
                return Several([self.event(each) for each in messages])
            case _:
                return NOTHING


class LazyCodec(ArraysCodec):
    """One that checks a result only when it is asked to: data may come as JSON in a text."""

    def event(self, parts: Any) -> Event:
        match parts:
            case ["result", str(id), {"data": str(data)}]:
                return Next(id, ExecutionResult(data))
            case _:
                return super().event(parts)

    def reread(self, message: bytes | str) -> Next | Malformed:
        _, id, payload = msgspec.json.decode(message)
        return result_event(id, {"data": msgspec.json.decode(payload["data"])})


class PatientCodec(ArraysCodec):
    """One that says goodbye, and waits for an answer."""

    is_terminated = False

    def complete(self, id: str) -> bytes | None:
        return None

    def terminate(self) -> Sequence[bytes]:
        return [encode(["stop all"]), encode(["bye"])]

    def event(self, parts: Any) -> Event:
        if parts == ["bye"]:
            self.is_terminated = True
        return super().event(parts)


class Arrays(SubscriptionProtocol):
    """The protocol as a value; ``options`` are attributes of it."""

    subprotocols = ("arrays",)

    def __init__(
        self,
        *,
        prepared: Callable[[str], Awaitable[Prepared]] | None = None,
        authorization: Callable[[GraphQLRequest, Any], Awaitable[Any]] | None = None,
        codec: type[ArraysCodec] = ArraysCodec,
        **options: Any,
    ) -> None:
        self._prepared = prepared
        self._authorization = authorization
        self._codec = codec
        self.authorizes = authorization is not None
        self.codecs: list[ArraysCodec] = []
        for name, value in options.items():
            setattr(self, name, value)

    def codec(self, json: JSON) -> Codec:
        self.codecs.append(self._codec(json))
        return self.codecs[-1]

    async def prepare(self, url: str) -> Prepared:
        if self._prepared is None:
            return await super().prepare(url)
        return await self._prepared(url)

    async def authorize(
        self, request: GraphQLRequest, transport_args: Mapping[str, Any] | None, **given: Any
    ) -> Any:
        if self._authorization is None:
            return await super().authorize(request, transport_args, **given)
        return await self._authorization(request, transport_args)
