"""Opening and closing: who owns a session, and what is left of one."""

from __future__ import annotations

import atexit
import contextvars
import gc
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLSchema

import anygql
from anygql import (
    Call,
    ExecutionResult,
    LocalSchemaTransport,
    Operation,
    TransportClosed,
    TransportConnectionFailed,
)
from anygql.blocking import Client, Session
from anygql.testing import demo_schema
from tests.blocking.conftest import Make, Served

HELLO = {"hello": "Hello world!"}

#: Bound and not listening: nobody else gets the port, and connections to it are refused.
_BOUND = socket.socket()
_BOUND.bind(("127.0.0.1", 0))
atexit.register(_BOUND.close)  # a process that runs none of these tests has it, too
NOBODY = f"ws://127.0.0.1:{_BOUND.getsockname()[1]}/graphql"


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "anygql session"}


@pytest.fixture(autouse=True)
def no_thread_left() -> Any:
    before = threads()
    yield
    gc.collect()
    assert threads() == before


def test_a_session_in_a_with_block(make: Make, served: Served) -> None:
    client = make()
    with client as session:
        assert session.execute("{ hello }") == HELLO
        assert session.state == "connected"
        assert repr(session) == f"<Session of {served.url}, connected>"
    assert session.state == "closed"
    assert served.wait_closed() == (1000, "")
    with pytest.raises(TransportClosed, match="the session was closed"):
        session.execute("{ hello }")
    assert repr(client) == f"<Client of {served.url}>"


def test_sessions_of_one_client(make: Make, served: Served) -> None:
    with (client := make()) as one, client as other, client.connect() as third:
        assert [session.execute("{ hello }") for session in (one, other, third)] == [HELLO] * 3
        assert len(served.server.connections) == 3
        assert len(threads()) == 3
    with pytest.raises(RuntimeError, match="left in the thread that entered it"):
        client.__exit__(None, None, None)


def test_a_context_can_be_entered_again_when_it_was_left(make: Make) -> None:
    context = make().connect(reconnecting=True)
    for _ in range(2):
        with context as session:
            assert session.execute("{ hello }") == HELLO
            with pytest.raises(RuntimeError, match="call connect"), context:
                ...
    with pytest.raises(RuntimeError, match="not entered"):
        context.__exit__(None, None, None)


def test_a_session_that_is_opened_and_closed(make: Make, served: Served) -> None:
    session = make().open(reconnecting=True)
    assert session.execute("{ hello }") == HELLO
    session.close()
    session.close()
    assert served.wait_closed() == (1000, "")
    with pytest.raises(TransportClosed):
        session.wait_connected()


def test_a_session_that_is_closed_within_its_block(make: Make) -> None:
    with make() as session:
        session.close()
        with pytest.raises(TransportClosed):
            session.execute("{ hello }")


def test_what_a_block_raises_comes_out(make: Make, served: Served) -> None:
    with pytest.raises(ZeroDivisionError), make() as session:
        session.execute("{ hello }")
        _ = 1 / 0
    assert served.wait_closed() == (1000, "")


def test_a_session_that_is_dropped_warns_and_is_closed(make: Make, served: Served) -> None:
    sessions = [make().open()]
    (thread,) = threads()
    assert sessions[0].execute("{ hello }") == HELLO
    with pytest.warns(ResourceWarning, match=r"unclosed session of ws://.*session\.close"):
        sessions.clear()
    assert served.wait_closed() == (1000, "")
    thread.join()


def test_a_subscription_keeps_its_session(make: Make) -> None:
    held = [make().open().subscribe("subscription { countdown(from: 1) }")]
    gc.collect()
    assert list(held[0]) == [{"countdown": 1}, {"countdown": 0}]
    with pytest.warns(ResourceWarning):
        held.clear()
    for thread in threads():
        thread.join()


@pytest.mark.parametrize("way", ["with", "connect", "open"])
def test_a_session_that_cannot_connect(backend: str, way: str) -> None:
    client = Client(NOBODY, backend=backend)

    def open_session() -> None:
        if way == "open":
            client.open()
        else:
            with client if way == "with" else client.connect():
                ...

    with pytest.raises(TransportConnectionFailed) as caught:
        open_session()
    modules = {entry.frame.f_globals["__name__"] for entry in caught.traceback}
    assert modules == {__name__}


def test_the_end_of_a_session_is_raised_by_leaving(make: Make, served: Served) -> None:
    with (
        pytest.raises(TransportConnectionFailed),
        make().connect(reconnecting=True, retry_connect=False) as session,
    ):
        served.portal.call(served.server.stop)
        session.wait_closed(timeout=10)
        with pytest.raises(TransportConnectionFailed):
            session.execute("{ hello }")


