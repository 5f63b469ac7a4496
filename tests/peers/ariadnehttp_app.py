"""The Ariadne application with all that it can do over HTTP."""

from __future__ import annotations

from ariadne import MutationType, make_executable_schema, upload_scalar
from ariadne.asgi import GraphQL
from ariadne.contrib.sse import GraphQLHTTPSSEHandler

from tests.peers import ariadne_app

TYPES = """
    scalar Upload

    extend type Mutation {
        upload(files: [Upload!]!): [String!]!
    }
"""

mutation = MutationType()


@mutation.field("upload")
async def upload(*_, files):  # type: ignore[no-untyped-def]
    return [f"{file.filename} {file.content_type} {len(await file.read())}" for file in files]


schema = make_executable_schema(
    [ariadne_app.TYPES, TYPES],
    ariadne_app.query,
    ariadne_app.mutation,
    ariadne_app.subscription,
    mutation,
    upload_scalar,
)
app = GraphQL(schema, http_handler=GraphQLHTTPSSEHandler(), execute_get_queries=True)
