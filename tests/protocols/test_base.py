"""What every protocol has unless it says otherwise, and secrets that nothing shows."""

from __future__ import annotations

from typing import Any

import pytest

from anygql.exceptions import TransportProtocolError
from anygql.json import MsgspecJSON
from anygql.protocols import (
    ALL_OPERATIONS,
    Codec,
    Complete,
    Malformed,
    Next,
    Prepared,
    Secret,
    SubscriptionProtocol,
    result_event,
)
from anygql.protocols.base import hide_secrets
from anygql.protocols.negotiation import negotiated_protocol, protocols_to_offer
from anygql.websocket.sockets.handshake import check_subprotocols
from anygql.websocket.sockets.opening import Opening
from tests.support.own_protocol import Arrays

SECRET = Secret("token-s3cret")
pytestmark = pytest.mark.table


class TestDefaults:
    def test_of_a_codec(self) -> None:
        codec = Codec()
        assert (codec.ping(), codec.pong(), codec.terminate()) == (None, None, ())
        assert codec.is_terminated
        assert not codec.has_keep_alive_messages
        assert codec.keep_alive_timeout is None
        codec.forget("1")
        for call in (
            lambda: codec.connection_init(None),
            lambda: codec.subscribe("1", Any),  # type: ignore[arg-type]
            lambda: codec.complete("1"),
            lambda: codec.receive(b""),
            lambda: codec.increment(b""),
        ):
            with pytest.raises(NotImplementedError):
                call()
        with pytest.raises(NotImplementedError, match="use result_event"):
            codec.reread(b"")

    def test_many_messages_are_received_one_by_one(self) -> None:
        codec = Arrays().codec(MsgspecJSON())
        messages = [b'["over","1"]', '["over","2"]']
        assert list(codec.receive_many(messages)) == [Complete("1"), Complete("2")]
        assert list(codec.receive_undecoded(messages)) == [Complete("1"), Complete("2")]

    async def test_of_a_protocol(self) -> None:
        protocol = SubscriptionProtocol()
        assert protocol.operations == ALL_OPERATIONS
        assert protocol.subprotocols == ()
        protocol.check_url("ws://h/")
        given: Any = {"url": "ws://h/", "json": MsgspecJSON()}
        assert await protocol.authorize(Any, None, **given) is None  # type: ignore[arg-type]
        prepared = await Arrays().prepare("ws://h/")
        assert (prepared.url, prepared.subprotocols) == ("ws://h/", ("arrays",))
        with pytest.raises(NotImplementedError):
            protocol.codec(MsgspecJSON())


def test_a_result_is_checked() -> None:
    assert isinstance(result_event("1", {"data": None}), Next)
    assert result_event("1", {"message": "no"}) == Malformed(
        "1", "a JSON object without data and errors: no", "", [{"message": "no"}]
    )
    assert isinstance(result_event("1", [], "[]"), Malformed)


def test_a_class_is_no_protocol_value() -> None:
    with pytest.raises(TypeError, match=r"write Arrays\(…\)"):
        protocols_to_offer(Arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        repr([SECRET]),
        repr(Prepared(url="ws://h/?token-s3cret", subprotocols=[SECRET])),
        repr(Opening("ws://h/?token-s3cret", subprotocols=["chat", SECRET])),
        hide_secrets("chat, token-s3cret", ["chat", SECRET]),
        Opening("ws://h/", subprotocols=["chat", SECRET]).shown("token-s3cret"),
    ],
)
def test_a_secret_is_not_shown(shown: str) -> None:
    assert "s3cret" not in shown


def test_a_secret_is_sent_as_it_is() -> None:
    assert ", ".join(["chat", SECRET]) == "chat, token-s3cret"


def test_a_secret_that_can_t_be_sent() -> None:
    with pytest.raises(ValueError, match=r"'\*\*\*' can't be the name") as caught:
        check_subprotocols([Secret("a/s3cret")])
    assert "s3cret" not in str(caught.value)


def test_one_that_must_be_chosen() -> None:
    protocol = Arrays(must_be_chosen=True)
    assert negotiated_protocol([protocol], "arrays") is protocol
    with pytest.raises(TransportProtocolError, match="named no subprotocol"):
        negotiated_protocol([protocol], None)
