"""``@defer`` and ``@stream`` on a schema in this process, on each loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from graphql import (
    ExperimentalIncrementalExecutionResults,
    GraphQLSchema,
    build_schema,
    experimental_execute_incrementally,
    parse,
)

from anygql import Client, ExecutionResult, TransportQueryError
from anygql.local import LocalSchemaTransport
from anygql.results.incremental import IncrementalMerge

pytestmark = pytest.mark.table

SDL = """
  directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
  directive @stream(if: Boolean! = true, label: String, initialCount: Int = 0) on FIELD
  type Query { hero: Hero  heroes: [Hero]  strict: [Hero!]  numbers: [Int]  endless: [Int] }
  type Mutation { make: Hero }
  type Hero {
    id: Int  name: String  slow: String  fails: String  must: Int!
    friends: [Hero]  more: [Hero]  self: Hero
  }
  type Subscription { hero: Hero }
"""


class Hero:
    """A hero with fields that are known at once and fields that take a while."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.name = f"hero {id}"

    @property
    def self(self) -> Hero:
        return self

    @property
    def friends(self) -> list[Hero]:
        return [Hero(self.id * 10 + n) for n in range(3)]

    async def slow(self, _info: Any) -> str:
        await anyio.sleep(0)
        return f"slow {self.id}"

    async def fails(self, _info: Any) -> str:
        raise ValueError(f"no answer for {self.id}")

    async def must(self, _info: Any) -> int | None:
        await anyio.sleep(0)
        return None if self.id % 2 else self.id

    async def more(self, _info: Any) -> AsyncIterator[Hero]:
        for hero in self.friends:
            await anyio.sleep(0)
            yield hero


def later(hero: Hero) -> Any:
    async def give() -> Hero:
        await anyio.sleep(0)
        return hero

    return give()


ROOT: dict[str, Any] = {
    "hero": Hero(2),
    "make": Hero(4),
    "heroes": lambda _info: [Hero(1), later(Hero(2)), Hero(3), later(Hero(4))],
    "strict": lambda _info: iter([Hero(1), None, Hero(3)]),
    "numbers": list(range(250)),
}


def schema() -> GraphQLSchema:
    return build_schema(SDL)


def local(**root: Any) -> Client:
    return Client(LocalSchemaTransport(schema(), root_value={**ROOT, **root}))


DOCUMENTS = [
    "{ hero { name } }",
    "{ hero { name ... @defer { slow } } }",
    "{ hero { name ... @defer { name } } }",
    "{ hero { ... @defer(if: false) { slow } } }",
    "{ ... @defer { hero { slow name } } }",
    "mutation { make { id ... @defer { slow } } }",
    "{ hero { ... @defer { slow ... @defer { self { slow name } } } } }",
    "{ hero { ... @defer { self { slow id } } ... @defer { self { slow name } } } }",
    "{ hero { ... @defer { self { id ... @defer { name } } } ... @defer { self { id } } } }",
    "{ hero { ... @defer { fails } ... @defer { slow } } }",
    "{ heroes { id ... @defer { must } } }",
    "{ heroes { id ... @defer { self { ... @defer { must } } } } }",
    "{ heroes @stream { id slow } }",
    "{ heroes @stream(initialCount: 1) { id ... @defer { slow } } }",
    "{ heroes @stream(initialCount: 9) { id } }",
    "{ heroes @stream(initialCount: 2) { must } }",
    "{ strict @stream { id } }",
    "{ strict @stream(initialCount: 1) { id slow } }",
    "{ strict @stream(initialCount: 2) { id slow } }",
    "{ numbers @stream(initialCount: 3) }",
    "{ hero { more @stream { id } } }",
    "{ hero { more @stream(initialCount: 2) { id slow } friends { id } } }",
    "{ hero { ... @defer { friends @stream(initialCount: 1) { slow } } } }",
    "{ hero { more @stream { ... @defer { friends @stream { ... @defer { slow } } } } } }",
    "{ hero { must more @stream { must } } numbers @stream(initialCount: -1) }",
]


def in_any_order(result: ExecutionResult) -> tuple[Any, Any]:
    return result.data, sorted(map(str, result.errors or []))


