"""The result of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from ..exceptions import TransportQueryError

__all__ = ["ExecutionResult", "data_or_raise", "is_result"]


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
        #: The field itself, for reading it at the speed of a field.
        raw_data = _Payload.data

        @property
        def data(self) -> Any:
            data = self.raw_data
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


def _raw_data(result: ExecutionResult) -> Any:
    return result.raw_data  # type: ignore[attr-defined]  # pyright: ignore


def is_result(result: ExecutionResult) -> bool:
    """Return whether a decoded result is one for certain; others are to be read generically."""
    return bool(result.errors) or _raw_data(result) is None


def _message(error: Any) -> str:
    if isinstance(error, dict) and "message" in error:
        path: Any = error.get("path")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        where = f" (at {'.'.join(map(str, path))})" if isinstance(path, list) and path else ""  # pyright: ignore[reportUnknownArgumentType]
        return f"{error['message']}{where}"
    return str(error)  # pyright: ignore[reportUnknownArgumentType]


def data_or_raise(result: ExecutionResult) -> Any:
    """Return the data of a result; raise ``TransportQueryError`` if the result has errors."""
    if result.errors:
        first = _message(result.errors[0])
        more = len(result.errors) - 1
        raise TransportQueryError(
            first if not more else f"{first} (and {more} more)",
            errors=result.errors,
            data=result.data,
            extensions=result.extensions,
        )
    data = _raw_data(result)
    return None if data is msgspec.UNSET else data
