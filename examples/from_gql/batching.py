"""Batching requests manually."""

from anygql import GraphQLRequest
from anygql.blocking import Client

names = "{ continents { code name } }"
name = GraphQLRequest("query ($code: ID!) { continent(code: $code) { name } }", {"code": "AF"})
with Client("http://localhost:8000/graphql") as session:
    for result in session.execute_batch([names, name]):
        print(result)
