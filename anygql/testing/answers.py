"""What a stub's answers stand for: results, errors, and streams of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterable, Iterable
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

__all__ = ["Answers", "errors_of", "resolve", "transport_error"]


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


class Answers:
    """Reads the answers of one stub.

    Args:
        json: The codec that answers go through.
        description: The server, for messages.
        close_timeout: Seconds that an async iterator may take to close, or ``None``.
    """

    def __init__(self, json: JSON, description: str, close_timeout: float | None) -> None:
        self.json = json
        self.description = description
        self.close_timeout = close_timeout

    def read(self, value: Any) -> ExecutionResult:
        """Return the result that a value stands for; raise the exception that it is."""
        if isinstance(value, Exception):
            if (failed := errors_of(value)) is not None:
                return failed
            raise transport_error(value, self.description)
        result = value if isinstance(value, ExecutionResult) else ExecutionResult(value)
        if value is None or isinstance(value, str | bytes):
            raise TypeError(_not_data(value))
        plain = self.json.decode(encode_named(self.json, result, "answer"))
        data = plain.get("data")
        if data is not None and not isinstance(data, dict):
            raise TypeError(_not_data(value))
        return ExecutionResult(**plain)

    @interruptible
    async def iterate(self, events: AsyncIterable[Any] | Iterable[Any], sink: Sink) -> None:
        """Put all events into the sink while it has room, and close their iterator."""
        if not isinstance(events, AsyncIterable):
            for event in events:
                if not await sink.room():
                    return
                sink.next(self.read(event))
            return
        iterator = aiter(events)
        try:
            while await sink.room():
                try:
                    event = await anext(iterator)
                except StopAsyncIteration:
                    return
                sink.next(self.read(event))
        finally:
            await aclose_within(iterator, self.close_timeout)


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
