"""The fault matrix: what whoever waits gets, for each fault at each moment, as data.

A cell is a protocol, a moment, a fault and a kind of session. ``outcome_of`` gives what is
expected in it; ``not_applicable`` says why there is no such cell. ``test_matrix.py`` makes each of
them happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import TypeAlias

__all__ = [
    "CELLS",
    "NOT_APPLICABLE",
    "WORKS",
    "Cell",
    "Fails",
    "Fault",
    "Moment",
    "Outcome",
    "Protocol",
    "SessionKind",
    "in_words",
    "outcome_of",
    "summary",
]


class Protocol(StrEnum):
    """What is spoken between the client and the peer."""

    TRANSPORT_WS = "graphql-transport-ws"
    LEGACY_WS = "graphql-ws"
    HTTP = "http"
    SSE = "sse"
    SINGLE_SSE = "sse-single-connection"
    MULTIPART = "multipart"
    #: Absinthe's channel.
    PHOENIX = "phoenix"
    #: A socket for subscriptions, to which the fault happens, beside HTTP for everything else.
    SPLIT = "http and graphql-transport-ws"
    #: The same with AppSync's real-time protocol.
    APPSYNC = "appsync"


class Moment(StrEnum):
    """When the fault happens."""

    #: The TCP connection is there; nothing has been said on it.
    BEFORE_HANDSHAKE = "before the handshake"
    #: Half the head of the first answer has been sent.
    IN_HANDSHAKE = "in the handshake"
    #: The channel is there, and half of what says that it may be used.
    BEFORE_ACK = "before the ack"
    #: Nothing is asked for.
    IDLE = "idle"
    #: A connection that was kept is used again, and the fault crosses the request.
    REUSE = "as a kept connection is used"
    #: A query, a mutation and a subscription are waited for, as far as the protocol has them.
    WAITING = "operations waiting"
    #: The same, in the middle of a large result.
    LARGE = "in a large message"
    #: The client has said that it closes.
    CLOSING = "in the closing handshake"


class Fault(StrEnum):
    """What goes wrong."""

    #: A part of what was to be sent, and a FIN; the socket is closed.
    CUT = "cut"
    #: A part, and a RST.
    RESET = "reset"
    #: A part, and a FIN; the peer reads on.
    HALF_CLOSE = "half-close"
    #: A part, and then nothing: the peer neither reads nor writes.
    FREEZE = "freeze"
    #: One byte at a time, with pauses. Not a fault.
    SLOW_DRIP = "slow-drip"
    #: Everything in pieces of one byte. Not a fault.
    SPLIT = "split"
    #: Bytes that make no sense on this wire.
    GARBAGE = "garbage"
    #: A well-formed message that isn't one of the protocol's.
    NONSENSE = "nonsense"
    #: More than the client takes.
    OVERSIZE = "oversize"
    #: A close frame with a code that must not be sent (RFC 6455 §7.4.1).
    WRONG_CLOSE = "wrong-close-code"


class SessionKind(StrEnum):
    """How the session was opened."""

    PLAIN = "plain"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Fails:
    """An error: its class, and what it says of itself."""

    error: str
    retryable: bool
    code: int | None = None

    def __str__(self) -> str:
        code = f" {self.code}" if self.code is not None else ""
        return f"{self.error}{code} ({'may be retried' if self.retryable else 'final'})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What each party gets; "-" where nobody asks.

    What a subscription was sent before the fault is delivered before anything else, always.
    """

    #: ``connect``: "connected", or why not. A permanent session may need a second attempt.
    connect: str | Fails = "connected"
    #: "answered", or the error.
    query: str | Fails = "-"
    #: The same. It is never sent twice.
    mutation: str | Fails = "-"
    #: "goes on", "resumes" (after one gap, which is counted), "waits" (for ever), or the error.
    subscription: str | Fails = "-"
    #: "lives" (answers another query), "closed", "stuck" (connected, but answers nothing before
    #: ``reconnect()``), or the error that its owner gets.
    session: str | Fails = "-"


