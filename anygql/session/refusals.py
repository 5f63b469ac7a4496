"""Whether a server has done anything of an operation that it refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..documents.request import GraphQLRequest
from ..exceptions import TransportServerError
from ..net.statuses import REFUSING_STATUSES
from ..results.result import ExecutionResult

__all__ = ["has_run_nothing", "is_wholly_refused"]


def is_wholly_refused(request: GraphQLRequest, outcome: ExecutionResult | Exception) -> bool:
    """Return whether the server did nothing of an operation that it refused.

    A query may always be sent again. Of a mutation, the errors must say that its execution hasn't
    begun, or was over with the one field at the top (specification §7.1.2, "Errors").
    """
    if request.kind != "mutation":
        return True
    if getattr(outcome, "data", None) is not None:
        return False
    errors: list[Any] = getattr(outcome, "errors", None) or []
    if isinstance(outcome, TransportServerError):
        return outcome.code in REFUSING_STATUSES and has_run_nothing(request, errors)
    if not errors and not isinstance(outcome, ExecutionResult):
        return False
    return has_run_nothing(request, errors)


def has_run_nothing(request: GraphQLRequest, errors: list[Any]) -> bool:
    """Return whether errors that came without data say that nothing of a mutation has run.

    A status of HTTP doesn't: servers derive it from the error of one field, and run the others.
    """
    if request.kind != "mutation":
        return True
    depth = max((_depth(error) for error in errors), default=0)
    return not depth or (depth == 1 and request.has_one_field)


def _depth(error: Any) -> int:
    """Return how deep in the result an error is: 0 if the request as a whole is wrong."""
    path = cast("Mapping[str, Any]", error).get("path") if isinstance(error, Mapping) else None
    return len(cast("list[Any]", path)) if isinstance(path, list) else 0
