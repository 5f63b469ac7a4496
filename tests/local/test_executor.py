"""Async resolvers side by side, on either loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from graphql import ExecutionResult, build_schema, execute, parse

from anygql.testing import AnyioExecutor

SCHEMA = build_schema("""
  type Query { a: Int  b: Int  boom: Int  strict: Int!  list: [Int]  items: [Item]  stream: [Item] }
  type Item { x: Int  y: Int }
""")


class Gate:
    """Opens when ``parties`` wait at it, so that only tasks that run at once pass it."""

    def __init__(self, parties: int) -> None:
        self.missing = parties
        self.open = anyio.Event()

    async def wait(self, value: Any = 1) -> Any:
        self.missing -= 1
        if not self.missing:
            self.open.set()
        await self.open.wait()
        return value


async def run(query: str, root: dict[str, Any]) -> ExecutionResult:
    result = execute(SCHEMA, parse(query), root, executor_class=AnyioExecutor)
    if not isinstance(result, ExecutionResult):
        with anyio.fail_after(5):
            result = await result
    return result


async def test_fields_run_at_once() -> None:
    gate = Gate(2)
    root = {"a": lambda _: gate.wait(1), "b": lambda _: gate.wait(2)}
    assert await run("{ b a }", root) == ({"b": 2, "a": 1}, None)


async def test_list_items_run_at_once() -> None:
    gate = Gate(3)
    root = {"list": lambda _: [gate.wait(1), 2, gate.wait(3), gate.wait(4)]}
    assert await run("{ list }", root) == ({"list": [1, 2, 3, 4]}, None)


async def test_fields_of_list_items_run_at_once() -> None:
    gate = Gate(4)
    item = {"x": lambda _: gate.wait(1), "y": lambda _: gate.wait(2)}
    result = await run("{ items { x y } }", {"items": [item, item]})
    assert result == ({"items": [{"x": 1, "y": 2}] * 2}, None)


async def test_an_async_iterator_is_a_list() -> None:
    gate = Gate(4)
    item = {"x": lambda _: gate.wait(1), "y": lambda _: gate.wait(2)}

    async def items(_: Any) -> AsyncIterator[Any]:
        yield item
        await anyio.sleep(0)
        yield item

    result = await run("{ stream { x y } }", {"stream": items})
    assert result == ({"stream": [{"x": 1, "y": 2}] * 2}, None)


async def test_an_async_iterator_that_fails() -> None:
    async def items(_: Any) -> AsyncIterator[Any]:
        yield {}
        raise ValueError("boom")

    result = await run("{ stream { x } a }", {"stream": items, "a": 1})
    assert result.data == {"stream": None, "a": 1}
    assert [(e.message, e.path) for e in result.errors or []] == [("boom", ["stream"])]


async def test_one_field_fails_and_the_others_stay() -> None:
    gate = Gate(2)

    async def boom(_: Any) -> int:
        await gate.wait()
        raise ValueError("boom")

    result = await run("{ a boom }", {"a": lambda _: gate.wait(1), "boom": boom})
    assert result.data == {"a": 1, "boom": None}
    assert [e.message for e in result.errors or []] == ["boom"]


async def test_a_field_that_must_not_be_null_cancels_its_siblings() -> None:
    canceled = []

    async def slow(_: Any) -> int:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            canceled.append(True)
            raise

    async def strict(_: Any) -> None:
        await anyio.sleep(0)

    result = await run("{ a strict }", {"a": slow, "strict": strict})
    assert result.data is None
    assert canceled == [True]


@pytest.mark.parametrize("query", ["{ a b strict }", "{ items { x y } strict }"])
async def test_what_never_ran_is_disposed_of(query: str) -> None:
    async def value(_: Any) -> int:
        return 1  # pragma: no cover

    def strict(_: Any) -> int:
        raise ValueError("boom")

    item = {"x": value, "y": value}
    result = await run(query, {"a": value, "b": value, "items": [item], "strict": strict})
    assert result.data is None


async def test_being_canceled_cancels_the_resolvers() -> None:
    gate = Gate(3)
    with anyio.move_on_after(0.01) as scope:
        await run("{ a b }", {"a": lambda _: gate.wait(), "b": lambda _: gate.wait()})
    assert scope.cancelled_caught
