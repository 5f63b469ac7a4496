"""One refresh, and the loops that wait for it."""

from __future__ import annotations

import anyio
import pytest

from anygql import Client, Refreshing
from anygql.session.auth.refresh import Refresh
from anygql.session.auth.tokens import TokenSource
from anygql.testing import GraphQLServer, demo_schema


async def test_loops_that_are_over_and_waits_that_come_late() -> None:
    refresh = Refresh(lambda: False)
    assert refresh.runs_here

    async def other() -> None:
        assert not refresh.runs_here
        with anyio.move_on_after(0):
            await refresh.wait()

    await anyio.to_thread.run_sync(anyio.run, other)
    async with anyio.create_task_group() as tg:
        tg.start_soon(refresh.wait)
        await anyio.wait_all_tasks_blocked()
        refresh.end()
    await refresh.wait()


class Taken(BaseException):
    pass


async def test_a_refresh_that_never_began_is_waited_for_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Ctrl-C may have it under trio; the credentials are used again after that."""

    async def taken(*_: object) -> None:
        raise Taken

    auth = Refreshing(refresh=lambda: "token", timeout=None)
    async with GraphQLServer(demo_schema()) as server:
        client = Client(server.transport(init_payload=auth.payload), auth=auth)
        with monkeypatch.context() as patch, pytest.raises(Taken):
            patch.setattr(TokenSource, "_run", taken)
            async with client:
                pass
        async with client as session:
            assert await session.execute("{ hello }") == {"hello": "Hello world!"}
