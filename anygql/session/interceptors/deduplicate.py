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

import msgspec
from anyio import CancelScope, Event, get_cancelled_exc_class, move_on_after
from anyio.lowlevel import checkpoint_if_cancelled

from ...concurrency.cancellation import cancelled_first
from ...concurrency.interrupts import uninterruptible
from ...delivery.faults import closed
from ...documents.request import GraphQLRequest
from ...exceptions import TransportTimeout, copy_to_raise
from ...json import MsgspecJSON
from ...results.result import ExecutionResult, copy_result, decode_data, json_text
from ..supervisor import Supervisor
from .calls import InterceptedCall
from .operation import Call, Operation, SessionOperation

__all__ = ["Deduplicate"]

_JSON = MsgspecJSON()
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

#: The session and the number of its mutations so far; the operation's text and name; its variables
#: and extensions.
_Key: TypeAlias = tuple[Supervisor, int, str, str | None, bytes]


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
        self._running: dict[_Key, list[_SharedCall]] = {}
        self._mutations: WeakKeyDictionary[Supervisor, int] = WeakKeyDictionary()

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
        origin.supervisor.loop.check("the session")
        if operation.kind != "query":
            try:
                return await call(operation)
            finally:
                self._mutations[origin.supervisor] = self._count_mutations(origin) + 1
        key = self._key(operation.request, origin)
        shared = None if key is None else self._shared(key, operation, call, origin)
        if shared is None:
            return await call(operation)
        result = await _result(shared, operation, call, origin)
        if not operation.request.takes_json and json_text(result) is not None:
            decode_data(result, origin.supervisor.description)
        return result

    def _count_mutations(self, origin: InterceptedCall) -> int:
        return self._mutations.get(origin.supervisor, 0)

    def _key(self, request: GraphQLRequest, origin: InterceptedCall) -> _Key | None:
        """Return what equal queries have in common, but for ``transport_args``.

        Return ``None`` for a query that must not be shared.
        """
        values = (request.variable_values or {}, request.extensions or {})
        try:
            # Decoded, all keys are texts, which can be sorted.
            text = _encode_sorted(_JSON.decode(_JSON.encode(values)))
        except Exception:  # noqa: BLE001 - where it is sent, the error says which value it is
            return None
        name, mutations = request.operation[0], self._count_mutations(origin)
        return (origin.supervisor, mutations, request.text, name, text)

    def _shared(
        self, key: _Key, operation: Operation, call: Call, origin: InterceptedCall
    ) -> _SharedCall | None:
        """Return the call to wait for, and begin it if there is none.

        Return ``None`` if the operation must be sent by itself.
        """
        for shared in self._running.get(key, ()):
            if shared.operation.transport_args == operation.transport_args:
                if shared in _inside.get():
                    return None  # it would wait for itself
                origin.follow(shared.origin)
                return shared
        shared = _SharedCall(operation, call, origin, partial(self._forget, key))
        try:
            origin.supervisor.task_group.start_soon(shared.run, name="anygql: shared query")
        except RuntimeError:
            return None  # the session is over, which the call reports
        self._running.setdefault(key, []).append(shared)
        return shared

    def _forget(self, key: _Key, shared: _SharedCall) -> None:
        """Let equal queries be sent anew."""
        running = self._running.get(key, [])
        if shared in running:
            running.remove(shared)
            if not running:
                del self._running[key]


async def _result(
    shared: _SharedCall, operation: Operation, call: Call, origin: InterceptedCall
) -> ExecutionResult:
    """Wait for the result. If a time limit that others have is in the way, send the operation.

    Attempts are limited as the first caller has it: a call with ``timeout`` has no other limit.
    """
    limit, limit_of_first = origin.limit, shared.origin.limit
    try:
        with move_on_after(limit if limit_of_first is None else None):
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
        self._over = Event()
        self._scope = CancelScope()
        self._outcome: ExecutionResult | Exception | None = None

    @uninterruptible
    async def run(self) -> None:
        """Send the operation. For a task of the session."""
        _inside.set((*_inside.get(), self))
        try:
            with self._scope:
                await checkpoint_if_cancelled()
                # Each caller decodes the data for itself, which takes less time than copying them.
                request = self.operation.request.taking_json()
                self._outcome = await self._call(self.operation.replace(request=request))
        except Exception as exc:  # noqa: BLE001 - raised to the callers
            self._outcome = exc
        finally:
            self._forget(self)
            self._over.set()

    async def wait(self) -> ExecutionResult:
        """Wait for the result, and return it for this caller alone.

        If the last caller is canceled, the call is canceled, and its end waited for.
        """
        self._waiting += 1
        try:
            await self._over.wait()
        except get_cancelled_exc_class():
            if self._waiting == 1:
                self._forget(self)
                self._scope.cancel()
                with CancelScope(shield=True):
                    await self._over.wait()
            raise
        finally:
            self._waiting -= 1
        outcome = self._outcome
        if isinstance(outcome, ExecutionResult):
            # The last one may have the result itself, since nobody copies it any more.
            return copy_result(outcome) if self._waiting else outcome
        raise await self._error(outcome)

    async def _error(self, error: Exception | None) -> Exception:
        """Return the error to raise to one caller. The last one gets the error itself."""
        if error is None:
            supervisor = self.origin.supervisor
            error = copy_to_raise(supervisor.fault or closed(supervisor.description))
        elif self._waiting:
            error = copy_to_raise(error).with_traceback(error.__traceback__)
        await cancelled_first(error)
        return error
