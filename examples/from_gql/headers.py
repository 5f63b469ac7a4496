"""HTTP headers, of the request and of the response."""

from anygql.blocking import Client

with Client("http://localhost:8000/graphql", headers={"Authorization": "token"}) as session:
    print(session.execute_result("{ continents { name } }").headers["content-type"])
