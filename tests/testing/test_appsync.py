"""AppSync's protocol from the server's side, message by message."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from websockets.datastructures import Headers

from anygql.testing.dialects import (
    Answer,
    AppSync,
    AppSyncAuthorization,
    Init,
    Malformed,
    Start,
    Stop,
)
from anygql.testing.dialects.appsync import MAX_SUBSCRIPTIONS
from anygql.testing.websocket import HandshakeRequest

KEY = {"host": "h", "x-api-key": "da2-s3cret"}
IN_QUERY = b64encode(json.dumps(KEY).encode()).decode()


def header(of: Any) -> str:
    return "header-" + urlsafe_b64encode(json.dumps(of).encode()).decode().rstrip("=")


def handshake(*subprotocols: str, query: str = "") -> HandshakeRequest:
    headers = Headers({"Host": "h:8000", "Sec-WebSocket-Protocol": ", ".join(subprotocols)})
    return HandshakeRequest(f"/graphql/realtime{query}", headers)


def begun(*messages: Any) -> AppSync:
    dialect = AppSync(handshake("graphql-ws", header(KEY)))
    for message in messages:
        dialect.parse(message)
    return dialect


def start(id: str = "1", **parts: Any) -> dict[str, Any]:
    data = json.dumps({"query": "subscription { never }", "variables": {}})
    payload = {"data": data, "extensions": {"authorization": KEY}, **parts}
    return {"type": "start", "id": id, "payload": payload}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (handshake("graphql-ws", header(KEY)), 101),
        (
            handshake("graphql-ws", query=f"?header={IN_QUERY}"),
            101,
        ),
        (handshake("graphql-ws", "header-!"), 400),
        (handshake("graphql-ws", header(["no", "object"])), 400),
        (handshake("graphql-ws", "header-e30"), 101),
        (handshake("graphql-ws"), None),
        (handshake(header(KEY)), None),
        (handshake("graphql-ws", query="?header="), None),
        (handshake("graphql-transport-ws", header(KEY)), None),
    ],
)
def test_handshakes(request_: HandshakeRequest, status: int | None) -> None:
    answer = AppSync.answer(request_)
    assert (answer and answer.status) == status
    assert answer is None or status == 400 or answer.subprotocol == "graphql-ws"


def test_the_connection_is_authorized_by_its_handshake() -> None:
    request = begun().parse({"type": "connection_init"})
    assert isinstance(request, Init)
    assert request.payload == KEY
    assert (request.payload.url, request.payload.body) == ("http://h:8000/graphql/connect", b"{}")
    assert "s3cret" not in repr(request.payload)


def test_a_start_is_authorized_by_itself() -> None:
    request = begun().parse(start())
    assert isinstance(request, Start)
    assert (request.id, request.query, request.variables) == ("1", "subscription { never }", {})
    authorization = request.authorization
    assert isinstance(authorization, AppSyncAuthorization)
    assert authorization == KEY
    assert authorization.url == "http://h:8000/graphql"
    assert authorization.body.decode() == start()["payload"]["data"]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe", "id": "1"},
        {"type": "start", "id": 1},
        {"type": "start"},
        {"type": "start", "id": "1", "payload": {}},
        start(extensions={}),
        start(data={"query": "{ n }"}),
        start(data="{"),
        start(data='{"query": "{ n }"}'),
        {"type": "stop"},
        {},
    ],
)
def test_what_is_no_message(message: Any) -> None:
    with pytest.raises(Malformed):
        begun().parse(message)


def test_a_stop_that_comes_before_the_start_is_confirmed_is_lost() -> None:
    dialect = begun(start())
    stop = {"type": "stop", "id": "1"}
    assert dialect.parse(stop) == Answer()
    assert dialect.started("1") == [{"type": "start_ack", "id": "1"}]
    assert dialect.parse(stop) == Stop(["1"])
    assert dialect.stopped("1") == [{"id": "1", "type": "complete"}]
    assert dialect.parse(stop) == Answer()


def test_one_subscription_too_many() -> None:
    dialect = begun(*(start(str(number)) for number in range(MAX_SUBSCRIPTIONS)))
    request = dialect.parse(start("more"))
    assert isinstance(request, Answer)
    (error,) = request.messages[0]["payload"]["errors"]
    assert (request.messages[0]["id"], error["errorType"]) == (
        "more",
        "MaxSubscriptionsReachedError",
    )
    dialect.complete("7")
    assert isinstance(dialect.parse(start("more")), Start)


def test_refusals() -> None:
    dialect = begun()
    said = dialect.refuse("LimitExceededError: too many")
    errors = {"errors": [{"errorType": "LimitExceededError", "message": "too many"}]}
    assert said == [{"type": "connection_error", "payload": errors}]
    assert dialect.ack({"more": 1}) == [
        {"type": "connection_ack", "payload": {"connectionTimeoutMs": 300_000, "more": 1}}
    ]
    assert dialect.refuse("LimitExceededError: too many")[0]["type"] == "error"
    (refused,) = dialect.refuse_start("1", "no")
    assert refused["payload"] == {
        "errors": [{"errorType": "UnauthorizedException", "message": "no"}]
    }
    assert dialect.keep_alive() == {"type": "ka"}
