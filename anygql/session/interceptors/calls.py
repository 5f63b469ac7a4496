"""Calls of a session that has interceptors.

Those for a call run around all attempts, and those for an attempt around each, on its connection.
All run in the caller's task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, TypeAlias

from anyio import CancelScope, create_task_group, move_on_after

from ...concurrency.exception_groups import unwrapped
from ...concurrency.interrupts import uninterruptible
from ...delivery.interfaces import AnyTransportArgs, Batching, Connection
from ...documents.request import GraphQLRequest, OperationKind
from ...exceptions import TransportError, TransportTimeout
from ...results.result import ExecutionResult
from ..attempts import CallAttempts
from ..batch import Batcher
from ..refusals import is_wholly_refused
from ..supervisor import Supervisor
from .operation import NOT_RETRIED, Call, Operation, SessionOperation, around

if TYPE_CHECKING:
    from ..auth.credentials import SessionCredentials

__all__ = ["InterceptedCall", "InterceptedCalls"]

#: Seconds for which the operations of an explicit batch wait for those that an interceptor holds.
_TOGETHER = 0.01

#: Sends a request on a connection.
_Send: TypeAlias = Callable[
    [Connection, GraphQLRequest, AnyTransportArgs], Awaitable[ExecutionResult]
]


class InterceptedCalls:
    """Runs the queries and mutations of a session through its interceptors.

    The innermost is what replays an operation whose credentials are refused, if they are refreshed.
    """

    def __init__(self, supervisor: Supervisor, send: _Send) -> None:
        self._supervisor = supervisor
        self._send = send

    @uninterruptible
    async def run(
        self,
        request: GraphQLRequest,
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
        transport_args: AnyTransportArgs,
        send: _Send | None = None,
    ) -> ExecutionResult:
        """Run one operation; arguments are those of ``Session.execute``."""
        options = self._supervisor.options
        limit = options.execute_timeout if isinstance(timeout, EllipsisType) else None
        may_repeat = options.retry_mutations if retry_mutations is None else retry_mutations
        call = InterceptedCall(self._supervisor, send or self._send, limit, may_repeat)
        operation = SessionOperation(
            request=request,
            transport_args=transport_args,
            connection=self._supervisor.description,
            origin=call,
        )
        if isinstance(timeout, EllipsisType):
            return await call.run(operation)
        with move_on_after(timeout) as call.time_limit:
            return await call.run(operation)
        assert timeout is not None  # noqa: S101 - without a limit, nothing else gets here
        raise call.timeout_error(operation, timeout)

    async def run_batch(
        self,
        requests: Sequence[GraphQLRequest],
        timeout: float | EllipsisType | None,
        retry_mutations: bool | None,
        transport_args: AnyTransportArgs,
    ) -> list[ExecutionResult | Exception]:
        """Run several operations, each through the interceptors, and return an error in its place.

        Each is a call in a task of its own. Those that are ready at the same time travel together.
        """
        together = _Together(self._supervisor, len(requests))
        outcomes: list[ExecutionResult | Exception] = [ExecutionResult()] * len(requests)

        async def run(index: int, request: GraphQLRequest) -> None:
            send = partial(together.send, index)
            try:
                outcomes[index] = await self.run(
                    request, timeout, retry_mutations, transport_args, send
                )
            except Exception as exc:  # noqa: BLE001 - raised to the caller
                outcomes[index] = exc
            finally:
                together.expect_fewer()

        with unwrapped():
            async with create_task_group() as tg:
                for index, request in enumerate(requests):
                    tg.start_soon(run, index, request)
        return outcomes


class _Together:
    """Sends the operations of an explicit batch as one request, where the transport can."""

    def __init__(self, supervisor: Supervisor, count: int) -> None:
        self._batcher = Batcher(supervisor, _TOGETHER, count)

    async def send(
        self,
        index: int,
        connection: Connection,
        request: GraphQLRequest,
        transport_args: AnyTransportArgs,
    ) -> ExecutionResult:
        """Send an operation, together with others that have the same ``transport_args``."""
        if isinstance(connection, Batching):
            return await self._batcher.execute(connection, request, transport_args, index)
        return await connection.execute(request, transport_args)

    def expect_fewer(self) -> None:
        """Learn that an operation is over: no other waits for it any more."""
        self._batcher.expect_fewer()


class InterceptedCall:
    """One call with its interceptors, and what they have sent.

    Args:
        supervisor: The session's supervisor.
        send: The function that sends a request on a connection.
        limit: Seconds for each attempt, or ``None``.
        may_repeat: Whether a mutation may be retried that may have reached the server.
    """

    def __init__(
        self, supervisor: Supervisor, send: _Send, limit: float | None, may_repeat: bool
    ) -> None:
        self.supervisor = supervisor
        self._credentials = supervisor.credentials
        self._send = send
        self.limit = limit
        #: The scope that is the call's own ``timeout``, if it has one.
        self.time_limit: CancelScope | None = None
        self._may_repeat = may_repeat
        self._attempts_begun = 0
        #: The generation of the token that the last attempt was made with.
        self._generation = 0
        #: One for each time that an interceptor has called on.
        self._sent: list[CallAttempts[ExecutionResult]] = []
        self._followed: InterceptedCall | None = None

    def run(self, operation: Operation) -> Awaitable[ExecutionResult]:
        """Run an operation through the interceptors."""
        call: Call = self._make_attempts
        if self._credentials is not None:
            call = partial(self._replay_if_refused, self._credentials)
        return around(self.supervisor.options.interceptors, call)(operation)

    @property
    def refreshes_credentials(self) -> bool:
        """Whether it is what a refresh of the session's credentials runs, which others wait for."""
        return self._credentials is not None and self._credentials.is_bypassed

    def follow(self, other: InterceptedCall) -> None:
        """Learn that this call waits for the outcome of another one, and sends nothing itself."""
        self._followed = other

    @uninterruptible
    async def _replay_if_refused(
        self, credentials: SessionCredentials, operation: Operation
    ) -> ExecutionResult:
        """Make the attempts, and once more with fresh credentials if they are refused."""
        await credentials.ready()
        try:
            result = await self._make_attempts(operation)
        except TransportError as error:
            if not await self._renewed_after(credentials, operation, error):
                raise
        else:
            if not result.errors:
                credentials.accepted()
                return result
            if not await self._renewed_after(credentials, operation, result):
                return result
        return await self._make_attempts(operation)

    async def _renewed_after(
        self,
        credentials: SessionCredentials,
        operation: Operation,
        outcome: ExecutionResult | TransportError,
    ) -> bool:
        """Return whether the operation is to be sent again, which there is a fresh token for."""
        if credentials.is_bypassed or self.supervisor.fault is not None:
            return False
        if not credentials.is_refused(outcome):
            return False
        if not is_wholly_refused(operation.request, outcome):
            credentials.invalidate(self._generation)
            return False
        await credentials.renew(self._generation)
        return True

    @uninterruptible
    async def _make_attempts(self, operation: Operation) -> ExecutionResult:
        """Make as many attempts as the retry policy allows."""
        kind = _kind_to_send(operation)
        at_most_once = kind == "mutation" and not self._may_repeat
        run = partial(self._attempt, operation, kind)
        label = _label(operation)
        attempts = CallAttempts(
            self.supervisor,
            label,
            run,
            self.limit,
            at_most_once,
            operation.context.get(NOT_RETRIED),
        )
        self._sent.append(attempts)
        try:
            return await attempts.run()
        except TransportError as error:
            if any(each.may_have_arrived for each in self._sent):
                error.unsent = False
            raise

    async def _attempt(
        self, operation: Operation, kind: OperationKind, connection: Connection
    ) -> ExecutionResult:
        """Make one attempt, through the interceptors for attempts."""
        self._attempts_begun += 1
        attempt = _Attempt(connection, kind, self._send)
        call = around(self.supervisor.options.attempt_interceptors, attempt.send)
        counted: AbstractContextManager[None] = nullcontext()
        if self._credentials is not None:
            self._generation = self._credentials.used_on(connection)
            counted = self._credentials.call_on(connection)
        try:
            with counted:
                return await call(operation.in_attempt(self._attempts_begun))
        except TransportError as error:
            if attempt.may_have_arrived:
                error.unsent = False
            raise

    def timeout_error(self, operation: Operation, timeout: float) -> TransportTimeout:
        """Return the error for a call that took more time than it was given."""
        if self._sent:
            error = self._sent[-1].timeout_error(timeout)
            if any(each.may_have_arrived for each in self._sent):
                error.unsent = False
            return error
        if self._followed is not None:
            return self._followed.timeout_error(operation, timeout)
        server, label = self.supervisor.description, _label(operation)
        by = "interceptors" if self._credentials is None else "interceptors or credentials"
        error = TransportTimeout(
            f"{server}: the {by} have not sent {label} within {timeout:g} s (timeout)"
        )
        error.unsent = True
        return error


