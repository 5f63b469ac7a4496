"""What the tests of faults have in common: bounds, events, and a server that numbers and counts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import anyio
from graphql import GraphQLSchema, build_schema

from anygql import Session
from anygql.session import events as states
from anygql.session.events import SessionEvent

_E = TypeVar("_E")
_T = TypeVar("_T")


class Changes:
    """Wakes whoever waits for something to become true."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = anyio.Event()

    async def until(self, find: Callable[[], _T]) -> _T:
        while not (found := find()):
            await self.wait()
        return found

    async def wait(self) -> None:
        await self._event.wait()


class Events:
    """What a session tells; given to the client as ``on_event``.

    ``states`` holds the session's state at the moment of each event, once ``session`` is set.
    """

    def __init__(self) -> None:
        self.all: list[SessionEvent] = []
        self.states: list[str] = []
        self.session: Session | None = None
        self._changes = Changes()

    def __call__(self, event: SessionEvent) -> None:
        self.all.append(event)
        self.states.append(self.session.state if self.session is not None else "")
        self._changes.tell()

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.all if isinstance(event, kind)]

    async def wait(self, kind: type[_E], count: int = 1) -> _E:
        """The ``count``-th event of a kind."""
        return await self._changes.until(
            lambda: found[count - 1] if len(found := self.of(kind)) >= count else None
        )

    async def next(self, kind: type[_E], after: int) -> _E:
        """The first event of a kind behind the first ``after`` events of any kind."""

        def find() -> _E | None:
            return next((event for event in self.all[after:] if isinstance(event, kind)), None)

        found = await self._changes.until(find)
        assert found is not None
        return found

    async def wait_connections(self, count: int) -> None:
        """Until the session has been connected so many times."""
        await self.wait(states.Connected, count)


NUMBERS_SDL = """
type Query {
  "What it is given."
  echo(value: Int!): Int!
  "How often this was asked with the same key; the first time it is never answered."
  held(key: ID!): Int!
  "How often a key was counted."
  counted(key: ID!): Int!
}
type Mutation {
  "Count a key."
  count(key: ID!): Int!
  "Count a key, and never answer."
  countHeld(key: ID!): Int!
}
type Subscription {
  "The numbers, from the next one on, each once."
  numbers: Int!
}
"""


class Numbers:
    """A server's data: consecutive numbers for all subscriptions, and a counter for each key.

    A subscription yields each number from the one that comes next on, however slow it is.
    """

    def __init__(self) -> None:
        self.number = 0
        #: How many subscriptions have begun.
        self.begun = 0
        self.asked: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.changes = Changes()

    def advance(self, by: int = 1) -> None:
        """There are new numbers."""
        self.number += by
        self.changes.tell()

    async def wait_begun(self, count: int) -> None:
        """Until so many subscriptions have begun."""
        await self.changes.until(lambda: self.begun >= count)

    async def wait_asked(self, key: str) -> None:
        """Until ``held`` was asked."""
        await self.changes.until(lambda: self.asked[key])

    async def wait_counted(self, key: str) -> None:
        """Until a mutation has counted."""
        await self.changes.until(lambda: self.counts[key])

    @property
    def schema(self) -> GraphQLSchema:
        schema = build_schema(NUMBERS_SDL)
        fields: dict[str, Any] = schema.type_map["Query"].fields  # type: ignore[attr-defined]
        fields["echo"].resolve = lambda _root, _info, value: value
        fields["held"].resolve = self._held
        fields["counted"].resolve = lambda _root, _info, key: self.counts[key]
        fields = schema.type_map["Mutation"].fields  # type: ignore[attr-defined]
        fields["count"].resolve = lambda _root, _info, key: self._count(key)
        fields["countHeld"].resolve = self._count_held
        fields = schema.type_map["Subscription"].fields  # type: ignore[attr-defined]
        fields["numbers"].subscribe = self._numbers
        fields["numbers"].resolve = lambda event, _info: event
        return schema

    async def _held(self, _root: Any, _info: Any, key: str) -> int:
        self.asked[key] += 1
        self.changes.tell()
        if self.asked[key] == 1:
            await anyio.sleep_forever()
        return self.asked[key]

    def _count(self, key: str) -> int:
        self.counts[key] += 1
        self.changes.tell()
        return self.counts[key]

    async def _count_held(self, _root: Any, _info: Any, key: str) -> int:
        self._count(key)
        await anyio.sleep_forever()
        return 0

    async def _numbers(self, _root: Any, _info: Any) -> AsyncIterator[int]:
        number = self.number
        self.begun += 1
        self.changes.tell()
        while True:
            while self.number == number:
                await self.changes.wait()
            number += 1
            yield number


def port_of(url: str) -> int:
    """The port in a URL."""
    return int(url.rpartition(":")[2].partition("/")[0])


def check_numbers(items: list[tuple[int, int]]) -> None:
    """Items are (number, reconnects): continuous but for the gaps that were reported."""
    for (before, gaps_before), (after, gaps) in itertools.pairwise(items):
        if gaps == gaps_before:
            assert after == before + 1, (before, after, gaps)
        else:
            assert gaps > gaps_before, (gaps_before, gaps)
            assert after > before, (before, after, gaps)
