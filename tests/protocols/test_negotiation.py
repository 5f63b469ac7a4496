"""Which subprotocols are offered, and which of them the server chose."""

from __future__ import annotations

from typing import Any

import pytest

from anygql.exceptions import TransportProtocolError
from anygql.protocols import (
    GRAPHQL_TRANSPORT_WS,
    GRAPHQL_WS,
    GraphQLTransportWS,
    SubscriptionProtocol,
)
from anygql.protocols.negotiation import negotiated_protocol, protocols_to_offer

OWN = GraphQLTransportWS(subprotocols=("own",))
BOTH = (GRAPHQL_TRANSPORT_WS, GRAPHQL_WS)


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        pytest.param("auto", BOTH, id="auto-the-legacy-one-last"),
        ("graphql-transport-ws", (GRAPHQL_TRANSPORT_WS,)),
        ("graphql-ws", (GRAPHQL_WS,)),
        pytest.param(OWN, (OWN,), id="a-value"),
    ],
)
def test_offered(choice: Any, offered: tuple[SubscriptionProtocol, ...]) -> None:
    assert protocols_to_offer(choice) == offered


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'graphql-transport-ws', 'graphql-ws'"):
        protocols_to_offer("graphql_ws")


@pytest.mark.parametrize("choice", [None, 3, b"auto"])
def test_what_is_neither_a_name_nor_a_protocol(choice: Any) -> None:
    with pytest.raises(TypeError, match="a name or a protocol value"):
        protocols_to_offer(choice)


@pytest.mark.parametrize(
    ("offered", "name", "expected"),
    [
        (BOTH, "graphql-transport-ws", GRAPHQL_TRANSPORT_WS),
        (BOTH, "graphql-ws", GRAPHQL_WS),
        pytest.param(BOTH, None, GRAPHQL_WS, id="none-is-the-legacy-one"),
        pytest.param((OWN,), "own", OWN, id="own"),
    ],
)
def test_chosen(offered: Any, name: str | None, expected: SubscriptionProtocol) -> None:
    assert negotiated_protocol(offered, name) is expected


@pytest.mark.parametrize(
    ("offered", "name", "told"),
    [
        (BOTH, "soap", "'soap', but was offered 'graphql-transport-ws', 'graphql-ws'"),
        ((GRAPHQL_WS,), "graphql-transport-ws", "but was offered 'graphql-ws'"),
        (BOTH, "", "chose the subprotocol ''"),
    ],
)
def test_not_offered(offered: Any, name: str | None, told: str) -> None:
    with pytest.raises(TransportProtocolError, match=told) as caught:
        negotiated_protocol(offered, name)
    assert caught.value.code == 4406
    assert not caught.value.retryable


@pytest.mark.parametrize("protocol", [GRAPHQL_TRANSPORT_WS, GRAPHQL_WS])
def test_a_server_that_names_none_speaks_the_only_one_offered(
    protocol: SubscriptionProtocol,
) -> None:
    assert negotiated_protocol((protocol,), None) is protocol
