"""The subprotocols of GraphQL over WebSocket, as values, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable

from ..exceptions import ProtocolViolation, TransportProtocolError
from .base import Codec, SubscriptionProtocol
from .close_codes import CloseCode
from .graphql_transport_ws import GRAPHQL_TRANSPORT_WS, GraphQLTransportWS
from .graphql_ws import GRAPHQL_WS, GraphQLWS

__all__ = [
    "GRAPHQL_TRANSPORT_WS",
    "GRAPHQL_WS",
    "CloseCode",
    "Codec",
    "GraphQLTransportWS",
    "GraphQLWS",
    "ProtocolViolation",
    "SubscriptionProtocol",
    "negotiated_protocol",
    "protocols_to_offer",
]

#: In the order in which they are offered: offered the legacy one first, Mercurius and
#: Strawberry pick it, and PostGraphile closes with 4406.
_KNOWN: tuple[SubscriptionProtocol, ...] = (GRAPHQL_TRANSPORT_WS, GRAPHQL_WS)


def protocols_to_offer(choice: str | SubscriptionProtocol) -> tuple[SubscriptionProtocol, ...]:
    """What to offer for ``"auto"``, the name of a subprotocol, or a protocol value.

    Raises ``ValueError`` for a name that no known subprotocol has.
    """
    if not isinstance(choice, str):
        if not hasattr(choice, "subprotocol"):
            raise TypeError(f"a protocol is a name or a protocol value, not {choice!r}")
        return (choice,)
    if choice == "auto":
        return _KNOWN
    for protocol in _KNOWN:
        if protocol.subprotocol == choice:
            return (protocol,)
    known = ", ".join(repr(protocol.subprotocol) for protocol in _KNOWN)
    raise ValueError(f"unknown subprotocol {choice!r}: use 'auto', {known}, or a protocol value")


def negotiated_protocol(
    offered: Iterable[SubscriptionProtocol], name: str | None, server: str = "the server"
) -> SubscriptionProtocol:
    """The offered protocol that the server named, or is taken to speak if it named none.

    Raises ``TransportProtocolError`` (4406), naming ``server``, if that was not offered.
    """
    offered = tuple(offered)
    for protocol in offered:
        if protocol.subprotocol == name or (name is None and protocol.is_default):
            return protocol
    said = "named no subprotocol" if name is None else f"chose the subprotocol {name!r}"
    names = ", ".join(repr(protocol.subprotocol) for protocol in offered)
    raise TransportProtocolError(
        f"{server} {said}, but was offered {names}",
        code=CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        reason="subprotocol not acceptable",
    )
