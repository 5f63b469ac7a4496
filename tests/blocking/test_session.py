"""What sessions do without ``await``, from one thread and from many."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import anyio
import pytest

from anygql import (
    ExecutionResult,
    ResultTypeError,
    TransportClosed,
    TransportConnectionFailed,
    TransportQueryError,
    TransportTimeout,
    gql,
)
from anygql.blocking import BlockingInAsync, Client, Session
from anygql.blocking import portal as portal_module
from tests.blocking.conftest import Make, Served

HELLO = {"hello": "Hello world!"}
NAMED = "query ($name: String!) { hello(name: $name) }"
SLOW = "{ slow(seconds: 60) }"


@dataclass
class Hello:
    hello: str


def test_operations(make: Make) -> None:
    with make() as session:
        assert session.execute(NAMED, {"name": "Ada"}) == {"hello": "Hello Ada!"}
        assert session.execute(gql("{ hello }"), result_type=Hello) == Hello("Hello world!")
        assert session.execute("{ hello }", path="hello") == "Hello world!"
        assert session.execute_batch(["{ hello }", "{ counter }"]) == [HELLO, {"counter": 0}]
        (result,) = session.execute_batch_results(["{ fail }"])
        assert result.errors
        assert session.execute_result("{ hello }") == ExecutionResult(HELLO)
        assert session.fetch_schema().query_type is not None
        assert session.payloads.keys() == {"connection_ack"} or session.payloads == {}
        assert "upgrade" in session.response_headers


def test_errors(make: Make) -> None:
    with make() as session:
        with pytest.raises(TransportQueryError, match="always fails"):
            session.execute("{ fail }")
        with pytest.raises(ResultTypeError):
            session.execute("{ fail hello }".replace("fail ", ""), result_type=dict[str, int])
        with pytest.raises(TransportTimeout, match=r"within 0\.01 s"):
            session.execute(SLOW, timeout=0.01)
        with pytest.raises(ValueError, match="use subscribe"):
            session.execute("subscription { countdown }")
        with pytest.raises(TypeError, match="write variable_values="):
            session.execute("{ hello }", variables={})  # type: ignore[call-overload]


def test_an_error_has_the_caller_s_frames_only(make: Make) -> None:
    with make() as session, pytest.raises(TransportQueryError) as caught:
        session.execute("{ fail }")
    assert [entry.name for entry in caught.traceback] == [
        "test_an_error_has_the_caller_s_frames_only"
    ]


def test_time_limits_of_waiting(make: Make, served: Served) -> None:
    with make().connect(reconnecting=True) as session:
        session.wait_connected(timeout=10)
        with pytest.raises(TimeoutError):
            session.wait_closed(timeout=0.01)
        session.reconnect()
        session.wait_connected(timeout=30)
        assert session.execute("{ hello }") == HELLO
        assert len(served.server.connections) == 2


def test_a_plain_session_that_is_lost(make: Make, served: Served) -> None:
    with make() as session:
        served.drop_connections()
        session.wait_closed(timeout=10)
        with pytest.raises(TransportConnectionFailed):
            session.wait_connected()
        assert session.state == "closed"


def test_many_threads_use_one_session(make: Make) -> None:
    def ask(number: int) -> list[str]:
        names = [f"{number}.{k}" for k in range(20)]
        return [session.execute(NAMED, {"name": name}, path="hello") for name in names]

    with make() as session, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert answers == [[f"Hello {n}.{k}!" for k in range(20)] for n in range(8)]


def test_closing_ends_the_calls_of_other_threads(make: Make, served: Served) -> None:
    session = make().open()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(session.execute, SLOW) for _ in range(4)]
        served.wait_operations(4)
        session.close()
        errors = [call.exception(10) for call in calls]
    assert [type(error) for error in errors] == [TransportClosed] * 4


# Ctrl-C.


class Interrupted(BaseException):
    """What a signal raises."""


@contextmanager
def interrupted(when: Callable[[], object]) -> Generator[None]:
    """Interrupt this thread as Ctrl-C does, when another thread has seen ``when`` return."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupted

    def run() -> None:
        when()
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def session_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "anygql session"]