@dataclass(frozen=True, slots=True)
class Cell:
    protocol: Protocol
    moment: Moment
    fault: Fault
    kind: SessionKind

    def __str__(self) -> str:
        parts = (self.protocol, self.moment, self.fault, self.kind)
        return "-".join(part.replace(" ", "_") for part in parts)


WEB_SOCKETS = frozenset({Protocol.TRANSPORT_WS, Protocol.LEGACY_WS, Protocol.PHOENIX})
#: A socket for subscriptions alone.
OF_TWO = frozenset({Protocol.SPLIT, Protocol.APPSYNC})
#: One answer for each subscription, on a TCP connection of its own.
STREAMS = frozenset({Protocol.SSE, Protocol.MULTIPART})
#: A connection that all operations share.
SHARED = WEB_SOCKETS | {Protocol.SINGLE_SSE}
#: Before a session over a shared connection is connected.
OPENING = frozenset({Moment.BEFORE_HANDSHAKE, Moment.IN_HANDSHAKE, Moment.BEFORE_ACK})


# What the fault is to the client, by protocol and moment.

LOST = Fails("TransportConnectionFailed", True)
ABNORMAL = Fails("TransportConnectionFailed", True, 1006)
DEAD = Fails("TransportConnectionFailed", True, 4499)
NO_CONNECTION = Fails("TransportConnectTimeout", True)
NO_ACK = Fails("TransportConnectTimeout", True, 4504)
NO_ANSWER = Fails("TransportTimeout", True)
NOT_WEBSOCKET = Fails("TransportProtocolError", False)
BAD_FRAME = Fails("TransportProtocolError", False, 1002)
TOO_LARGE = Fails("TransportProtocolError", False, 1009)
NOT_UTF8 = Fails("TransportProtocolError", False, 1007)
BAD_MESSAGE = Fails("TransportProtocolError", False, 4400)
#: The same of a server that has acknowledged: it spoke the protocol before.
BAD_MESSAGE_LATER = Fails("TransportProtocolError", True, 4400)
BAD_ANSWER = Fails("TransportProtocolError", False, 200)
NOT_GRAPHQL = Fails("TransportProtocolError", False, 200)
#: What a server that never acknowledged sends is taken for its last word.
REFUSED = Fails("TransportServerError", False, 200)

WORKS = "works"
#: The silence of a shared event stream: there is nothing in HTTP by which to notice it.
UNNOTICED = "unnoticed"
#: Most likely the server closed it for being idle: only a query is sent again (RFC 9112 §9.3.1).
CROSSED = "crossed"

Meaning: TypeAlias = str | Fails


@dataclass(frozen=True, slots=True)
class Absent:
    """Why there is no such cell."""

    why: str


NO_CLOSE_FRAME_YET = Absent("there is no WebSocket yet that could be closed")
NO_CLOSE_CODES = Absent("HTTP has no close codes")
NO_ACK_IN_HTTP = Absent("nothing is acknowledged: the head of the answer is in the handshake")
NO_IDLE_STREAM = Absent("a stream is there only while its subscription runs")
NO_CLOSING_IN_HTTP = Absent("HTTP connections are closed without a handshake")
IGNORED = Absent("messages that the protocol doesn't have are ignored, as servers send some")
NOT_KEPT = Absent("no connection is kept for another request")
NOT_INSIDE = Absent("a message can't begin inside another: that is garbage")


def _row(
    ended: Meaning,
    freeze: Meaning,
    garbage: Meaning,
    nonsense: Meaning | Absent,
    oversize: Meaning | Absent,
    wrong_close: Meaning | Absent = NO_CLOSE_CODES,
) -> Mapping[Fault, Meaning | Absent]:
    return {
        Fault.CUT: ended,
        Fault.RESET: ended,
        Fault.HALF_CLOSE: ended,
        Fault.FREEZE: freeze,
        Fault.SLOW_DRIP: WORKS,
        Fault.SPLIT: WORKS,
        Fault.GARBAGE: garbage,
        Fault.NONSENSE: nonsense,
        Fault.OVERSIZE: oversize,
        Fault.WRONG_CLOSE: wrong_close,
    }


