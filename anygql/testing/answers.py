"""What a stub's answers stand for: results, errors, and streams of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from ..concurrency.cancellation import stray_cancellation
from ..concurrency.closing import aclose_within
from ..concurrency.interrupts import interruptible
from ..exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportTimeout,
    copy_to_raise,
)
from ..json import JSON, encode_named
from ..results.result import ExecutionResult
from .sinks import Sink

__all__ = ["errors_of", "iterate", "resolve", "result_of", "transport_error"]


@interruptible
async def resolve(answer: Any, call: object) -> Any:
    """Return an answer, or what a function or async function returns for the call."""
    if callable(answer) and not isinstance(answer, type):
        try:
            answer = answer(call)
            if inspect.isawaitable(answer):
                answer = await answer
        except BaseException as exc:
            if stray := stray_cancellation(exc, "the function that answers", retryable=False):
                raise stray from exc
            raise
    elif isinstance(answer, type) and issubclass(answer, Exception):
        return answer()
    value: Any = answer  # pyright: ignore[reportUnknownVariableType]
    return value


@interruptible
async def iterate(
    events: AsyncIterable[Any] | Iterable[Any],
    sink: Sink,
    read: Callable[[Any], ExecutionResult],
    close_timeout: float | None,
) -> None:
    """Put all events into the sink while it has room, and close their iterator."""
    if not isinstance(events, AsyncIterable):
        for event in events:
            if not await sink.room():
                return
            sink.next(read(event))
        return
    iterator = aiter(events)
    try:
        while await sink.room():
            try:
                event = await anext(iterator)
            except StopAsyncIteration:
                return
            sink.next(read(event))
    finally:
        await aclose_within(iterator, close_timeout)


def result_of(value: Any, json: JSON, description: str) -> ExecutionResult:
    """Return the result that a value stands for; raise the exception that it is."""
    if isinstance(value, Exception):
        if (failed := errors_of(value)) is not None:
            return failed
        raise transport_error(value, description)
    result = value if isinstance(value, ExecutionResult) else ExecutionResult(value)
    if value is None or isinstance(value, str | bytes):
        raise TypeError(_not_data(value))
    plain = json.decode(encode_named(json, result, "answer"))
    data = plain.get("data")
    if data is not None and not isinstance(data, dict):
        raise TypeError(_not_data(value))
    return ExecutionResult(**plain)


def _not_data(value: object) -> str:
    return (
        "an answer is data (a mapping of response keys), an ExecutionResult, an exception, or a "
        f"function that returns one of these, not {type(value).__name__}"
    )


def errors_of(error: Exception) -> ExecutionResult | None:
    """Return the result with errors that an exception stands for, if it is one of GraphQL's."""
    if isinstance(error, TransportQueryError):
        errors = error.errors or [{"message": str(error)}]
        return ExecutionResult(error.data, errors, error.extensions)
    graphql = sys.modules.get("graphql")
    if graphql is not None and isinstance(error, graphql.GraphQLError):
        failed: Any = error
        return ExecutionResult(None, [dict(failed.formatted)])
    return None


def transport_error(error: Exception, description: str) -> Exception:
    """Return what a transport raises for an error of the network; any other as it is."""
    if isinstance(error, TransportError):
        return copy_to_raise(error)
    if not isinstance(error, OSError):
        return error
    kind = TransportTimeout if isinstance(error, TimeoutError) else TransportConnectionFailed
    failed = kind(f"{description}: {str(error) or type(error).__name__}")
    failed.__cause__ = error
    return failed
