"""Using variables."""

from anygql.blocking import Client

query = "query ($code: ID!) { continent(code: $code) { name } }"
with Client("http://localhost:8000/graphql") as session:
    print(session.execute(query, {"code": "EU"}))
    print(session.execute(query, {"code": "AF"}))
