"""Whether a server has done anything of an operation that it refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..documents.request import GraphQLRequest
from ..exceptions import TransportServerError
from ..net.statuses import REFUSING_STATUSES
from ..results.result import ExecutionResult

__all__ = ["has_data", "has_run_nothing", "is_wholly_refused"]


def has_data(data: Any) -> bool:
    """Return whether a result has any data: an object whose fields are all null has none."""
    if isinstance(data, Mapping):
        return any(value is not None for value in cast("Mapping[str, Any]", data).values())
    return data is not None


def is_wholly_refused(request: GraphQLRequest, outcome: ExecutionResult | Exception) -> bool:
    """Return whether the server did nothing of an operation that it refused.

    A query may always be sent again. Of a mutation, the errors must say that its execution hasn't
    begun, or was over with the one field at the top (specification §7.1.2, "Errors").
    """
    if request.kind != "mutation":
        return True
    data = getattr(outcome, "data", None)
    errors: list[Any] = getattr(outcome, "errors", None) or []
    if isinstance(outcome, TransportServerError):
        return outcome.code in REFUSING_STATUSES and has_run_nothing(request, errors, data)
    if not errors and not isinstance(outcome, ExecutionResult):
        return False
    return has_run_nothing(request, errors, data)


def has_run_nothing(request: GraphQLRequest, errors: list[Any], data: Any = None) -> bool:
    """Return whether errors, and the data beside them, say that nothing of a mutation has run.

    A status of HTTP doesn't: servers derive it from the error of one field, and run the others.
    """
    if request.kind != "mutation":
        return True
    if has_data(data):
        return False
    depth = max((_depth(error) for error in errors), default=0)
    if depth == 0:
        return data is None  # else the fields that are null may have run
    # Whether a field may be null says nothing of what it has done.
    return depth == 1 and request.has_one_field


def _depth(error: Any) -> int:
    """Return how deep in the result an error is: 0 if the request as a whole is wrong."""
    path = cast("Mapping[str, Any]", error).get("path") if isinstance(error, Mapping) else None
    return len(cast("list[Any]", path)) if isinstance(path, list) else 0
