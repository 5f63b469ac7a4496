"""How errors are told in spans and metrics: by their kind, never by their words.

Messages may quote variables and literals, so no message is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from anyio import get_cancelled_exc_class
from opentelemetry.trace import Span, Status, StatusCode

from ..concurrency.cancellation import is_cancellation
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError

__all__ = [
    "MAX_EVENTS",
    "error_type",
    "error_type_of_result",
    "record_end",
    "record_errors",
    "record_kind",
    "was_canceled",
]

#: Number of errors of one result that get an event. The others are counted.
MAX_EVENTS = 10

#: What a code looks like. Servers may put anything there, sentences too.
_CODE = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")

#: A response key (specification §2.1.9, Name).
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")

#: Integers beyond this are no codes and no indexes. Python refuses to print very long ones.
_LARGEST = 2**63

#: Number of characters of a path that are recorded. The server alone decides how long it is.
_PATH_LENGTH = 1024

#: Modules whose classes need no module's name to be known.
_KNOWN = frozenset({"anygql", "builtins"})


def _code(error: Any) -> str | None:
    """Return the ``extensions.code`` of a GraphQL error, if it looks like one."""
    if not isinstance(error, Mapping):
        return None
    extensions = cast("Mapping[str, Any]", error).get("extensions")
    if not isinstance(extensions, Mapping):
        return None
    code = cast("Mapping[str, Any]", extensions).get("code")
    if _is_small_int(code):
        code = str(code)
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _first_code(errors: Sequence[Any]) -> str | None:
    return next(filter(None, map(_code, errors)), None)


def _path(error: Any) -> str | None:
    """Return the path of a GraphQL error, such as ``hero.friends[0].name``."""
    path = cast("Mapping[str, Any]", error).get("path") if isinstance(error, Mapping) else None
    if not isinstance(path, list):
        return None
    text = ""
    for key in cast("list[Any]", path):
        if _is_small_int(key):
            text += f"[{key}]"
        else:
            text += "." if text else ""
            text += key if isinstance(key, str) and _NAME.fullmatch(key) else "?"
        if len(text) > _PATH_LENGTH:
            return text[:_PATH_LENGTH] + "…"
    return text or None


def _is_small_int(value: Any) -> bool:
    return type(value) is int and -_LARGEST <= value < _LARGEST


def error_type(error: BaseException) -> str:
    """Return the kind of an error: the first ``extensions.code``, or its class and code."""
    kind = type(error)
    if not isinstance(error, TransportError):
        known = kind.__module__ in _KNOWN
        return kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"
    code = _first_code(error.errors)
    if code is not None:
        return code
    return kind.__qualname__ if error.code is None else f"{kind.__qualname__}:{error.code}"


def error_type_of_result(errors: Sequence[Any]) -> str:
    """Return the kind of a result's errors: the first ``extensions.code``, or what they raise."""
    return _first_code(errors) or "TransportQueryError"


def record_end(
    span: Span, error: BaseException | None, request: GraphQLRequest
) -> dict[str, str | int | bool]:
    """Record what an operation ended with instead of a result.

    Args:
        span: The operation's span.
        error: What was raised; ``None`` if its caller has left.
        request: The operation.

    Returns:
        The attributes that say the same for metrics.
    """
    if error is None or was_canceled(error):
        span.set_attribute("anygql.cancelled", True)
        return {"anygql.cancelled": True}
    if isinstance(error, TransportError):
        _add_events(span, error.errors, request)
    return {"error.type": record_kind(span, error_type(error))}


def record_errors(span: Span, errors: Sequence[Any], request: GraphQLRequest) -> str:
    """Set a span's status for a result's errors, and return the kind of the first."""
    kind = error_type_of_result(errors)
    _add_events(span, errors, request)
    return record_kind(span, kind)


def record_kind(span: Span, kind: str) -> str:
    """Set a span's status for an error of this kind, and return the kind."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
    return kind


def _add_events(span: Span, errors: Sequence[Any], request: GraphQLRequest) -> None:
    if not errors or not span.is_recording():
        return
    span.set_attribute("graphql.error.count", len(errors))
    name, kind = request.operation
    for error in errors[:MAX_EVENTS]:
        attributes = {
            "graphql.operation.type": kind,
            "graphql.operation.name": name,
            "graphql.error.code": _code(error),
            "graphql.error.path": _path(error),
        }
        known = {key: value for key, value in attributes.items() if value is not None}
        span.add_event("graphql.error", known)


def was_canceled(error: BaseException) -> bool:
    """Return whether this ends a call because its caller has gone, and not for a fault."""
    if isinstance(error, Exception | KeyboardInterrupt | SystemExit):
        return False
    if isinstance(error, BaseExceptionGroup):
        # Beside a fault, trio's groups have the cancellations of other tasks.
        return error.split(get_cancelled_exc_class())[1] is None  # pyright: ignore[reportUnknownMemberType]
    # Without a loop, a coroutine is closed when it is collected.
    return isinstance(error, GeneratorExit) or is_cancellation(error)