def _no_row(why: Absent) -> Mapping[Fault, Absent]:
    return dict.fromkeys(Fault, why)


_Rows: TypeAlias = Mapping[Moment, Mapping[Fault, "Meaning | Absent"]]

# The columns: cut, reset and half-close; freeze; garbage; nonsense; oversize; wrong close code.
_WEB_SOCKET: _Rows = {
    Moment.BEFORE_HANDSHAKE: _row(
        LOST, NO_CONNECTION, NOT_WEBSOCKET, REFUSED, NOT_WEBSOCKET, NO_CLOSE_FRAME_YET
    ),
    Moment.IN_HANDSHAKE: _row(
        LOST, NO_CONNECTION, NOT_WEBSOCKET, REFUSED, NOT_WEBSOCKET, NO_CLOSE_FRAME_YET
    ),
    Moment.BEFORE_ACK: _row(ABNORMAL, NO_ACK, BAD_FRAME, BAD_MESSAGE, TOO_LARGE, BAD_FRAME),
    Moment.IDLE: _row(ABNORMAL, DEAD, BAD_FRAME, BAD_MESSAGE_LATER, TOO_LARGE, BAD_FRAME),
    Moment.REUSE: _no_row(NOT_KEPT),
    Moment.WAITING: _row(ABNORMAL, DEAD, BAD_FRAME, BAD_MESSAGE_LATER, TOO_LARGE, BAD_FRAME),
    Moment.LARGE: _row(ABNORMAL, DEAD, NOT_UTF8, NOT_INSIDE, TOO_LARGE, BAD_FRAME),
    Moment.CLOSING: _row(WORKS, WORKS, WORKS, WORKS, WORKS, WORKS),
}
_LEGACY_WEB_SOCKET: _Rows = {
    moment: {**row, Fault.NONSENSE: IGNORED}
    if moment in {Moment.BEFORE_ACK, Moment.IDLE, Moment.WAITING}
    else row
    for moment, row in _WEB_SOCKET.items()
}
#: It closes with 1002, where the others have a close code of their own.
_PHOENIX: _Rows = {
    moment: {**row, Fault.NONSENSE: BAD_FRAME}
    if moment in {Moment.BEFORE_ACK, Moment.IDLE, Moment.WAITING}
    else row
    for moment, row in _WEB_SOCKET.items()
}
_HTTP: _Rows = {
    Moment.BEFORE_HANDSHAKE: _row(LOST, NO_ANSWER, LOST, NOT_GRAPHQL, LOST),
    Moment.IN_HANDSHAKE: _row(LOST, NO_ANSWER, LOST, NOT_GRAPHQL, LOST),
    Moment.BEFORE_ACK: _no_row(NO_ACK_IN_HTTP),
    # A connection of the pool is stale: what comes on it unasked is not read as an answer.
    Moment.IDLE: _row(WORKS, NO_ANSWER, WORKS, WORKS, WORKS),
    Moment.REUSE: _row(CROSSED, NO_ANSWER, LOST, NOT_GRAPHQL, LOST),
    Moment.WAITING: _row(LOST, NO_ANSWER, LOST, NOT_GRAPHQL, BAD_ANSWER),
    Moment.LARGE: _row(LOST, NO_ANSWER, NOT_GRAPHQL, NOT_INSIDE, BAD_ANSWER),
    Moment.CLOSING: _no_row(NO_CLOSING_IN_HTTP),
}
_STREAM: _Rows = {
    Moment.BEFORE_HANDSHAKE: _row(LOST, NO_ANSWER, LOST, NOT_GRAPHQL, LOST),
    Moment.IN_HANDSHAKE: _row(LOST, NO_ANSWER, LOST, NOT_GRAPHQL, LOST),
    Moment.BEFORE_ACK: _no_row(NO_ACK_IN_HTTP),
    Moment.IDLE: _no_row(NO_IDLE_STREAM),
    Moment.REUSE: _no_row(NOT_KEPT),
    Moment.WAITING: _row(LOST, NO_ANSWER, LOST, BAD_ANSWER, BAD_ANSWER),
    Moment.LARGE: _row(LOST, NO_ANSWER, BAD_ANSWER, NOT_INSIDE, BAD_ANSWER),
    Moment.CLOSING: _no_row(NO_CLOSING_IN_HTTP),
}
_SINGLE: _Rows = {
    Moment.BEFORE_HANDSHAKE: _row(LOST, NO_CONNECTION, LOST, NOT_GRAPHQL, LOST),
    Moment.IN_HANDSHAKE: _row(LOST, NO_CONNECTION, LOST, NOT_GRAPHQL, LOST),
    Moment.BEFORE_ACK: _row(LOST, NO_CONNECTION, LOST, NOT_GRAPHQL, LOST),
    Moment.IDLE: _row(LOST, UNNOTICED, LOST, BAD_ANSWER, BAD_ANSWER),
    Moment.REUSE: _no_row(NOT_KEPT),
    Moment.WAITING: _row(LOST, UNNOTICED, LOST, BAD_ANSWER, BAD_ANSWER),
    Moment.LARGE: _row(LOST, UNNOTICED, BAD_ANSWER, NOT_INSIDE, BAD_ANSWER),
    Moment.CLOSING: _no_row(NO_CLOSING_IN_HTTP),
}

