"""The public names as a user's program has them: checked by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    TypedDict,
    TypeVar,
    Unpack,
    assert_never,
    assert_type,
)

import anyio
import anyio.abc
import attrs
import msgspec
import pydantic
import tenacity
import trio
from graphql import DocumentNode, GraphQLError, GraphQLScalarType, GraphQLSchema, parse

import anygql
from anygql import (
    JSON,
    PHOENIX,
    AppSync,
    AppSyncTransport,
    Client,
    Closed,
    ConnectArgs,
    Connected,
    Connecting,
    ConnectOptions,
    Disconnected,
    ExecutionResult,
    GraphQLRequest,
    GraphQLValidationError,
    HTTPTransport,
    IntrospectionOptions,
    LocalSchemaTransport,
    Page,
    Pages,
    PermanentOptions,
    Phoenix,
    Refreshing,
    ResultTypeError,
    Session,
    SessionEvent,
    SessionState,
    SharedSubscription,
    SplitTransport,
    Subscription,
    SubscriptionOverflow,
    TransportArgs,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    WebSocketTransport,
    appsync,
    build_client_schema,
    default_refused,
    gql,
    load_schema,
    trio_websocket_connector,
    update_schema_enum,
    update_schema_scalar,
    update_schema_scalars,
)
from anygql.appsync import IAM, ApiKey
from anygql.delivery.interfaces import Transport
from anygql.dsl import (
    Field,
    Fragment,
    Operation,
    Selection,
    Variable,
    directive,
    field,
    fragment,
    mutation,
    on,
    query,
    select,
    select_all,
    subscription,
    var,
)
from anygql.protocols import (
    GRAPHQL_TRANSPORT_WS,
    GRAPHQL_WS,
    Ack,
    Codec,
    Event,
    Prepared,
    Say,
    Secret,
    Several,
    SubscriptionProtocol,
    result_event,
)
from anygql.results.types import converter
from anygql.schema import VariableError
from anygql.testing import (
    SECRET_NAMES,
    Cassettes,
    GraphQLServer,
    Recorded,
    Recorder,
    Stub,
    StubCall,
    demo_schema,
)
from anygql.websocket.sockets.base import Connector
from anygql.websocket.sockets.stream import StreamConnector

URL = "ws://localhost:8000/graphql"

# Requests.

request = gql("query Hello($name: String!) { hello(name: $name) }")
assert_type(anygql.__version__, str)
assert_type(request, GraphQLRequest)
assert_type(gql(parse("{ hello }")), GraphQLRequest)
assert_type(request.document, DocumentNode)
assert_type(request.variable_values, Mapping[str, Any] | None)
assert_type(request.operation_name, str | None)
assert_type(request.extensions, Mapping[str, Any] | None)
assert_type(request.text, str)
assert_type(request.kind, Literal["query", "mutation", "subscription"])
assert_type(request.replace(variable_values={"name": "a"}), GraphQLRequest)
assert_type(GraphQLRequest("{ a }", {"x": 1}, "A", {"trace": True}), GraphQLRequest)


# Transports: values, functions and async functions.


def url_now() -> str:
    return URL


async def url_soon() -> str:
    return URL


def headers_now() -> dict[str, str]:
    return {"Authorization": "Bearer …"}


async def headers_soon() -> Mapping[str, str]:
    return {}


async def pairs_soon() -> list[tuple[str, str]]:
    return [("Cookie", "a=1"), ("Cookie", "b=2")]


def payload_now() -> dict[str, Any]:
    return {"token": "…"}


async def payload_soon() -> dict[str, str] | None:
    return None


async def typed_payload_soon() -> Mapping[str, Any]:
    return {}


class Token:
    """A callable object, as token stores are."""

    async def __call__(self) -> dict[str, str]:
        return {"token": "…"}


WebSocketTransport(url_now, headers=headers_now, init_payload=payload_now)
WebSocketTransport(url_soon, headers=headers_soon, init_payload=payload_soon)
WebSocketTransport(lambda: URL, headers=lambda: {"a": "b"}, init_payload=lambda: {"a": [1, 2]})
WebSocketTransport(URL, headers=[("a", "b")], init_payload={"token": "…", "n": 1})
WebSocketTransport(URL, headers=pairs_soon, init_payload=typed_payload_soon)
WebSocketTransport(URL, headers=None, init_payload=Token())
WebSocketTransport(URL, headers=(pair for pair in [("a", "b")]), init_payload=None)
for protocol in ("auto", "graphql-transport-ws", GRAPHQL_TRANSPORT_WS, GRAPHQL_WS, PHOENIX):
    WebSocketTransport(URL, protocol=protocol)


async def params_soon() -> dict[str, str | int]:
    return {"token": "…", "n": 1}


async def token_soon() -> str:
    return "…"


WebSocketTransport(URL, protocol=Phoenix(params={"token": "…"}, auth_token="…"), ping_interval=None)
Phoenix(params=params_soon, auth_token=token_soon, join_payload=params_soon, topic="other")
Phoenix(params=lambda: {"n": 1}, auth_token=lambda: "…", join_payload={"a": [1]})


class OwnCodec(Codec):
    """A codec of a user's own."""

    def connection_init(self, payload: object) -> bytes:
        return b"hello"

    def subscribe(self, id: str, request: GraphQLRequest, authorization: object = None) -> bytes:
        return request.text.encode()

    def complete(self, id: str) -> bytes | None:
        return None

    def receive(self, message: bytes | str) -> Event:
        return Several([Ack(), Say(b"thanks")]) if message else result_event("1", {"data": None})


