"""What type checkers know of ``anygql.blocking``, and must refuse there."""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, assert_type

from graphql import GraphQLSchema

import anygql
from anygql import ExecutionResult
from anygql.blocking import BlockingInAsync, Client, OnResubscribe, Session, Subscription, execute

URL = "wss://example.org/graphql"


@dataclass
class Hero:
    name: str


client = Client(URL, headers={"a": "b"}, backend="trio", execute_timeout=None)
assert_type(client.schema, GraphQLSchema | None)
assert_type(client.connect(), AbstractContextManager[Session])
assert_type(client.connect(reconnecting=True, lazy=True), AbstractContextManager[Session])
assert_type(client.open(), Session)
assert_type(client.open(reconnecting=True, retry_execute=False), Session)
Client("https://h/", subscriptions=URL)
with client as plain:
    assert_type(plain, Session)


def use(session: Session) -> None:
    assert_type(session.execute("{ hero { name } }"), Any)
    assert_type(session.execute("{ hero { name } }", result_type=Hero, path="hero"), Hero)
    assert_type(session.execute("{ heroes { name } }", result_type=list[Hero]), list[Hero])
    assert_type(session.execute("{ a }", result_type=Hero | None, timeout=3), Hero | None)
    assert_type(session.execute_result("{ a }"), ExecutionResult)
    assert_type(session.execute_batch(["{ a }", anygql.gql("{ b }")]), list[Any])
    assert_type(session.fetch_schema(), GraphQLSchema)
    assert_type(session.wait_connected(timeout=1), None)
    assert_type(session.reconnect(), None)
    assert_type(session.close(), None)
    with session.subscribe("subscription { hero { name } }", result_type=Hero) as heroes:
        assert_type(heroes, Subscription[Hero])
        assert_type(heroes.receive(timeout=5), Hero)
        assert_type(heroes.reconnects, int)
        for hero in heroes:
            assert_type(hero, Hero)
    assert_type(session.subscribe("subscription { a }"), Subscription[Any])
    assert_type(session.subscribe_results("subscription { a }"), Subscription[ExecutionResult])
    assert_type(session.execute_incremental("{ a }"), Subscription[Any])


def fill_the_gap(subscription: Subscription[Any], last: Any) -> dict[str, Any] | None:
    return {"after": last} if subscription.reconnects else None


on_resubscribe: OnResubscribe = fill_the_gap
assert_type(execute(URL, "{ a }", {"x": 1}, headers={"a": "b"}, timeout=3), Any)
assert_type(execute(URL, "{ hero { name } }", result_type=Hero, backend="trio"), Hero)
assert_type(anygql.blocking.execute(URL, "{ a }", result_type=list[int], path="a"), list[int])
warning: type[RuntimeWarning] = BlockingInAsync


async def once() -> None:
    assert_type(await anygql.execute(URL, "{ a }", {"x": 1}, timeout=None, camel_case=True), Any)
    assert_type(await anygql.execute(URL, "{ hero { name } }", result_type=Hero), Hero)
    await anygql.execute(URL, "{ a }", variables={})  # type: ignore[call-overload]
    await anygql.execute(URL, "{ a }", reconnecting=True)  # type: ignore[call-overload]


def mistakes(session: Session) -> None:
    Client(URL, backend="curio")  # type: ignore[arg-type]
    Client(URL, timeout=3)  # type: ignore[call-arg]
    client.connect(lazy=True)  # type: ignore[call-overload]
    client.connect_async()  # type: ignore[attr-defined]
    client.execute("{ a }")  # type: ignore[attr-defined]
    session.execute("{ a }", variables={})  # type: ignore[call-overload]
    session.subscribe("subscription { a }", timeout=3)  # type: ignore[call-overload]
    session.subscribe("subscription { a }", on_resubscribe=lambda last: None)  # type: ignore[arg-type, misc]
    session.subscribe("subscription { a }").aclose()  # type: ignore[attr-defined]
    execute(URL, "{ a }", retry_execute=False)  # type: ignore[call-overload]


async def no_awaiting(session: Session) -> None:
    await session.execute_batch([])  # type: ignore[misc]
    async with client:  # type: ignore[attr-defined]
        ...
