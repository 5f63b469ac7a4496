"""The DSL's async example: a filter, and typed results in place of a selection."""

from dataclasses import dataclass

import anyio

from anygql import execute
from anygql.dsl import query, select, var


@dataclass
class Continent:
    code: str
    name: str


async def main() -> None:
    europe = var("ContinentFilter", default={"code": {"eq": "EU"}})
    request = select(query("continents", list[Continent], filter=europe))
    print(await execute("http://localhost:8000/graphql", request))


anyio.run(main)
