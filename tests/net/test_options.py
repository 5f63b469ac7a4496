"""Options of transports: values, and functions that are called at each attempt."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import anyio
import pytest

from anygql import TransportConnectionFailed
from anygql.net.options import resolve


class Again:
    """What can be awaited at each attempt, as a task can."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from anyio.lowlevel.checkpoint().__await__()
        return "value"


def function() -> str:
    return "value"


async def async_function() -> str:
    await anyio.lowlevel.checkpoint()
    return "value"


@pytest.mark.parametrize("given", ["value", function, async_function, Again(), lambda: Again()])
async def test_a_value_however_it_is_given(given: Any) -> None:
    for _ in range(2):
        assert await resolve(given, "headers", "the server") == "value"


async def test_what_the_function_raises() -> None:
    async def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await resolve(fail, "headers", "the server")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_nobody_asked_for() -> None:
    import asyncio

    async def fail() -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    message = "the server: a cancellation came out of the function headers"
    with pytest.raises(TransportConnectionFailed, match=message) as caught:
        await resolve(fail, "headers", "the server")
    assert caught.value.unsent
