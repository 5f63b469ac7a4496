"""Policies: tenacity's, on the loop's clock, and never for what may not be tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
import tenacity
import trio
from trio.testing import MockClock

from anygql.session.retry import Policy, Retry, connect_policy, execute_policy, wait_after


class Flaky:
    """Fails so often, then succeeds."""

    def __init__(self, failures: int, error: type[BaseException] = ConnectionError) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await anyio.lowlevel.checkpoint()
        if self.calls <= self.failures:
            raise self.error(f"attempt {self.calls}")
        return "done"


def always(error: Exception) -> bool:
    return True


def never(error: Exception) -> bool:
    return False


def policies(**options: Any) -> list[Policy]:
    return [tenacity.AsyncRetrying(**options), tenacity.retry(**options)]


def by_hand(attempts: int) -> Callable[[Any], Any]:
    """A decorator that is nobody's but the user's own, and greedy: it retries everything."""

    def decorate(function: Any) -> Any:
        async def wrapper() -> Any:
            for attempt in range(attempts):
                try:
                    return await function()
                except BaseException:
                    if attempt == attempts - 1:
                        raise

        return wrapper

    return decorate


def fast(**options: Any) -> list[Policy]:
    return [*policies(stop=tenacity.stop_after_attempt(3), **options), by_hand(3)]


@pytest.mark.parametrize("policy", fast())
async def test_until_it_succeeds(policy: Policy, anyio_backend: str) -> None:
    flaky = Flaky(2)
    assert await Retry(policy, connect_policy, "retry").call(flaky, always) == "done"
    assert flaky.calls == 3


@pytest.mark.parametrize(
    "policy", [*fast(), *policies(stop=tenacity.stop_after_attempt(3), reraise=True)]
)
async def test_gives_up_with_the_last_real_error(policy: Policy, anyio_backend: str) -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError, match="attempt 3"):
        await Retry(policy, connect_policy, "retry").call(flaky, always)
    assert flaky.calls == 3


@pytest.mark.parametrize("policy", [True, False, *fast()])
async def test_what_may_not_be_retried_is_not(policy: Policy, anyio_backend: str) -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError, match="attempt 1"):
        await Retry(policy, connect_policy, "retry").call(flaky, never)
    assert flaky.calls == 1


async def test_false_is_one_attempt(anyio_backend: str) -> None:
    flaky = Flaky(1)
    with pytest.raises(ConnectionError, match="attempt 1"):
        await Retry(False, connect_policy, "retry").call(flaky, always)


@pytest.mark.parametrize(
    "policy",
    [
        True,
        tenacity.AsyncRetrying(retry=tenacity.retry_if_exception(lambda error: True)),
        tenacity.retry(retry=tenacity.retry_always),
        by_hand(3),
    ],
)
async def test_cancellation_is_not_the_policys(policy: Policy, anyio_backend: str) -> None:
    calls = 0

    async def attempt() -> None:
        nonlocal calls
        calls += 1
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.fail_after(10), anyio.CancelScope() as scope:
        await Retry(policy, connect_policy, "retry").call(attempt, always)
    assert scope.cancelled_caught
    assert calls == 1


async def test_one_policy_for_many_calls(anyio_backend: str) -> None:
    retry = Retry(tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3)), connect_policy, "r")
    flakies = [Flaky(2) for _ in range(50)] + [Flaky(3) for _ in range(50)]
    outcomes: list[str] = []

    async def run(flaky: Flaky) -> None:
        try:
            outcomes.append(await retry.call(flaky, always))
        except ConnectionError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as tg:
        for flaky in flakies:
            tg.start_soon(run, flaky)
    assert sorted(outcomes) == ["attempt 3"] * 50 + ["done"] * 50


async def test_results_and_callbacks(anyio_backend: str) -> None:
    """What else a tenacity policy may ask for works as tenacity says."""
    seen: list[str] = []

    async def before(state: tenacity.RetryCallState) -> None:
        seen.append(f"before {state.attempt_number}")

    policy = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(3),
        retry=tenacity.retry_if_result(lambda result: result == "done")
        | tenacity.retry_if_exception_type(ConnectionError),
        before=before,
        before_sleep=lambda state: seen.append(f"sleep {state.attempt_number}"),
    )
    with pytest.raises(tenacity.RetryError):
        await Retry(policy, connect_policy, "retry").call(Flaky(1), always)
    assert seen == ["before 1", "sleep 1", "before 2", "sleep 2", "before 3"]


def test_waits_and_deadlines_follow_the_loops_clock() -> None:
    waits: list[float] = []

    async def main() -> float:
        policy = tenacity.AsyncRetrying(
            wait=tenacity.wait_fixed(600), stop=tenacity.stop_after_delay(3600)
        )
        start = trio.current_time()
        with pytest.raises(ConnectionError):
            await Retry(policy, connect_policy, "retry").call(
                Flaky(99), always, lambda error, seconds: waits.append(seconds)
            )
        return trio.current_time() - start

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == pytest.approx(3600)
    assert waits == [600.0] * 6


def test_retry_after_is_a_lower_bound() -> None:
    class BusyError(ConnectionError):
        retry_after = 42.0

    async def main() -> float:
        policy = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(1))
        await Retry(policy, connect_policy, "retry").call(Flaky(2, BusyError), always)
        return trio.current_time()

    clock = MockClock(autojump_threshold=0)
    start = clock.current_time()
    assert trio.run(main, clock=clock) - start == pytest.approx(84)


def test_the_default_waits() -> None:
    def total(failures: int, default: Callable[[], tenacity.AsyncRetrying]) -> list[float]:
        waits: list[float] = []

        async def main() -> None:
            await Retry(True, default, "retry").call(
                Flaky(failures), always, lambda error, seconds: waits.append(seconds)
            )

        trio.run(main, clock=MockClock(autojump_threshold=0))
        return waits

    waits = total(300, connect_policy)
    assert len(waits) == 300
    assert max(waits) <= 60
    assert max(waits[20:]) > 30
    assert waits[0] <= 0.5
    assert len(total(4, execute_policy)) == 4
    with pytest.raises(ConnectionError, match="attempt 5"):
        total(5, execute_policy)
    assert all(0 <= wait_after(1) <= 0.5 for _ in range(100))
    assert all(0 <= wait_after(10**6) <= 60 for _ in range(100))


@pytest.mark.parametrize(
    "policy", [3, "yes", None, tenacity.Retrying()], ids=["int", "str", "None", "Retrying"]
)
def test_no_policy(policy: Any) -> None:
    with pytest.raises(TypeError, match="retry_connect"):
        Retry(policy, connect_policy, "retry_connect")
