"""Budgets: how many points are left, and when there will be more. Sans I/O, and without a clock.

A budget's level is what is left when all that has been sent is paid for, by what it may cost at
most. What an operation did not cost after all comes back when its answer says so.
"""

from __future__ import annotations

import math

from .answers import Answer, Report

__all__ = ["Budget", "Charge", "Ledger", "ServerBudget"]

#: Sums of fractions are inexact.
_INEXACT = 1e-9

#: The same reset, as told in whole seconds by several answers, moves by less than this.
_SAME_RESET = 2.0


class Budget:
    """Points that come back at a rate.

    Args:
        limit: The points that there can be at most. They are there at first.
        rate: The points that come back each second.
        now: The time.
    """

    def __init__(self, limit: float, rate: float, now: float) -> None:
        self.limit = limit
        self.rate = rate
        self.level = limit
        self._at = now

    def advance(self, now: float) -> None:
        """Let time pass."""
        self._restore(now, self.limit)

    def _restore(self, now: float, most: float) -> None:
        elapsed, self._at = now - self._at, now
        if elapsed > 0 and self.level < most:
            self.level = min(most, self.level + self.rate * elapsed)

    def delay(self, points: float, ahead: float = 0.0) -> float:
        """Return the seconds until so many points are there, after those that go ahead."""
        return self._lacking(points + ahead) / self.rate

    def _lacking(self, points: float) -> float:
        lacking = points - self.level
        return 0.0 if lacking <= _INEXACT * max(1.0, self.limit) else lacking


class Charge:
    """What an operation under way may cost, and the ledger's sums when it was sent."""

    __slots__ = ("charged", "holders", "points", "refunded", "reserved", "sent_at")

    def __init__(self, points: float, ledger: Ledger, now: float) -> None:
        self.points = points
        self.sent_at = now
        self.reserved = ledger.reserved
        self.charged = ledger.charged + points
        self.refunded = ledger.refunded
        #: The budgets that became known while the operation was under way.
        self.holders: list[ServerBudget] = []


class Ledger:
    """What was sent to a server, and what is left by what its answers say.

    Let time pass by ``advance`` before anything else.
    """

    def __init__(self) -> None:
        self.open: set[Charge] = set()
        #: What the operations under way may cost.
        self.reserved = 0.0
        #: What all operations were charged when they were sent, and what came back of it.
        self.charged = 0.0
        self.refunded = 0.0
        #: The budgets that the server has told of, by their kind.
        self.budgets: dict[str, ServerBudget] = {}

    def advance(self, now: float) -> None:
        """Let time pass."""
        for budget in self.budgets.values():
            budget.advance(now)

    def delay(self, points: float, ahead: float = 0.0) -> float:
        """Return the seconds until so many points are there, after those that go ahead.

        It is infinite if only an answer can tell.
        """
        delay = 0.0
        for budget in self.budgets.values():
            delay = max(delay, budget.delay(points, ahead))
        return delay

    def charge(self, points: float, now: float) -> Charge:
        """Charge for an operation that is about to be sent."""
        charge = Charge(points, self, now)
        self.open.add(charge)
        self._change(points)
        return charge

    def recharge(self, charge: Charge, points: float) -> None:
        """Correct what an operation under way may cost."""
        more = points - charge.points
        charge.points = points
        charge.charged += more
        self._change(more)
        for budget in charge.holders:
            budget.held += more

    def _change(self, points: float) -> None:
        self.reserved += points
        self.charged += points
        for budget in self.budgets.values():
            budget.level -= points

    def settle(self, charge: Charge, actual: float, answer: Answer, now: float) -> None:
        """End a charge.

        Args:
            charge: The charge of an operation that is over.
            actual: What the operation has cost, as far as is known.
            answer: What its answer says.
            now: The time.
        """
        self.open.discard(charge)
        self.reserved = self.reserved - charge.points if self.open else 0.0
        for budget in charge.holders:
            budget.held -= charge.points
        back = charge.points - actual
        for budget in self.budgets.values():
            budget.level += back
        if answer.bucket is not None:
            self._heed("bucket", answer.bucket, charge, actual, now)
        if answer.window is not None:
            self._heed("window", answer.window, charge, actual, now)
        # Only now: the answer has counted its own operation. What the server has refused it has
        # never charged, so nothing comes back to its budget.
        if answer.has_result and not answer.is_refusal:
            self.refunded += max(0.0, back)
        self.charged += max(0.0, -back)

    def _heed(self, kind: str, report: Report, charge: Charge, actual: float, now: float) -> None:
        if not (report.rate or report.reset):
            return  # what has been reset meanwhile tells nothing
        budget = self.budgets.get(kind)
        if budget is None:
            self.budgets[kind] = ServerBudget(report, self, actual, now)
        else:
            budget.correct(report, charge, now)


