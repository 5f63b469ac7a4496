"""All pages of several lists, from a server that counts points as GitHub does: none is refused.

The server is in this process: a schema, three organizations with their repositories, and five
points for each of its hours, which last for a quarter of a second. Each page costs a point and
says what is left. The tasks share one throttle, which has them wait for the next hour in time.

::

    python -m examples.limits          # under asyncio
    python -m examples.limits trio     # the same under trio
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import anyio
from graphql import GraphQLError

from anygql import Client, LocalSchemaTransport, Session, load_schema
from anygql.throttle import Throttle, Wait

SDL = """
type Query { organization(login: String!): Organization! rateLimit: RateLimit! }
type Organization { repositories(first: Int!, after: String): Repositories! }
type Repositories { nodes: [Repository!]! pageInfo: PageInfo! }
type Repository { name: String! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type RateLimit { limit: Int! cost: Int! remaining: Int! resetAt: String! }
"""

REPOSITORIES = """
query Repositories($login: String!, $after: String) {
  organization(login: $login) {
    repositories(first: 5, after: $after) {
      nodes { name }
      pageInfo { hasNextPage endCursor }
    }
  }
  rateLimit { limit cost remaining resetAt }
}
"""

COUNTS = {"acme": 18, "babbage": 7, "curie": 23}
LIMIT = 5
HOUR = 0.25


class GitHub:
    """The server: its points, and how often it had to refuse."""

    def __init__(self) -> None:
        self.left = 0
        self.reset = 0.0
        self.spent = self.refused = 0

    def organization(self, _info: Any, login: str) -> dict[str, Any]:
        """Take a point, or refuse."""
        now = time.time()
        if now >= self.reset:
            self.left, self.reset = LIMIT, now + HOUR
        if not self.left:
            self.refused += 1
            raise GraphQLError("API rate limit exceeded.", extensions={"code": "RATE_LIMITED"})
        self.left -= 1
        self.spent += 1

        def repositories(_info: Any, first: int, after: str | None = None) -> dict[str, Any]:
            begin = int(after or 0)
            end = min(begin + first, COUNTS[login])
            nodes = [{"name": f"{login}/{number}"} for number in range(begin, end)]
            page_info = {"hasNextPage": end < COUNTS[login], "endCursor": str(end)}
            return {"nodes": nodes, "pageInfo": page_info}

        return {"repositories": repositories}

    def rate_limit(self, _info: Any) -> dict[str, Any]:
        """Say what is left, until a time that is rounded up, as GitHub's."""
        reset = datetime.fromtimestamp(self.reset + 0.02, UTC)
        told = {"limit": LIMIT, "cost": 1, "remaining": self.left}
        return {**told, "resetAt": reset.isoformat()}


def tell(wait: Wait) -> None:
    """Say that a call waits."""
    print(f"a page waits for {wait.seconds:.1f} s: {wait.reason}")


async def count(session: Session, login: str) -> None:
    """Count the repositories of an organization, page by page."""
    async with session.pages(
        REPOSITORIES, {"login": login}, path="organization.repositories"
    ) as repositories:
        names = [repository["name"] async for repository in repositories]
    print(f"{login} has {len(names)} repositories")


async def main() -> None:
    """Count the repositories of all organizations at the same time."""
    server = GitHub()
    root = {"organization": server.organization, "rateLimit": server.rate_limit}
    transport = LocalSchemaTransport(load_schema(SDL), root_value=root)
    client = Client(transport, interceptors=[Throttle(on_wait=tell)])
    async with client as session, anyio.create_task_group() as tg:
        for login in COUNTS:
            tg.start_soon(count, session, login)
    print(f"{server.spent} points in hours of {LIMIT}, and {server.refused} refusals")


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if sys.argv[1:] else "asyncio")
