"""What to write in the place of common mistakes: the names that other clients have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from types import EllipsisType
from typing import Any, NoReturn

from ..net.options import check_seconds, refuse_options

__all__ = ["CONNECT_HINTS", "check_timeout", "refuse_call"]

_VARIABLES = "write variable_values=, or the variables as second argument"
_TRANSPORT = "write transport_args={{{0!r}: …}}"

#: For the operations of a session.
_CALL_HINTS = {
    **dict.fromkeys(("variables", "variable", "vars", "values", "variable_value"), _VARIABLES),
    **dict.fromkeys(("operation", "operationName", "op_name"), "write operation_name="),
    **dict.fromkeys(
        ("query", "document", "mutation", "subscription", "source"),
        "write the document as first argument",
    ),
    **dict.fromkeys(("type", "model", "cls", "response_model", "as_type"), "write result_type="),
    **{
        name: _TRANSPORT.format(name)
        for name in ("headers", "cookies", "params", "auth", "progress", "follow_redirects")
    },
    "extra_args": "write transport_args=",
    "get_execution_result": "call execute_result() or subscribe_results()",
    "parse_result": "write parse_results=",
    "upload_files": "leave it out: files are found among the variables, each as FileVar(file)",
    "execute_timeout": "write timeout=",
    "timeout": "there is none: write `with anyio.fail_after(seconds):` around it",
}

#: For ``connect`` and ``connect_async``.
CONNECT_HINTS = {
    name: f"it is an option of the client: Client(…, {name}=…)"
    for name in ("execute_timeout", "on_event", "schema", "fetch_schema", "is_retryable")
} | {
    **dict.fromkeys(("reconnect", "permanent"), "write reconnecting=True"),
    "headers": "it is an option of the transport: Client(url, headers=…)",
    "init_payload": "it is an option of the transport: Client(url, init_payload=…)",
    "timeout": "write connect_timeout= where the transport is made",
    "connect_timeout": "it is an option of the transport",
}


def refuse_call(method: Callable[..., Any], mistaken: Mapping[str, Any]) -> NoReturn:
    """Raise ``TypeError`` for arguments that an operation of a session doesn't take."""
    known = signature(method).parameters
    hints = {name: hint for name, hint in _CALL_HINTS.items() if _applies(hint, known)}
    refuse_options(f"{method.__name__}()", mistaken, hints, known)


def _applies(hint: str, known: Mapping[str, Any]) -> bool:
    """Return whether a hint to another argument names one that there is."""
    word = hint.removeprefix("write ").partition("=")[0]
    return word not in {"timeout", "result_type", "variable_values", "operation_name"} or (
        word in known
    )


def check_timeout(timeout: float | EllipsisType | None) -> None:
    """Raise ``TypeError`` for a ``timeout`` that is no number of seconds."""
    if timeout is not ... and timeout is not None:
        check_seconds("timeout", timeout)
