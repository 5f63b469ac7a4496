"""Sync usage: one request. It works in a notebook, too."""

from anygql.blocking import execute

print(execute("http://localhost:8000/graphql", "{ continents { code name } }"))
