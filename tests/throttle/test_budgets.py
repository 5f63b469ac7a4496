"""Budgets: what is left, whatever overtakes whatever."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anygql.throttle.answers import Answer, Report
from anygql.throttle.budgets import Budget, Charge, Ledger
from tests.support.amount import examples


def bucket(available: float, limit: float = 1000, rate: float = 50) -> Answer:
    return Answer(has_result=True, bucket=Report(limit, available, rate))


def window(available: float, reset: float, limit: float = 100) -> Answer:
    return Answer(has_result=True, window=Report(limit, available, reset=reset))


class Timed:
    """A ledger that charges and settles at times, after letting them pass."""

    def __init__(self, first: Answer | None = None) -> None:
        self.ledger = Ledger()
        if first is not None:
            self.settle(self.charge(0, 0), 0, first, 0)

    def charge(self, points: float, now: float) -> Charge:
        self.ledger.advance(now)
        return self.ledger.charge(points, now)

    def settle(self, charge: Charge, actual: float, answer: Answer, now: float) -> None:
        self.ledger.advance(now)
        self.ledger.settle(charge, actual, answer, now)

    def delay(self, points: float, now: float, ahead: float = 0) -> float:
        self.ledger.advance(now)
        return self.ledger.delay(points, ahead)

    def level(self, kind: str = "bucket") -> float:
        return self.ledger.budgets[kind].level


def test_our_own() -> None:
    budget = Budget(10, 2, 0)
    assert budget.delay(10) == 0
    assert budget.delay(10, ahead=4) == 2
    budget.level -= 10
    assert budget.delay(3) == 1.5
    budget.advance(1)
    assert budget.delay(3) == 0.5
    budget.advance(0.5)  # a clock that goes back
    assert budget.level == 2
    budget.advance(100)
    assert budget.level == 10


def test_what_is_unknown_has_no_limit() -> None:
    timed = Timed()
    charge = timed.charge(10**6, 0)
    assert timed.delay(10**6, 0) == 0
    timed.settle(charge, 5, Answer(has_result=True), 1)
    assert not timed.ledger.budgets
    assert timed.ledger.reserved == 0


def test_a_bucket() -> None:
    timed = Timed(bucket(100))
    assert timed.delay(100, 0) == 0
    charge = timed.charge(90, 0)
    assert timed.delay(60, 0) == 1
    timed.settle(charge, 40, bucket(60), 0)  # 50 came back
    assert timed.delay(60, 0) == 0
    assert timed.delay(60, 0, ahead=50) == 1
    # More than there can ever be is left to the server, when all is there.
    assert timed.delay(5000, 0) == pytest.approx(940 / 50)
    assert timed.delay(5000, 100) == 0


def test_a_window() -> None:
    timed = Timed(window(1, reset=60))
    charge = timed.charge(1, 10)
    assert timed.delay(1, 10) == 50
    timed.settle(charge, 1, Answer(), 10)  # it was canceled
    assert timed.delay(1, 20) == 40
    # All is there again, and how long that lasts is not known.
    charges = [timed.charge(1, 60) for _ in range(100)]
    assert timed.delay(1, 60) == math.inf
    timed.settle(charges.pop(), 1, window(99, reset=30), 61)
    assert timed.delay(1, 61) == 30
    for each in charges:
        timed.settle(each, 1, Answer(), 62)
    assert timed.delay(1, 91) == 0


def test_a_window_of_which_no_answer_tells_any_more() -> None:
    timed = Timed(window(0, reset=60))
    charges = [timed.charge(50, 60), timed.charge(50, 60)]
    assert timed.delay(1, 60) == math.inf
    for each in charges:
        timed.settle(each, 50, Answer(), 61)
    assert timed.delay(1, 61) == 0


def test_a_window_after_the_next() -> None:
    timed = Timed(window(0, reset=60))
    first, second, third = (timed.charge(1, 0) for _ in range(3))
    timed.settle(first, 1, window(0, reset=61), 1)  # the same one: whole seconds differ
    assert timed.delay(1, 1) == 61
    timed.settle(second, 1, window(90, reset=120), 2)  # the clocks differ, and that is another one
    assert timed.level("window") == 88
    timed.settle(third, 1, window(0, reset=0), 3)  # this is of the time before a reset
    assert timed.level("window") == 88


def test_a_reset_that_has_passed_makes_no_window() -> None:
    assert not Timed(window(0, reset=0)).ledger.budgets


def test_a_window_of_unknown_size() -> None:
    """It is as large as it has ever been."""
    timed = Timed(window(0, reset=9, limit=0))
    assert timed.delay(1, 0) == 9
    timed.settle(timed.charge(1, 9), 1, window(20, reset=9, limit=0), 9)
    timed.settle(timed.charge(1, 9), 1, window(2, reset=9, limit=0), 9)
    assert timed.delay(5, 9) == 9
    assert timed.delay(20, 18) == 0


def test_others_spend_from_it() -> None:
    timed = Timed(bucket(1000))
    charge = timed.charge(10, 0)
    timed.settle(charge, 10, bucket(300), 0)
    assert timed.level() == 300
    # What was sent later tells of more: nobody has spent meanwhile, or they were given some back.
    charge = timed.charge(10, 0)
    timed.settle(charge, 10, bucket(500), 0)
    assert timed.level() == 500


def test_answers_that_overtake_each_other() -> None:
    timed = Timed(bucket(1000))
    charges = [timed.charge(100, 0) for _ in range(5)]
    # The server has counted them in order, and the last answer comes first.
    for index in reversed(range(5)):
        timed.settle(charges[index], 100, bucket(1000 - 100 * (index + 1)), 0)
    assert timed.level() == 500


def test_what_came_back_after_an_answer_was_made() -> None:
    timed = Timed(bucket(1000))
    first, second = timed.charge(500, 0), timed.charge(500, 0)
    timed.settle(second, 100, bucket(400), 0)  # both were counted, and 400 came back
    timed.settle(first, 500, bucket(0), 0)  # it was made before that
    assert timed.level() == 400


def test_what_was_refused_does_not_come_back_to_the_server() -> None:
    timed = Timed(bucket(100))
    first, second = timed.charge(50, 0), timed.charge(50, 0)
    refusal = Answer(has_result=True, is_refusal=True, bucket=Report(1000, 0, 50))
    timed.settle(first, 0, refusal, 0)
    timed.settle(second, 0, refusal, 0)
    assert timed.level() == 0


def test_it_has_cost_more_than_it_may() -> None:
    timed = Timed(bucket(100))
    timed.settle(timed.charge(10, 0), 60, Answer(has_result=True), 0)
    assert timed.level() == 40


def test_a_bucket_is_learned_while_many_are_under_way() -> None:
    timed = Timed()
    charges = [timed.charge(10, 0) for _ in range(100)]
    # It tells of a moment at which only its own operation was counted.
    timed.settle(charges.pop(), 10, bucket(990), 1)
    assert timed.level() == 0
    assert timed.delay(10, 1) == pytest.approx(0.2)
    while charges:
        timed.settle(charges.pop(), 10, bucket(10 * len(charges)), 1)
    assert timed.level() == 0


def test_what_is_learned_waits_for_those_that_others_may_have_paid_for() -> None:
    timed = Timed()
    first, second = timed.charge(10, 0), timed.charge(10, 0)
    timed.settle(first, 10, bucket(15), 0)
    assert timed.delay(5, 0) == 0
    assert timed.delay(10, 0) == math.inf  # `second` may not be counted yet
    timed.ledger.recharge(second, 20)
    assert timed.delay(5, 0) == math.inf
    timed.settle(second, 20, Answer(), 0)
    assert timed.delay(5, 0) == 0


def test_what_is_under_way_may_be_counted_late() -> None:
    timed = Timed(bucket(1000))
    timed.charge(600, 0)
    assert timed.level() == 400
    assert timed.delay(600, 100) == 4  # it is full, but for that


@pytest.mark.sampled
@settings(max_examples=examples(400), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    costs=st.lists(st.integers(1, 60), min_size=1, max_size=60),
    rate=st.sampled_from([1, 10, 200]),
)
def test_nothing_is_refused(seed: int, costs: list[int], rate: float) -> None:
    """A server that counts at some time on the way, and gives back at some time later."""
    choose = random.Random(seed)
    timed = Timed(bucket(100, 100, rate))
    level, at, now = 100.0, 0.0, 0.0
    events: list[tuple[float, int, str, Charge, float]] = []
    while costs or events:
        delay = timed.delay(costs[0], now) if costs else math.inf
        if delay == 0:
            charge, cost = timed.charge(costs[0], now), costs.pop(0)
            events.append((now + choose.random(), len(costs), "counted", charge, cost))
            continue
        events.sort(key=lambda event: event[:2])
        if not events or now + delay < events[0][0]:
            now += max(delay, 1e-6)
            continue
        now, index, what, charge, points = events.pop(0)
        level, at = min(100.0, level + rate * (now - at)), now
        later = now + choose.random()
        if what == "counted":
            assert level >= points - 1e-6, "the server would refuse it"
            level -= points
            events.append((later, index, "done", charge, choose.uniform(0, points)))
        elif what == "done":
            level = min(100.0, level + charge.points - points)
            charge_points = choose.uniform(0, 1)
            events.append((now + charge_points, index, f"{level}", charge, points))
        else:
            timed.settle(charge, points, bucket(float(what), 100, rate), now)