class OwnProtocol(SubscriptionProtocol):
    """A protocol of a user's own."""

    subprotocols = ("own",)
    operations = frozenset({"subscription"})
    authorizes = True
    start_timeout = 15

    def codec(self, json: JSON) -> OwnCodec:
        return OwnCodec()

    async def prepare(self, url: str) -> Prepared:
        return Prepared(url=url, subprotocols=["own", Secret("…")], headers=[("a", "b")])


WebSocketTransport(URL, protocol=OwnProtocol())


class UpperJSON:
    """A user's own JSON."""

    def encode(self, value: object, /) -> bytes:
        return repr(value).upper().encode()

    def decode(self, text: bytes, /) -> object:
        return text


AppSyncTransport(url_now, auth=ApiKey("da2-…"))
AppSyncTransport(url_soon, auth=appsync.Token(url_soon), headers=headers_now, handshake="query")
AppSyncTransport(URL, auth=IAM(("a", "b", None)), start_timeout=None, eager=True)
WebSocketTransport(URL, protocol=AppSync(IAM(region="eu-west-1")))
HTTPTransport(URL, auth=IAM(lambda: ("a", "b")))


class OwnAuthorization:
    """One of the user's own."""

    async def headers(self, url: str, body: bytes) -> dict[str, str]:
        return {"x-signature": url}


HTTPTransport(URL, auth=OwnAuthorization())
AppSyncTransport(URL, auth=OwnAuthorization())
transport = WebSocketTransport(
    "wss://example.org/graphql",
    ssl=ssl.create_default_context(),
    protocol="graphql-transport-ws",
    connect_timeout=10,
    ack_timeout=0.5,
    close_timeout=None,
    keep_alive_timeout=60,
    ping_interval=20,
    pong_timeout=5,
    connect_args={"proxy": None, "compression": "deflate", "happy_eyeballs_delay": 0.1},
    max_message_size=2**20,
    connector=StreamConnector(),
    json=UpperJSON(),
)
assert_type(transport, WebSocketTransport)
assert_type(trio_websocket_connector(), Connector)
WebSocketTransport(URL, connector=trio_websocket_connector())


async def dial(host: str, port: int) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp(host, port)


WebSocketTransport(URL, connector=StreamConnector(open_stream=dial))
WebSocketTransport(URL, connector=trio_websocket_connector(open_stream=dial))
offered: SubscriptionProtocol = GRAPHQL_WS

split = SplitTransport(HTTPTransport("http://h/"), subscriptions=transport, eager=True)
assert_type(split.transport, Transport)
assert_type(split.subscriptions, Transport)
Client(split)
Client("http://h/", subscriptions="ws://h/", init_payload={"token": "…"})
Client(HTTPTransport("http://h/"), subscriptions=transport)

# Clients.


