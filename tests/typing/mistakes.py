"""What a type checker must refuse.

Each exemption says what the checker finds, and one that finds nothing is an error
(``warn_unused_ignores``, ``reportUnnecessaryTypeIgnoreComment``): so these are the tests.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import anyio
import httpx

from anygql import (
    Client,
    ConnectArgs,
    ConnectOptions,
    ExecutionResult,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    IntrospectionOptions,
    LocalSchemaTransport,
    PermanentOptions,
    Session,
    SessionEvent,
    SplitTransport,
    Subscription,
    TransportArgs,
    WebSocketTransport,
    gql,
    load_schema,
    update_schema_enum,
    update_schema_scalar,
)
from anygql.dsl import Field, field, query, select, var

URL = "ws://localhost:8000/graphql"


async def transports() -> None:
    WebSocketTransport(b"ws://localhost:8000/graphql")  # type: ignore[arg-type]
    WebSocketTransport(lambda: 8000)  # type: ignore[arg-type]
    WebSocketTransport(URL, headers={"X-Attempt": 1})  # type: ignore[arg-type]
    WebSocketTransport(URL, init_payload="token")  # type: ignore[arg-type]
    WebSocketTransport(URL, ssl=True)  # type: ignore[arg-type]
    WebSocketTransport(URL, ack_timeout="10")  # type: ignore[arg-type]
    WebSocketTransport(URL, subprotocols=["graphql-ws"])  # type: ignore[call-arg]
    WebSocketTransport(URL, {"Authorization": "…"})  # type: ignore[call-arg]


async def split() -> None:
    http, socket = HTTPTransport("http://h/"), WebSocketTransport(URL)
    SplitTransport(http)  # type: ignore[call-arg]
    SplitTransport(http, socket)  # type: ignore[call-arg]
    SplitTransport(http, subscriptions=URL)  # type: ignore[arg-type]
    SplitTransport("http://h/", subscriptions=socket)  # type: ignore[arg-type]
    SplitTransport(http, subscriptions=socket, lazy=True)  # type: ignore[call-arg]
    Client(http, subscriptions=True)  # type: ignore[arg-type]


async def clients() -> None:
    def for_connecting_only(event: int) -> None: ...

    Client()  # type: ignore[call-arg]
    Client(transport=8000)  # type: ignore[arg-type]
    Client(URL, on_event=for_connecting_only)  # type: ignore[arg-type]
    Client(URL, is_retryable=lambda error: "yes")  # type: ignore[arg-type, return-value]
    client = Client(URL)
    with client as session:  # type: ignore[attr-defined]
        ...
    await client.connect()  # type: ignore[misc]
    async with client.connect_async() as session:  # type: ignore[attr-defined]
        ...
    await client.connect_async(reconnect=True)  # type: ignore[call-overload]
    client.connect(reconnecting=True, retry_connect=5)  # type: ignore[call-overload]
    client.connect(reconnecting=True, retry_execute="always")  # type: ignore[call-overload]
    client.connect(reconnect=True)  # type: ignore[call-overload]
    client.connect(execute_timeout=10)  # type: ignore[call-overload]
    client.connect(True)  # type: ignore[call-overload]
    # A plain session has no policies.
    client.connect(retry_connect=False)  # type: ignore[call-overload]
    client.connect(lazy=True)  # type: ignore[call-overload]
    client.connect(reconnecting=False, lazy=True)  # type: ignore[call-overload]
    client.connect(reconnecting=False, retry_connect=True)  # type: ignore[call-overload]
    client.connect(reconnecting=bool(URL), retry_mutations=True)  # type: ignore[call-overload]
    await client.connect_async(reconnecting=False, lazy=True)  # type: ignore[call-overload]
    no_options: ConnectOptions = {"reconnecting": False, "lazy": True}  # type: ignore[typeddict-item]
    client.connect(**no_options)  # raises ValueError
    client.connect(reconnecting=True, lasy=True)  # type: ignore[call-overload]
    options: ConnectOptions = {"lazy": 1}  # type: ignore[typeddict-item]
    del options
    async with anyio.create_task_group() as task_group, client as session:
        task_group.start_soon(session.execute)  # type: ignore[arg-type]
        await client.connect_async(session)  # type: ignore[call-overload]
        await client.connect_async(task_group, reconnect=True)  # type: ignore[call-overload]
        await client.connect_async(task_group, retry_execute=False)  # type: ignore[call-overload]


def arguments() -> None:
    proxied: ConnectArgs = {"proxy": 8080}  # type: ignore[typeddict-item]
    misspelled: ConnectArgs = {"usd": "/tmp/a"}  # type: ignore[typeddict-unknown-key]
    redirected: TransportArgs = {"follow_redirects": "yes"}  # type: ignore[typeddict-item]
    permanent: PermanentOptions = {"reconnecting": True}  # type: ignore[typeddict-unknown-key]
    WebSocketTransport(URL, connect_args=["proxy"])  # type: ignore[arg-type]
    del proxied, misspelled, redirected, permanent


async def sessions(session: Session) -> None:
    await session.execute("{ hello }", variables={})  # type: ignore[call-overload]
    await session.execute("{ hello }", path=["hello"])  # type: ignore[call-overload]
    await session.execute_result("{ hello }", variables={})  # type: ignore[call-arg]
    Client(URL, headers="a: b")  # type: ignore[arg-type]
    Client(URL, init_payload="token")  # type: ignore[arg-type]
    Client(URL, timeout=3)  # type: ignore[call-arg]
    await session.execute({"query": "{ hello }"})  # type: ignore[call-overload]
    await session.execute("{ hello }", [1])  # type: ignore[call-overload]
    await session.execute("{ hello }", {}, "Hello")  # type: ignore[call-overload]
    await session.execute("{ hello }", get_execution_result=True)  # type: ignore[call-overload]
    async with session.execute("{ hello }"):  # type: ignore[attr-defined]
        ...
    await session.reconnect()  # type: ignore[func-returns-value, misc]
    session.state = "closed"  # type: ignore[misc]
    if session.state == "disconnected":  # type: ignore[comparison-overlap]
        ...


async def subscriptions(session: Session) -> None:
    session.subscribe("subscription { a }", on_overflow="drop")  # type: ignore[call-overload]
    session.subscribe("subscription { a }", buffer_size=None)  # type: ignore[call-overload]
    await session.subscribe("subscription { a }")  # type: ignore[misc]
    for _ in session.subscribe("subscription { a }"):  # type: ignore[attr-defined]
        ...
    with session.subscribe("subscription { a }"):  # type: ignore[attr-defined]
        ...
    async for result in session.subscribe_results("subscription { a }"):
        result["a"]  # type: ignore[index]

    def without_last(subscription: Subscription[Any]) -> None: ...

    async def of_a_number(subscription: Subscription[Any], last: Any) -> int:
        return 1

    session.subscribe("subscription { a }", on_resubscribe=without_last)  # type: ignore[arg-type]
    session.subscribe("subscription { a }", on_resubscribe=of_a_number)  # type: ignore[arg-type]


def requests(event: SessionEvent, result: ExecutionResult) -> None:
    request = gql("{ hello }")
    gql(request)  # type: ignore[arg-type]
    event.error  # type: ignore[union-attr]
    result.date  # type: ignore[attr-defined]


def http_transports(synchronous: httpx.Client) -> None:
    HTTPTransport(b"https://localhost:8000/graphql")  # type: ignore[arg-type]
    HTTPTransport(lambda: 8000)  # type: ignore[arg-type]
    HTTPTransport("https://localhost", {"Authorization": "…"})  # type: ignore[call-arg]
    HTTPTransport("https://localhost", headers={"X-Attempt": 1})  # type: ignore[arg-type]
    HTTPTransport("https://localhost", client=synchronous)  # type: ignore[arg-type]
    HTTPTransport("https://localhost", client=httpx.AsyncClient)  # type: ignore[arg-type]
    HTTPTransport("https://localhost", use_get_for_queries="always")  # type: ignore[arg-type]
    HTTPTransport("https://localhost", persisted_queries="apq")  # type: ignore[arg-type]
    HTTPTransport("https://localhost", persisted_queries=len)  # type: ignore[arg-type]
    HTTPTransport("https://localhost", ssl=False)  # type: ignore[arg-type]
    HTTPTransport("https://localhost", connect_timeout="10")  # type: ignore[arg-type]
    HTTPTransport("https://localhost", init_payload={})  # type: ignore[call-arg]
    Client("https://localhost", batch_interval="0.1")  # type: ignore[arg-type]
    Client("https://localhost", batch_max=None)  # type: ignore[arg-type]
    Client("https://localhost", interceptors=[len])  # type: ignore[list-item]


def files(text: TextIO, pieces: Iterator[bytes]) -> None:
    FileVar()  # type: ignore[call-arg]
    FileVar(7)  # type: ignore[arg-type]
    FileVar(text)  # type: ignore[arg-type]
    FileVar(pieces)  # type: ignore[arg-type]
    FileVar(b"", "a.txt")  # type: ignore[call-arg]
    FileVar(b"", filename=b"a.txt")  # type: ignore[arg-type]


async def shared(session: Session) -> None:
    await session.share("{ a }")  # type: ignore[misc]
    session.share("{ a }", buffer_size=2)  # type: ignore[call-overload]
    session.share("{ a }").listen(linger=2)  # type: ignore[call-arg]


async def batches(session: Session) -> None:
    await session.execute_batch("{ a }", "{ b }")  # type: ignore[call-overload]
    await session.execute_batch([{"query": "{ a }"}])  # type: ignore[arg-type]
    await session.execute_batch(["{ a }"], {"x": 1})  # type: ignore[call-overload]
    await session.execute_batch(["{ a }"], transport_args=["a"])  # type: ignore[call-overload]
    (await session.execute_batch_results(["{ a }"]))[0]["a"]  # type: ignore[index]


async def growing(session: Session) -> None:
    await session.execute_incremental("{ a }")  # type: ignore[misc]
    for _ in session.execute_incremental("{ a }"):  # type: ignore[attr-defined]
        ...
    session.execute_incremental("{ a }", timeout=1)  # type: ignore[call-arg]
    session.execute_incremental("{ a }", transport_args={1: 2})  # type: ignore[dict-item]


@dataclass
class User:
    first_name: str


async def types(session: Session) -> None:
    await session.execute("{ a }", result_type=3)  # type: ignore[call-overload]
    await session.execute("{ a }", result_type=User("a"))  # type: ignore[call-overload]
    await session.execute("{ a }", result_type=User, camel_case="yes")  # type: ignore[call-overload]
    (await session.execute("{ a }", result_type=User)).firstName  # type: ignore[attr-defined]
    number: int = await session.execute("{ a }", result_type=User)  # type: ignore[arg-type]
    await session.execute_result("{ a }", result_type=User)  # type: ignore[call-arg]
    await session.execute_batch(["{ a }"], result_type=User)  # type: ignore[call-overload]
    session.subscribe_results("subscription { a }", result_type=User)  # type: ignore[call-arg]
    async with session.subscribe("subscription { a }", result_type=User) as users:
        (await users.receive()).firstName  # type: ignore[attr-defined]
    numbers: Subscription[int] = session.subscribe("subscription { a }", result_type=User)  # type: ignore[arg-type]
    del number, numbers


async def built(session: Session) -> None:
    var(5)  # type: ignore[call-overload]
    var("a", 5)  # type: ignore[call-overload]
    field(5)  # type: ignore[call-overload]
    field("a").include("yes")  # type: ignore[arg-type]
    field("a").directives("live")  # type: ignore[arg-type]
    Field("a", args=[1])  # type: ignore[arg-type]
    select(field("a"))  # type: ignore[call-overload]
    select(query("a"), depth="1")  # type: ignore[call-overload]
    request = select(query("user", User))
    (await session.execute(request)).firstName  # type: ignore[attr-defined]
    other: GraphQLRequest[int] = request  # type: ignore[assignment]
    del other


async def schemas(client: Client, session: Session) -> None:
    schema = load_schema("type Query { a: Int }")
    Client(URL, schema=7)  # type: ignore[arg-type]
    Client(URL, fetch_schema="yes")  # type: ignore[arg-type]
    Client(URL, parse_results="yes")  # type: ignore[arg-type]
    client.schema.type_map  # type: ignore[union-attr]
    IntrospectionOptions(False)  # type: ignore[call-arg]
    IntrospectionOptions(descriptions=None)  # type: ignore[arg-type]
    await session.fetch_schema(descriptions=False)  # type: ignore[call-arg]
    update_schema_enum(schema, "Colour", ["RED"])  # type: ignore[arg-type]
    update_schema_scalar(schema, "Date", str)  # type: ignore[arg-type]
    LocalSchemaTransport("type Query { a: Int }")  # type: ignore[arg-type]
