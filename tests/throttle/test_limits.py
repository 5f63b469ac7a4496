"""All limits together: what documents cost, refusals, and our own rate."""

from __future__ import annotations

import math

import pytest

from anygql.throttle import limits as limits_module
from anygql.throttle.answers import Answer, Report
from anygql.throttle.limits import Limits, Spending

A, B = ("{ a }", None), ("{ b }", None)
DONE = Answer(has_result=True)
REFUSED = Answer(is_refusal=True)


class Timed:
    """Limits, and operations that are sent at times."""

    def __init__(self, rate: float | None = None, burst: float = 1, *, points: bool = False):
        self.limits = Limits(rate, burst, takes_points=points)

    def send(self, spending: Spending, now: float = 0) -> Spending:
        self.limits.advance(now)
        self.limits.charge(spending, now)
        return spending

    def settle(self, spending: Spending, answer: Answer, now: float = 0) -> None:
        self.limits.advance(now)
        self.limits.settle(spending, answer, now)

    def delay(self, spending: Spending, now: float = 0, *ahead: Spending) -> tuple[float, str]:
        self.limits.advance(now)
        return self.limits.delay(spending, now, list(ahead))


def cost(points: float, **fields: float) -> Answer:
    actual = fields.get("actual", points)
    bucket = Report(1000, fields.get("left", 1000), 10)
    return Answer(has_result=True, requested=points, actual=actual, bucket=bucket)


def new(document: tuple[str, str | None] = A, points: float | None = None) -> Spending:
    return Spending(document, points)


def test_requests_a_second() -> None:
    timed = Timed(10, 2)
    for _ in range(2):
        assert timed.delay(new())[0] == 0
        timed.send(new())
    assert timed.delay(new()) == (0.1, "rate")
    assert timed.delay(new(), 0, new(), new()) == (pytest.approx(0.3), "rate")
    assert timed.delay(new(), 0.1)[0] == 0


def test_what_was_not_sent_is_given_back() -> None:
    timed = Timed(10)
    timed.settle(timed.send(new()), Answer(is_unsent=True))
    assert timed.delay(new())[0] == 0
    timed.settle(timed.send(new()), Answer())  # an error, or a cancellation
    assert timed.delay(new())[0] == 0.1


def test_requests_are_not_points() -> None:
    timed = Timed(10)
    timed.settle(timed.send(new()), cost(500, actual=0))
    assert timed.delay(new()) == (0.1, "rate")


def test_points_of_our_own_are_settled() -> None:
    timed = Timed(10, 100, points=True)
    sent = timed.send(new(points=100))
    assert timed.delay(new(points=50)) == (5, "rate")
    timed.settle(sent, cost(100, actual=40))
    assert timed.delay(new(points=50))[0] == 0
    timed.settle(timed.send(new(points=60)), DONE)
    assert timed.delay(new(points=50)) == (5, "rate")
    timed.settle(timed.send(new(points=0)), Answer(is_unsent=True))
    assert timed.delay(new(points=50)) == (5, "rate")


def test_what_comes_back_late_does_not_overflow() -> None:
    timed = Timed(10, 100, points=True)
    sent = timed.send(new(points=100))
    timed.settle(sent, cost(100, actual=40), 10)  # all has come back in time
    timed.send(new(points=100), 10)
    assert timed.delay(new(points=50), 10) == (5, "rate")


def test_a_refusal_that_tells_no_cost_teaches_none() -> None:
    timed = Timed()
    timed.settle(timed.send(new(B)), cost(700, left=700))
    timed.settle(timed.send(new()), Answer(has_result=True, is_refusal=True, wait=1))
    timed.send(new(B), 2)
    assert timed.delay(new(), 2)[1] == "budget"  # it may cost as much as any


def test_costs_are_learned_by_document() -> None:
    timed = Timed()
    timed.settle(timed.send(new()), cost(700, left=300))
    assert timed.delay(new()) == (40, "budget")
    # An unknown one may cost as much, until an answer tells.
    assert timed.delay(new(B)) == (40, "budget")
    timed.settle(timed.send(new(B)), cost(100, actual=0, left=300))
    assert timed.delay(new(B))[0] == 0
    assert timed.delay(new(B, 700)) == (40, "budget")  # a given cost is what it is
    timed.settle(timed.send(new()), cost(200, actual=0, left=300))
    assert timed.delay(new())[0] == 0  # by the last answer


def test_what_no_answer_tells_is_one() -> None:
    timed = Timed()
    timed.settle(timed.send(new()), cost(700, left=300))
    timed.settle(timed.send(new(B)), DONE)
    assert timed.delay(new(B))[0] == 0
    timed.settle(timed.send(new()), DONE)  # it is known, and not told this time
    assert timed.delay(new(B))[0] > 0


def test_those_under_way_learn_what_they_cost() -> None:
    timed = Timed()
    sent = [timed.send(new()) for _ in range(3)]
    canceled = sent.pop()
    timed.settle(canceled, Answer())
    timed.settle(sent.pop(), cost(100))
    assert sent[0].charge is not None
    assert sent[0].charge.points == 100
    timed.settle(sent[0], cost(100, left=800))
    assert timed.limits.under_way == 0
    assert not timed.limits._guesses


def test_the_costs_of_so_many_documents_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "_DOCUMENTS", 2)
    timed = Timed()
    for text in "abac":
        timed.settle(timed.send(new((text, None))), cost(5))
    assert list(timed.limits._costs) == [("a", None), ("c", None)]


def test_a_named_time() -> None:
    timed = Timed()
    timed.settle(timed.send(new()), Answer(is_refusal=True, wait=7), 1)
    assert timed.delay(new(B), 2) == (6, "refused")
    assert timed.delay(new(), 8)[0] == 0


def test_no_named_time() -> None:
    timed, spending, now, waits = Timed(), new(), 0.0, []
    for _ in range(9):
        timed.settle(timed.send(spending, now), REFUSED, now)
        waits.append(timed.delay(spending, now)[0])
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_named_time_that_is_now() -> None:
    timed, spending, now, waits = Timed(), new(), 0.0, []
    for _ in range(3):
        timed.settle(timed.send(spending, now), Answer(is_refusal=True, wait=0), now)
        waits.append(timed.delay(spending, now)[0])
        now += waits[-1]
    assert waits == [0, 1, 2]


def test_a_budget_says_when() -> None:
    timed, spending = Timed(), new()
    refusal = Answer(
        has_result=True, is_refusal=True, requested=50, actual=0, bucket=Report(1000, 20, 10)
    )
    timed.settle(timed.send(spending), refusal)
    assert timed.delay(spending) == (3, "budget")
    timed.settle(timed.send(spending, 3), refusal, 3)  # others were faster
    assert timed.delay(spending, 3) == (3, "budget")
    assert timed.limits._at_once == math.inf


def test_fewer_at_once_after_refusals_that_nothing_has_told_of() -> None:
    timed = Timed()
    sent = [timed.send(new(), 0) for _ in range(16)]
    for each in sent[:8]:
        timed.settle(each, Answer(is_refusal=True, wait=1), 0.5)
    # Eight are under way, which is half of what was too much.
    assert timed.delay(new(), 1) == (math.inf, "refused")
    for each in sent[8:]:
        timed.settle(each, DONE, 1)
    assert timed.delay(new(), 1) == (0.5, "refused")
    assert timed.limits._at_once == 8  # those were sent before
    for _ in range(8):
        timed.settle(timed.send(new(), 3), DONE, 3)
    assert 8.9 < timed.limits._at_once < 9
    timed.settle(timed.send(new(), 4), REFUSED, 4)
    assert timed.limits._at_once == 1