async def reference(document: str) -> ExecutionResult:
    """Return the result of graphql-core's own executor, which needs asyncio."""
    result: Any = experimental_execute_incrementally(schema(), parse(document), ROOT)
    if inspect.isawaitable(result):
        result = await result
    merge = IncrementalMerge()
    if not isinstance(result, ExperimentalIncrementalExecutionResults):
        return merge.add(result.formatted)
    state = merge.add(result.initial_result.formatted)
    async for payload in result.subsequent_results:
        state = merge.add(payload.formatted)
    return state


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_the_whole_is_graphql_core_s(document: str) -> None:
    expected = await anyio.to_thread.run_sync(lambda: asyncio.run(reference(document)))
    states: list[ExecutionResult] = []
    async with local() as session:
        assert in_any_order(await session.execute_result(document)) == in_any_order(expected)
        events = session.execute_incremental(document)
        async with events:
            while True:
                try:
                    states.append(ExecutionResult(await events.receive()))
                except TransportQueryError as exc:
                    states.append(ExecutionResult(exc.data, exc.errors))
                except anyio.EndOfStream:
                    break
    assert in_any_order(states[-1]) == in_any_order(expected)


async def test_states_come_as_they_are_there() -> None:
    gate = anyio.Event()

    async def slow(_info: Any) -> str:
        await gate.wait()
        return "at last"

    async with local(hero={"name": "x", "slow": slow}) as session:
        async with session.execute_incremental("{ hero { name ... @defer { slow } } }") as states:
            assert await states.receive() == {"hero": {"name": "x"}}
            gate.set()
            assert await states.receive() == {"hero": {"name": "x", "slow": "at last"}}
            with pytest.raises(anyio.EndOfStream):
                await states.receive()


async def test_a_list_comes_in_pieces() -> None:
    async with local() as session:
        async with session.execute_incremental("{ numbers @stream(initialCount: 3) }") as states:
            lengths = [len(data["numbers"]) async for data in states]
    assert lengths == [3, 103, 203, 250]


async def test_items_come_as_they_are_there() -> None:
    gate = anyio.Event()

    async def numbers(_info: Any) -> AsyncIterator[int]:
        yield 1
        yield 2
        await gate.wait()
        yield 3

    async with local(numbers=numbers) as session:
        async with session.execute_incremental("{ numbers @stream }") as states:
            while await states.receive() != {"numbers": [1, 2]}:
                pass
            gate.set()
            assert await states.receive() == {"numbers": [1, 2, 3]}


@pytest.mark.parametrize("waiting", [True, False])
async def test_items_do_not_wait_for_those_after_them(waiting: bool) -> None:
    gate = anyio.Event()

    async def third() -> int:
        await gate.wait()
        return 3

    async with local(numbers=lambda _info: [1, 2, third(), 4]) as session:
        async with session.execute_incremental("{ numbers @stream }") as states:
            while await states.receive() != {"numbers": [1, 2]}:
                pass
            if waiting:
                gate.set()
                while await states.receive() != {"numbers": [1, 2, 3, 4]}:
                    pass


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{ hero { nothing } }", "Cannot query field 'nothing'"),
        ("{ hero { must fails } }", "no answer for 2"),
    ],
)
async def test_an_answer_that_comes_at_once(document: str, message: str) -> None:
    async with local() as session:
        async with session.execute_incremental(document) as states:
            with pytest.raises(TransportQueryError, match=message):
                await states.receive()
            with pytest.raises(anyio.EndOfStream):
                await states.receive()


async def test_deferred_parts_run_at_once() -> None:
    missing = 3
    met = anyio.Event()

    async def meet(_info: Any) -> str:
        nonlocal missing
        missing -= 1
        if not missing:
            met.set()
        await met.wait()
        return "met"

    parts = "... @defer { slow } ... @defer { fails } ... @defer { name }"
    hero = {"slow": meet, "fails": meet, "name": meet}
    async with local(hero=hero) as session:
        data = await session.execute(f"{{ hero {{ id {parts} }} }}")
    assert data == {"hero": {"id": None, "slow": "met", "fails": "met", "name": "met"}}


