"""Connections whose operations are exchanges of their own, by a schema in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from graphql import GraphQLSchema, build_schema

from anygql import Client, TransportClosed, TransportConnectionFailed, gql
from anygql.delivery.buffering import Delivery
from anygql.local import LocalSchemaTransport
from anygql.testing import demo_schema

HELLO = gql("{ hello }")
NEVER = gql("subscription { never }")


@pytest.mark.parametrize("is_canceled", [False, True])
async def test_operations_after_the_end(is_canceled: bool) -> None:
    """They were not sent. A cancellation of the caller takes precedence."""
    async with LocalSchemaTransport(demo_schema()).connect() as connection:
        connection.close()
        if is_canceled:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await connection.execute(HELLO)
            assert scope.cancelled_caught
            return
        with pytest.raises(TransportClosed) as caught:
            await connection.execute(HELLO)
        assert caught.value.unsent
        for start in (connection.subscribe, connection.execute_incremental):
            with pytest.raises(TransportClosed) as caught:
                start(HELLO, Delivery(1))
            assert caught.value.unsent


async def test_a_subscription_is_canceled_from_above_before_its_owner() -> None:
    """Its consumer gets the end of the session; the cancellation goes on to the task group."""
    with anyio.CancelScope() as above:
        async with LocalSchemaTransport(demo_schema()).connect() as connection:
            feed = connection.subscribe(NEVER, Delivery(1))
            await anyio.wait_all_tasks_blocked()
            with anyio.CancelScope(shield=True):
                above.cancel()
                await feed.wait()
                with pytest.raises(TransportClosed):
                    feed.receive_nowait()
            feed.leave()
            await anyio.lowlevel.checkpoint()
    assert above.cancelled_caught


def failing_to_stop() -> GraphQLSchema:
    """A schema whose subscription raises when it is canceled before its first event."""
    schema = build_schema("type Query { hello: String } type Subscription { never: Int }")

    async def subscribe(*_: object) -> AsyncIterator[Any]:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            raise LookupError("the source is gone") from None
        raise AssertionError("unreachable")

    assert schema.subscription_type
    schema.subscription_type.fields["never"].subscribe = subscribe
    return schema


async def test_what_a_source_raises_after_its_consumer_has_left_is_nobodys() -> None:
    transport = LocalSchemaTransport(failing_to_stop(), root_value={"hello": "you"})
    async with Client(transport) as session:
        async with session.subscribe("subscription { never }"):
            await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        assert await session.execute("{ hello }") == {"hello": "you"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_nobody_asked_for() -> None:
    """It ends the one subscription that it came out of."""
    import asyncio

    schema = build_schema("type Query { hello: String } type Subscription { never: Int }")

    async def subscribe(*_: object) -> AsyncIterator[Any]:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task
        raise AssertionError("unreachable")

    assert schema.subscription_type
    schema.subscription_type.fields["never"].subscribe = subscribe
    async with Client(LocalSchemaTransport(schema, root_value={"hello": "you"})) as session:
        async with session.subscribe("subscription { never }") as events:
            message = "a cancellation came out of the subscription"
            with pytest.raises(TransportConnectionFailed, match=message):
                await events.receive()
        assert await session.execute("{ hello }") == {"hello": "you"}
