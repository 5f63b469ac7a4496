"""The Strawberry application with all that it can do over HTTP."""

from __future__ import annotations

import strawberry
from strawberry.asgi import GraphQL
from strawberry.file_uploads import Upload
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, MULTIPART_SUBSCRIPTION_PROTOCOL

from tests.peers import strawberry_app


@strawberry.type
class Person:
    name: str

    @strawberry.field
    def age(self) -> int:
        return 7


@strawberry.type
class Query(strawberry_app.Query):
    @strawberry.field
    def person(self) -> Person:
        return Person(name="Ada")

    @strawberry.field
    async def letters(self) -> strawberry.Streamable[str]:
        for letter in "abc":
            yield letter


@strawberry.type
class Mutation(strawberry_app.Mutation):
    @strawberry.mutation
    async def upload(self, files: list[Upload]) -> list[str]:
        return [f"{file.filename} {file.content_type} {len(await file.read())}" for file in files]


schema = strawberry.Schema(
    Query,
    Mutation,
    strawberry_app.Subscription,
    config=StrawberryConfig(
        batching_config={"max_operations": 10}, enable_experimental_incremental_execution=True
    ),
)

sse = GraphQL(
    schema,
    multipart_uploads_enabled=True,
    subscription_protocols=(GRAPHQL_SSE_PROTOCOL,),
)
multipart = GraphQL(schema, subscription_protocols=(MULTIPART_SUBSCRIPTION_PROTOCOL,))


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """At ``/multipart``, subscriptions come so; anywhere else, as server-sent events."""
    await (multipart if scope["path"] == "/multipart" else sse)(scope, receive, send)
