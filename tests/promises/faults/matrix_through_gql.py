"""The cells of the fault matrix that gql 4 can express, played with gql: ``python -m …``.

WebSocket (graphql-transport-ws, its ``WebsocketsTransport``) and JSON over HTTP
(``AIOHTTPTransport``), a plain session and ``reconnecting=True``, against the same peer and held
against the same table. Wants gql, aiohttp and websockets beside anygql; writes
``build/reliability/matrix-gql.json``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import gql as gql_package
import tenacity
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.promises.faults.faultpeer import MESSAGE_LIMIT, FaultPeer, fault_peer
from tests.promises.faults.matrix import (
    CELLS,
    Cell,
    Fails,
    Fault,
    Moment,
    Outcome,
    Protocol,
    SessionKind,
)
from tests.support.paths import ROOT

QUERY = gql("{ hello }")
MUTATION = gql("mutation { add }")
SUBSCRIPTION = gql("subscription { count }")

#: Seconds after which silence is noticed, where it is.
SILENCE = 0.25
#: Seconds that one call may take: all that has not ended by then hangs.
PATIENCE = 6.0
#: Seconds until gql's own limits, so that what they end is not taken for a hang.
LIMIT = 0.8
#: Cells at a time.
WIDTH = 12

REPORT = ROOT / "build" / "reliability" / "matrix-gql.json"

PLAYED = [
    cell
    for cell in CELLS
    if cell.protocol in {Protocol.TRANSPORT_WS, Protocol.HTTP}
    # aiohttp has rules of its own for requests that cross a close.
    and cell.moment is not Moment.REUSE
    # gql takes HTTP answers of any size.
    and not (cell.protocol is Protocol.HTTP and cell.fault is Fault.OVERSIZE)
]

#: What can be said of a cell, the worst first.
VERDICTS = (
    "sends a mutation again that may have run",
    "hangs",
    "leaves a connection open",
    "wrong or bare error",
    "results lost",
    "fails where it could have tried again",
    "tries again what is final",
    "as expected",
)


def transport(cell: Cell, url: str) -> Any:
    if cell.protocol is Protocol.HTTP:
        return AIOHTTPTransport(url, ssl=True)
    silent = cell.fault is Fault.FREEZE
    options: dict[str, Any] = {"close_timeout": SILENCE}
    if cell.fault is not Fault.SLOW_DRIP:
        options |= {"connect_timeout": LIMIT, "ack_timeout": LIMIT}
    if silent:
        if cell.moment in {Moment.BEFORE_HANDSHAKE, Moment.IN_HANDSHAKE}:
            options["connect_timeout"] = SILENCE
        elif cell.moment is Moment.BEFORE_ACK:
            options["ack_timeout"] = SILENCE
        elif cell.moment is Moment.WAITING:
            options |= {"ping_interval": SILENCE / 2, "pong_timeout": SILENCE}
        elif cell.moment is not Moment.CLOSING:
            options["keep_alive_timeout"] = SILENCE
    limit = MESSAGE_LIMIT if cell.fault is Fault.OVERSIZE else 2**24
    return WebsocketsTransport(
        url,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        # Its own closing handshake has a limit beside gql's.
        connect_args={"max_size": limit, "proxy": None, "close_timeout": SILENCE},
        **options,
    )


def policies() -> dict[str, Any]:
    """gql's defaults, with shorter waits."""
    wait = tenacity.wait_fixed(0.02)
    return {
        "retry_connect": tenacity.retry(wait=wait),
        "retry_execute": tenacity.retry(
            retry=tenacity.retry_if_exception_type(Exception)
            & tenacity.retry_unless_exception_type(TransportQueryError),
            stop=tenacity.stop_after_attempt(5),
            wait=wait,
        ),
    }


