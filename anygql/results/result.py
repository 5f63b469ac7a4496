"""The result of an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..exceptions import BODY_LIMIT, TransportProtocolError, TransportQueryError
from ..json import checked_utf8

__all__ = [
    "ExecutionResult",
    "Origin",
    "ResultWithOrigin",
    "UndecodedResult",
    "copy_result",
    "data_or_raise",
    "decode_data",
    "is_result",
    "is_undecoded_object",
    "json_text",
    "query_error",
    "read_undecoded",
    "with_data",
]


class _Payload(msgspec.Struct, gc=False):
    """The fields as they are encoded; an absent ``data`` is ``UNSET``."""

    data: Any = msgspec.UNSET
    errors: list[Any] | None = None
    extensions: Any = None


class ExecutionResult(_Payload, gc=False):
    """One result, as the GraphQL specification's "Response Format" has it (§7.1).

    Attributes:
        data: The data; ``None`` both when the response has no data and when it is null.
        errors: The errors, as the server sent them; ``None`` if there are none.
        extensions: The extensions; ``None`` if there are none.

    The garbage collector does not track results, since there are many. A result that is put into
    its own ``data`` is never freed.
    """

    if not TYPE_CHECKING:  # type checkers see the field
        #: The field itself, for reading it at the speed of a field. It may be JSON text.
        raw_data = _Payload.data

        @property
        def data(self) -> Any:
            data = self.raw_data
            if data.__class__ is dict:
                return data
            if data.__class__ is msgspec.Raw:
                return decode_data(self)
            return None if data is msgspec.UNSET else data

    @property
    def has_data(self) -> bool:
        """Whether the response has ``data`` at all, be it null."""
        return _raw_data(self) is not msgspec.UNSET

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP response's headers, by lower-case name; empty over anything but HTTP."""
        return _NO_HEADERS

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionResult):
            return NotImplemented
        return (self.data, self.errors, self.extensions) == (
            other.data,
            other.errors,
            other.extensions,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = f"data={self.data!r}, errors={self.errors!r}, extensions={self.extensions!r}"
        return f"ExecutionResult({fields})"


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The HTTP response that a result came by."""

    status: int
    headers: Mapping[str, str]
    #: The start of the body, as text, if the result has errors.
    body: str = ""
    #: What to add to the message of an error.
    advice: str = ""


class ResultWithOrigin(ExecutionResult, gc=True, dict=True):
    """A result that came by HTTP.

    Its origin is no field, since it is no part of the result when that is encoded or compared.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP response's headers."""
        origin = _origin(self)
        return _NO_HEADERS if origin is None else origin.headers

    @classmethod
    def make(cls, result: ExecutionResult, origin: Origin) -> ResultWithOrigin:
        """Return the same result with its origin."""
        made = cls(_raw_data(result), result.errors, result.extensions)
        made.origin = origin  # type: ignore[attr-defined]  # pyright: ignore
        return made


class UndecodedResult(ExecutionResult, gc=False):
    """A result whose data are still JSON text, for a caller that decodes them itself.

    Where ``data`` is read nevertheless, the data are decoded, and are plain data from then on. The
    text has been checked as JSON, but for the range of its numbers.
    """

    if not TYPE_CHECKING:
        data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_BRACE = ord("{")
_DECODE: Callable[[Any], Any] = msgspec.json.Decoder().decode
_READ_UNDECODED = msgspec.json.Decoder(UndecodedResult).decode


def read_undecoded(text: bytes | str) -> UndecodedResult | None:
    """Read a JSON text in UTF-8 as a result, and leave its data undecoded.

    Return ``None`` for a text that is anything but a result with an object as data and without
    errors. It is then to be read, and judged, as a whole.
    """
    try:
        result = _READ_UNDECODED(checked_utf8(text))
    except (ValueError, RecursionError):
        return None
    return result if is_undecoded_object(result) else None


def is_undecoded_object(result: ExecutionResult) -> bool:
    """Return whether the data are the JSON text of an object, and there are no errors."""
    data = result.raw_data  # type: ignore[attr-defined]  # pyright: ignore
    is_text = data.__class__ is msgspec.Raw  # pyright: ignore
    return is_text and not result.errors and memoryview(data)[0] == _BRACE  # pyright: ignore


def json_text(result: ExecutionResult) -> msgspec.Raw | None:
    """Return the JSON text of data that are not decoded yet; ``None`` if they are."""
    data = result.raw_data  # type: ignore[attr-defined]  # pyright: ignore
    return data if data.__class__ is msgspec.Raw else None  # pyright: ignore


def decode_data(result: ExecutionResult, server: str = "the server") -> Any:
    """Decode data that are still JSON text, in their place, and return them.

    Raises:
        TransportProtocolError: A number in the text is out of range.
    """
    text: Any = _raw_data(result)
    try:
        data = _DECODE(text)
    except (ValueError, RecursionError) as exc:
        raise TransportProtocolError(
            f"{server} sent no GraphQL result, but JSON that can't be read: "
            f"{str(exc) or 'nested too deeply'}",
            body=bytes(text).decode(errors="replace")[:BODY_LIMIT],
        ) from exc
    result.raw_data = data  # type: ignore[attr-defined]  # pyright: ignore
    return data


def with_data(result: ExecutionResult, data: Any) -> ExecutionResult:
    """Return the same result with other data."""
    again = ExecutionResult(data, result.errors, result.extensions)
    origin = _origin(result)
    return again if origin is None else ResultWithOrigin.make(again, origin)


def copy_result(result: ExecutionResult) -> ExecutionResult:
    """Return an equal result with objects and arrays of its own: a change reaches one of the two.

    Data that are still JSON text are not decoded for it.
    """
    data, errors = _copy_json(_raw_data(result)), _copy_json(result.errors)
    again = ExecutionResult(data, errors, _copy_json(result.extensions))
    origin = _origin(result)
    return again if origin is None else ResultWithOrigin.make(again, origin)


def _copy_json(value: Any) -> Any:
    """Copy the dicts and lists of a JSON value, however deep they are; the rest is immutable."""
    if value.__class__ is not dict and value.__class__ is not list:
        return value
    copied = value.copy()
    unfinished = [copied]
    while unfinished:
        container = unfinished.pop()
        for key, item in container.items() if container.__class__ is dict else enumerate(container):
            if item.__class__ is dict or item.__class__ is list:
                container[key] = again = item.copy()
                unfinished.append(again)
    return copied


_NO_ORIGIN = Origin(0, _NO_HEADERS)


def _origin(result: ExecutionResult) -> Origin | None:
    # A copy or a pickled result has lost it.
    return getattr(result, "origin", None)


def _raw_data(result: ExecutionResult) -> Any:
    return result.raw_data  # type: ignore[attr-defined]  # pyright: ignore


def is_result(result: ExecutionResult) -> bool:
    """Return whether a decoded result is one for certain; others are to be read generically."""
    return bool(result.errors) or _raw_data(result) is None


#: The message of an error that has none.
_NO_REASON = "an error without a message: the server gave no reason"


def _message(error: Any) -> str:
    if isinstance(error, dict) and "message" in error:
        path: Any = error.get("path")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        where = f" (at {'.'.join(map(str, path))})" if isinstance(path, list) and path else ""  # pyright: ignore[reportUnknownArgumentType]
        message = cast("dict[Any, Any]", error)["message"]
        return f"{_NO_REASON if message is None else _or_no_reason(str(message))}{where}"
    return _or_no_reason(str(error))  # pyright: ignore[reportUnknownArgumentType]


def _or_no_reason(text: str) -> str:
    return text if text.strip() else _NO_REASON


def query_error(result: ExecutionResult) -> TransportQueryError | None:
    """Return the error to raise for a result, if the result has errors."""
    if not result.errors:
        return None
    first = _message(result.errors[0])
    more = len(result.errors) - 1
    origin = _origin(result) or _NO_ORIGIN
    return TransportQueryError(
        (first if not more else f"{first} (and {more} more)") + origin.advice,
        errors=result.errors,
        data=result.data,
        extensions=result.extensions,
        code=origin.status or None,
        headers=origin.headers,
        body=origin.body,
    )


def data_or_raise(result: ExecutionResult) -> Any:
    """Return the data of a result; raise ``TransportQueryError`` if the result has errors."""
    if result.errors:
        raise cast("TransportQueryError", query_error(result))
    data = _raw_data(result)
    return data if data.__class__ is dict else result.data
