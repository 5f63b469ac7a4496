"""Whether a server has done anything of an operation that it refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..documents.request import GraphQLRequest
from ..exceptions import TransportServerError
from ..net.statuses import REFUSING_STATUSES
from ..results.result import ExecutionResult

__all__ = ["is_wholly_refused"]


def is_wholly_refused(request: GraphQLRequest, outcome: ExecutionResult | Exception) -> bool:
    """Return whether the server did nothing of an operation that it refused.

    A query may always be sent again. Of a mutation, the errors must say that its execution hasn't
    begun, or was over with the one field at the top (specification §7.1.2, "Errors").
    """
    if request.kind != "mutation":
        return True
    if getattr(outcome, "data", None) is not None:
        return False
    if isinstance(outcome, TransportServerError):
        return outcome.code in REFUSING_STATUSES
    errors: list[Any] = getattr(outcome, "errors", None) or []
    if not errors and not isinstance(outcome, ExecutionResult):
        return False
    depth = max((_depth(error) for error in errors), default=0)
    return not depth or (depth == 1 and request.has_one_field)


def _depth(error: Any) -> int:
    """Return how deep in the result an error is: 0 if the request as a whole is wrong."""
    path = cast("Mapping[str, Any]", error).get("path") if isinstance(error, Mapping) else None
    return len(cast("list[Any]", path)) if isinstance(path, list) else 0
