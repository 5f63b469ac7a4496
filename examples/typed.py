"""Python values both ways: datetimes, enums and dataclasses, under asyncio and then under trio.

A schema in this process stands for the server. The client has the same schema as text, and tells
it what an instant and a mood are in Python: so variables and results are datetimes and members,
mistakes are found before anything is sent, and data arrive as dataclasses.

::

    python -m examples.typed
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import anyio
from graphql import GraphQLScalarType, build_schema

from anygql import (
    Client,
    GraphQLValidationError,
    LocalSchemaTransport,
    ResultTypeError,
    Session,
    update_schema_enum,
    update_schema_scalar,
)
from anygql.schema import VariableError

SDL = """
scalar Instant
enum Mood { GOOD BAD }
type Entry { madeAt: Instant! mood: Mood! text: String! }
input NewEntry { madeAt: Instant! mood: Mood = GOOD text: String! }
type Query { entries(since: Instant): [Entry!]! }
type Mutation { write(entry: NewEntry!): Entry! }
type Subscription { reminders(from: Instant!, count: Int!): Entry! }
"""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIELDS = "madeAt mood text"


class Mood(Enum):
    """What the schema's ``Mood`` is in Python."""

    GOOD = "fine"
    BAD = "not so fine"


@dataclass
class Entry:
    """One entry; ``made_at`` is filled from ``madeAt``."""

    made_at: datetime
    mood: Mood
    text: str


@dataclass
class Written:
    """The data of the mutation."""

    write: Entry


@dataclass
class Entries:
    """The data of the query."""

    entries: list[Entry]


@dataclass
class Reminder:
    """The data of each event."""

    reminders: Entry


class Diary:
    """The server's side, which knows only what goes over the wire."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []

    def entries(self, _info: Any, since: str = "") -> list[dict[str, Any]]:
        """Those from then on."""
        return [entry for entry in self._entries if entry["madeAt"] >= since]

    def write(self, _info: Any, entry: dict[str, Any]) -> dict[str, Any]:
        """Add one."""
        self._entries.append(entry)
        return entry

    async def reminders(self, _info: Any, count: int, **given: str) -> AsyncIterator[Any]:
        """One each hour."""
        start = datetime.fromisoformat(given["from"])
        for hour in range(count):
            at = (start + timedelta(hours=hour)).isoformat()
            yield {"reminders": {"madeAt": at, "mood": "GOOD", "text": "write!"}}


def diary_client() -> Client:
    """A client that knows what the values are."""
    client = Client(
        LocalSchemaTransport(build_schema(SDL), root_value=Diary()),
        schema=SDL,
        serialize_variables=True,
        parse_results=True,
        camel_case=True,
    )
    assert client.schema is not None
    instant = GraphQLScalarType(
        "Instant", serialize=datetime.isoformat, parse_value=datetime.fromisoformat
    )
    update_schema_scalar(client.schema, "Instant", instant)
    update_schema_enum(client.schema, "Mood", Mood)
    return client


async def main() -> None:
    """The whole example, on the running loop."""
    write = f"mutation ($entry: NewEntry!) {{ write(entry: $entry) {{ {FIELDS} }} }}"
    entries = f"query ($since: Instant) {{ entries(since: $since) {{ {FIELDS} }} }}"
    remind = f"subscription ($from: Instant!) {{ reminders(from: $from, count: 2) {{ {FIELDS} }} }}"
    async with diary_client() as session:
        entry = {"madeAt": NOON, "mood": Mood.BAD, "text": "it rains"}
        print("  written  ", await session.execute(write, {"entry": entry}, result_type=Written))
        found = await session.execute(entries, {"since": NOON}, result_type=Entries)
        print("  found    ", [(each.mood, each.text) for each in found.entries])
        async with session.subscribe(remind, {"from": NOON}, result_type=Reminder) as reminders:
            async for reminder in reminders:
                print("  reminder ", reminder.reminders.made_at - NOON)
        await mistakes(session)


async def mistakes(session: Session) -> None:
    """Only the last of these reaches the server."""
    late = {"entry": {"madeAt": "now", "text": ""}}
    try:
        await session.execute("{ entrys { text } }")
    except GraphQLValidationError as error:
        print("  document ", error.errors[0].message)
    try:
        await session.execute(
            "mutation ($entry: NewEntry!) { write(entry: $entry) { text } }", late
        )
    except VariableError as error:
        print("  variables", error)
    try:
        await session.execute("{ entries { text } }", result_type=Entries)
    except ResultTypeError as error:
        print("  result   ", error)


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        print(backend)
        anyio.run(main, backend=backend)
