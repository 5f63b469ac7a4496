"""What users write with generated packages: mypy and pyright check it, and the tests run it.

``both_…`` runs over WebSocket and HTTP, ``http_…`` only over HTTP.
"""

from __future__ import annotations

import gc
import io
import itertools
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, assert_type

import anyio
import library
import pytest
import short_library
from library import Countdown, Filter, FindFoundAuthor, FindFoundBook, ItemBy, Kind, NewBook, Range
from library.get_item import GetItemItemBook, GetItemItemMagazine
from library.scalars import Color

from anygql import FileVar, Session, TransportError, TransportQueryError, TransportTimeout
from anygql.codegen import subscribed

ORANGE = Color(255, 128, 0)

_tags = itertools.count(1)


async def _runs(client: library.Client, tag: str, count: int) -> None:
    """Until so many subscriptions with the tag run on the server."""
    while (await client.active(tag)).active != count:
        await anyio.sleep(0.01)


async def both_object_interface_and_scalars(session: Session) -> None:
    client = library.Client(session)
    item = (await client.get_item(ItemBy(id="1"))).item
    assert isinstance(item, GetItemItemBook)
    assert item.title == "Hard Times"
    assert item.kind is Kind.NOVEL
    assert_type(item.price, Decimal)
    assert item.price == Decimal("12.50")
    assert_type(item.published_at, datetime)
    assert item.published_at == datetime(1854, 8, 12, 9, 30, tzinfo=UTC)
    assert_type(item.cover, Color)
    assert item.cover == ORANGE
    assert item.author is not None
    assert item.author.born == date(1812, 2, 7)
    assert_type(item.shelves, list[list[int]])
    assert item.shelves == [[1, 2], [3]]
    assert item.extra == {"pages": 321}
    other = (await client.get_item(ItemBy(title="Household Words"))).item
    assert isinstance(other, GetItemItemMagazine)
    assert other.issue == 210
    assert (await client.get_item(ItemBy(id="none"))).item is None


async def both_one_of(session: Session) -> None:
    # The models don't know @oneOf; the server does.
    with pytest.raises(TransportQueryError):
        await library.Client(session).get_item(ItemBy(id="1", title="Hard Times"))


async def both_union(session: Session) -> None:
    book, magazine, author = (await library.Client(session).find()).found
    assert isinstance(book, FindFoundBook)
    assert book.class_ == "Hard Times"
    assert magazine.typename__ == "Magazine"
    assert isinstance(author, FindFoundAuthor)
    assert author.name == "Charles Dickens"


async def both_only_what_was_given(session: Session) -> None:
    client = library.Client(session)
    assert (await client.echo(again=False)).echo == {}
    assert (await client.echo(again=False, limit=None)).echo == {"limit": None}
    assert (await client.echo(again=False, where=Filter(), limit=1)).echo == {
        "where": {},
        "limit": 1,
    }
    answer = await client.echo(again=True, where=None)
    assert answer.echo == answer.twice == {"where": None}


async def both_nested_inputs(session: Session) -> None:
    where = Filter(
        kinds=[Kind.COMIC, Kind.None_],
        publishedAt=Range.model_validate({"from": 1850}),
        any=[Filter(any=[Filter(cover=ORANGE)]), Filter(publishedAt=None)],
        since=datetime(2020, 1, 2, tzinfo=UTC),
    )
    answer = await library.Client(session).echo(again=False, where=where)
    assert answer.echo == {
        "where": {
            "kinds": ["COMIC", "None_"],
            "published_at": {"from": 1850},
            "any": [{"any": [{"cover": [255, 128, 0]}]}, {"published_at": None}],
            "since": "2020-01-02T00:00:00+00:00",
        }
    }


async def both_lists_and_scalars_as_variables(session: Session) -> None:
    client = library.Client(session)
    assert (await client.transpose([[1, 2], [3, 4]])).transposed == [[1, 3], [2, 4]]
    assert (await client.covered(ORANGE)).covered == Color(0, 128, 255)
    assert (await client.covered()).covered == Color(0, 128, 255)
    assert (await client.covered(Color(1, 2, 3))).covered == Color(3, 2, 1)


async def both_mutation(session: Session) -> None:
    book = NewBook(
        title="Maus",
        kind=Kind.COMIC,
        price=Decimal("0.10"),
        cover=ORANGE,
        shelves=[[], [7]],
        extra={"prizes": ["Pulitzer"]},
    )
    added = (await library.Client(session).add(book)).add
    assert (added.title, added.kind, added.price) == ("Maus", Kind.COMIC, Decimal("0.10"))
    assert (added.cover, added.shelves) == (ORANGE, [[], [7]])
    assert added.extra == {"prizes": ["Pulitzer"]}


async def both_errors(session: Session) -> None:
    client = library.Client(session)
    with pytest.raises(TransportQueryError, match=r"as asked \(at failing\)") as caught:
        await client.failing()
    assert caught.value.data == {"failing": None, "active": 0}
    with pytest.raises(TransportTimeout):
        await client.slow(60, timeout=0.05)
    with pytest.raises(TypeError, match="headers"):
        await client.slow(0, headers={})
    assert (await client.slow(0, timeout=None, extensions={"a": 1})).slow == "after 0 s"


