"""When a connection reads, and which subscription pays when it can't go on.

A slow consumer costs memory, or it costs the other operations on its connection time. The rule
(``on_overflow="pause"``): up to ``buffer_size`` results wait freely. Past that the connection reads
on only while an operation on it is waiting for something, up to the hard limit. There it stops
until the consumer takes some results. But if an ``execute`` is waiting for its answer, or the
consumer takes nothing for ``stall_timeout``, that subscription alone fails.
"""

from __future__ import annotations

import math
from typing import Protocol

from anyio import Event, current_time, move_on_at

from .buffering import Delivery

__all__ = ["Backlog", "Flow"]


class Backlog(Protocol):
    """A subscription that has at least ``buffer_size`` results waiting."""

    delivery: Delivery
    #: How many results wait.
    queued: int
    #: How many results the consumer has taken so far.
    taken: int
    #: When, and at which count, the consumer was first seen to take nothing.
    stalled_since: float
    stalled_at: int

    def overflow(self, why: str) -> None:
        """End the subscription with ``SubscriptionOverflow``, by which it leaves the flow."""
        ...


class Flow:
    """When one connection reads: which operations wait, and which are behind."""

    def __init__(self) -> None:
        #: Calls of ``execute`` that wait for their answer.
        self.executing = 0
        #: Consumers that wait for a result.
        self.receiving = 0
        #: Subscriptions that are behind.
        self.full: set[Backlog] = set()
        #: Whether reading has stopped, so that silence isn't held against the peer.
        self.paused = False
        #: How often reading has stopped.
        self.pauses = 0
        self._changed = Event()

    def changed(self) -> None:
        """Look again: an operation began to wait, took a result, or was left."""
        if self.paused:
            self._changed.set()

    async def admit(self) -> None:
        """Wait until one more message may be read. Only needed while ``full`` has any."""
        while self.full:
            at_limit = [route for route in self.full if route.queued >= route.delivery.hard_limit]
            if at_limit and self.executing:
                for route in at_limit:
                    route.overflow("while an execute was waiting for its answer behind it")
            elif at_limit:
                await self._pause(self._stall_deadline(at_limit))
                self._fail_stalled(at_limit)
            elif self.executing or self.receiving:
                return
            else:
                await self._pause(math.inf)

    async def _pause(self, deadline: float) -> None:
        self._changed = Event()
        self.paused = True
        self.pauses += 1
        try:
            with move_on_at(deadline):
                await self._changed.wait()
        finally:
            self.paused = False

    @staticmethod
    def _stall_deadline(at_limit: list[Backlog]) -> float:
        now = current_time()
        deadline = math.inf
        for route in at_limit:
            if route.taken != route.stalled_at:
                route.stalled_at, route.stalled_since = route.taken, now
            if route.delivery.stall_timeout is not None:
                deadline = min(deadline, route.stalled_since + route.delivery.stall_timeout)
        return deadline

    @staticmethod
    def _fail_stalled(at_limit: list[Backlog]) -> None:
        now = current_time()
        for route in at_limit:
            timeout = route.delivery.stall_timeout
            if timeout is None or route.taken != route.stalled_at:
                continue
            if now >= route.stalled_since + timeout:
                route.overflow(f"and its consumer took nothing for {timeout:g} s")
