"""The server's side of each protocol, without I/O: what ``GraphQLServer`` speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...protocols.close_codes import CloseCode
from ..websocket import HandshakeRequest
from .appsync import AppSync, AppSyncAuthorization
from .base import (
    Answer,
    Dialect,
    Handshake,
    Init,
    Malformed,
    Message,
    Ping,
    Pong,
    Request,
    Reset,
    Start,
    Stop,
    Terminate,
    start_of,
)
from .graphql_ws import GraphQLTransportWS, GraphQLWS
from .phoenix import Phoenix

__all__ = [
    "DIALECTS",
    "REASONS",
    "Answer",
    "AppSync",
    "AppSyncAuthorization",
    "Dialect",
    "GraphQLTransportWS",
    "GraphQLWS",
    "Handshake",
    "Init",
    "Malformed",
    "Message",
    "Phoenix",
    "Ping",
    "Pong",
    "Request",
    "Reset",
    "Start",
    "Stop",
    "Terminate",
    "choose",
    "start_of",
]

#: The protocols that a server can speak.
DIALECTS: Mapping[str, type[Dialect]] = {
    dialect.name: dialect for dialect in (GraphQLTransportWS, GraphQLWS, Phoenix, AppSync)
}

#: The reasons of close codes, worded as by the JavaScript library graphql-ws.
REASONS: Mapping[CloseCode, str] = {
    CloseCode.UNAUTHORIZED: "Unauthorized",
    CloseCode.FORBIDDEN: "Forbidden",
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: "Subprotocol not acceptable",
    CloseCode.CONNECTION_INITIALISATION_TIMEOUT: "Connection initialisation timeout",
    CloseCode.TOO_MANY_INITIALISATION_REQUESTS: "Too many initialisation requests",
}


def choose(
    protocols: Sequence[str], request: HandshakeRequest
) -> tuple[type[Dialect], Handshake] | None:
    """Return the dialect that a handshake asks for, and how to answer it.

    Of several, it is the one that the client has offered first, as with the JavaScript library
    graphql-ws.
    """
    offered = request.subprotocols
    answers = [
        (DIALECTS[name], answer)
        for name in protocols
        if (answer := DIALECTS[name].answer(request)) is not None
    ]

    def place(choice: tuple[type[Dialect], Handshake]) -> int:
        subprotocol = choice[1].subprotocol
        return len(offered) if subprotocol is None else offered.index(subprotocol)

    return min(answers, key=place, default=None)
