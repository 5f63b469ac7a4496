"""The engine's own half of a connection. ``test_frames`` compares what it makes of the server's."""

from __future__ import annotations

import pytest

from anygql.websocket.sockets.engine import Close, Engine, Frame
from tests.support.frames import CLOSE, CONT, FIN, PING, PONG, TEXT, frame, unmasked

BYE = b"\x03\xe8bye"


def test_a_ping_is_answered_and_a_pong_is_not() -> None:
    engine = Engine(1000)
    frames = engine.receive(frame(b"?", FIN | PING) + frame(b"!", FIN | PONG))
    assert frames == [Frame(PING, b"?", is_last=True), Frame(PONG, b"!", is_last=True)]
    (pong,) = engine.writes
    assert unmasked(pong) == (FIN | PONG, b"?")
    assert engine.take_output() == pong
    assert engine.take_output() == b""


def test_the_server_closes() -> None:
    engine = Engine(1000)
    assert len(engine.receive(frame(BYE, FIN | CLOSE) + frame(b"more"))) == 1
    assert engine.close_received == engine.close_sent == Close(1000, "bye")
    assert unmasked(engine.take_output()) == (FIN | CLOSE, BYE)
    assert not engine.is_open
    assert engine.receive(frame(b"", FIN | PING)) == []
    engine.send_close(1001, "")  # it has been answered
    assert engine.take_output() == b""


def test_we_close_and_still_read_until_the_server_does() -> None:
    engine = Engine(1000)
    engine.send_close(1000, "bye")
    engine.send_close(1001, "again")
    assert unmasked(engine.take_output()) == (FIN | CLOSE, BYE)
    assert not engine.is_open
    assert [got.data for got in engine.receive(frame(b"late", FIN | CONT | TEXT))] == [b"late"]
    engine.receive(frame(b"", FIN | CLOSE))
    assert engine.close_received == Close(1005)
    assert engine.take_output() == b""


@pytest.mark.parametrize("we_close", [False, True])
def test_a_fault_is_told_once_and_ends_everything(we_close: bool) -> None:
    engine = Engine(1000)
    if we_close:
        engine.send_close(1000, "")
    engine.take_output()
    assert engine.receive(frame(b"fine") + frame(b"", 0xF0) + frame(b"more")) == [
        Frame(TEXT, b"fine", is_last=True)
    ]
    assert engine.fault is not None
    assert (engine.fault.code, engine.fault.reason) == (1002, "reserved bits must be 0")
    assert bool(engine.take_output()) != we_close
    assert engine.receive(frame(b"more")) == []


def test_the_stream_ends() -> None:
    engine = Engine(1000)
    engine.receive(frame(b"not all")[:4])
    engine.receive_eof()
    assert not engine.is_open
    assert engine.receive(frame(b"more")) == []
    engine.fail(1011, "")
    assert engine.take_output() == b""


def test_a_message_in_fragments_goes_on_to_its_end() -> None:
    engine = Engine(1000)
    engine.receive(frame(b"begun", TEXT) + frame(b"!", FIN | PING))
    engine.receive(frame(b"\x03\xe8", FIN | CLOSE))
    assert engine.close_received == Close(1000)
    assert engine.close_sent == Close(1002, "incomplete fragmented message")


def test_a_length_comes_in_pieces() -> None:
    engine = Engine(1000)
    wire = frame(b"x" * 300, FIN | CONT | TEXT)
    assert [engine.receive(wire[at : at + 1]) for at in range(len(wire) - 1)] == [[]] * 303
    assert [got.data for got in engine.receive(wire[-1:])] == [b"x" * 300]