TABLE: Mapping[Protocol, _Rows] = {
    Protocol.TRANSPORT_WS: _WEB_SOCKET,
    Protocol.LEGACY_WS: _LEGACY_WEB_SOCKET,
    Protocol.PHOENIX: _PHOENIX,
    Protocol.HTTP: _HTTP,
    Protocol.SSE: _STREAM,
    Protocol.SINGLE_SSE: _SINGLE,
    Protocol.MULTIPART: _STREAM,
    Protocol.SPLIT: _WEB_SOCKET,
    Protocol.APPSYNC: _LEGACY_WEB_SOCKET,
}


def _asked(cell: Cell) -> Outcome:
    """What everybody gets when nothing goes wrong."""
    if cell.protocol in STREAMS:
        return Outcome(subscription="goes on", session="lives")
    if cell.moment is Moment.CLOSING:
        return Outcome(session="closed")
    if cell.moment in {Moment.WAITING, Moment.LARGE} and cell.protocol in SHARED:
        return Outcome("connected", "answered", "answered", "goes on", "lives")
    return Outcome(query="answered", mutation="answered", session="lives")


def _failed(asked: Outcome, fault: Fails) -> Outcome:
    """The same, where all who wait get the fault."""

    def instead(party: str | Fails) -> str | Fails:
        return party if party == "-" else fault

    return replace(
        asked,
        query=instead(asked.query),
        mutation=instead(asked.mutation),
        subscription=instead(asked.subscription),
    )


def _mended(cell: Cell, asked: Outcome, fault: Fails) -> Outcome:
    """The same for a session that tries again: a mutation that may have run is not sent again."""
    sent = asked.mutation != "-" and cell.moment not in (
        OPENING | {Moment.IDLE} if cell.protocol in SHARED else ()
    )
    return replace(
        asked,
        mutation=fault if sent else asked.mutation,
        subscription="-" if asked.subscription == "-" else "resumes",
    )


def _outcome_of_two(cell: Cell, meaning: Meaning) -> Outcome:
    """What everybody gets where the socket is for subscriptions: nobody else learns of a fault."""
    if cell.moment is Moment.CLOSING:
        return Outcome(session="closed")
    subscription: str | Fails = "goes on"
    if isinstance(meaning, Fails) and cell.moment is not Moment.IDLE:
        is_lost = cell.moment not in OPENING
        subscription = "resumes" if is_lost else "goes on"
        if cell.kind is SessionKind.PLAIN or not (meaning.retryable or is_lost):
            subscription = meaning
    return Outcome("connected", "answered", "answered", subscription, "lives")


