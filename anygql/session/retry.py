"""Retries that follow tenacity's policies, on the running loop's clock.

A policy says how often and how long to try. Which errors may be retried at all is decided
elsewhere, so a policy that retries everything can't repeat a mutation that may have run, nor
swallow a cancellation. tenacity's own loop is not used: it reads ``time.monotonic``, which trio's
``MockClock`` does not drive, and it shows cancellations to the policy.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from anyio import current_time, sleep

from ..concurrency.cancellation import stray_cancellation

if TYPE_CHECKING:
    from tenacity import AsyncRetrying

__all__ = [
    "Policy",
    "Retry",
    "connect_policy",
    "execute_policy",
    "requested_wait",
    "subscribe_policy",
    "wait_after",
]

_T = TypeVar("_T")
_Function: TypeAlias = Callable[[], Awaitable[Any]]

#: ``True`` for the default, ``False`` for no retries, a tenacity policy, or a decorator of async
#: functions.
Policy: TypeAlias = "bool | AsyncRetrying | Callable[[Any], Any]"

#: The longest first wait and the longest wait of all, in seconds.
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
EXECUTE_ATTEMPTS = 5


def wait_after(losses: int) -> float:
    """Return the seconds to wait after the nth short-lived connection in a row.

    They are random, as in the default policy: sessions that lose their server at the same moment
    must not come back at the same moment.
    """
    from random import uniform  # only for sessions that have lost a connection

    return uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(losses - 1, 16)))  # noqa: S311


def requested_wait(error: BaseException | None) -> float:
    """Return the seconds for which the server asked to be left alone, 0 if it didn't."""
    return getattr(error, "retry_after", None) or 0.0


def connect_policy() -> AsyncRetrying:
    """Return the default for connecting: without end, at random intervals growing to 60 s."""
    from tenacity import AsyncRetrying, wait_random_exponential

    return AsyncRetrying(wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT))


def execute_policy() -> AsyncRetrying:
    """Return the default for ``execute``: five attempts, soon after each other.

    The waits are short because an attempt mostly waits for a connection.
    """
    from tenacity import AsyncRetrying, stop_after_attempt, wait_random_exponential

    return AsyncRetrying(
        stop=stop_after_attempt(EXECUTE_ATTEMPTS),
        wait=wait_random_exponential(multiplier=FIRST_WAIT / 5, max=FIRST_WAIT * 10),
    )


def subscribe_policy() -> AsyncRetrying:
    """Return the default for subscribing again: without end.

    An attempt mostly fails with its connection, which has a policy of its own.
    """
    return connect_policy()