def followed(event: SessionEvent) -> None:
    match event:
        case Connecting(attempt=attempt):
            assert_type(attempt, int)
        case Connected(payload=_, reconnected=reconnected):
            assert_type(reconnected, bool)
        case Disconnected():
            assert_type(event.code, int | None)
            assert_type(event.reason, str)
            assert_type(event.error, Exception)
            assert_type(event.will_retry, bool)
            assert_type(event.next_wait, float | None)
            assert_type(event.transport, Transport | None)
        case Closed(error=error):
            assert_type(error, Exception | None)
        case _:
            assert_never(event)


def retryable(error: Exception) -> bool:
    return isinstance(error, TransportError) and error.retryable


events: list[SessionEvent] = []
Client(URL, on_event=events.append)
Client(URL, on_event=print)
client = Client(transport, execute_timeout=None, on_event=followed, is_retryable=retryable)
assert_type(client, Client)


async def one_connection() -> None:
    async with client as session:
        assert_type(session, Session)
    async with Client(URL).connect() as session:
        assert_type(session, Session)


async def policies() -> None:
    policy = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3))
    decorator = tenacity.retry(wait=tenacity.wait_exponential(max=300))

    def own(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        return function

    for each in (True, False, policy, decorator, own):
        context = client.connect(
            reconnecting=True,
            retry_connect=each,
            retry_execute=each,
            retry_subscribe=each,
        )
        assert_type(context, AbstractAsyncContextManager[Session])
    client.connect(reconnecting=True, retry_connect=tenacity.retry(stop=tenacity.stop_never))
    client.connect(reconnecting=True, retry_mutations=True, lazy=True, idle_timeout=30)


def wrapped(**options: Unpack[ConnectOptions]) -> AbstractAsyncContextManager[Session]:
    return client.connect(**options)


def wrapped_permanent(**options: Unpack[PermanentOptions]) -> AbstractAsyncContextManager[Session]:
    return client.connect(reconnecting=True, **options)


def plain_or_permanent(reconnecting: bool) -> AbstractAsyncContextManager[Session]:
    return client.connect(reconnecting=reconnecting)


wrapped(reconnecting=True, idle_timeout=None)
wrapped_permanent(retry_connect=False, lazy=True)
client.connect()
client.connect(reconnecting=False)

# Arguments of transports: the known names are checked, and any mapping will do.

connect_args: ConnectArgs = {"proxy": None, "uds": "/run/a", "compression": "deflate"}
WebSocketTransport(URL, connect_args=connect_args)
WebSocketTransport(URL, connect_args={"proxy": "http://localhost:8080"})
WebSocketTransport(URL, connect_args={"of_another_connector": 1})
Client(URL, headers=headers_soon, init_payload=payload_now, ssl=ssl.create_default_context())


async def with_arguments(session: Session, other: Mapping[str, Any]) -> None:
    args: TransportArgs = {"headers": {"a": "b"}, "timeout": 3}
    await session.execute("{ a }", transport_args=args)
    await session.execute("{ a }", transport_args={"progress": print})
    await session.execute("{ a }", transport_args={"of_another_transport": 1})
    await session.execute("{ a }", transport_args=other)


async def at_a_path(session: Session) -> None:
    assert_type(await session.execute("{ a }", path="a.b"), Any)
    assert_type(await session.execute("{ a }", result_type=list[int], path="a.b"), list[int])
    assert_type(
        session.subscribe("subscription { a }", result_type=int, path="a"), Subscription[int]
    )
    session.execute_incremental("{ a }", path="a")


async def owned_by_anyio() -> None:
    async with anyio.create_task_group() as task_group:
        session = await client.connect_async(task_group, reconnecting=True, retry_execute=False)
        assert_type(session, Session)
        await client.close_async()


async def owned_by_asyncio() -> None:
    async with asyncio.TaskGroup() as task_group:
        session = await client.connect_async(task_group, reconnecting=True)
        assert_type(session, Session)
    assert_type(await client.connect_async(reconnecting=True), Session)


async def owned_by_trio() -> None:
    async with trio.open_nursery() as nursery:
        session = await client.connect_async(nursery, reconnecting=True, lazy=True)
        assert_type(session, Session)


class Owner:
    """Holds a task group of its own."""

    def __init__(self, task_group: anyio.abc.TaskGroup) -> None:
        self.task_group = task_group

    async def open(self) -> Session:
        return await client.connect_async(self.task_group, reconnecting=True)


# Sessions.


async def operations(session: Session) -> None:
    assert_type(await session.execute("{ hello }"), Any)
    assert_type(await session.execute(request, {"name": "ada"}, timeout=None), Any)
    assert_type(
        await session.execute(
            parse("{ hello }"),
            operation_name="A",
            extensions={"trace": 1},
            timeout=1.5,
            retry_mutations=True,
        ),
        Any,
    )
    result = await session.execute_result(request, {"name": "ada"})
    assert_type(result, ExecutionResult)
    assert_type(result.data, Any)
    assert_type(result.errors, list[Any] | None)
    assert_type(result.extensions, Any)

    assert_type(session.state, SessionState)
    assert_type(session.state, Literal["connecting", "connected", "waiting", "closed"])
    assert_type(session.payloads, Mapping[str, Any])
    assert_type(await session.wait_connected(), None)
    assert_type(await session.wait_closed(), None)
    session.reconnect()


async def subscriptions(session: Session) -> None:
    assert_type(session.subscribe("subscription { a }"), Subscription[Any])
    assert_type(session.subscribe_results("subscription { a }"), Subscription[ExecutionResult])

    async with session.subscribe(
        request,
        {"name": "ada"},
        operation_name="A",
        extensions={},
        buffer_size=16,
        on_overflow="drop_oldest",
        stall_timeout=None,
    ) as events:
        assert_type(events, Subscription[Any])
        async for data in events:
            assert_type(data, Any)
        assert_type(await events.receive(), Any)
        assert_type(events.dropped, int)
        assert_type(events.reconnects, int)
        assert_type(await events.aclose(), None)

    async with session.subscribe_results("subscription { a }", on_overflow="error") as results:
        assert_type(results, Subscription[ExecutionResult])
        async for result in results:
            assert_type(result, ExecutionResult)
        assert_type(await results.receive(), ExecutionResult)
        assert_type(await anext(results), ExecutionResult)

    async for result in session.subscribe_results("subscription { a }"):
        assert_type(result, ExecutionResult)


async def resumed(session: Session) -> None:
    def cursor(_subscription: Subscription[Any], last: Any) -> dict[str, Any] | None:
        return None if last is None else {"after": last["id"]}

    async def missed(subscription: Subscription[Any], _last: Any) -> None:
        assert_type(subscription.reconnects, int)
        await session.execute("{ hello }")

    async def new_variables(_: Subscription[Any], last: Any) -> Mapping[str, Any]:
        return {"after": last}

    session.subscribe("subscription { a }", on_resubscribe=cursor)
    session.subscribe("subscription { a }", on_resubscribe=missed)
    session.subscribe("subscription { a }", on_resubscribe=new_variables)
    session.subscribe("subscription { a }", on_resubscribe=lambda _subscription, last: {"a": last})
    session.subscribe_results("subscription { a }", on_resubscribe=missed)

    async def last_result(
        _: Subscription[ExecutionResult], last: ExecutionResult | None
    ) -> Mapping[str, Any] | None:
        return None if last is None else {"after": last.data}

    session.subscribe_results("subscription { a }", on_resubscribe=last_result)


async def positions(events: Subscription[dict[str, int]]) -> AsyncGenerator[int]:
    # The item type is the consumer's to name where it knows better than Any.
    async for data in events:
        yield data["a"]


async def covariant(session: Session) -> None:
    narrow: Subscription[ExecutionResult] = session.subscribe_results("subscription { a }")
    wide: Subscription[object] = narrow
    await wide.aclose()


# Typed results.

T = TypeVar("T")


@dataclass
class User:
    first_name: str


@attrs.define
class Person:
    first_name: str


class Post(TypedDict):
    title: str


class Account(msgspec.Struct):
    name: str


class Model(pydantic.BaseModel):
    name: str


@dataclass
class Answer(Generic[T]):
    nodes: list[T]


Either = User | Account


async def typed_results(session: Session, chosen: type[User]) -> None:
    document = "{ user }"
    assert_type(await session.execute(document), Any)
    assert_type(await session.execute(document, result_type=None), Any)
    assert_type(await session.execute(document, result_type=User), User)
    assert_type(await session.execute(document, result_type=chosen), User)
    assert_type(await session.execute(document, result_type=User, camel_case=True), User)
    assert_type(await session.execute(document, {"id": 1}, result_type=Person), Person)
    assert_type(await session.execute(document, result_type=Post, timeout=None), Post)
    assert_type(await session.execute(document, result_type=Account), Account)
    assert_type(await session.execute(document, result_type=Model), Model)
    assert_type(await session.execute(document, result_type=Answer[User]), Answer[User])
    assert_type(await session.execute(document, result_type=dict[str, User]), dict[str, User])
    assert_type(await session.execute(document, result_type=list[User | None]), list[User | None])
    assert_type(await session.execute(document, result_type=User | None), User | None)
    assert_type(await session.execute(document, result_type=Either), User | Account)
    assert_type(await session.execute(document, result_type=Literal["a", "b"]), Literal["a", "b"])


async def typed_subscriptions(session: Session) -> None:
    document = "subscription { user }"
    async with session.subscribe(document, result_type=User) as users:
        assert_type(users, Subscription[User])
        async for user in users:
            assert_type(user, User)
        assert_type(await users.receive(), User)
    assert_type(session.subscribe(document, result_type=None), Subscription[Any])
    assert_type(session.subscribe(document, result_type=Answer[User]), Subscription[Answer[User]])
    assert_type(session.subscribe(document, result_type=User | None), Subscription[User | None])
    assert_type(
        session.subscribe(document, {"id": 1}, result_type=Model, camel_case=True, buffer_size=2),
        Subscription[Model],
    )


assert_type(converter(User), Callable[[Any], User])
assert_type(converter(User | None, camel_case=True), Callable[[Any], User | None])


# Documents built in Python.


@dataclass
class Measured:
    height: Annotated[float, Field("length", args={"unit": var("Unit!")}, include=var("Boolean!"))]
    seen: Annotated[bool, Field(omit=True, skip=False, directives=[directive("live")])] = False


users = fragment("UserParts", User)
assert_type(var("ID!"), Variable)
assert_type(var("id", "ID!", default=1), Variable)
assert_type(var(), Variable)
assert_type(users, Fragment[User])
assert_type(fragment("Parts", User | None), Fragment[User | None])
assert_type(fragment("Parts", "User", "name", users), Fragment[Any])
assert_type(query("user", User), Operation[User])
assert_type(query("user", User, id=var("ID!")), Operation[User])
assert_type(query("user", {"id": 1}, User), Operation[User])
assert_type(query("user", {"id": 1}, User | None), Operation[User | None])
assert_type(query("users", list[User], first=3), Operation[list[User]])
assert_type(query("user", User | None, id=1), Operation[User | None])
assert_type(query("user", users), Operation[User])
assert_type(query(Page[User]), Operation[Page[User]])
assert_type(query(field("user", User).alias("me")), Operation[User])
assert_type(query("a", "b"), Operation[Any])
assert_type(query("a", {"x": 1}, "b", on("T", "c")), Operation[Any])
assert_type(query("a", None, field("b").include(True), "c").named("Q"), Operation[Any])
assert_type(mutation("rename", User, name="a").named("Rename"), Operation[User])
assert_type(subscription("user", User).directives(directive("live", x=1)), Operation[User])
selections: list[Selection] = [field("a"), on("T", "b"), users, users.spread().skip(var("B!"))]

user_request = select(query("user", User, id=var("ID!")), users, camel_case=True, depth=2)
assert_type(user_request, GraphQLRequest[User])
assert_type(select(query("a"), mutation("b")), GraphQLRequest[Any])
assert_type(select(query("a"), schema=client.schema), GraphQLRequest[Any])
assert_type(select_all("type Query { a: Int }", "Query.a", depth=3), GraphQLRequest[Any])
assert_type(user_request.replace(variable_values={"id": 1}), GraphQLRequest[User])
any_request: GraphQLRequest = user_request
wider: GraphQLRequest[User | None] = user_request


class OtherRequest:
    """A request of another library, such as gql."""

    document: DocumentNode
    variable_values: dict[str, Any] | None


async def built(session: Session, other: OtherRequest) -> None:
    assert_type(await session.execute(user_request, {"id": 1}), User)
    assert_type(await session.execute(user_request, {"id": 1}, timeout=1), User)
    assert_type(await session.execute(user_request, path="user"), Any)
    assert_type(await session.execute(user_request, result_type=Person), Person)
    assert_type(await session.execute(any_request), Any)
    assert_type(await session.execute(select(query("a", int | None))), int | None)
    assert_type(await session.execute(select(query("a", "b"))), Any)
    assert_type(await session.execute(other), Any)
    assert_type(await session.execute_batch([user_request, other, "{ a }"]), list[Any])
    assert_type(await session.execute_batch([user_request, user_request]), list[User])
    assert_type((await session.execute_result(user_request)).data, Any)
    events = session.subscribe(select(subscription("user", User)))
    assert_type(events, Subscription[User])
    async for user in events:
        assert_type(user, User)


# Schemas and values.


class Colour(Enum):
    RED = "#f00"


schema = load_schema("type Query { a: Int }")
assert_type(schema, GraphQLSchema)
assert_type(build_client_schema({"__schema": {}}), GraphQLSchema)
update_schema_enum(schema, "Colour", Colour)
update_schema_enum(schema, "Colour", Colour, use_enum_values=True)
update_schema_enum(schema, "Colour", {"RED": 1})
update_schema_scalar(schema, "Date", GraphQLScalarType("Date"))
update_schema_scalars(schema, [GraphQLScalarType("Date"), GraphQLScalarType("Time")])
Client(URL, schema=schema, serialize_variables=True, parse_results=True, camel_case=True)
Client(URL, schema="type Query { a: Int }")
Client(URL, schema={"__schema": {}})
Client(URL, schema=ExecutionResult())
Client(URL, fetch_schema=True)
Client(URL, fetch_schema=IntrospectionOptions(descriptions=False, type_depth=5))


def caller(request: GraphQLRequest) -> str:
    return request.text


async def root(_: GraphQLRequest) -> dict[str, int]:
    return {"a": 1}


Client(LocalSchemaTransport(schema, root_value={}, context=caller, validate=False))
Client(LocalSchemaTransport(schema, root_value=root, close_timeout=None))


async def schemas(client: Client, session: Session) -> None:
    assert_type(client.schema, GraphQLSchema | None)
    client.schema = schema
    client.schema = None
    assert_type(await session.fetch_schema(), GraphQLSchema)
    assert_type(await session.fetch_schema(IntrospectionOptions(), timeout=None), GraphQLSchema)
    assert_type(
        await session.execute("{ a }", {}, serialize_variables=True, parse_results=False), Any
    )
    assert_type(
        await session.execute_result("{ a }", serialize_variables=True, parse_results=True),
        ExecutionResult,
    )
    assert_type(
        await session.execute_batch(["{ a }"], serialize_variables=True, parse_results=True),
        list[Any],
    )
    assert_type(
        session.subscribe_results("subscription { a }", parse_results=True),
        Subscription[ExecutionResult],
    )
    assert_type(session.execute_incremental("{ a }", serialize_variables=True), Subscription[Any])


# Errors.

Made = type[TransportError]
kinds: list[Made] = [
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectTimeout,
    TransportConnectionFailed,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
]
in_time: list[type[TimeoutError]] = [TransportConnectTimeout, TransportTimeout]
wrong_value: type[ValueError] = TransportInvalidURL
before_sending: list[type[ValueError]] = [GraphQLValidationError, VariableError]
of_data: type[ValueError] = ResultTypeError


async def caught(session: Session) -> None:
    try:
        await session.execute("{ hello }")
    except TransportQueryError as error:
        assert_type(error.errors, list[Any])
        assert_type(error.data, Any)
        assert_type(error.extensions, Any)
    except TransportServerError as error:
        assert_type(error.headers, Mapping[str, str])
        assert_type(error.body, str)
    except TransportError as error:
        assert_type(error.code, int | None)
        assert_type(error.reason, str)
        assert_type(error.retryable, bool)
        assert_type(error.unsent, bool)


def what_was_wrong(
    document: GraphQLValidationError, variables: VariableError, data: ResultTypeError
) -> None:
    assert_type(document.errors, list[GraphQLError])
    assert_type(variables.problems, tuple[str, ...])
    assert_type(data.path, tuple[str | int, ...])
    assert_type(data.data, Any)


# Pages.


async def paged(session: Session) -> None:
    document = "query ($after: String) { … }"
    assert_type(session.pages(document, path="items"), Pages[Any])
    pages = session.pages(document, {"first": 10}, path="items", result_type=dict[str, int])
    async with pages as nodes:
        assert_type(nodes, Pages[dict[str, int]])
        assert_type(nodes.page_info, Mapping[str, Any] | None)
        async for node in nodes:
            assert_type(node, dict[str, int])
        async for page in nodes.pages:
            assert_type(page, Page[dict[str, int]])
            assert_type(page.result, ExecutionResult)
    session.pages(document, path="items", backwards=True, cursor="until", prefetch=0)
    session.pages(document, path="items", next_page=lambda data: {"offset": len(data["items"])})
    async with session.pages(document, path="items", result_type=int | None) as numbers:
        async for number in numbers:
            assert_type(number, int | None)


# Shared subscriptions.


async def shared(session: Session, request: GraphQLRequest[Person]) -> None:
    document = "subscription { … }"
    assert_type(session.share(document), SharedSubscription[Any])
    assert_type(session.share(request), SharedSubscription[Person])
    assert_type(session.share(document, path="a", result_type=int), SharedSubscription[int])
    assert_type(session.share(document, result_type=int | None), SharedSubscription[int | None])
    async with session.share(document, linger=None, replay=1, result_type=Person) as hub:
        assert_type(hub, SharedSubscription[Person])
        assert_type(
            hub.listen(buffer_size=2, on_overflow="error", stall_timeout=None),
            Subscription[Person],
        )
        async with hub.listen() as events:
            async for event in events:
                assert_type(event, Person)


# Testing.


async def tested() -> None:
    async with GraphQLServer(demo_schema()) as server:
        assert_type(server.transport(init_payload={"token": "…"}), WebSocketTransport)
        assert_type(await server.listen(), str)
        assert_type(server.connector(), Connector)


async def answered(call: StubCall) -> dict[str, Any]:
    assert_type(call.name, str | None)
    assert_type(call.variables, dict[str, Any])
    assert_type(call.kind, Literal["query", "mutation", "subscription"])
    assert_type(call.request, GraphQLRequest | None)
    return {"hello": "hi"}


async def counted(call: StubCall) -> AsyncGenerator[dict[str, int]]:
    yield {"n": 1}


def doubled(cassette: Cassettes) -> None:
    only_names = {"Hello": answered}
    Client(Stub(only_names))
    stub = Stub({"Hello": answered, "N": counted, "E": [GraphQLError("no")], None: {"a": 1}})
    stub.answers["Other"] = ExecutionResult(None, [{"message": "no"}])
    stub.refuse_with = TransportConnectionFailed("away")
    assert_type(stub.calls, list[StubCall])
    recorder = Recorder(stub, "cassette.json", secrets=[*SECRET_NAMES, "pin"])
    Client(recorder)
    assert_type(recorder.save(), None)
    Client(Recorded("cassette.json", speed=10))
    assert_type(Recorded(recorder.path).unused, list[str | None])
    Client(cassette("https://example.org/graphql", speed=2))
    Client(cassette(stub, secrets={"pin"}))


@dataclass
class AccessToken:
    text: str
    until: float


async def renew(token: AccessToken | None) -> AccessToken:
    return token or AccessToken("t", 0)


async def refreshed() -> None:
    auth = Refreshing(
        refresh=renew,
        token=lambda: None,
        expires=lambda token: token.until - 30,
        make_headers=lambda token: {"X-Token": token.text},
        refused=lambda error: default_refused(error) or isinstance(error, KeyError),
        on_expiry="nothing",
    )
    assert_type(auth, Refreshing[AccessToken])
    assert_type(await auth.token(), AccessToken)
    assert_type(await auth.headers(), dict[str, str])
    assert_type(await auth.payload(), Mapping[str, Any] | None)
    Client("https://example.org/graphql", auth=auth)
    HTTPTransport("https://example.org/graphql", headers=auth.headers)
    WebSocketTransport("wss://example.org/graphql", init_payload=auth.payload)
    text = Refreshing(refresh=lambda: "t", token="t", timeout=None)
    assert_type(text, Refreshing[str])
    AppSyncTransport("https://example.org/graphql", auth=appsync.Token(text.token))


assert_type(anygql.__all__, list[str])
