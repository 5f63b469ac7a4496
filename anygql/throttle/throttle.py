"""The interceptor that keeps a client within its limits."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from ..concurrency.interrupts import interruptible, uninterruptible
from ..exceptions import TransportError, TransportTimeout
from ..results.result import ExecutionResult
from ..session.interceptors.operation import NOT_RETRIED, Call, Operation, SessionOperation
from .answers import Answer, is_limit_error, read_error, read_result
from .limits import Limits, Spending
from .line import Line, Place

__all__ = ["Throttle", "Wait"]


class Wait(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A wait that begins, as ``on_wait`` gets it.

    Attributes:
        operation: The operation that waits.
        seconds: How long it will wait, as far as is known: 0.0 if only the answer to another
            operation can tell.
        reason: ``"rate"`` for the rate that was given, ``"budget"`` for what the server says is
            left, ``"refused"`` if the server has refused this operation or another.
    """

    operation: Operation
    seconds: float
    reason: Literal["rate", "budget", "refused"]


class Throttle:
    """An interceptor that keeps a client within its server's rate limits and query costs.

    Give it to ``Client(…, interceptors=[Throttle()])``. All tasks and sessions of the client share
    it, in any thread. Operations are sent in the order in which they came. An operation that a
    limit has refused as a whole is sent again when the server takes it, mutations too.

    A wait counts against the call's ``timeout``, and never against ``execute_timeout``. A call that
    is canceled while it waits leaves its place. A call that is canceled later may have reached the
    server, so its cost counts as spent.

    Without arguments, it heeds what the server says: GitHub's and other ``ratelimit`` headers, the
    field ``rateLimit``, Shopify's ``extensions.cost``, ``Retry-After``, and refusals.

    Args:
        rate: The points that may be spent in ``per`` seconds. An operation costs one, unless
            ``cost`` says otherwise. Default: ``None``, no limit but the server's.
        per: The seconds that ``rate`` is about. Default: 1.
        burst: The points that may be spent at once, after a time in which none were. Within any
            ``per`` seconds, less than ``rate + burst`` are spent. Default: 1: operations are
            evenly spaced.
        cost: The points that an operation costs at most: a number, or a function of the
            ``Operation``. It is called in the middle of a call, so it is no async function.
            Default: ``None``, what the server last said that the document costs.
        max_wait: Seconds that one call may wait here, in all. A call that was refused, and would
            have to wait longer, gets that result or raises that error. A call that was not sent
            raises ``TransportTimeout``. Default: ``None``, no limit but the call's ``timeout``.
        on_wait: A function of a ``Wait``, no async one, that is called when an operation begins to
            wait. What it raises comes out of the call. Default: ``None``.

    Raises:
        TypeError, ValueError: When an argument is wrong. A call raises them when ``cost`` returns
            no number, or more than ``burst``.
    """

    def __init__(
        self,
        *,
        rate: float | None = None,
        per: float = 1.0,
        burst: float = 1.0,
        cost: float | Callable[[Operation], float] | None = None,
        max_wait: float | None = None,
        on_wait: Callable[[Wait], object] | None = None,
    ) -> None:
        _check_rate(rate, per, burst)
        if max_wait is not None:
            _check_amount("max_wait", max_wait)
        _check_function("on_wait", on_wait)
        self._rate, self._per, self._burst = rate, per, burst
        self._cost: Callable[[Operation], Any] | None = None
        self._fixed_cost: float | None = None
        if callable(cost):
            _check_function("cost", cost)
            self._cost = cost
        elif cost is not None:
            self._fixed_cost = self._checked_cost(cost)
        self._max_wait = math.inf if max_wait is None else max_wait
        self._on_wait = on_wait
        a_second = None if rate is None else rate / per
        self._line = Line(Limits(a_second, burst, takes_points=cost is not None))

    def __repr__(self) -> str:
        rate = "" if self._rate is None else f"{self._rate:g} in {self._per:g} s, "
        waiting, under_way = self._line.counts
        return f"<Throttle: {rate}{waiting} waiting, {under_way} under way>"

    @uninterruptible
    async def __call__(self, operation: Operation, call: Call) -> ExecutionResult:
        """Send an operation when it may be sent, and again when a limit has refused it."""
        if isinstance(operation, SessionOperation) and operation.origin.refreshes_credentials:
            # Those in line may be waiting for the credentials.
            return await call(operation)
        # The session's own retries leave refusals to this.
        operation.context[NOT_RETRIED] = is_limit_error
        document = operation.request.text, operation.name
        place = self._line.new_place(Spending(document, self._cost_of(operation)))
        outcome: ExecutionResult | TransportError | None = None
        try:
            while await self._may_send(place, operation):
                outcome, is_refusal = await self._send(place, operation, call)
                if not is_refusal:
                    break
            if isinstance(outcome, ExecutionResult):
                return outcome
            raise outcome or self._not_sent(operation)
        finally:
            outcome = None  # an error has this frame in its traceback

    async def _send(
        self, place: Place, operation: Operation, call: Call
    ) -> tuple[ExecutionResult | TransportError, bool]:
        """Send an operation, and return its outcome, and whether a limit has refused it."""
        answer = Answer()
        try:
            result = await call(operation)
            answer = read_result(operation.request, result)
        except TransportError as error:
            answer = read_error(operation.request, error)
            if answer.is_refusal:
                return error, True
            raise
        else:
            return result, answer.is_refusal
        finally:
            self._line.settle(place, answer)

    async def _may_send(self, place: Place, operation: Operation) -> bool:
        """Wait until an operation may be sent. Return False if that takes too long."""
        delay = self._line.enter(place)
        if delay == 0:
            return True
        most = self._max_wait - place.waited
        try:
            if most < delay < math.inf:
                return False
            if self._on_wait is not None:
                self._tell(place, operation, self._on_wait)
            return await self._line.wait(place, most)
        finally:
            self._line.leave(place)

    @interruptible
    def _tell(self, place: Place, operation: Operation, on_wait: Callable[[Wait], object]) -> None:
        """Tell the user's function of a wait."""
        seconds, reason = self._line.expect(place)
        seconds = 0.0 if math.isinf(seconds) else seconds
        on_wait(Wait(operation=operation, seconds=seconds, reason=reason))

    @interruptible
    def _cost_of(self, operation: Operation) -> float | None:
        """Return the given cost of an operation, if one is."""
        if self._cost is None:
            return self._fixed_cost
        return self._checked_cost(self._cost(operation))

    def _checked_cost(self, cost: Any) -> float:
        _check_amount("cost", cost)
        if self._rate is not None and cost > self._burst:
            raise ValueError(
                f"an operation that costs {cost:g} can never be sent with burst={self._burst:g}: "
                "burst is the points that may be spent at once"
            )
        return float(cost)

    def _not_sent(self, operation: Operation) -> TransportTimeout:
        """Return the error for an operation that had to wait for too long."""
        kind, name = operation.kind, operation.name
        label = f"{kind} {name!r}" if name else kind
        error = TransportTimeout(
            f"{operation.connection}: the limits have not let the {label} go within "
            f"{self._max_wait:g} s (max_wait)"
        )
        error.unsent = True
        return error


def _check_rate(rate: Any, per: Any, burst: Any) -> None:
    if rate is None:
        if (per, burst) != (1.0, 1.0):
            raise ValueError("per and burst say what rate means: give rate, too")
        return
    for name, value in (("rate", rate), ("per", per), ("burst", burst)):
        _check_amount(name, value)
        if not value:
            raise ValueError(f"{name} is more than 0")
    if burst < 1:
        raise ValueError(f"burst is at least 1, not {burst:g}: nothing could ever be sent")


def _check_amount(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {type(value).__name__}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is a number from 0 on, not {value}")


def _check_function(name: str, function: Any) -> None:
    if function is not None and not callable(function):
        raise TypeError(f"{name} is a function, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name} is a plain function, not an async one")
