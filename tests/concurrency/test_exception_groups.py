"""One layer is taken off, the task group's own."""

from __future__ import annotations

import anyio
import pytest

from anygql.concurrency.exception_groups import single, unwrapped


async def test_the_error_of_a_task() -> None:
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught, unwrapped():
        async with anyio.create_task_group():
            raise error
    assert caught.value is error
    assert error.__context__ is None


async def test_a_group_of_the_caller_s_arrives_as_it_was() -> None:
    error = ZeroDivisionError()
    with pytest.raises(ExceptionGroup, match="mine") as caught, unwrapped():
        async with anyio.create_task_group():
            raise ExceptionGroup("mine", [error])
    assert caught.value.exceptions == (error,)


def test_several_stay_together() -> None:
    group = ExceptionGroup("two", [ZeroDivisionError(), ValueError()])
    with pytest.raises(ExceptionGroup) as caught, unwrapped():
        raise group
    assert caught.value is group
    assert single(group) is group


def test_single() -> None:
    error = ZeroDivisionError()
    assert single(error) is error
    assert single(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
