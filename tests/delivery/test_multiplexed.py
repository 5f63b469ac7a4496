"""Connections whose operations share one stream, before and after its end."""

from __future__ import annotations

import anyio
import pytest

from anygql import Client, TransportClosed, gql
from anygql.delivery.buffering import Delivery
from anygql.delivery.interfaces import Authorized
from anygql.testing import GraphQLServer

HELLO = gql("{ hello }")


@pytest.mark.parametrize("is_canceled", [False, True])
async def test_operations_after_the_end(server: GraphQLServer, is_canceled: bool) -> None:
    """They were not sent. A cancellation of the caller takes precedence."""
    async with server.transport().connect() as connection:
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


async def test_transport_args_of_a_subscription(memory: Client, server: GraphQLServer) -> None:
    """A WebSocket knows none, and nothing is sent."""
    async with memory as session:
        with pytest.raises(TypeError, match="a WebSocket has nothing like it"):
            async with session.subscribe(
                "subscription { never }", transport_args={"headers": {"a": "b"}}
            ):
                pytest.fail("it has begun")
        await session.execute("{ hello }")
    assert [each["type"] for each in server.connections[0].received].count("subscribe") == 1


def test_an_authorization_isn_t_shown() -> None:
    authorized = Authorized({"auth": "s3cret"}, {"x-api-key": "s3cret"})
    assert "s3cret" not in repr(authorized) + f"{authorized}"
    assert authorized == {"auth": "s3cret"}