def wait_until_closing(session: Session) -> None:
    while session.state != "closed":
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals")
class TestInterrupts:
    def test_an_execute(self, make: Make, served: Served) -> None:
        with make() as session:
            with pytest.raises(Interrupted), interrupted(lambda: served.wait_operations(1)):
                session.execute(SLOW)
            served.wait_operations(0)
            assert served.completes() == 1
            assert session.execute("{ hello }") == HELLO
        assert served.completes() == 1

    def test_a_receive(self, make: Make, served: Served) -> None:
        with make() as session, session.subscribe("subscription { never }") as events:
            with pytest.raises(Interrupted), interrupted(lambda: served.wait_operations(1)):
                events.receive()
            with pytest.raises(TimeoutError):
                events.receive(timeout=0.01)
            assert served.completes() == 0
        assert served.completes() == 1

    def test_a_connect(self, backend: str) -> None:
        with socket_that_never_answers() as (url, connected):
            client = Client(url, backend=backend)  # type: ignore[arg-type]
            with pytest.raises(Interrupted), interrupted(connected):
                client.open(reconnecting=True)
        for thread in session_threads():
            thread.join(10)
            assert not thread.is_alive()

    def test_closing(self, make: Make, served: Served) -> None:
        session = make().open()
        served.portal.call(served.connection().freeze)
        with pytest.raises(Interrupted), interrupted(lambda: wait_until_closing(session)):
            session.close()
        session.close()
        with pytest.raises(TransportClosed):
            session.execute("{ hello }")
        for thread in session_threads():
            thread.join(10)
            assert not thread.is_alive()

    def test_a_whole_block(self, make: Make, served: Served) -> None:
        with (
            pytest.raises(Interrupted),
            interrupted(lambda: served.wait_operations(2)),
            make() as session,
            session.subscribe("subscription { never }"),
        ):
            session.execute(SLOW)
        assert served.wait_closed() == (1000, "")
        assert served.completes() == 2


@contextmanager
def socket_that_never_answers() -> Generator[tuple[str, Callable[[], object]]]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def connected() -> None:
            accepted.append(server.accept()[0])
            accepted[0].recv(1)

        try:
            yield f"ws://127.0.0.1:{server.getsockname()[1]}/", connected
        finally:
            for each in accepted:
                each.close()


# Where blocking is a mistake.


def test_a_call_in_the_session_s_own_thread_is_refused(make: Make) -> None:
    errors: list[RuntimeError] = []
    sessions = []

    def on_event(_event: object) -> None:
        if sessions:
            for call in (lambda: sessions[0].execute("{ hello }"), sessions[0].close):
                with pytest.raises(RuntimeError, match="own thread would wait for itself") as error:
                    call()
                errors.append(error.value)

    with make(on_event=on_event).connect(reconnecting=True) as session:
        sessions.append(session)
        session.reconnect()
        session.wait_connected(timeout=10)
        sessions.clear()
    assert errors


@pytest.fixture
def unwarned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_module, "_warned", False)


@pytest.mark.usefixtures("unwarned")
async def test_a_call_in_another_loop_warns_once(
    anyio_backend_name: str, served: Served, make: Make
) -> None:
    client = make()
    with pytest.warns(BlockingInAsync, match="blocks the event loop") as warned:
        session = client.open()
    assert [warning.filename for warning in warned] == [__file__]
    # Warnings are errors: there are no more.
    assert session.execute("{ hello }") == HELLO
    with session.subscribe("subscription { countdown(from: 1) }") as events:
        assert len(list(events)) == 2
    await anyio.sleep(0)
    session.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs to fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process_cannot_use_the_session(make: Make, served: Served) -> None:
    read, write = os.pipe()
    with make() as session:
        child = os.fork()
        if not child:
            try:
                session.execute("{ hello }")
            except RuntimeError as error:
                session.close()  # the parent's: nothing happens
                os.write(write, str(error).encode())
            finally:
                os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert session.execute("{ hello }") == HELLO
    os.close(write)
    with open(read, encoding="utf-8") as told:
        assert "open a session in each process" in told.read()
    assert len(served.server.connections) == 1


EXIT = """
import sys
from anygql.blocking import Client

session = Client(sys.argv[1], backend=sys.argv[2]).open(reconnecting=True)
events = session.subscribe("subscription { flood(count: 1000) }")
print(next(events)["flood"][0])
"""


def test_the_end_of_the_program_closes_the_session(served: Served, backend: str) -> None:
    import subprocess
    import sys

    from tests.support.programs import environment

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXIT, served.url, backend],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)
    assert served.wait_closed() == (1000, "")
