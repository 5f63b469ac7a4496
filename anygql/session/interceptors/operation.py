"""Interceptors: users' functions around each call, each attempt, and before each subscription."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isasyncgenfunction, isawaitable, signature
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ...concurrency.cancellation import stray_cancellation
from ...concurrency.interrupts import interruptible
from ...delivery.interfaces import AnyTransportArgs
from ...documents.request import GraphQLRequest, OperationKind, Request, as_request
from ...results.result import ExecutionResult

if TYPE_CHECKING:
    from .calls import InterceptedCall

__all__ = [
    "NOT_RETRIED",
    "Call",
    "Interceptor",
    "Operation",
    "SessionOperation",
    "SubscriptionInterceptor",
    "SubscriptionInterceptors",
    "around",
    "check_interceptors",
]


#: In an operation's context, a predicate: the errors that the session's retries leave to an
#: interceptor.
NOT_RETRIED = "anygql.not_retried"


class Operation(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One operation, as interceptors see it. Immutable, but for ``context``.

    Attributes:
        request: What is to be sent, with its variables.
        transport_args: The arguments for the transport alone. Default: ``None``.
        attempt: The number of the attempt within the call, from 1; for a subscription, of the times
            that it was sent. Default: 0, which ``interceptors`` get: no attempt has begun.
        connection: The server's description, as in messages: its URL without what may be secret in
            it. Default: an empty text.
        context: A dict for interceptors to tell each other something about this call. All attempts
            of a call have the same; so has a subscription each time that it is sent. Default: an
            empty one.
    """

    request: GraphQLRequest[Any]
    transport_args: AnyTransportArgs = None
    attempt: int = 0
    connection: str = ""
    context: dict[Any, Any] = msgspec.field(default_factory=dict[Any, Any])

    @property
    def name(self) -> str | None:
        """The operation's name in the document, or ``None``."""
        return self.request.operation[0]

    @property
    def kind(self) -> OperationKind:
        """``"query"``, ``"mutation"`` or ``"subscription"``."""
        return self.request.operation[1]

    def replace(
        self, *, request: Request | None = None, transport_args: AnyTransportArgs = None
    ) -> Operation:
        """Return the operation with another request or other arguments; ``context`` stays the same.

        The request is sent as it is: the client's schema doesn't see it.

        Args:
            request: The request, in any form that ``execute`` takes. Default: ``None``, the same.
            transport_args: The arguments for the transport. Default: ``None``, the same.

        Raises:
            GraphQLSyntaxError, ValueError, TypeError: When the request is wrong, as for
                ``execute``.
        """
        return msgspec.structs.replace(
            self,
            request=self.request if request is None else as_request(request),
            transport_args=self.transport_args if transport_args is None else transport_args,
        )

    def in_attempt(self, attempt: int) -> Operation:
        """Return the operation as of the attempt with this number."""
        return msgspec.structs.replace(self, attempt=attempt)

    def __repr__(self) -> str:
        # Variables, headers and the context may hold secrets, so none is shown.
        name, kind = self.request.operation
        return f"<Operation: {kind}{f' {name!r}' if name else ''}, attempt {self.attempt}>"


class SessionOperation(Operation, frozen=True, eq=False, kw_only=True):
    """An operation that knows the session's call which it belongs to.

    That is for interceptors of this package. An operation that a user has made belongs to none.
    """

    origin: InterceptedCall


#: Sends the operation, or what an interceptor has made of it, and returns its result.
Call: TypeAlias = Callable[[Operation], Awaitable[ExecutionResult]]

#: ``async def interceptor(operation, call)``, which returns ``await call(operation)`` or another
#: result.
Interceptor: TypeAlias = Callable[[Operation, Call], Awaitable[ExecutionResult]]

#: A function or async function of the operation, which returns it, changed or not.
SubscriptionInterceptor: TypeAlias = Callable[[Operation], Awaitable[Operation] | Operation]


