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

#: In the order in which they are offered. If the legacy protocol came first, Mercurius and
#: Strawberry would choose it, and PostGraphile would close with 4406.
_KNOWN: tuple[SubscriptionProtocol, ...] = (GRAPHQL_TRANSPORT_WS, GRAPHQL_WS)


def protocols_to_offer(choice: str | SubscriptionProtocol) -> tuple[SubscriptionProtocol, ...]:
    """Return the protocols to offer.

    ``choice`` is ``"auto"``, the name of a subprotocol, or a protocol value. Raises ``ValueError``
    for the name of an unknown subprotocol.
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
    """Return the offered protocol whose subprotocol the server named.

    A server that named none is taken to speak the only protocol that was offered, or else the
    default one. Raises ``TransportProtocolError`` (4406) if the protocol was not offered.
    """
    offered = tuple(offered)
    for protocol in offered:
        if protocol.subprotocol == name or (name is None and protocol.is_default):
            return protocol
    if name is None and len(offered) == 1:
        return offered[0]
    choice = "named no subprotocol" if name is None else f"chose the subprotocol {name!r}"
    names = ", ".join(repr(protocol.subprotocol) for protocol in offered)
    raise TransportProtocolError(
        f"{server} {choice}, but was offered {names}",
        code=CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        reason="subprotocol not acceptable",
    )