class Numbers:
    """An endless source of numbers that counts them, and notes its closing."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = anyio.Event()

    async def __call__(self, _info: Any) -> AsyncIterator[int]:
        try:
            while True:
                await anyio.sleep(0)
                self.asked += 1
                yield self.asked
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            self.closed.set()


@pytest.mark.parametrize("first", [0, 2])
async def test_a_streamed_list_waits_for_its_consumer(first: int) -> None:
    numbers = Numbers()
    document = f"{{ endless @stream(initialCount: {first}) }}"
    async with local(endless=numbers) as session:
        async with session.execute_incremental(document, buffer_size=1) as states:
            await anyio.wait_all_tasks_blocked()
            asked = numbers.asked
            assert asked <= first + 300
            await anyio.wait_all_tasks_blocked()
            assert numbers.asked == asked
            async for data in states:
                assert data["endless"] == list(range(1, len(data["endless"]) + 1))
                if len(data["endless"]) > 500:
                    break
        await numbers.closed.wait()
        assert await session.execute("{ hero { id } }") == {"hero": {"id": 2}}


async def test_what_was_streamed_from_is_closed_before_execute_is_out() -> None:
    numbers = Numbers()
    async with local(endless=numbers) as session:
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, "{ endless @stream(initialCount: 2) }")
            while not numbers.asked:
                await anyio.lowlevel.checkpoint()
            tg.cancel_scope.cancel()
        assert numbers.closed.is_set()


@pytest.mark.parametrize("document", ["{ endless @stream(initialCount: 2) hero { must } }"])
async def test_a_stream_that_is_nulled_before_it_begins(document: str) -> None:
    built = build_schema(SDL.replace("hero: Hero ", "hero: Hero! "))
    numbers = Numbers()
    root = {"endless": numbers, "hero": Hero(1)}
    async with Client(LocalSchemaTransport(built, root_value=root)) as session:
        result = await session.execute_result(document)
    assert result.data is None
    assert numbers.closed.is_set()


async def test_a_deferred_resolver_is_canceled() -> None:
    log: list[str] = []
    begun = anyio.Event()

    async def slow(_info: Any) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    document = "{ hero { name ... @defer { slow } } }"
    async with local(hero={"name": "x", "slow": slow}) as session:
        async with session.execute_incremental(document) as states:
            assert await states.receive() == {"hero": {"name": "x"}}
            await begun.wait()
        while not log:
            await anyio.sleep(0)
        begun = anyio.Event()
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.execute, document)
            await begun.wait()
            tg.cancel_scope.cancel()
        assert log == ["ended"] * 2


async def test_coroutines_that_are_never_reached_are_disposed_of() -> None:
    async def hero(_info: Any) -> Any:
        return [later(Hero(n)) for n in range(300)]

    async with local(heroes=hero) as session:
        async with session.execute_incremental(
            "{ heroes @stream(initialCount: 1) { id } }", buffer_size=1
        ) as states:
            assert await states.receive() == {"heroes": [{"id": 0}]}


async def test_a_mistake_in_the_directive_leaves_no_coroutines() -> None:
    async with local() as session:
        result = await session.execute_result("{ heroes @stream(initialCount: -1) { id } }")
    assert result.data == {"heroes": None}


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_canceled_at_every_step(document: str) -> None:
    """No task is left, and no coroutine is left that was never awaited."""
    async with local() as session:
        whole = steps = 0
        while whole < 3:  # trio takes tasks in any order
            async with anyio.create_task_group() as tg:
                with anyio.CancelScope() as scope:
                    tg.start_soon(cancel_after, steps, scope)
                    await session.execute_result(document)
                    whole += 1
                tg.cancel_scope.cancel()
            steps += 1
        assert await session.execute("{ hero { name } }") == {"hero": {"name": "hero 2"}}


async def cancel_after(steps: int, scope: anyio.CancelScope) -> None:
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


async def test_a_list_that_breaks_off() -> None:
    def numbers(_info: Any) -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no more")

    async with local(numbers=numbers) as session:
        result = await session.execute_result("{ numbers @stream(initialCount: 1) }")
    assert result.data == {"numbers": [1, 2]}
    assert result.errors is not None
    assert [(e["message"], e["path"]) for e in result.errors] == [("no more", ["numbers"])]


async def test_a_part_without_a_json_form() -> None:
    built = build_schema(SDL.replace("slow: String", "slow: Odd") + " scalar Odd")
    root = {"hero": {"name": "x", "slow": object()}}
    async with Client(LocalSchemaTransport(built, root_value=root)) as session:
        with pytest.raises(TransportQueryError, match=r"incremental\[0\]\.data\.slow"):
            await session.execute("{ hero { name ... @defer { slow } } }")


@pytest.mark.parametrize("part", ["... @defer { id }", "friends @stream { id }"])
async def test_subscriptions_can_not_grow(part: str) -> None:
    async def source(_info: Any) -> AsyncIterator[Any]:
        yield {"hero": Hero(1)}

    async with Client(
        LocalSchemaTransport(schema(), root_value={"hero": source}, validate=False)
    ) as session:
        async with session.subscribe(f"subscription {{ hero {{ {part} }} }}") as events:
            with pytest.raises(TransportQueryError, match="not supported on subscription"):
                await events.receive()


async def test_a_schema_without_the_directives() -> None:
    built = build_schema("type Query { hero: Hero } type Hero { id: Int }")
    async with Client(LocalSchemaTransport(built)) as session:
        with pytest.raises(TransportQueryError, match="Unknown directive '@defer'"):
            await session.execute("{ ... @defer { hero { id } } }")
