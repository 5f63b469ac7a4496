"""A library, by Strawberry: it implements the types in ``schema.graphql``, one of every kind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NewType

import strawberry
from strawberry.asgi import GraphQL
from strawberry.file_uploads import Upload
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL

Color = NewType("Color", tuple[int, int, int])

#: How many subscriptions run, by the tag that the client gave them.
running: Counter[str] = Counter()


@strawberry.enum
class Kind(Enum):
    NOVEL = "NOVEL"
    COMIC = "COMIC"
    # A keyword of Python, which no name there can be.
    None_ = strawberry.enum_value("None", name="None")


@strawberry.interface
class Item:
    id: strawberry.ID
    title: str


@strawberry.type
class Author:
    name: str
    born: date | None = None


@strawberry.type
class Book(Item):
    kind: Kind
    price: Decimal
    published_at: datetime
    cover: Color
    author: Author | None
    tags: list[str]
    shelves: list[list[int]]
    extra: JSON | None = None


@strawberry.type
class Magazine(Item):
    issue: int


Found = Annotated[Book | Magazine | Author, strawberry.union("Found")]


@strawberry.input
class Range:
    from_: int | None = strawberry.field(name="from", default=strawberry.UNSET)
    to: int | None = strawberry.field(default=strawberry.UNSET)


@strawberry.input
class Filter:
    kinds: list[Kind] | None = strawberry.UNSET
    published_at: Range | None = strawberry.UNSET
    any: list[Filter] | None = strawberry.UNSET
    cover: Color | None = strawberry.UNSET
    since: datetime | None = strawberry.UNSET


@strawberry.input(one_of=True)
class ItemBy:
    id: strawberry.ID | None = strawberry.UNSET
    title: str | None = strawberry.UNSET


@strawberry.input
class Scan:
    page_number: int
    file: Upload


@strawberry.input
class NewBook:
    title: str
    kind: Kind = Kind.NOVEL
    price: Decimal
    cover: Color
    shelves: list[list[int]]
    scans: list[Scan] | None = strawberry.UNSET
    extra: JSON | None = strawberry.UNSET


BOOK = Book(
    id=strawberry.ID("1"),
    title="Hard Times",
    kind=Kind.NOVEL,
    price=Decimal("12.50"),
    published_at=datetime.fromisoformat("1854-08-12T09:30:00+00:00"),
    cover=Color((255, 128, 0)),
    author=Author(name="Charles Dickens", born=date(1812, 2, 7)),
    tags=["school"],
    shelves=[[1, 2], [3]],
    extra=JSON({"pages": 321}),
)
MAGAZINE = Magazine(id=strawberry.ID("2"), title="Household Words", issue=210)
ITEMS: list[Book | Magazine] = [BOOK, MAGAZINE]


def shown(value: Any) -> Any:
    """An input, as the server has it, without what was not given."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [shown(item) for item in value]
    if hasattr(value, "__strawberry_definition__"):
        given = ((name.rstrip("_"), member) for name, member in vars(value).items())
        return {name: shown(member) for name, member in given if member is not strawberry.UNSET}
    return value


@strawberry.type
class Query:
    @strawberry.field
    def item(self, by: ItemBy) -> Item | None:
        for item in ITEMS:
            if by.id == item.id or by.title == item.title:
                return item
        return None

    @strawberry.field
    def found(self, text: str = "") -> list[Found]:
        return [item for item in (*ITEMS, BOOK.author) if item is not None]

    @strawberry.field
    def echo(
        self, where: Filter | None = strawberry.UNSET, limit: int | None = strawberry.UNSET
    ) -> JSON:
        """What the server was given."""
        given = {"where": where, "limit": limit}
        return JSON({k: shown(v) for k, v in given.items() if v is not strawberry.UNSET})

    @strawberry.field
    def covered(self, by: Color = Color((255, 128, 0))) -> Color:
        red, green, blue = by
        return Color((blue, green, red))

    @strawberry.field
    def transposed(self, rows: list[list[int]]) -> list[list[int]]:
        return [list(column) for column in zip(*rows, strict=True)]

    @strawberry.field
    def header(self, info: strawberry.Info, name: str) -> str | None:
        """A header of the request."""
        request: Any = info.context["request"]
        return request.headers.get(name)

    @strawberry.field
    def failing(self) -> str | None:
        raise ValueError("as asked")

    @strawberry.field
    async def slow(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return f"after {seconds:g} s"

    @strawberry.field
    def active(self, tag: str) -> int:
        return running[tag]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add(self, book: NewBook) -> Book:
        scans = book.scans or []
        return Book(
            id=strawberry.ID("3"),
            title=book.title,
            kind=book.kind,
            price=book.price,
            published_at=BOOK.published_at + timedelta(days=1),
            cover=book.cover,
            author=None,
            tags=[f"{scan.page_number}: {(await scan.file.read()).decode()}" for scan in scans],  # type: ignore[attr-defined]
            shelves=book.shelves,
            extra=book.extra or None,
        )

    @strawberry.mutation
    async def upload(self, files: list[Upload]) -> list[str]:
        said: list[str] = []
        for file in files:
            given: Any = file
            text = (await given.read()).decode()
            said.append(f"{given.filename} {given.content_type} {text}")
        return said


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def countdown(
        self, from_: Annotated[int, strawberry.argument(name="from")], tag: str = ""
    ) -> AsyncGenerator[int, None]:
        """Down to 1, and then nothing for ever."""
        running[tag] += 1
        try:
            for number in range(from_, 0, -1):
                yield number
            await asyncio.Event().wait()
        finally:
            running[tag] -= 1

    @strawberry.subscription
    async def discoveries(self) -> AsyncGenerator[Found, None]:
        for item in ITEMS:
            yield item

    @strawberry.subscription
    async def faulty(self) -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("as asked")


schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    types=[Book, Magazine],
    config=StrawberryConfig(
        scalar_map={
            Color: strawberry.scalar(
                name="Color",
                serialize=lambda color: f"#{bytes(color).hex()}",
                parse_value=lambda text: Color(tuple(bytes.fromhex(text[1:]))),  # type: ignore[arg-type]
            )
        }
    ),
)

app = GraphQL[Any, None](
    schema,
    multipart_uploads_enabled=True,
    subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
)
