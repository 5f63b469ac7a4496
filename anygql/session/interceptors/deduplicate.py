"""Equal queries in flight: sent once, for all callers that wait for the answer.

A shared call runs in a task of the session, so any of its callers may leave. The context variables
of that task are those of the first caller.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TypeAlias
from weakref import WeakKeyDictionary

from anyio import CancelScope, get_cancelled_exc_class, move_on_after

from ...concurrency.cancellation import cancelled_first, is_cancellation
from ...concurrency.interrupts import uninterruptible
from ...concurrency.waiters import Waiter
from ...delivery.faults import closed
from ...documents.request import GraphQLRequest
from ...exceptions import TransportTimeout, copy_to_raise
from ...json import JSON, MsgspecJSON
from ...results.result import ExecutionResult, copy_result, decode_data, json_text
from ..supervisor import Supervisor
from .calls import InterceptedCall
from .operation import Call, Operation, SessionOperation

__all__ = ["Deduplicate"]

_JSON = MsgspecJSON()
_SORTED = MsgspecJSON(order="sorted")

#: The operation's text and name; its variables and extensions as JSON.
_Key: TypeAlias = tuple[str, str | None, bytes]

#: The calls in flight. Those of one key differ in their ``transport_args``.
_Running: TypeAlias = "dict[_Key, list[_SharedCall]]"


class Deduplicate:
    """Sends equal queries that are in flight at the same time once, and shares the result.

    An interceptor: ``Client(url, interceptors=[Deduplicate()])``. Queries are equal if they have
    the same document, operation name, variables, extensions and ``transport_args``, and run in the
    same session. Mutations are never shared, and neither are queries with values that have no JSON
    form, such as files. Nothing is kept: after the answer, an equal query is sent again. A query
    that comes after a mutation of the session doesn't share the call of one that came before.

    Each caller has its own result, time limit and cancellation. The request is canceled when the
    last caller has left. All get the same error, as copies.

    The shared call runs with the context variables of its first caller, and so do the interceptors
    behind this one in the list.
    """

    def __init__(self) -> None:
        self._sessions: WeakKeyDictionary[Supervisor, _SessionCalls] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return "Deduplicate()"

    @uninterruptible
    async def __call__(self, operation: Operation, call: Call) -> ExecutionResult:
        """Run an operation, or wait for the result of an equal one."""
        if operation.attempt:
            raise TypeError(
                "Deduplicate() shares whole calls: put it into interceptors=[…], not into "
                "attempt_interceptors"
            )
        origin = operation.origin if isinstance(operation, SessionOperation) else None
        if origin is None or origin.refreshes_credentials:
            return await call(operation)
        supervisor = origin.supervisor
        supervisor.loop.check("the session")
        calls = self._sessions.get(supervisor)
        if calls is None:
            calls = self._sessions[supervisor] = _SessionCalls(supervisor.json)
        if operation.kind != "query":
            try:
                return await call(operation)
            finally:
                calls.share_no_more()
        shared = calls.shared(operation, call, origin)
        if shared is None:
            return await call(operation)
        result = await _result(shared, operation, call, origin)
        if not operation.request.takes_json and json_text(result) is not None:
            decode_data(result, supervisor.description)
        return result


class _SessionCalls:
    """The shared calls of one session.

    Args:
        json: The encoder of the transport's values, if the transport has one.
    """

    def __init__(self, json: JSON | None) -> None:
        self._json = _JSON if json is None else json
        self._running: _Running = {}

    def share_no_more(self) -> None:
        """Let equal queries be sent anew: a mutation may have changed what they are answered."""
        self._running = {}

    def shared(
        self, operation: Operation, call: Call, origin: InterceptedCall
    ) -> _SharedCall | None:
        """Return the call to wait for, and begin it if there is none.

        Return ``None`` if the operation must be sent by itself.
        """
        key = self._key(operation.request)
        if key is None:
            return None
        running = self._running
        for shared in running.get(key, ()):
            if shared.operation.transport_args == operation.transport_args:
                if shared in _inside.get():
                    return None  # it would wait for itself
                origin.follow(shared.origin)
                return shared
        shared = _SharedCall(operation, call, origin, partial(_forget, running, key))
        running.setdefault(key, []).append(shared)
        try:
            # It may run at once, and even end: asyncio has eager tasks.
            origin.supervisor.task_group.start_soon(shared.run, name="anygql: shared query")
        except RuntimeError:
            _forget(running, key, shared)
            return None  # the session is over, which the call reports
        return shared

    def _key(self, request: GraphQLRequest) -> _Key | None:
        """Return what equal queries have in common, but for ``transport_args``.

        Return ``None`` for a query that must not be shared.
        """
        text = b""
        if request.variable_values or request.extensions:
            try:
                text = self._encode([request.variable_values or {}, request.extensions or {}])
            except Exception:  # noqa: BLE001 - where it is sent, the error says which value it is
                return None
        return request.text, request.operation[0], text

    def _encode(self, values: object) -> bytes:
        """Return the JSON text of values, with sorted keys."""
        if type(self._json) is not MsgspecJSON:
            return self._json.encode(values)  # nobody knows which texts mean the same
        try:
            return _SORTED.encode(values)
        except TypeError:  # only texts can be sorted, which all keys are once they are decoded
            return _SORTED.encode(_JSON.decode(_JSON.encode(values)))


def _forget(running: _Running, key: _Key, shared: _SharedCall) -> None:
    """Let equal queries be sent anew."""
    calls = running.get(key, [])
    if shared in calls:
        calls.remove(shared)
        if not calls:
            del running[key]


async def _result(
    shared: _SharedCall, operation: Operation, call: Call, origin: InterceptedCall
) -> ExecutionResult:
    """Wait for the result. If a time limit that others have is in the way, send the operation.

    Attempts are limited as the first caller has it: a call with ``timeout`` has no other limit.
    """
    limit, limit_of_first = origin.limit, shared.origin.limit
    try:
        if limit is None or limit_of_first is not None:
            return await shared.wait()
        with move_on_after(limit):
            return await shared.wait()
    except TransportTimeout:
        if limit is not None or limit_of_first is None:
            raise
    return await call(operation)


#: The shared calls that the running code is part of.
_inside: ContextVar[tuple[_SharedCall, ...]] = ContextVar("_inside", default=())


class _SharedCall:
    """One call, and those who wait for its outcome.

    Args:
        operation: The operation of the first caller.
        call: What sends it.
        origin: The first caller's call.
        forget: Called when no more callers may wait for it.
    """

    def __init__(
        self,
        operation: Operation,
        call: Call,
        origin: InterceptedCall,
        forget: Callable[[_SharedCall], object],
    ) -> None:
        self.operation = operation
        self.origin = origin
        self._call = call
        self._forget = forget
        self._waiting = 0
        self._waiters: list[Waiter] = []
        self._has_begun = self._is_over = False
        self._scope = CancelScope()
        self._outcome: ExecutionResult | BaseException | None = None

    @uninterruptible
    async def run(self) -> None:
        """Send the operation. For a task of the session."""
        self._has_begun = True
        _inside.set((*_inside.get(), self))
        try:
            with self._scope:
                if not self._scope.cancel_called:
                    # Each caller decodes the data for itself, which is faster than copying them.
                    request = self.operation.request.taking_json()
                    self._outcome = await self._call(self.operation.replace(request=request))
        except Exception as exc:  # noqa: BLE001 - raised to the callers
            self._outcome = exc
        except BaseException as exc:
            # It is the callers' too, and the session's only if none is left.
            if isinstance(exc, GeneratorExit) or is_cancellation(exc) or not self._waiting:
                raise
            self._outcome = exc
        finally:
            self._forget(self)
            self._is_over = True
            for waiter in self._waiters:
                self.origin.supervisor.loop.wake(waiter)

    async def wait(self) -> ExecutionResult:
        """Wait for the result, and return it for this caller alone.

        If the last caller is canceled, the call is canceled, and its end waited for.
        """
        self._waiting += 1
        try:
            await self._wait_until_over()
        except get_cancelled_exc_class():
            if self._waiting == 1:
                self._forget(self)
                self._scope.cancel()
                if self._has_begun:  # under trio, Ctrl-C may take its task before, for good
                    with CancelScope(shield=True):
                        await self._wait_until_over()
            raise
        finally:
            self._waiting -= 1
        outcome = self._outcome
        if isinstance(outcome, ExecutionResult):
            # The last one may have the result itself, since nobody copies it any more.
            return copy_result(outcome) if self._waiting else outcome
        raise await self._error(outcome)

    async def _wait_until_over(self) -> None:
        while not self._is_over:
            waiter = self.origin.supervisor.loop.new_waiter()
            self._waiters.append(waiter)
            await waiter

    async def _error(self, error: BaseException | None) -> BaseException:
        """Return the error to raise to one caller. The last one gets the error itself."""
        if error is None:
            supervisor = self.origin.supervisor
            error = copy_to_raise(supervisor.fault or closed(supervisor.description))
        elif self._waiting:
            error = copy_to_raise(error).with_traceback(error.__traceback__)
        await cancelled_first(error)
        return error
