"""Every cell of the fault matrix: the fault happens, and each party gets what the table says."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest

from anygql import AppSync, Client, HTTPTransport, SplitTransport, WebSocketTransport
from anygql.appsync import ApiKey
from anygql.exceptions import TransportError
from anygql.session.events import Disconnected, SessionEvent
from anygql.session.session import Session
from tests.promises.faults.faultpeer import MESSAGE_LIMIT, FaultPeer, fault_peer
from tests.promises.faults.matrix import (
    CELLS,
    NO_ANSWER,
    NOT_APPLICABLE,
    OF_TWO,
    OPENING,
    SHARED,
    STREAMS,
    TABLE,
    UNNOTICED,
    WEB_SOCKETS,
    Cell,
    Fails,
    Fault,
    Moment,
    Outcome,
    Protocol,
    SessionKind,
    outcome_of,
    summary,
)
from tests.support.loops import LOOPS
from tests.support.paths import ROOT

pytestmark = [pytest.mark.usefixtures("soon", "brief"), pytest.mark.table]

QUERY = "{ hello }"
MUTATION = "mutation { add }"
SUBSCRIPTION = "subscription { count }"

#: Nothing here is encrypted, but each client would load the certificates anew.
TLS = ssl.create_default_context()

#: Seconds after which silence is noticed, where there is silence.
SILENCE = 1.0
#: Seconds in which every cell is over.
PATIENCE = 30

#: What takes time by itself: these cells run beside each other.
WAITING_FAULTS = (Fault.FREEZE, Fault.SLOW_DRIP)

REPORT = ROOT / "build" / "reliability" / "matrix.json"


# The client of a cell.


#: What the peer of subscriptions speaks, where it isn't the cell's own protocol.
_SPOKEN = {Protocol.SPLIT: Protocol.TRANSPORT_WS}


def transport(cell: Cell, url: str) -> Any:
    silent = cell.fault is Fault.FREEZE
    oversize = cell.fault is Fault.OVERSIZE
    if cell.protocol not in WEB_SOCKETS | OF_TWO:
        return HTTPTransport(
            url,
            single_connection=cell.protocol is Protocol.SINGLE_SSE,
            ssl=TLS,
            connect_timeout=SILENCE if silent and cell.moment in OPENING else 10,
            max_response_size=MESSAGE_LIMIT if oversize else None,
        )
    options: dict[str, Any] = {}
    if cell.fault not in {Fault.SLOW_DRIP, Fault.SPLIT}:
        options["close_timeout"] = SILENCE  # the peer says no more after the fault
    if silent:
        if cell.moment in {Moment.BEFORE_HANDSHAKE, Moment.IN_HANDSHAKE}:
            options["connect_timeout"] = SILENCE
        elif cell.moment is Moment.BEFORE_ACK:
            options["ack_timeout"] = SILENCE
        elif cell.moment is Moment.WAITING:
            options |= {"ping_interval": SILENCE / 2, "pong_timeout": SILENCE}
        elif cell.moment is not Moment.CLOSING:
            options["keep_alive_timeout"] = SILENCE
    if oversize:
        options["max_message_size"] = MESSAGE_LIMIT
    protocol: Any = _SPOKEN.get(cell.protocol, cell.protocol)
    if cell.protocol is Protocol.APPSYNC:
        protocol = AppSync(ApiKey("da2-key"))
    return WebSocketTransport(url, protocol=protocol, connect_args={"proxy": None}, **options)


# What each party sees.


def seen(error: TransportError) -> Fails:
    return Fails(type(error).__name__, error.retryable, error.code)


async def answered(ask: Awaitable[Any]) -> str | Fails:
    try:
        await ask
    except TransportError as error:
        return seen(error)
    return "answered"


async def query(session: Session, timeout: Any = ...) -> str | Fails:
    async def ask() -> None:
        assert (await session.execute(QUERY, timeout=timeout))["hello"] == "world"

    return await answered(ask())


async def mutation(session: Session, timeout: Any = ...) -> str | Fails:
    async def ask() -> None:
        assert (await session.execute(MUTATION, timeout=timeout))["add"] == 1

    return await answered(ask())


async def subscription(cell: Cell, session: Session, peer: FaultPeer) -> str | Fails:
    """Consume one that is looked at only when the fault has happened."""
    counts: list[int] = []
    before = [1, 2] if cell.moment in {Moment.WAITING, Moment.LARGE} else []
    args: dict[str, Any] = {}
    if cell.protocol in STREAMS and cell.fault is Fault.FREEZE:
        args["transport_args"] = {"timeout": SILENCE}
    waits = outcome_of(cell).subscription == "waits"
    async with session.subscribe(SUBSCRIPTION, **args) as events:
        await peer.committed.wait()
        with anyio.move_on_after(2 * SILENCE if waits else None) as scope:
            try:
                async for data in events:
                    counts.append(data["count"])
                    if cell.protocol is Protocol.PHOENIX and counts[-1] in {3, 12}:
                        break  # nothing says that one is over
            except TransportError as error:
                assert (counts, events.reconnects) == (before, 0)
                return seen(error)
        if scope.cancelled_caught:
            assert (counts, events.reconnects) == (before, 0)
            return "waits"
        if not events.reconnects:
            assert counts == [1, 2, 3]
            return "goes on"
        # A server that had not read it when it was lost knows of one subscription only.
        assert (counts, events.reconnects) == ([1, 2, 11, 12] if before else [1, 2, 3], 1)
        return "resumes"


# A cell.


class Play:
    """One cell, played: what each party got is in ``got``."""

    def __init__(self, cell: Cell, peer: FaultPeer) -> None:
        self.cell = cell
        self.peer = peer
        self.got: dict[str, str | Fails] = {}
        self._lost = anyio.Event()
        self._through = anyio.Event()
        # Where nothing else ends a silence; what is answered as usual has its usual time.
        silent = TABLE[cell.protocol][cell.moment][cell.fault] in {NO_ANSWER, UNNOTICED}
        self._client = Client(
            transport(cell, peer.url),
            on_event=self._on_event,
            execute_timeout=SILENCE if silent else 10,
        )

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, Disconnected):
            self._lost.set()

    async def run(self) -> Outcome:
        """Play it. The parties are tasks beside the one that owns the session: they get what
        they get even if that is ended."""
        permanent = self.cell.kind is SessionKind.PERMANENT
        party = "connect"
        async with anyio.create_task_group() as parties:
            try:
                async with self._client.connect(reconnecting=permanent) as session:
                    self.got["connect"] = "connected"
                    party = "session"
                    parties.start_soon(self._parties, session)
                    await self._through.wait()
                    self.got["session"] = await self._state(session)
            except TransportError as error:
                self.got[party] = seen(error)
        return Outcome(**self.got)

    async def _state(self, session: Session) -> str:
        if self.cell.moment is Moment.CLOSING:
            return "closed"
        if session.state == "closed":
            return "closed"
        stuck = outcome_of(self.cell).session == "stuck"
        if await query(session, SILENCE if stuck else 10) == "answered":
            return "lives"
        if self.cell.kind is SessionKind.PERMANENT:
            session.reconnect()
            await session.wait_connected()
            assert await query(session) == "answered"
        return "stuck"

    async def _parties(self, session: Session) -> None:
        """Start them, and tell when they are through."""
        cell = self.cell
        if cell.moment is Moment.CLOSING:
            pass
        elif cell.protocol in SHARED:
            await self._on_shared_connection(session)
        elif cell.protocol in STREAMS:
            self.got["subscription"] = await subscription(cell, session, self.peer)
        else:
            await self._one_by_one(session)
        self._through.set()

    async def _on_shared_connection(self, session: Session) -> None:
        cell = self.cell
        if cell.moment is Moment.IDLE:
            self.peer.idle.set()
            await self.peer.committed.wait()
            if isinstance(TABLE[cell.protocol][cell.moment][cell.fault], Fails):
                await self._lost.wait()  # nobody has to ask for it to be noticed
        async with anyio.create_task_group() as tg:
            tg.start_soon(self._party, "query", query(session))
            tg.start_soon(self._party, "mutation", mutation(session))
            if cell.moment in {Moment.WAITING, Moment.LARGE}:
                tg.start_soon(self._party, "subscription", subscription(cell, session, self.peer))

    async def _one_by_one(self, session: Session) -> None:
        """Each on a TCP connection of its own, to which the fault happens."""
        for name, ask in (("query", query), ("mutation", mutation)):
            self.peer.again()
            if self.cell.moment is Moment.IDLE:
                assert await query(session) == "answered"
                self.peer.idle.set()
                await self.peer.committed.wait()
            elif self.cell.moment is Moment.REUSE:
                assert await query(session) == "answered"
                self.peer.idle.set()
            self.got[name] = await ask(session)

    async def _party(self, name: str, got: Awaitable[str | Fails]) -> None:
        self.got[name] = await got


def _was_never_sent(cell: Cell) -> bool:
    """Whether the reset may come before the request, which a session then sends once more."""
    return (cell.protocol, cell.moment, cell.fault) == (
        Protocol.HTTP,
        Moment.BEFORE_HANDSHAKE,
        Fault.RESET,
    )


#: HTTP has no such moment: a peer whose fault never happens.
FAULTLESS = (Protocol.HTTP, Moment.CLOSING, Fault.CUT)


class PlayOfTwo(Play):
    """One cell of a session with two transports: the peer is that of its subscriptions."""

    def __init__(self, cell: Cell, peer: FaultPeer, other: FaultPeer) -> None:
        super().__init__(cell, peer)
        peer.awaited = 1
        split = SplitTransport(
            HTTPTransport(other.url, ssl=TLS),
            subscriptions=transport(cell, peer.url),
            # Where the fault happens to a socket that nobody uses.
            eager=cell.moment in {Moment.IDLE, Moment.CLOSING},
        )
        self._client = Client(split, on_event=self._on_event)

    async def _parties(self, session: Session) -> None:
        """Start them, and tell when they are through."""
        cell = self.cell
        if cell.moment is Moment.IDLE:
            self.peer.idle.set()
            await self.peer.committed.wait()
            if isinstance(TABLE[cell.protocol][cell.moment][cell.fault], Fails):
                await self._lost.wait()
        if cell.moment is not Moment.CLOSING:
            async with anyio.create_task_group() as tg:
                tg.start_soon(self._party, "query", query(session))
                tg.start_soon(self._party, "mutation", mutation(session))
                tg.start_soon(self._party, "subscription", self._subscribe(session))
        self._through.set()

    async def _subscribe(self, session: Session) -> str | Fails:
        try:
            return await subscription(self.cell, session, self.peer)
        except TransportError as error:  # it could not begin
            assert self.cell.moment in OPENING
            return seen(error)


async def play_of_two(cell: Cell) -> None:
    """Play a cell of a session with two transports, and compare."""
    with anyio.fail_after(PATIENCE):
        async with (
            fault_peer(*FAULTLESS) as other,
            fault_peer(_SPOKEN.get(cell.protocol, cell.protocol), cell.moment, cell.fault) as peer,
        ):
            outcome = await PlayOfTwo(cell, peer, other).run()
            asked = [dict(each.asked) for each in (peer, other)]
    assert outcome == outcome_of(cell), f"{cell}: {outcome}, not {outcome_of(cell)}"
    assert peer.committed.is_set()
    assert asked[0]["query"] == asked[0]["mutation"] == asked[1]["subscription"] == 0
    assert asked[1]["mutation"] <= 1, "a mutation was sent twice"


async def play(cell: Cell) -> None:
    """Play a cell, within its time, and compare."""
    if cell.protocol in OF_TWO:
        await play_of_two(cell)
        return
    with anyio.fail_after(PATIENCE):
        async with fault_peer(cell.protocol, cell.moment, cell.fault) as peer:
            outcome = await Play(cell, peer).run()
            asked = dict(peer.asked)
    if _was_never_sent(cell) and outcome.mutation == "answered":
        outcome = replace(outcome, mutation=outcome_of(cell).mutation)
    assert outcome == outcome_of(cell), f"{cell}: {outcome}, not {outcome_of(cell)}"
    assert peer.committed.is_set()
    # The one of the cell, and where it is HTTP's: each of two that the fault could happen to.
    assert asked["mutation"] <= 1, "a mutation was sent twice"


def cells(*, waiting: bool) -> list[Cell]:
    return [cell for cell in CELLS if (cell.fault in WAITING_FAULTS) == waiting]


@pytest.fixture(scope="module")
def passed(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Cell], None]]:
    """Notes the cells that are as the table says; writes the report if those are all."""
    done: set[tuple[str, Cell]] = set()
    yield lambda loop, cell: done.add((loop, cell))
    wanted = len(LOOPS) * len(CELLS)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(
            f"\nfault matrix: {len(done)} of {wanted} cells are as expected "
            f"({len(CELLS)} on each of {len(LOOPS)} loops; {len(NOT_APPLICABLE)} don't apply)"
        )
    if len(done) == wanted and not request.session.testsfailed:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(summary(), indent=1) + "\n")


@pytest.mark.parametrize("cell", cells(waiting=False), ids=str)
async def test_cell(cell: Cell, anyio_backend: str, passed: Callable[[str, Cell], None]) -> None:
    await play(cell)
    passed(str(anyio_backend), cell)


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("fault", WAITING_FAULTS)
async def test_cells_that_wait(
    fault: Fault, protocol: Protocol, anyio_backend: str, passed: Callable[[str, Cell], None]
) -> None:
    failures: list[Exception] = []

    async def one(cell: Cell) -> None:
        try:
            await play(cell)
        except Exception as error:
            error.add_note(str(cell))
            failures.append(error)
        else:
            passed(str(anyio_backend), cell)

    async with anyio.create_task_group() as tg:
        for cell in cells(waiting=True):
            if (cell.fault, cell.protocol) == (fault, protocol):
                tg.start_soon(one, cell)
    if failures:
        raise ExceptionGroup(f"{len(failures)} cells are not as expected", failures)


def test_the_table_has_every_cell() -> None:
    every = len(Protocol) * len(Moment) * len(Fault) * len(SessionKind)
    assert len(CELLS) + len(NOT_APPLICABLE) == every
    assert all(NOT_APPLICABLE.values())