class Play:
    """One cell, played: what each party got, in words."""

    def __init__(self, cell: Cell, peer: FaultPeer) -> None:
        self.cell = cell
        self.peer = peer
        self.got: dict[str, str] = {}
        timeout = PATIENCE if cell.fault in {Fault.SLOW_DRIP, Fault.SPLIT} else LIMIT
        self.client = Client(transport=transport(cell, peer.url), execute_timeout=timeout)

    async def run(self) -> None:
        permanent = self.cell.kind is SessionKind.PERMANENT
        options = policies() if permanent else {}
        await self.bounded(
            "connect",
            lambda: self.client.connect_async(reconnecting=permanent, **options),
            "connected",
        )
        if self.got["connect"] == "connected" and self.cell.moment is not Moment.CLOSING:
            await self.parties()
            await self.bounded("session", lambda: self.ask(QUERY), "lives")
        if hasattr(self.client, "session"):
            said = "closed" if self.cell.moment is Moment.CLOSING else "left"
            name = "session" if self.cell.moment is Moment.CLOSING else "leaving"
            await self.bounded(name, self.client.close_async, said)

    async def parties(self) -> None:
        cell, peer = self.cell, self.peer
        if cell.protocol is Protocol.HTTP:
            for name, request in (("query", QUERY), ("mutation", MUTATION)):
                peer.again()
                if cell.moment is Moment.IDLE:
                    await self.bounded("before", lambda: self.ask(QUERY), "answered")
                    peer.idle.set()
                    await asyncio.wait_for(peer.committed.wait(), PATIENCE)
                await self.bounded(name, lambda asked=request: self.ask(asked), "answered")
            return
        if cell.moment is Moment.IDLE:
            peer.idle.set()
            await asyncio.wait_for(peer.committed.wait(), PATIENCE)
            await asyncio.sleep(2 * SILENCE)  # it has no event for a loss that one could wait for
        waited = [
            self.bounded("query", lambda: self.ask(QUERY), "answered"),
            self.bounded("mutation", lambda: self.ask(MUTATION), "answered"),
        ]
        if cell.moment in {Moment.WAITING, Moment.LARGE}:
            waited.append(self.bounded("subscription", self.subscription, "goes on"))
        await asyncio.gather(*waited)

    async def ask(self, request: Any) -> None:
        await self.client.session.execute(request)

    async def subscription(self) -> None:
        counts = [data["count"] async for data in self.client.session.subscribe(SUBSCRIPTION)]
        if counts != [1, 2, 3]:
            raise AssertionError(f"lost: {counts} came, not [1, 2, 3]")

    async def bounded(self, name: str, work: Callable[[], Awaitable[Any]], done: str) -> None:
        """Note how it ends; if it doesn't, leave it alone."""
        task = asyncio.ensure_future(work())
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            self.got[name] = "hangs"
            task.cancel()
        elif task.cancelled():
            self.got[name] = "CancelledError"
        elif (error := task.exception()) is not None:
            self.got[name] = said_by(error)
        else:
            self.got[name] = done


def said_by(error: BaseException) -> str:
    """The class of an error, and whether it is one that a user would look for."""
    if isinstance(error, AssertionError) and str(error).startswith("lost"):
        return "lost"
    name = type(error).__name__
    return name if isinstance(error, TransportError | TimeoutError) else f"bare {name}"


def verdict(expected: Outcome, got: dict[str, str], mutations: int, *, left_open: bool) -> str:
    """The worst that can be said."""
    said = {"as expected"}
    if mutations > 1:
        said.add("sends a mutation again that may have run")
    if left_open:
        said.add("leaves a connection open")
    for name, how in got.items():
        wanted = getattr(expected, name, None)
        good = how in {"answered", "connected", "goes on", "lives", "left", "closed"}
        if how == "hangs":
            said.add("hangs")
        elif how == "lost":
            said.add("results lost")
        elif how.startswith("bare "):
            said.add("wrong or bare error")
        elif wanted == "resumes" and not good:
            said.add("results lost")
        elif good and isinstance(wanted, Fails):
            again = name == "mutation" and wanted.retryable
            said.add(VERDICTS[0] if again else "tries again what is final")
        elif not good and wanted in {"answered", "connected", "goes on", "lives"}:
            said.add("fails where it could have tried again")
    return next(each for each in VERDICTS if each in said)


async def one(cell: Cell, width: asyncio.Semaphore) -> tuple[Cell, dict[str, str], str]:
    async with width:
        left_open = False
        play: Play | None = None
        mutations = 0

        async def within() -> None:
            nonlocal play, mutations
            async with fault_peer(cell.protocol, cell.moment, cell.fault) as peer:
                play = Play(cell, peer)
                await play.run()
                mutations = peer.asked["mutation"]
                finished.set()

        finished = asyncio.Event()
        task = asyncio.ensure_future(within())
        watched = asyncio.ensure_future(finished.wait())
        await asyncio.wait({task, watched}, return_when=asyncio.FIRST_COMPLETED)
        # The peer waits for the end of every connection that the client has.
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            left_open = True
            task.cancel()
            await asyncio.wait({task}, timeout=PATIENCE)
        elif task.exception() is not None:
            raise task.exception() or RuntimeError
        watched.cancel()
        assert play is not None
        got = play.got
        return cell, got, verdict(CELLS[cell], got, mutations, left_open=left_open)


async def main() -> None:
    width = asyncio.Semaphore(WIDTH)
    played = await asyncio.gather(*(one(cell, width) for cell in PLAYED))
    counts = Counter(what for _, _, what in played)
    report = {
        "gql": gql_package.__version__,
        "cells": len(played),
        "by": {what: counts[what] for what in VERDICTS},
        "table": [
            [cell.protocol, cell.moment, cell.fault, cell.kind, what, got]
            for cell, got, what in played
        ],
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    print(f"gql {gql_package.__version__}: {len(played)} cells")
    for what in VERDICTS:
        print(f"{counts[what]:5} {what}")
    sys.stdout.flush()
    # What gql leaves running may wait for ever, and would be waited for at the end of the loop.
    os._exit(0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
