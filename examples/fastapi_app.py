"""A FastAPI application that keeps one GraphQL session for as long as it runs.

The application's lifespan owns the session: it connects before the first request is served, comes
back by itself when the GraphQL server restarts, and is closed at shutdown. Requests share it. A
request that comes while there is no connection waits for the next one, or fails with the reason.

::

    python -m examples.fastapi_app                                        # a server of its own
    GRAPHQL_URL=wss://example.org/graphql uvicorn examples.fastapi_app:app

    curl localhost:8080/health
    curl localhost:8080/hello/world
    curl -N localhost:8080/countdown

Needs fastapi and uvicorn. ``GRAPHQL_URL`` names a server with the schema of
``anygql.testing.demo_schema``; without it one is started here, in memory. ``PORT`` is where the
application listens (8080).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from anygql import Client, Session, Subscription, TransportError
from anygql.testing import GraphQLServer, demo_schema

START = 1_000_000


class Latest:
    """The newest value of one subscription, for any number of readers.

    The server sends each value once, however many requests show it, and a reader that is slow
    skips some: it is the newest value that counts.
    """

    def __init__(self, session: Session) -> None:
        self.value: int | None = None
        self.reconnects = 0
        self._session = session
        self._changed = anyio.Event()

    async def follow(self) -> None:
        """Keep ``value`` up to date."""
        async with self._session.subscribe(
            "subscription ($from: Int!) { countdown(from: $from, interval: 0.05) }",
            {"from": START},
            on_resubscribe=self._continue,
        ) as countdown:
            async for data in countdown:
                self.value, self.reconnects = data["countdown"], countdown.reconnects
                changed, self._changed = self._changed, anyio.Event()
                changed.set()

    def _continue(self, _: Subscription[Any], last: Any) -> Mapping[str, Any] | None:
        """After a reconnect, go on where it stopped."""
        return None if last is None else {"from": last["countdown"] - 1}

    async def newest(self, after: int | None) -> int:
        """The newest value, as soon as it isn't the one that the caller has."""
        while self.value is None or self.value == after:
            await self._changed.wait()
        return self.value


class State(TypedDict):
    """What requests find in ``request.state``."""

    session: Session
    latest: Latest


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Own the session, and the task that follows the subscription."""
    async with (
        the_client() as client,
        client.connect(reconnecting=True) as session,
        anyio.create_task_group() as tg,
    ):
        latest = Latest(session)
        tg.start_soon(latest.follow)
        yield State(session=session, latest=latest)
        tg.cancel_scope.cancel()


@asynccontextmanager
async def the_client() -> AsyncGenerator[Client]:
    """A client of ``GRAPHQL_URL``, or of a server in memory."""
    if url := os.environ.get("GRAPHQL_URL"):
        yield Client(url)
        return
    async with GraphQLServer(demo_schema()) as server:
        yield Client(server.transport())


app = FastAPI(lifespan=lifespan)


@app.exception_handler(TransportError)
async def failed(_: Request, error: TransportError) -> JSONResponse:
    """No answer from the GraphQL server, or one with errors."""
    return JSONResponse({"detail": str(error)}, status_code=502)


@app.get("/health")
async def health(request: Request) -> JSONResponse:
    """Whether there is a connection to the GraphQL server."""
    state = request.state.session.state
    reconnects = request.state.latest.reconnects
    return JSONResponse(
        {"graphql": state, "reconnects": reconnects},
        status_code=200 if state == "connected" else 503,
    )


@app.get("/hello/{name}")
async def hello(request: Request, name: str) -> dict[str, str]:
    """A greeting from the GraphQL server."""
    data = await request.state.session.execute(
        "query ($name: String!) { hello(name: $name) }", {"name": name}
    )
    return {"greeting": data["hello"]}


@app.get("/fail")
async def fail(request: Request) -> Any:
    """What an answer with errors looks like."""
    return await request.state.session.execute("{ fail }")


@app.get("/countdown")
async def countdown(request: Request) -> StreamingResponse:
    """The newest value of the subscription, a line each time that it changes."""
    return StreamingResponse(_lines(request.state.latest), media_type="text/plain")


async def _lines(latest: Latest) -> AsyncIterator[str]:
    # Nothing here holds a task group or cancel scope open over the yield, so a generator will do.
    value: int | None = None
    while True:
        value = await latest.newest(value)
        yield f"{value}\n"


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
