"""What is wrong with a call is said before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from anygql import Client
from anygql.testing import DEMO_SDL

HELLO = "query ($name: String) { hello(name: $name) }"
ADD = "query ($a: Int!, $b: Int!) { add(a: $a, b: $b) }"
COUNTDOWN = "subscription ($n: Int!) { countdown(from: $n) }"


class Plain:
    pass


@dataclass
class Order:
    id: str = ""


class Forgotten:
    """A class that should have been a dataclass."""

    hello: str


@dataclass
class WithForgotten:
    hello: Forgotten


@pytest.mark.parametrize("schema", [None, DEMO_SDL])
async def test_a_misspelled_or_missing_variable(memory: Client, schema: str | None) -> None:
    memory.schema = schema
    async with memory as session:
        calls = [session.execute, session.execute_result]
        for call in calls:
            with pytest.raises(ValueError, match="Did you mean 'name'"):
                await call(HELLO, {"nmae": "a"})
            with pytest.raises(ValueError, match=r"requires \$b \(Int!\)"):
                await call(ADD, {"a": 1})
        with pytest.raises(ValueError, match=r"requires \$a \(Int!\), \$b"):
            await session.execute_batch([ADD])
        assert await session.execute(ADD, {"a": 1, "b": 2, "unused": 3}) == {"add": 3}


async def test_subscriptions_and_growing_results_need_their_variables(memory: Client) -> None:
    async with memory as session:
        for subscribe in (session.subscribe, session.subscribe_results):
            with pytest.raises(ValueError, match=r"requires \$n \(Int!\)"):
                subscribe(COUNTDOWN)
        with pytest.raises(ValueError, match=r"requires \$a \(Int!\)"):
            session.execute_incremental(ADD, {"b": 1})


@pytest.mark.parametrize(
    ("result_type", "message"),
    [
        (Plain, "data can't be read as Plain, a plain class: make it a dataclass"),
        (Forgotten, "a plain class: make it a dataclass"),
        (WithForgotten, r"WithForgotten.hello: data can't be read as Forgotten, a plain class"),
        (list[Forgotten], "an object with the operation's fields, never list"),
        (list[WithForgotten], "an object with the operation's fields, never list.*add path="),
        (list[Any], "never list.*add path="),
        (int, "never int.*add path="),
        (str | None, "never str | None.*add path="),
        ({"hello": str}, "result_type is a type, .* not a value of type dict"),
        ([Plain], "result_type is a type, .* not a value of type list"),
        (Order(), "result_type is a type, .* not a value of type Order"),
        (msgspec.defstruct("S", [])(), "result_type is a type, .* not a value of type S"),
    ],
)
async def test_a_result_type_that_no_answer_can_have(
    memory: Client, result_type: Any, message: str
) -> None:
    async with memory as session:
        with pytest.raises(TypeError, match=message):
            await session.execute("mutation { setCounter(value: 7) }", result_type=result_type)
        with pytest.raises(TypeError, match=message):
            session.subscribe("subscription { countdown }", result_type=result_type)
        assert await session.execute("{ counter }") == {"counter": 0}
        with pytest.raises(TypeError, match="plain class"):
            await session.execute("{ counter }", result_type=Forgotten, path="counter")