class ServerBudget(Budget):
    """The points that a server says are left.

    Its answers overtake each other, and others may spend from the same budget. So an answer tells
    of a moment between its request and now, and counts what was under way meanwhile or not. Where
    our own sums lie within what that allows, they are the better estimate.

    Args:
        report: What the first answer has said.
        ledger: What was sent. The answer's own operation is settled.
        actual: What that operation has cost.
        now: The time.
    """

    def __init__(self, report: Report, ledger: Ledger, actual: float, now: float) -> None:
        super().__init__(_limit(report), report.rate, now)
        self._ledger = ledger
        self._lowered_at = now
        # If nobody else has spent from it, it was full before all that is under way.
        self.level = min(self.limit - ledger.reserved - actual, report.available)
        # If somebody has, each answer that is to come may tell of less.
        self.held = ledger.reserved
        for charge in ledger.open:
            charge.holders.append(self)
        #: When all points come back, if that is known.
        self._reset_at = self._reset_of(report, now)

    def advance(self, now: float) -> None:
        """Let time pass."""
        # What is under way may be counted late, when the server's budget is full again.
        most = self.limit - self._ledger.reserved
        self._restore(now, most)
        if self._reset_at is not None and now >= self._reset_at:
            self._reset_at = None
            self.level, self._lowered_at = most, now

    def delay(self, points: float, ahead: float = 0.0) -> float:
        """Return the seconds until so many points are there; infinite if only an answer can tell.

        An operation that costs more than the budget can ever have is left to the server.
        """
        points = min(points, self.limit) + ahead
        lacking = self._lacking(points)
        if not lacking:
            return math.inf if self.held and self._lacking(points + self.held) else 0.0
        if self.rate:
            return lacking / self.rate
        if self._reset_at is not None:
            return self._reset_at - self._at
        return math.inf if self._ledger.open else 0.0

    def correct(self, report: Report, charge: Charge, now: float) -> None:
        """Correct the level by what the answer of a charge says."""
        self.limit, self.rate = _limit(report, self.limit), report.rate
        ledger, reset_at = self._ledger, self._reset_of(report, now)
        refunded = ledger.refunded - charge.refunded
        charged = ledger.charged - charge.charged
        most = report.available + refunded + report.rate * (now - charge.sent_at)
        least = report.available - charge.reserved - charged
        if self._is_later(reset_at):
            self.level, self._lowered_at = least, now
        elif self.level > most:
            self.level, self._lowered_at = most, now
        elif self.level < least and charge.sent_at >= self._lowered_at:
            self.level = least
        self._reset_at = reset_at

    def _is_later(self, reset_at: float | None) -> bool:
        """Return whether a reset is another one than the last that was told."""
        if reset_at is None or self._reset_at is None:
            return False
        return reset_at > self._reset_at + _SAME_RESET

    @staticmethod
    def _reset_of(report: Report, now: float) -> float | None:
        return None if report.rate else now + report.reset


def _limit(report: Report, before: float = 1.0) -> float:
    """Return the points that there can be at most: if that isn't said, the most that there were."""
    return max(1.0, report.limit or max(report.available, before))