def check_interceptors(name: str, interceptors: Sequence[Any]) -> tuple[Any, ...]:
    """Return interceptors as a tuple. Raise ``TypeError`` if they can't be called as such.

    Args:
        name: The option of the client.
        interceptors: What the user has given.
    """
    is_list = hasattr(interceptors, "__iter__") and not isinstance(interceptors, str)
    if callable(interceptors) or not is_list:
        raise TypeError(f"{name} is a list of functions: write {name}=[…]")
    arguments = ("operation",) if name == "subscription_interceptors" else ("operation", "call")
    checked = tuple(interceptors)
    for each in checked:
        if not callable(each):
            raise TypeError(f"{name} is a list of functions, not of {type(each).__name__}")
        if isinstance(each, type):
            raise TypeError(f"{name} has the class {_name(each)}: write {_name(each)}(…)")
        _check_signature(name, each, arguments)
    return checked


def _check_signature(name: str, interceptor: Any, arguments: Sequence[str]) -> None:
    """Raise ``TypeError`` if a function doesn't take these arguments, or yields."""
    if isasyncgenfunction(interceptor):
        raise TypeError(f"{name}: {_name(interceptor)} yields, where an interceptor returns")
    try:
        parameters = signature(interceptor)
    except ValueError:  # some functions in C don't tell
        return
    try:
        parameters.bind(*arguments)
    except TypeError as exc:
        raise TypeError(
            f"{name}: {_name(interceptor)} can't be called with ({', '.join(arguments)}): {exc}"
        ) from None


def around(interceptors: Sequence[Interceptor], call: Call) -> Call:
    """Return a call with interceptors around it, the outermost first."""
    for interceptor in reversed(interceptors):
        call = _Around(interceptor, call)
    return call


class _Around:
    """A call with one interceptor around it."""

    __slots__ = ("_call", "_interceptor")

    def __init__(self, interceptor: Interceptor, call: Call) -> None:
        self._interceptor = interceptor
        self._call = call

    @interruptible
    async def __call__(self, operation: Operation) -> ExecutionResult:
        operation = _checked(operation, "an interceptor's call takes")
        outcome: Any = self._interceptor(operation, self._call)
        if not isawaitable(outcome):
            raise TypeError(f"{_name(self._interceptor)}: an interceptor is an async function")
        try:
            result: Any = await outcome
        except BaseException as exc:
            _raise_if_stray(exc, self._interceptor, operation)
            raise
        if not isinstance(result, ExecutionResult):
            raise TypeError(
                f"{_name(self._interceptor)}: an interceptor returns an ExecutionResult, such as "
                f"that of `await call(operation)`, not {type(result).__name__}"
            )
        return result


class SubscriptionInterceptors:
    """The interceptors of one subscription, for each time that it is sent.

    Args:
        interceptors: The functions, in the order in which they are called.
        connection: The server's description.
    """

    def __init__(self, interceptors: Sequence[SubscriptionInterceptor], connection: str) -> None:
        self._interceptors = interceptors
        self._connection = connection
        self._context: dict[Any, Any] = {}
        self._attempts = 0

    @interruptible
    async def change(
        self, request: GraphQLRequest[Any], transport_args: AnyTransportArgs
    ) -> tuple[GraphQLRequest[Any], AnyTransportArgs]:
        """Return what the interceptors make of a request that is about to be sent."""
        self._attempts += 1
        operation = Operation(
            request=request,
            transport_args=transport_args,
            attempt=self._attempts,
            connection=self._connection,
            context=self._context,
        )
        for each in self._interceptors:
            try:
                changed: Any = each(operation)
                if isawaitable(changed):
                    changed = await changed
            except BaseException as exc:
                _raise_if_stray(exc, each, operation)
                raise
            operation = _checked(changed, f"{_name(each)}: an interceptor returns")
        if operation.kind != request.kind:
            raise ValueError(f"an interceptor has made a {operation.kind} of a {request.kind}")
        return operation.request, operation.transport_args


def _checked(operation: Any, what: str) -> Operation:
    if not isinstance(operation, Operation):
        raise TypeError(f"{what} an Operation, not {type(operation).__name__}")
    return operation


def _raise_if_stray(error: BaseException, interceptor: Any, operation: Operation) -> None:
    """Raise ``TransportConnectionFailed`` for a cancellation that nobody asked this task for."""
    what, server = f"the interceptor {_name(interceptor)}", operation.connection
    stray = stray_cancellation(error, what, server, retryable=False)
    if stray is not None:
        raise stray from error


def _name(interceptor: Any) -> str:
    """Return an interceptor's name, for messages. Its repr may hold secrets."""
    name = getattr(interceptor, "__qualname__", None)
    return name if isinstance(name, str) else type(interceptor).__qualname__
