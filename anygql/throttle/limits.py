"""All limits of one client together: its own rate, what the server says, and what documents cost.

Sans I/O, and without a clock.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias

from .answers import Answer
from .budgets import Budget, Charge, Ledger

__all__ = ["Document", "Limits", "Reason", "Spending"]

#: The number of documents whose cost is remembered.
_DOCUMENTS = 1024

#: Seconds to wait at most, where a server refuses again and again without naming a time.
_LONGEST_BACKOFF = 60.0

#: A document's text, and the name of its operation.
Document: TypeAlias = "tuple[str, str | None]"

Reason: TypeAlias = Literal["rate", "budget", "refused"]


class Spending:
    """What one operation spends.

    Args:
        document: Its document.
        cost: What it costs at most; ``None`` if that is to be learned.
    """

    __slots__ = ("charge", "cost", "document", "refusals")

    def __init__(self, document: Document, cost: float | None) -> None:
        self.document = document
        self.cost = cost
        #: What is charged for it while it is under way.
        self.charge: Charge | None = None
        #: How often in a row it was refused.
        self.refusals = 0


class Limits:
    """What may be sent when.

    Args:
        rate: The points of our own that come back each second, or ``None`` for no such limit.
        burst: The points of our own that there can be.
        takes_points: Whether operations cost as many of those as of the server's, or one each.
    """

    def __init__(self, rate: float | None, burst: float, *, takes_points: bool) -> None:
        self._own = None if rate is None else Budget(burst, rate, 0.0)
        self._takes_points = takes_points
        self._ledger = Ledger()
        #: Whether the first answer is waited for, since nothing is known of any limit yet.
        self._is_probing = rate is None
        #: Nothing is sent before this time, since the server has refused something.
        self._paused_until = -math.inf
        #: How many may be under way, where refusals can't be told in advance; and since when.
        self._at_once = math.inf
        self._narrowed_at = -math.inf
        #: What documents cost.
        self._costs: dict[Document, float] = {}
        self._largest_cost = 1.0
        #: Those under way whose document is not known yet.
        self._guesses: defaultdict[Document, set[Charge]] = defaultdict(set)

    @property
    def under_way(self) -> int:
        """The number of operations that are under way."""
        return len(self._ledger.open)

    def advance(self, now: float) -> None:
        """Let time pass. Call this before anything else."""
        self._ledger.advance(now)
        if self._own is not None:
            self._own.advance(now)

    def delay(
        self, spending: Spending, now: float, ahead: Sequence[Spending] = ()
    ) -> tuple[float, Reason]:
        """Return the seconds until an operation may be sent, after others, and what decides that.

        They are infinite if only an answer can tell.
        """
        delay = self._paused_until - now
        reason: Reason = "refused"
        if self.under_way >= self._at_once:
            delay = math.inf
        before = sum(map(self._points, ahead))
        budget = self._ledger.delay(self._points(spending), before)
        if self._is_probing and (self.under_way or ahead):
            budget = math.inf
        if budget > delay:
            delay, reason = budget, "budget"
        if self._own is not None:
            before = sum(map(self._own_points, ahead))
            own = self._own.delay(self._own_points(spending), before)
            if own > delay:
                delay, reason = own, "rate"
        return max(0.0, delay), reason

    def charge(self, spending: Spending, now: float) -> None:
        """Charge for an operation that is about to be sent."""
        if self._own is not None:
            self._own.level -= self._own_points(spending)
        spending.charge = charge = self._ledger.charge(self._points(spending), now)
        if spending.cost is None and spending.document not in self._costs:
            self._guesses[spending.document].add(charge)

    def settle(self, spending: Spending, answer: Answer, now: float) -> None:
        """Learn what the answer to an operation says, which is over."""
        charge, spending.charge = spending.charge, None
        assert charge is not None  # noqa: S101 - it was sent
        if answer.has_result:
            self._is_probing = False
        if answer.requested is not None or (answer.has_result and not answer.is_refusal):
            self._learn(spending.document, answer.requested)
        self._forget_guess(spending.document, charge)
        self._settle_own(spending, answer)
        self._ledger.settle(charge, self._actual(spending, charge, answer), answer, now)
        if answer.is_refusal:
            spending.refusals += 1
            self._heed_refusal(spending, charge, answer.wait, now)
        elif answer.has_result and charge.sent_at > self._narrowed_at:
            self._at_once += 1 / self._at_once

    def _actual(self, spending: Spending, charge: Charge, answer: Answer) -> float:
        """Return what an operation has cost, as far as is known."""
        if answer.actual is not None:
            return answer.actual
        if answer.is_unsent or answer.is_refusal:
            return 0.0
        # Without a result, it may have cost as much as it can.
        return self._points(spending) if answer.has_result else charge.points

    def _settle_own(self, spending: Spending, answer: Answer) -> None:
        """Give back to our own budget what was not spent."""
        own = self._own
        if own is None:
            return
        back = 0.0
        if answer.is_unsent:
            back = self._own_points(spending)
        elif self._takes_points and answer.actual is not None:
            back = self._own_points(spending) - answer.actual
        own.level = min(own.limit, own.level + back)

    def _heed_refusal(
        self, spending: Spending, charge: Charge, wait: float | None, now: float
    ) -> None:
        """Have all wait as long as the server says, and fewer go at once if it didn't say why."""
        is_explained = self._ledger.delay(self._points(spending)) > 0
        if wait is None:
            wait = 0.0 if is_explained else _backoff(spending.refusals)
        if not wait and spending.refusals > 1:
            # The server's clock may be behind, or others may spend from the same budget.
            wait = _backoff(spending.refusals - 1)
        self._paused_until = max(self._paused_until, now + wait)
        if not is_explained and charge.sent_at > self._narrowed_at:
            # As TCP does (RFC 5681 §3.1): half of what was too much, then one more each time.
            self._at_once = max(1.0, (self.under_way + 1) / 2)
            self._narrowed_at = now

    def _learn(self, document: Document, requested: float | None) -> None:
        """Remember what a document costs: one, if the server doesn't say."""
        known = self._costs.pop(document, None)
        if requested is None:
            requested = 1.0 if known is None else known
        self._costs[document] = requested
        self._largest_cost = max(self._largest_cost, requested)
        for charge in self._guesses.get(document, ()):
            self._ledger.recharge(charge, requested)
        if len(self._costs) > _DOCUMENTS:
            del self._costs[next(iter(self._costs))]

    def _forget_guess(self, document: Document, charge: Charge) -> None:
        guesses = self._guesses.get(document)
        if guesses is not None:
            guesses.discard(charge)
            if not guesses:
                del self._guesses[document]

    def _points(self, spending: Spending) -> float:
        """Return what an operation may cost. An unknown one may be as expensive as any."""
        if spending.cost is not None:
            return spending.cost
        return self._costs.get(spending.document, self._largest_cost)

    def _own_points(self, spending: Spending) -> float:
        return self._points(spending) if self._takes_points else 1.0


def _backoff(refusals: int) -> float:
    """Return the seconds to wait after so many refusals in a row."""
    return min(_LONGEST_BACKOFF, 2.0 ** min(refusals - 1, 16))
