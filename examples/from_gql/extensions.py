"""Extensions, of the request and of the response."""

from anygql.blocking import Client

with Client("http://localhost:8000/graphql") as session:
    result = session.execute_result("{ continents { name } }", extensions={"document-id": "155d"})
    print(result.data, result.extensions)
