"""What is canceled at each of its checkpoints while calls wait for their limits."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from anygql import Call, Client, ExecutionResult, Operation
from anygql.throttle import Throttle
from tests.promises.cancellation.checkpoints import Body, Violation
from tests.promises.cancellation.scenarios import Server, Setting, scenario, usable


class Refusing:
    """An interceptor that refuses every third operation, as a server's limit does."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, operation: Operation, call: Call) -> ExecutionResult:
        self.calls += 1
        if self.calls % 3:
            return await call(operation)
        await checkpoint()
        error = {"message": "m", "extensions": {"code": "THROTTLED"}}
        status = {"maximumAvailable": 5, "currentlyAvailable": 0, "restoreRate": 1000}
        cost = {"requestedQueryCost": 1, "actualQueryCost": None, "throttleStatus": status}
        return ExecutionResult(None, [error], {"cost": cost})


@scenario("throttle")
async def throttle(body: Body) -> Setting:
    limit = Throttle(rate=1000, burst=2)
    async with Server() as server:
        client = Client(server.transport(), interceptors=[limit, Refusing()])
        async with client as session:

            async def run() -> None:
                async with anyio.create_task_group() as tg:
                    for _ in range(4):
                        tg.start_soon(session.execute, "{ hello }")
                body.point()
                with anyio.move_on_after(0.005):
                    await session.execute("{ slow(seconds: 60) }")
                body.point()

            yield run
            if "0 waiting, 0 under way" not in repr(limit):
                raise Violation(f"left in line: {limit}")
            await usable(session)
            await server.settled()
        await server.emptied()