class Retry:
    """A policy, ready to be used by many calls at once.

    Raises ``TypeError`` if ``policy`` is no policy.

    Args:
        policy: The policy.
        default: The function that makes the policy for ``True``.
        name: The name of the option, for messages.
    """

    def __init__(self, policy: Policy, default: Callable[[], AsyncRetrying], name: str) -> None:
        self._name = name
        self._is_default = policy is True
        self._default = default
        self._retrying: AsyncRetrying | None = None
        self._decorator: Callable[[Any], Any] | None = None
        if not isinstance(policy, bool):
            self._use_policy(policy, name)
        self.is_disabled = policy is False

    @property
    def is_custom(self) -> bool:
        """Whether the policy is a decorator of an unknown kind, which does not report its waits."""
        return self._decorator is not None and self._retrying is None

    def _use_policy(self, policy: Any, name: str) -> None:
        """Keep a policy of tenacity's, or a decorator with the policy it puts on a function."""
        from tenacity import AsyncRetrying, BaseRetrying

        if not isinstance(policy, BaseRetrying):
            if not callable(policy):
                raise TypeError(
                    f"{name} is True, False, a tenacity.AsyncRetrying or a decorator, "
                    f"not {type(policy).__name__}"
                )
            # tenacity's decorators set their policy as `retry` on the decorated function.
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
        """Return the result of ``attempt``, called again as the policy says.

        A policy that gives up raises the last error itself. Canceling ends it, whatever the policy.

        Args:
            attempt: The function to call.
            may_retry: Whether an error may be retried. If not, it is raised at once.
            on_wait: Called with each error and the seconds until the next attempt, if the policy is
                tenacity's.
            sleep: Waits for so many seconds, if the policy is tenacity's.
        """
        if self.is_disabled:
            return await attempt()
        try:
            if self.is_custom:
                return await self._call_decorated(attempt, may_retry)
            return await self._call_by_tenacity(attempt, may_retry, on_wait, sleep)
        except BaseException as exc:
            if stray := stray_cancellation(exc, f"the policy {self._name}", retryable=False):
                raise stray from exc
            raise

    async def _call_by_tenacity(
        self,
        attempt: Callable[[], Awaitable[_T]],
        may_retry: Callable[[Exception], bool],
        on_wait: Callable[[Exception, float], None] | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> _T:
        """Call ``attempt`` as a policy of tenacity's says, step by step."""
        failed: Any = None
        if self._is_default:
            # The default does nothing before the first attempt, so tenacity isn't needed for it.
            try:
                return await attempt()
            except Exception as exc:
                if not may_retry(exc):
                    raise
                failed = sys.exc_info()
            self._retrying = self._retrying or self._default()

        from tenacity import DoAttempt, DoSleep, RetryError

        assert self._retrying is not None  # noqa: S101 - call() saw to it
        state = _begin(self._retrying, attempt, failed)
        while True:
            try:
                action = await state.retry_object.iter(retry_state=state)
            except RetryError as gave_up:
                error = gave_up.last_attempt.exception()
                if error is None:
                    raise  # a policy on results refused the last one
                raise error from error.__cause__
            if isinstance(action, DoAttempt):
                try:
                    state.set_result(await attempt())
                except Exception as exc:
                    if not may_retry(exc):
                        raise
                    state.set_exception(sys.exc_info())
                state.outcome_timestamp = current_time()
            elif isinstance(action, DoSleep):
                await sleep(_prepare_next_attempt(state, action, on_wait))
            else:
                return action  # type: ignore[no-any-return]

    async def _call_decorated(
        self, attempt: Callable[[], Awaitable[_T]], may_retry: Callable[[Exception], bool]
    ) -> _T:
        """Call ``attempt`` through a decorator, hiding from it what it must not retry."""
        stopped: BaseException | None = None

        async def once() -> Any:
            nonlocal stopped
            try:
                return await attempt()
            except Exception as exc:
                if may_retry(exc):
                    raise
                stopped = exc
            except BaseException as exc:  # noqa: BLE001 - raised again below; hidden from the policy
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


def _begin(policy: AsyncRetrying, attempt: Callable[[], Awaitable[Any]], failed: Any) -> Any:
    """Return the state of a new call; ``failed`` tells how its first attempt failed, if it did."""
    from tenacity import RetryCallState

    # Copied, because a policy keeps its state by thread, not by call.
    retrying = policy.copy(retry_error_callback=None)
    retrying.begin()
    state = RetryCallState(retrying, attempt, (), {})
    state.start_time = current_time()
    if failed is not None:
        state.set_exception(failed)
        state.outcome_timestamp = state.start_time
    return state


def _prepare_next_attempt(
    state: Any, wait: float, on_wait: Callable[[Exception, float], None] | None
) -> float:
    """Return the seconds until the next attempt, and make the state ready for it."""
    error = state.outcome.exception() if state.outcome is not None else None
    wait = max(float(wait), requested_wait(error))
    if on_wait is not None and error is not None:
        on_wait(error, wait)
    state.prepare_for_next_attempt()
    return wait


async def _probe() -> None:
    """Do nothing: a decorator is applied to this to see whether it is tenacity's."""
