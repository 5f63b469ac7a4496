"""What an operation gives back."""

from __future__ import annotations

from typing import Any

import msgspec

from ..exceptions import TransportQueryError

__all__ = ["ExecutionResult", "data_or_raise"]


class ExecutionResult(msgspec.Struct, gc=False):
    """One result, as the GraphQL specification's "Response Format" has it (§7.1).

    ``data`` is ``None`` both when the answer had no data and when it was null; ``errors`` is
    ``None`` when there were none.

    The garbage collector does not look into it, as there are many: put it into its own ``data``
    and it is never freed.
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
    """The data of a result without errors; raises ``TransportQueryError`` for one with them."""
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
