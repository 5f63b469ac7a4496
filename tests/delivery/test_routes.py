"""The routes of one connection: what waits at their ends, and what is remembered of them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from anygql import ExecutionResult, TransportConnectionFailed
from anygql.concurrency.loop import RunningLoop
from anygql.delivery import routes as module
from anygql.delivery.flow import Flow
from anygql.delivery.routes import Answer, Route, Routes


class Owner:
    """A connection without operations of its own."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.loop = RunningLoop()
        self.wake_soon = self.loop.wake

    def leave(self, route: Route) -> None:
        raise AssertionError("an answer doesn't leave by itself")

    def leave_soon(self, leave: object) -> None:
        raise AssertionError("an answer doesn't leave by itself")


@pytest.mark.parametrize("comes", ["result", "fault"])
@pytest.mark.parametrize("early", [True, False])
async def test_an_answer_comes_before_it_is_waited_for_or_after(comes: str, early: bool) -> None:
    answer = Answer(Owner(), "1")

    def settle() -> None:
        if comes == "result":
            answer.next(ExecutionResult({"n": 1}))
        else:
            answer.fail(TransportConnectionFailed("gone"))

    async def wait() -> None:
        if comes == "result":
            assert (await answer.wait()).data == {"n": 1}
        else:
            with pytest.raises(TransportConnectionFailed, match="gone"):
                await answer.wait()

    if early:
        settle()
        await wait()
    else:
        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            settle()


def test_answers_that_are_never_completed_are_forgotten_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some servers send no `complete` behind the one result of a query."""
    monkeypatch.setattr(module, "MAX_UNCOMPLETED", 3)
    routes = Routes(lambda: 0.0)
    owner: Any = None
    ids = [routes.new_id() for _ in range(5)]
    for id in ids:
        routes.register(Route(owner, id))
        routes.answered(id)
    assert list(routes.uncompleted) == ids[2:]
    assert routes.ended(ids[2]) is None
    assert list(routes.uncompleted) == ids[3:]