def _outcome(cell: Cell, meaning: Meaning) -> Outcome:
    if cell.protocol in OF_TWO:
        return _outcome_of_two(cell, meaning)
    asked = _asked(cell)
    permanent = cell.kind is SessionKind.PERMANENT
    if meaning == UNNOTICED:
        waits = "-" if asked.subscription == "-" else "waits"
        return Outcome("connected", NO_ANSWER, NO_ANSWER, waits, "stuck")
    if meaning == CROSSED:
        return replace(asked, mutation=LOST)
    if not isinstance(meaning, Fails):
        return asked
    if permanent and meaning.retryable:
        return _mended(cell, asked, meaning)
    if permanent and cell.protocol in SHARED and cell.moment not in OPENING:
        # A server that has once served is being deployed, not mistaken.
        return _mended(cell, asked, replace(meaning, retryable=True))
    if cell.protocol not in SHARED:
        return _failed(asked, meaning)
    if cell.moment in OPENING:
        return Outcome(connect=meaning)
    return replace(_failed(asked, meaning), session=meaning if permanent else "closed")


def _every_cell() -> Iterator[tuple[Cell, Meaning | Absent]]:
    for parts in product(Protocol, Moment, Fault, SessionKind):
        cell = Cell(*parts)
        yield cell, TABLE[cell.protocol][cell.moment][cell.fault]


#: Each cell that there is, and what is expected in it.
CELLS: Mapping[Cell, Outcome] = {
    cell: _outcome(cell, meaning)
    for cell, meaning in _every_cell()
    if not isinstance(meaning, Absent)
}

#: Each that there isn't, and why.
NOT_APPLICABLE: Mapping[Cell, str] = {
    cell: meaning.why for cell, meaning in _every_cell() if isinstance(meaning, Absent)
}


def outcome_of(cell: Cell) -> Outcome:
    """What is expected; raises ``KeyError`` for a cell that isn't."""
    return CELLS[cell]


def in_words(cell: Cell) -> str:
    """What is expected, in a sentence, or why there is no such cell."""
    if cell in NOT_APPLICABLE:
        return f"n/a: {NOT_APPLICABLE[cell]}"
    outcome = CELLS[cell]
    if isinstance(outcome.connect, Fails):
        return f"connect raises {outcome.connect}"
    said: list[str] = []
    meaning = TABLE[cell.protocol][cell.moment][cell.fault]
    shared = cell.protocol in SHARED or outcome.subscription == "goes on"
    if cell.moment in OPENING and shared and isinstance(meaning, Fails):
        said.append("the next attempt connects")
    parties: dict[str, list[str]] = {}
    for name in ("query", "mutation", "subscription"):
        if (got := getattr(outcome, name)) != "-":
            words = str(got) if isinstance(got, Fails) else _WORDS.get(got, got)
            parties.setdefault(words, []).append(name)
    said += [f"{_joined(names)}: {words}" for words, names in parties.items()]
    if isinstance(outcome.session, Fails):
        said.append("the session ends with the same error")
    else:
        said.append(f"the session {_WORDS.get(outcome.session, outcome.session)}")
    return "; ".join(said)


_WORDS = {
    "closed": "is closed",
    "resumes": "resumes, one gap counted",
    "stuck": "is stuck until reconnect() drops its connection",
    "waits": "waits",
}


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def summary() -> dict[str, object]:
    """The counts and the table, as they are written for the documentation."""
    by: dict[str, dict[str, int]] = {}
    for name in ("protocol", "moment", "fault", "kind"):
        counts = by.setdefault(name, {})
        for cell in CELLS:
            value = str(getattr(cell, name))
            counts[value] = counts.get(value, 0) + 1
    table = [
        [*map(str, (cell.protocol, cell.moment, cell.fault, cell.kind)), in_words(cell)]
        for cell, _ in _every_cell()
    ]
    return {"cells": len(CELLS), "not_applicable": len(NOT_APPLICABLE), "by": by, "table": table}
