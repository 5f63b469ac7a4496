"""Recordings: what they hold, and what they leave out."""

from __future__ import annotations

import copy
import gc
import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from graphql import GraphQLDeferDirective, build_schema, specified_directives

from anygql import (
    Client,
    ExecutionResult,
    FileVar,
    HTTPTransport,
    LocalSchemaTransport,
    SplitTransport,
    TransportClosed,
    TransportError,
    TransportQueryError,
    TransportServerError,
    gql,
)
from anygql.delivery.buffering import Delivery
from anygql.delivery.interfaces import Transport
from anygql.testing import GraphQLServer, Recorded, Recorder, Stub, demo_schema
from tests.support.http_peer import http, peer

HELLO = "query Hello($name: String) { hello(name: $name) }"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassette.json"


def operations(path: Path, connection: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["connections"][connection][
        "operations"
    ]
    return found


async def test_operations(path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        recorder = Recorder(server.transport(), path)
        async with Client(recorder) as session:
            await session.execute(HELLO, {"name": "ada"})
            with pytest.raises(TransportQueryError):
                await session.execute("{ fail }")
            async with anyio.create_task_group() as tg:
                tg.start_soon(session.execute, "{ slow(seconds: 60) }")
                await server.connections[0].wait_operations(1)
                tg.cancel_scope.cancel()
            async with session.subscribe("subscription { countdown(from: 1) }") as events:
                assert len([data async for data in events]) == 2
            async with session.subscribe("subscription { countdown(from: 5) }") as events:
                await anext(events)
            assert not path.exists()
    assert repr(recorder) == f"<Recorder of {server.url} to {path}>"
    whole = json.loads(path.read_text())
    assert whole["anygql_cassette"] == 1
    assert whole["recorded_from"] == server.url
    hello, fail, slow, countdown, left = operations(path)
    assert hello["variables"] == {"name": "ada"}
    assert hello["document"] == [HELLO]
    assert hello["results"][0]["data"] == {"hello": "Hello ada!"}
    assert fail["results"][0]["errors"][0]["message"] == "this field always fails"
    assert (slow["ended"], slow.get("results")) == ("left", None)
    assert [each["data"]["countdown"] for each in countdown["results"]] == [1, 0]
    assert "ended" not in countdown
    assert (left["ended"], len(left["results"])) == ("left", 1)


async def test_mistakes_of_the_caller_are_not_recorded(path: Path) -> None:
    async with Client(Recorder(LocalSchemaTransport(demo_schema()), path)) as session:
        with pytest.raises(TypeError):
            await session.execute(HELLO, {"name": "x"}, transport_args={"headers": {}})
        with pytest.raises(TypeError, match=r"variables\.name"):
            await session.execute(HELLO, {"name": object()})
        async with session.subscribe("subscription { countdown(from: 0) }") as events:
            assert [data async for data in events] == [{"countdown": 0}]
    assert [each["kind"] for each in operations(path)] == ["subscription"]


async def test_secrets_are_left_out(path: Path) -> None:
    payload = {"token": "in-payload"}
    server = GraphQLServer(demo_schema(), on_connect=lambda given: {**given, "name": "kept"})
    async with server:
        transport = server.transport(init_payload=payload, headers={"x-api-key": "in-header"})
        async with Client(Recorder(transport, path)) as session:
            document = (
                "query Q($password: String) { hello(name: $password) token: hello "
                'other: hello(name: "plain") }'
            )
            data = await session.execute(document, {"password": "in-variable"})
            assert data["hello"] == "Hello in-variable!"
    text = path.read_text()
    for secret in ("in-payload", "in-header"):
        assert secret not in text
    (operation,) = operations(path)
    assert operation["variables"] == {"password": "REDACTED"}
    assert operation["results"][0]["data"]["token"] == "REDACTED"
    assert json.loads(text)["connections"][0]["payloads"]["connection_ack"] == {
        "token": "REDACTED",
        "name": "kept",
    }
    async with Client(Recorded(path)) as session:  # any password asks the same
        await session.execute(document, {"password": "another"})


async def test_secrets_under_the_document_s_own_names(path: Path) -> None:
    stub = Stub({"Login": {"login": {"t": "came", "name": "ada"}}})
    document = (
        "mutation Login($u: String, $p: String) { login(user: $u, password: $p) { t: token name } }"
    )
    async with Client(Recorder(stub, path)) as session:
        await session.execute(document, {"u": "ada", "p": "went"})
    (operation,) = operations(path)
    assert operation["variables"] == {"u": "ada", "p": "REDACTED"}
    assert operation["results"][0]["data"] == {"login": {"t": "REDACTED", "name": "ada"}}
    async with Client(Recorded(path)) as session:
        assert await session.execute(document, {"u": "ada", "p": "other"})


async def test_own_secrets(path: Path) -> None:
    stub = Stub({"Q": {"pin": 7, "token": "t"}})
    async with Client(Recorder(stub, path, secrets=["pin"])) as session:
        await session.execute("query Q($pin: Int) { pin token }", {"pin": 1234})
    assert operations(path)[0]["results"][0]["data"] == {"pin": 0, "token": "t"}
    assert json.loads(path.read_text())["secrets"] == ["pin"]
    async with Client(Recorded(path)) as session:
        assert await session.execute("query Q($pin: Int) { pin token }", {"pin": 1})


async def test_what_the_consumer_changes_is_not_recorded(path: Path) -> None:
    async with Client(Recorder(Stub({"Q": {"a": [1]}}), path)) as session:
        data = await session.execute("query Q { a }")
        data["a"].append(2)
    assert operations(path)[0]["results"][0]["data"] == {"a": [1]}


async def test_files_are_recorded_by_name(path: Path) -> None:
    async with Client(Recorder(Stub({"Q": {"a": 1}}), path)) as session:
        await session.execute("query Q($f: Upload) { a }", {"f": FileVar(b"1", filename="a.txt")})
    expected = {"f": {"file": "a.txt", "content_type": "text/plain"}}
    assert operations(path)[0]["variables"] == expected


async def test_a_reconnect(path: Path, soon: None) -> None:
    async with GraphQLServer(demo_schema()) as server:
        recorder = Recorder(server.transport(), path)
        async with Client(recorder).connect(reconnecting=True) as session:
            async with session.subscribe("subscription { countdown(from: 1, interval: 60) }") as e:
                await anext(e)
                await server.restart()
                await anext(e)
                assert e.reconnects == 1
                session.reconnect()
                await anext(e)
                assert e.reconnects == 2
    connections = json.loads(path.read_text())["connections"]
    opened = [each for each in connections if "failure" not in each]
    assert [each["operations"][0]["ended"] for each in opened] == ["lost", "lost", "left"]
    assert [each.get("lost", {}).get("error") for each in opened] == [
        "TransportConnectionFailed",
        None,  # that was the program's wish
        None,
    ]


async def test_results_taken_after_the_loss(path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with Client(Recorder(server.transport(), path)) as session:
            connection = await server.wait_connection()
            async with session.subscribe("subscription { countdown(from: 2) }") as events:
                await connection.wait_sent("complete")
                assert await anext(events) == {"countdown": 2}
                server.drop_connections()
                await session.wait_closed()
                await anyio.wait_all_tasks_blocked()
                assert len(operations(path)[0]["results"]) == 1
                assert [data async for data in events] == [{"countdown": 1}, {"countdown": 0}]
            assert len(operations(path)[0]["results"]) == 3


async def test_a_failed_attempt_and_a_canceled_one(path: Path) -> None:
    stub = Stub({})
    stub.refuse_with = TransportServerError("busy", code=503)
    recorder = Recorder(stub, path)
    with pytest.raises(TransportServerError):
        async with Client(recorder):
            pass
    (attempt,) = json.loads(path.read_text())["connections"]
    assert attempt["failure"]["code"] == 503

    class Waiting(Stub):
        def connect(self) -> Any:
            return _Waiting(scope)

    recorder = Recorder(Waiting({}), path)
    with anyio.CancelScope() as scope:
        async with Client(recorder):
            pass
    assert "connections" not in json.loads(path.read_text())


class _Waiting:
    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope

    async def __aenter__(self) -> None:
        self._scope.cancel()
        await anyio.sleep_forever()

    async def __aexit__(self, *_args: object) -> None:
        pass


async def test_batches_over_http(path: Path) -> None:
    answers = [{"data": {"n": 1}}, {"errors": [{"message": "no"}]}]
    async with peer(http(json.dumps(answers))) as server:
        async with Client(Recorder(server.url, path)) as session:
            results = await session.execute_batch_results(["query A { n }", "query B { n }"])
    first, second = operations(path)
    assert first["results"][0]["data"] == {"n": 1}
    assert second["results"][0]["status"] == 200
    assert len(server.requests) == 1
    async with Client(Recorded(path)) as session:
        again = await session.execute_batch_results(["query A { n }", "query B { n }"])
    assert again == results


async def test_headers_of_responses(path: Path) -> None:
    answer = http('{"data": {"n": 1}}', X_RateLimit_Remaining="7", Set_Cookie="s=1")
    async with peer(answer) as server:
        async with Client(Recorder(HTTPTransport(server.url), path)) as session:
            await session.execute("{ n }", result_type=dict[str, int])
    async with Client(Recorded(path)) as session:
        result = await session.execute_result("{ n }")
    assert result.headers["x-ratelimit-remaining"] == "7"
    assert result.headers["set-cookie"] == "REDACTED"
    assert "content-length" not in result.headers
    assert result.data == {"n": 1}


async def test_results_in_parts(path: Path) -> None:
    schema = build_schema("type Query { name: String  slow: String }")
    schema.directives = (*specified_directives, GraphQLDeferDirective)
    document = "{ name ... @defer { slow } }"
    states = []
    root = {"name": "Ada", "slow": "late"}
    transport = LocalSchemaTransport(schema, root_value=root)
    async with Client(Recorder(transport, path)) as session:
        async with session.execute_incremental(document) as parts:
            states = [state async for state in parts]
    assert states == [{"name": "Ada"}, {"name": "Ada", "slow": "late"}]
    async with Client(Recorded(path)) as session:
        async with session.execute_incremental(document) as parts:
            assert [state async for state in parts] == states


async def test_what_a_transport_can_do_is_not_changed(path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        async with Recorder(server.transport(), path).connect() as connection:
            assert not hasattr(connection, "execute_batch")
            assert hasattr(connection, "execute_incremental")


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        async with Client(Recorder(Stub({}), tmp_path / "file" / "cassette.json")):
            pass


async def test_a_folder_that_refuses_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        async with Client(Recorder(Stub({}), tmp_path)):
            pytest.fail("it is open")
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path)  # root may write all
    with pytest.raises(PermissionError, match=re.escape(str(tmp_path / "c.json"))):
        async with Client(Recorder(Stub({}), tmp_path / "c.json")):
            pytest.fail("it is open")


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_the_error_of_writing_comes_out_as_it_is(path: Path, reconnecting: bool) -> None:
    """On every loop: no group of its session's tasks is around it."""
    async with GraphQLServer(demo_schema()) as server:
        with pytest.raises(IsADirectoryError):
            async with Client(Recorder(server.transport(), path)).connect(
                reconnecting=reconnecting
            ):
                path.mkdir()


def test_no_transport(path: Path) -> None:
    with pytest.raises(TypeError, match="a transport is a Transport or a URL"):
        Recorder(5, path)  # type: ignore[arg-type]


async def test_what_is_saved_while_it_runs(path: Path) -> None:
    recorder = Recorder(LocalSchemaTransport(demo_schema()), path)
    async with Client(recorder) as session:
        async with session.subscribe("subscription { countdown(interval: 60) }") as events:
            await anext(events)
            recorder.save()
            (operation,) = operations(path)
            assert operation["ended"] == "left"
            assert operation["ended_after"] >= operation["results"][0]["after"]


async def test_two_transports(path: Path, tmp_path: Path) -> None:
    stub, ticks = Stub({"Q": {"a": 1}}), Stub({"S": [{"n": 1}]})
    with pytest.raises(TypeError, match="a Recorder records one transport"):
        Recorder(SplitTransport(stub, subscriptions=ticks), path)
    other = tmp_path / "other.json"

    async def use(transport: Transport, subscriptions: Transport) -> None:
        async with Client(SplitTransport(transport, subscriptions=subscriptions)) as session:
            assert await session.execute("query Q { a }") == {"a": 1}
            async with session.subscribe("subscription S { n }") as events:
                assert [data async for data in events] == [{"n": 1}]

    await use(Recorder(stub, path), Recorder(ticks, other))
    await use(Recorded(path), Recorded(other))


async def test_what_sessions_ask_some_transports_for(path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        transport = server.transport(close_timeout=3)
        recorder: Any = Recorder(transport, path)
        assert recorder.close_timeout == 3
        assert not recorder.asks_anew
        with pytest.raises(AttributeError):
            _ = recorder.other
        async with recorder.connect():
            pass
    assert not Recorded(path).asks_anew
    assert copy.copy(recorder).path == path


async def test_automatic_batches(path: Path) -> None:
    answers = [{"data": {"n": 1}}, {"data": {"n": 2}}]
    async with peer(http(json.dumps(answers))) as server:
        client = Client(Recorder(server.url, path), batch_interval=1, batch_max=2)
        async with client as session, anyio.create_task_group() as tasks:
            tasks.start_soon(session.execute, "query A { n }")
            tasks.start_soon(session.execute, "query B { n }")
    assert len(server.requests) == 1
    assert sorted(each["name"] for each in operations(path)) == ["A", "B"]


@pytest.mark.parametrize("answer", [http("busy", "503 Service Unavailable"), http('[{"a": 1}, 2]')])
async def test_a_failed_batch(path: Path, answer: bytes) -> None:
    async with peer(answer) as server:
        async with Client(Recorder(server.url, path)) as session:
            with pytest.raises(TransportError) as before:
                await session.execute_batch(["query A { n }", "query B { n }"])
    assert [each["ended"] for each in operations(path)] == ["failed"] * 2
    async with Client(Recorded(path)) as session:
        with pytest.raises(type(before.value)) as after:
            await session.execute_batch(["query A { n }", "query B { n }"])
    assert str(after.value) == str(before.value)
    assert after.value.code == before.value.code


async def test_subscriptions_that_drop_and_are_dropped(path: Path) -> None:
    stub = Stub({"S": [{"n": n} for n in range(5)]})
    async with Client(Recorder(stub, path)) as session:
        events = session.subscribe("subscription S { n }", buffer_size=2, on_overflow="drop_oldest")
        async with events:
            await anyio.wait_all_tasks_blocked()
            assert [data async for data in events] == [{"n": 3}, {"n": 4}]
            assert events.dropped == 3
        async for data in session.subscribe("subscription S { n }"):
            assert data == {"n": 0}
            break
        del events
        gc.collect()
    first, second = operations(path)
    assert len(first["results"]) == 2
    assert second["ended"] == "left"


async def test_the_connection_s_own_view(path: Path) -> None:
    """What sessions rarely look at."""
    recorder = Recorder(Stub({"S": [{"n": 1}]}), path)
    connection: Any
    async with recorder.connect() as connection:
        assert connection.idle_since is not None
        request = gql("subscription S { n }")
        with pytest.raises(AssertionError):
            connection.subscribe(gql("subscription T { n }"), Delivery())
        with pytest.raises(AssertionError):
            connection.execute_incremental(gql("{ n }"), Delivery())
        results = connection.subscribe(request, Delivery())
        results.check_loop()
        await results.wait()
        assert results.receive_nowait() == ExecutionResult({"n": 1})
        assert results.last == ExecutionResult({"n": 1})
        results.transport_args = {"headers": {}}
        assert results.transport_args == {"headers": {}}
        assert (results.on_lost, results.lost, results.reconnects) == (None, False, 0)
        results.abandon()
        connection.close(1000, "bye")
        await connection.wait_closed()
        with pytest.raises(TransportClosed):
            connection.subscribe(request, Delivery())
    assert [each["ended"] for each in operations(path)] == ["left"]
