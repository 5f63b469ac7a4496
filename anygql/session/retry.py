"""Retries by tenacity's policies, on the running loop's clock.

A policy says how often and how long; which faults may be retried at all is not its to say. So a
policy that retries everything still can't repeat a mutation that may have run, nor swallow a
cancellation. tenacity's own loop is not used: it counts time on ``time.monotonic``, which trio's
``MockClock`` does not drive, and hands cancellations to the policy.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from anyio import current_time, sleep

if TYPE_CHECKING:
    from tenacity import AsyncRetrying

__all__ = ["Policy", "Retry", "connect_policy", "execute_policy", "subscribe_policy", "wait_after"]

_T = TypeVar("_T")
_Function: TypeAlias = Callable[[], Awaitable[Any]]

#: ``True``: the default; ``False``: never; or tenacity's own, or any decorator of async functions.
Policy: TypeAlias = "bool | AsyncRetrying | Callable[[Any], Any]"

#: Seconds: the widest first wait, and the widest of all.
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
EXECUTE_ATTEMPTS = 5


def wait_after(losses: int) -> float:
    """Seconds until the next attempt after the nth short-lived connection in a row.

    At random, as in the default policy: sessions that lose their server at the same moment must
    not come back at the same moment.
    """
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(losses - 1, 16)))  # noqa: S311


def connect_policy() -> AsyncRetrying:
    """For ever, at exponentially growing random intervals of at most 60 s."""
    from tenacity import AsyncRetrying, wait_random_exponential

    return AsyncRetrying(wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT))


def execute_policy() -> AsyncRetrying:
    """Five attempts, soon after each other: what they wait for is mostly the connection."""
    from tenacity import AsyncRetrying, stop_after_attempt, wait_random_exponential

    return AsyncRetrying(
        stop=stop_after_attempt(EXECUTE_ATTEMPTS),
        wait=wait_random_exponential(multiplier=FIRST_WAIT / 5, max=FIRST_WAIT * 10),
    )


def subscribe_policy() -> AsyncRetrying:
    """For ever: what fails is mostly the connection, whose own policy says how often."""
    return connect_policy()


class Retry:
    """A policy, ready to be used by many calls at once.

    ``default`` is what ``True`` stands for, ``name`` the argument that it was given as. Raises
    ``TypeError`` for what is no policy.
    """

    def __init__(self, policy: Policy, default: Callable[[], AsyncRetrying], name: str) -> None:
        self._is_default = policy is True
        self._default = default
        self._retrying: AsyncRetrying | None = None
        self._decorator: Callable[[Any], Any] | None = None
        if not isinstance(policy, bool):
            self._use_policy(policy, name)
        self.is_disabled = policy is False

    @property
    def is_custom(self) -> bool:
        """Whether it is a decorator of which nothing is known, so that ``on_wait`` isn't told."""
        return self._decorator is not None and self._retrying is None

    def _use_policy(self, policy: Any, name: str) -> None:
        from tenacity import AsyncRetrying, BaseRetrying

        if not isinstance(policy, BaseRetrying):
            if not callable(policy):
                raise TypeError(
                    f"{name} is True, False, a tenacity.AsyncRetrying or a decorator, "
                    f"not {type(policy).__name__}"
                )
            # tenacity's decorators leave their policy on what they decorate.
            self._decorator = policy
            policy = getattr(policy(_probe), "retry", None)
            if not isinstance(policy, BaseRetrying):
                return
        if not isinstance(policy, AsyncRetrying):
            raise TypeError(
                f"{name}: a tenacity.{type(policy).__name__} can't wait in async code, "
                "a tenacity.AsyncRetrying can"
            )
        self._retrying = policy

    async def call(
        self,
        attempt: Callable[[], Awaitable[_T]],
        may_retry: Callable[[Exception], bool],
        on_wait: Callable[[Exception, float], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = sleep,
    ) -> _T:
        """The result of ``attempt``, tried again as the policy says.

        An error that ``may_retry`` says no to is raised at once. A policy that gives up raises the
        last error itself. Where the policy is tenacity's, ``on_wait`` is told of each failure and
        the seconds until the next attempt, and ``sleep`` is how they pass. Cancelling stops it,
        whatever the policy.
        """
        if self.is_disabled:
            return await attempt()
        if self.is_custom:
            return await self._call_decorated(attempt, may_retry)
        return await self._call_by_tenacity(attempt, may_retry, on_wait, sleep)

    async def _call_by_tenacity(
        self,
        attempt: Callable[[], Awaitable[_T]],
        may_retry: Callable[[Exception], bool],
        on_wait: Callable[[Exception, float], None] | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> _T:
        failed: Any = None
        if self._is_default:
            # The default asks for nothing before the first attempt, so neither need we.
            try:
                return await attempt()
            except Exception as exc:
                if not may_retry(exc):
                    raise
                failed = sys.exc_info()
            self._retrying = self._retrying or self._default()

        from tenacity import DoAttempt, DoSleep, RetryCallState, RetryError

        assert self._retrying is not None  # noqa: S101 - call() saw to it
        # A copy: the policy keeps its state by thread, not by call.
        retrying = self._retrying.copy(retry_error_callback=None)
        retrying.begin()
        state = RetryCallState(retrying, attempt, (), {})
        state.start_time = current_time()
        if failed is not None:
            state.set_exception(failed)
            state.outcome_timestamp = state.start_time
        while True:
            try:
                action = await retrying.iter(retry_state=state)
            except RetryError as gave_up:
                error = gave_up.last_attempt.exception()
                if error is None:
                    raise  # a policy on results did not like the last one
                raise error from error.__cause__
            if isinstance(action, DoAttempt):
                try:
                    state.set_result(await attempt())
                except Exception as exc:
                    if not may_retry(exc):
                        raise
                    state.set_exception(sys.exc_info())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                state.outcome_timestamp = current_time()
            elif isinstance(action, DoSleep):
                await sleep(_prepare_next_attempt(state, action, on_wait))
            else:
                return action  # type: ignore[no-any-return]

    async def _call_decorated(
        self, attempt: Callable[[], Awaitable[_T]], may_retry: Callable[[Exception], bool]
    ) -> _T:
        stopped: BaseException | None = None

        async def once() -> Any:
            nonlocal stopped
            try:
                return await attempt()
            except Exception as exc:
                if may_retry(exc):
                    raise
                stopped = exc
            except BaseException as exc:  # noqa: BLE001 - raised again below, not the policy's to see
                stopped = exc
            return None

        assert self._decorator is not None  # noqa: S101 - call() saw to it
        result: Any = await self._decorator(once)()
        if stopped is not None:
            try:
                raise stopped
            finally:
                del stopped
        return result  # type: ignore[no-any-return]


def _prepare_next_attempt(
    state: Any, wait: float, on_wait: Callable[[Exception, float], None] | None
) -> float:
    """Seconds until the next attempt, for which the state is made ready."""
    error = state.outcome.exception() if state.outcome is not None else None
    wait = max(float(wait), getattr(error, "retry_after", None) or 0.0)
    if on_wait is not None and error is not None:
        on_wait(error, wait)
    state.prepare_for_next_attempt()
    return wait


async def _probe() -> None:
    """What a decorator is tried on."""
