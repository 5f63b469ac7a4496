"""The DSL's sync example: no schema is needed."""

from anygql.blocking import execute
from anygql.dsl import query, select

request = select(query("continents", {}, "code", "name"))
print(execute("http://localhost:8000/graphql", request))
