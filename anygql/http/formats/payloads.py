"""JSON payloads of streamed responses: an event's data, a part's body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ...exceptions import ProtocolViolation
from ...json import JSON, MsgspecJSON
from ...protocols.close_codes import CloseCode
from ...protocols.messages import read_replacing_surrogates
from ...results.answers import NotAResult, read_result, server_words
from ...results.result import ExecutionResult, json_text, read_undecoded

__all__ = ["BadPayload", "payload_reader", "read_payload", "require_object", "result_reader"]

_T = TypeVar("_T")


def payload_reader(type_: type[_T], json: JSON) -> Callable[[bytes | str], _T]:
    """Return a function from a JSON text to ``type_``, which raises ``ProtocolViolation``."""

    def convert(text: bytes | str) -> _T:
        value: Any = json.decode(text.encode() if isinstance(text, str) else text)
        return msgspec.convert(value, type_)

    # msgspec itself checks and builds in one pass
    is_default = type(json) is MsgspecJSON
    read = msgspec.json.Decoder(type_).decode if is_default else convert

    def checked(text: bytes | str) -> _T:
        try:
            return read(text)
        except (ValueError, RecursionError) as exc:
            return read_replacing_surrogates(read, text, exc)

    return checked


class BadPayload(ProtocolViolation):
    """JSON in a stream that is no GraphQL result, and concerns one operation alone.

    Attributes:
        payload: The JSON value that came.
    """

    def __init__(self, what: str, payload: object) -> None:
        words = server_words(payload)
        quoted = f" ({words})" if words else ""
        super().__init__(CloseCode.BAD_REQUEST, f"{what}, which is no GraphQL response{quoted}")
        self.payload = payload


def read_payload(payload: object, name: str = "a result") -> ExecutionResult:
    """Return decoded JSON as a result. Raise ``BadPayload``, which calls it ``name``."""
    try:
        return read_result(payload, any_data=True)
    except NotAResult as what:
        raise BadPayload(f"{name} is {what}", payload) from None


def require_object(result: ExecutionResult) -> None:
    """Raise ``BadPayload`` for a result without errors whose data are no object."""
    if json_text(result) is not None:  # left undecoded since it is an object
        return
    if result.data.__class__ is not dict and not result.errors:
        try:
            read_result({"data": result.data})
        except NotAResult as what:
            raise BadPayload(f"a result is {what}", {"data": result.data}) from None


def result_reader(
    json: JSON, *, takes_json: bool = False
) -> Callable[[bytes | str], ExecutionResult]:
    """Return a function from a JSON text to a result, which raises ``ProtocolViolation``.

    With ``takes_json``, the data of a result without errors are left as JSON text.
    """
    read_typed = payload_reader(ExecutionResult, json)
    read_any: Callable[[bytes | str], object] = payload_reader(object, json)

    def read(text: bytes | str) -> ExecutionResult:
        try:
            result = read_typed(text)
        except ProtocolViolation as violation:
            try:
                payload = read_any(text)
            except ProtocolViolation:
                raise violation from None
            raise BadPayload(violation.reason, payload) from None
        if result.data.__class__ is dict or result.has_data or result.errors:
            return result
        return read_payload(read_any(text))

    leaves = takes_json and type(json) is MsgspecJSON
    return (lambda text: read_undecoded(text) or read(text)) if leaves else read