async def both_many_at_once(session: Session) -> None:
    client = library.Client(session)
    answers: dict[int, Any] = {}

    async def ask(number: int) -> None:
        answers[number] = (await client.echo(again=False, limit=number)).echo

    async with anyio.create_task_group() as tg:
        for number in range(20):
            tg.start_soon(ask, number)
    assert answers == {number: {"limit": number} for number in range(20)}


async def both_subscription_to_its_end(session: Session) -> None:
    found = [event.discoveries async for event in library.Client(session).discoveries()]
    assert [item.typename__ for item in found] == ["Book", "Magazine"]


async def both_subscription_that_fails(session: Session) -> None:
    client = library.Client(session)
    async with subscribed(client.faulty(buffer_size=1)) as events:
        assert (await anext(events)).faulty == 1
        with pytest.raises(TransportError, match="as asked"):
            await anext(events)
        # A generator that has raised is over.
        assert [event async for event in events] == []
    assert (await client.transpose([])).transposed == []


async def both_subscription_left_early(session: Session) -> None:
    client, tag = library.Client(session), f"early {next(_tags)}"
    async with subscribed(client.countdown(9, tag)) as events:
        async for event in events:
            assert_type(event, Countdown)
            if event.countdown == 7:
                break
        await _runs(client, tag, 1)
    await _runs(client, tag, 0)


async def both_subscription_left_by_an_error(session: Session) -> None:
    client, tag = library.Client(session), f"error {next(_tags)}"
    with pytest.raises(ZeroDivisionError):
        async with subscribed(client.countdown(1, tag)) as events:
            async for event in events:
                raise ZeroDivisionError(event.countdown)
    await _runs(client, tag, 0)


async def both_subscription_canceled(session: Session) -> None:
    client, tag = library.Client(session), f"canceled {next(_tags)}"
    with anyio.CancelScope() as scope:
        async with subscribed(client.countdown(1, tag)) as events:
            async for _ in events:
                await _runs(client, tag, 1)
                scope.cancel()
    assert scope.cancelled_caught
    await _runs(client, tag, 0)


async def both_subscription_after_a_time_limit(session: Session) -> None:
    client, tag = library.Client(session), f"limited {next(_tags)}"
    async with subscribed(client.countdown(1, tag)) as events:
        assert (await anext(events)).countdown == 1
        with anyio.move_on_after(0.01) as scope:
            await anext(events)
        assert scope.cancelled_caught
        # A generator that was canceled is over, too, and with it what it asked for.
        assert [event async for event in events] == []
        await _runs(client, tag, 0)


async def both_subscription_dropped(session: Session) -> None:
    # Without subscribed(): the server is told when the generator is collected.
    client, tag = library.Client(session), f"dropped {next(_tags)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # trio's, which says so
        async for event in client.countdown(1, tag):
            assert event.countdown == 1
            await _runs(client, tag, 1)
            break
        gc.collect()
        await _runs(client, tag, 0)


async def both_shorter_results(session: Session) -> None:
    client = short_library.Client(session)
    item = await client.get_item(short_library.ItemBy(id="1"))
    assert isinstance(item, short_library.GetItemItemBook)
    assert item.published_at.year == 1854
    assert await client.active("nobody") == 0
    where = short_library.Filter(published_at=short_library.Range(to=3))
    echo = await client.echo(again=False, where=where)
    assert echo.echo == {"where": {"published_at": {"to": 3}}}
    async with subscribed(client.countdown(2)) as numbers:
        assert_type(await anext(numbers), int)
        assert await anext(numbers) == 1


async def both_documents_for_the_session(session: Session) -> None:
    # What a generator can't do: a result that is in time or not, and then goes on.
    variables = {"from": 1}
    async with session.subscribe(short_library.COUNTDOWN_GQL, variables) as events:
        assert short_library.Countdown.model_validate(await anext(events)).countdown == 1
        with anyio.move_on_after(0.01) as scope:
            await anext(events)
        assert scope.cancelled_caught


async def http_transport_args(session: Session) -> None:
    args = {"headers": {"X-Tag": "7"}}
    answer = await library.Client(session).header("x-tag", transport_args=args)
    assert answer.header == "7"


async def http_uploads(session: Session) -> None:
    file = library.Upload("a.txt", io.BytesIO(b"one"), "text/plain")
    answer = await library.Client(session).upload_files([file, file])
    assert answer.upload[0] == "a.txt text/plain one"
    assert len(answer.upload) == 2
    files = [FileVar(b"two", filename="b.csv"), FileVar(b"three")]
    assert await short_library.Client(session).upload_files(files) == [
        "b.csv text/csv two",
        "file application/octet-stream three",
    ]


async def http_uploads_in_inputs(session: Session) -> None:
    files = [library.Upload(name, io.BytesIO(name.encode()), "text/plain") for name in "ab"]
    book = NewBook(
        title="Scanned",
        price=Decimal(1),
        cover=ORANGE,
        shelves=[],
        scans=[library.Scan(pageNumber=n, file=file) for n, file in enumerate(files)],
    )
    assert (await library.Client(session).add(book)).add.tags == ["0: a", "1: b"]