class _Attempt:
    """One attempt, on its connection.

    Args:
        connection: The connection.
        kind: The kind of operation that retries were decided for.
        send: The function that sends a request on the connection.
    """

    __slots__ = ("_arrived", "_connection", "_kind", "_running", "_send")

    def __init__(self, connection: Connection, kind: OperationKind, send: _Send) -> None:
        self._connection = connection
        self._kind = kind
        self._send = send
        #: How many requests run: an interceptor may send several at the same time.
        self._running = 0
        #: Whether any that is over may have reached the server.
        self._arrived = False

    @property
    def may_have_arrived(self) -> bool:
        """Whether anything that was sent may have reached the server."""
        return self._arrived or self._running > 0

    @uninterruptible
    async def send(self, operation: Operation) -> ExecutionResult:
        """Send the operation: the innermost call."""
        kind = _kind_to_send(operation)
        if kind != self._kind:
            raise ValueError(
                f"an interceptor has made a {kind} of a {self._kind}: only those for a whole call "
                "may, since retries differ"
            )
        self._running += 1
        unsent = False
        try:
            return await self._send(self._connection, operation.request, operation.transport_args)
        except TransportError as error:
            unsent = error.unsent
            raise
        finally:
            self._running -= 1
            self._arrived = self._arrived or not unsent


def _label(operation: Operation) -> str:
    """Return a description of the operation, for messages."""
    name, kind = operation.request.operation
    return f"the {kind}{f' {name!r}' if name else ''}"


def _kind_to_send(operation: Operation) -> OperationKind:
    """Return the operation's kind. Raise ``ValueError`` if that is a subscription."""
    if not isinstance(operation, Operation):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"an interceptor's call takes an Operation, not {type(operation).__name__}")
    kind = operation.kind
    if kind == "subscription":
        raise ValueError("an interceptor has made a subscription of an operation")
    return kind