def test_the_end_of_an_opened_session_is_logged(
    make: Make, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    session = make().open(reconnecting=True, retry_connect=False)
    served.portal.call(served.server.stop)
    session.wait_closed(timeout=10)
    session.close()
    messages = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(messages) == 1
    assert "the session has ended" in messages[0]


def test_the_schema_is_the_client_s(make: Make) -> None:
    client = make(fetch_schema=True)
    assert client.schema is None
    with client as session:
        assert isinstance(client.schema, GraphQLSchema)
        with pytest.raises(anygql.GraphQLValidationError):
            session.execute("{ nothing }")
    client.schema = "type Query { a: Int }"
    assert client.schema is not None
    assert list(client.schema.type_map)[:1] == ["Query"]
    assert client.transport.description in repr(client)


# Mistakes.


def mistakes() -> list[tuple[Callable[[Client], object], type[Exception], str]]:
    return [
        (lambda client: client.execute, AttributeError, r"`with client as session: session\.exec"),  # type: ignore[attr-defined]
        (lambda client: client.connect_async, AttributeError, r"session = client\.open"),  # type: ignore[attr-defined]
        (lambda client: client.nothing, AttributeError, "has no attribute 'nothing'$"),  # type: ignore[attr-defined]
        (lambda client: client.connect(nothing=1), TypeError, "'nothing'"),  # type: ignore[call-overload]
        (lambda client: client.connect(lazy=True), ValueError, "reconnecting=True"),  # type: ignore[call-overload]
        (lambda client: client.open(headers={}), TypeError, "Client.url, headers"),  # type: ignore[call-overload]
        (lambda _: Client(NOBODY, timeout=3), TypeError, "write execute_timeout="),  # type: ignore[call-arg]
        (lambda _: Client(NOBODY, backend="curio"), ValueError, "asyncio, trio"),  # type: ignore[arg-type]
        (lambda _: Client(), TypeError, "transport"),  # type: ignore[call-arg]
    ]


@pytest.mark.parametrize(("mistake", "error", "message"), mistakes())
def test_mistakes(
    mistake: Callable[[Client], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mistake(Client(NOBODY))


def test_no_async_blocks() -> None:
    client: Any = Client(NOBODY)
    with pytest.raises(TypeError, match="with `with`, not"):
        client.__aenter__().send(None)


# One request.


def test_execute_once(served: Served, backend: str) -> None:
    assert anygql.blocking.execute(served.url, "{ hello }", backend=_backend(backend)) == HELLO
    document = "query ($a: Int!) { add(a: $a, b: 2) }"
    three = anygql.blocking.execute(served.url, document, {"a": 1}, path="add", result_type=int)
    assert three == 3
    assert served.wait_closed() == (1000, "")


def _backend(name: str) -> Any:
    return name


def test_execute_once_fails() -> None:
    with pytest.raises(TransportConnectionFailed):
        anygql.blocking.execute(NOBODY, "{ hello }")
    with pytest.raises(anygql.TransportInvalidURL):
        anygql.blocking.execute("nowhere", "{ hello }")
    with pytest.raises(TypeError, match="write variable_values="):
        anygql.blocking.execute(NOBODY, "{ hello }", variables={})  # type: ignore[call-overload]


def test_the_caller_s_context_reaches_the_work(backend: str) -> None:
    user = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []

    def headers() -> dict[str, str]:
        seen.append(user.get())
        return {}

    client = Client(anygql.WebSocketTransport(NOBODY, headers=headers), backend=_backend(backend))
    user.set("opener")
    with pytest.raises(TransportConnectionFailed), client:
        ...
    local = Client(LocalSchemaTransport(_schema(seen, user)), backend=_backend(backend))
    with local as session:
        user.set("caller")
        session.execute("{ hello }")
        context = contextvars.copy_context()
        context.run(user.set, "other")
        context.run(session.execute, "{ hello }")
    assert seen == ["opener", "caller", "other"]


def _schema(seen: list[str], user: contextvars.ContextVar[str]) -> GraphQLSchema:
    schema = demo_schema()
    assert schema.query_type is not None
    schema.query_type.fields["hello"].resolve = lambda *_, **__: seen.append(user.get()) or "hello"
    return schema


def test_sessions_have_no_public_constructor() -> None:
    with pytest.raises(TypeError):
        Session()


def test_interceptors_run_in_the_thread_of_the_session(make: Make) -> None:
    threads: list[int] = []

    async def note(operation: Operation, call: Call) -> ExecutionResult:
        threads.append(threading.get_ident())
        return await call(operation)

    with make(interceptors=[note], attempt_interceptors=[note]) as session:
        assert session.execute("{ hello }") == {"hello": "Hello world!"}
    assert len(threads) == 2
    assert threading.get_ident() not in threads
