"""The result of an operation."""

from __future__ import annotations

from typing import Any

import msgspec

from ..exceptions import TransportQueryError

__all__ = ["ExecutionResult", "data_or_raise"]


class ExecutionResult(msgspec.Struct, gc=False):
    """One result, as the GraphQL specification's "Response Format" has it (§7.1).

    Attributes:
        data: The data; ``None`` both when the response has no data and when it is null.
        errors: The errors, as the server sent them; ``None`` if there are none.
        extensions: The extensions; ``None`` if there are none.

    The garbage collector does not track results, since there are many. A result that is put into
    its own ``data`` is never freed.
    """

    data: Any = None
    errors: list[Any] | None = None
    extensions: Any = None


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
    return result.data
