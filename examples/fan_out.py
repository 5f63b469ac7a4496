"""One subscription, fanned out to the WebSocket clients of a FastAPI application.

The application's lifespan owns the session and the shared subscription. The GraphQL server sees one
subscription, which begins with the first client and ends two seconds after the last. Each client
has a buffer of its own: one that doesn't read loses the oldest values, and nobody waits for it.

::

    python -m examples.fan_out                                        # a server of its own
    GRAPHQL_URL=wss://example.org/graphql uvicorn examples.fan_out:app

Connect any number of WebSocket clients to ``ws://localhost:8080/countdown``. Needs fastapi, uvicorn
and websockets. ``GRAPHQL_URL`` names a server with the schema of ``anygql.testing.demo_schema``;
without it one is started here, in memory. ``PORT`` is where the application listens (8080).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import anyio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from anygql import Client, SharedSubscription, Subscription
from anygql.testing import GraphQLServer, demo_schema

START = 1_000_000
COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from, interval: 0.05) }"


class State(TypedDict):
    """What handlers find in ``websocket.state``."""

    countdown: SharedSubscription[int]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Own the session, and the subscription that all clients share."""
    async with (
        the_client() as client,
        client.connect(reconnecting=True) as session,
        session.share(
            COUNTDOWN,
            {"from": START},
            path="countdown",
            result_type=int,
            linger=2,
            replay=1,
            on_resubscribe=go_on,
        ) as countdown,
    ):
        yield State(countdown=countdown)


def go_on(_: Subscription[Any], last: int | None) -> Mapping[str, int] | None:
    """After a reconnect, go on where it stopped."""
    return None if last is None else {"from": last - 1}


@asynccontextmanager
async def the_client() -> AsyncGenerator[Client]:
    """A client of ``GRAPHQL_URL``, or of a server in memory."""
    if url := os.environ.get("GRAPHQL_URL"):
        yield Client(url)
        return
    async with GraphQLServer(demo_schema()) as server:
        yield Client(server.transport())


app = FastAPI(lifespan=lifespan)


@app.websocket("/countdown")
async def countdown(websocket: WebSocket) -> None:
    """Send each value, until the client goes away."""
    await websocket.accept()
    async with anyio.create_task_group() as tg:

        async def send() -> None:
            hub = websocket.state.countdown
            async with hub.listen(buffer_size=16, on_overflow="drop_oldest") as values:
                async for value in values:
                    await websocket.send_json({"value": value, "dropped": values.dropped})
            await websocket.close()

        tg.start_soon(send)
        try:
            while True:  # a client that goes away is noticed here
                await websocket.receive_text()
        except WebSocketDisconnect:
            tg.cancel_scope.cancel()


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
