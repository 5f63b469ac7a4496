"""An Ariadne application: each subprotocol has a handler of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import (
    GraphQLTransportWSHandler,
    GraphQLWebsocketHandlerBase,
    GraphQLWSHandler,
)
from ariadne.exceptions import WebSocketConnectionError

from tests.peers import source

TYPES = """
    type Query {
        hello(name: String! = "world"): String!
        add(a: Int!, b: Int!): Int!
        fail: String
        slow(seconds: Float!, tag: String! = ""): String!
        counter: Int!
        active(tag: String! = ""): Int!
    }

    type Mutation {
        increment(by: Int! = 1): Int!
    }

    type Subscription {
        countdown(from: Int!, interval: Float! = 0, tag: String! = ""): Int!
        flood(count: Int!, tag: String! = ""): Int!
        failing(tag: String! = ""): Int!
        never(tag: String! = ""): Int!
    }
"""

query = QueryType()
mutation = MutationType()
subscription = SubscriptionType()


@query.field("hello")
def hello(*_: Any, name: str) -> str:
    return f"Hello, {name}!"


@query.field("add")
def add(*_: Any, a: int, b: int) -> int:
    return a + b


@query.field("fail")
def fail(*_: Any) -> str:
    raise source.SourceError("as asked")


@query.field("slow")
async def slow(*_: Any, seconds: float, tag: str) -> str:
    return await source.slow(seconds, tag)


@query.field("counter")
def counter(*_: Any) -> int:
    return source.counter()


@query.field("active")
def active(*_: Any, tag: str) -> int:
    return source.running[tag]


@mutation.field("increment")
def increment(*_: Any, by: int) -> int:
    return source.increment(by)


@subscription.source("countdown")
def countdown(*_: Any, interval: float, tag: str, **others: int) -> AsyncGenerator[int, None]:
    return source.countdown(others["from"], interval, tag)


@subscription.source("flood")
def flood(*_: Any, count: int, tag: str) -> AsyncGenerator[int, None]:
    return source.flood(count, tag)


@subscription.source("failing")
def failing(*_: Any, tag: str) -> AsyncGenerator[int, None]:
    return source.failing(tag)


@subscription.source("never")
def never(*_: Any, tag: str) -> AsyncGenerator[int, None]:
    return source.never(tag)


@subscription.field("countdown")
@subscription.field("flood")
@subscription.field("failing")
@subscription.field("never")
def number(value: int, *_: Any, **__: Any) -> int:
    return value


def on_connect(_: Any, payload: Any) -> None:
    if isinstance(payload, dict) and payload.get("token") == "bad":
        raise WebSocketConnectionError({"message": "bad token"})


schema = make_executable_schema(TYPES, query, mutation, subscription)


def speaking(handler: GraphQLWebsocketHandlerBase) -> GraphQL:
    return GraphQL(schema, websocket_handler=handler)


transport_ws = speaking(GraphQLTransportWSHandler(on_connect=on_connect))
legacy = speaking(GraphQLWSHandler(on_connect=on_connect))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """By what is offered; at ``/unasked`` the newer subprotocol, as its handler alone has it."""
    newer = scope["path"] == "/unasked" or "graphql-transport-ws" in scope.get("subprotocols", ())
    await (transport_ws if newer else legacy)(scope, receive, send)
