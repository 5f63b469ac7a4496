"""A server that stands for GitHub's: its token, its pages, and both of its rate limits."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from anyio.abc import SocketStream

from tests.support.http_peer import Request, http, peer

__all__ = ["SHOWN", "TOKEN", "github"]

#: What the documentation shows in place of the stand-in's URL.
SHOWN = "https://api.github.com/graphql"
TOKEN = "ghp_example"

NAMES = ("anygql", "dotfiles", "homepage")
LIMITED = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes.",
    "documentation_url": "https://docs.github.com/graphql",
}


def _page(after: str | None) -> dict[str, Any]:
    """Two repositories and where they end; the cursor is that of the last one."""
    begin = 0 if after is None else int(after)
    end = min(begin + 2, len(NAMES))
    nodes = [
        {"nameWithOwner": f"ada/{name}", "stargazerCount": 10 * len(name)}
        for name in NAMES[begin:end]
    ]
    return {
        "viewer": {
            "repositories": {
                "nodes": nodes,
                "pageInfo": {"hasNextPage": end < len(NAMES), "endCursor": str(end)},
            }
        },
        "rateLimit": {"cost": 1, "remaining": 4999 - begin, "resetAt": "2026-01-31T12:00:00Z"},
    }


class GitHub:
    """Answers each of two pages after a refusal, one for each limit."""

    def __init__(self) -> None:
        self.answered = 0

    def answer(self, request: Request) -> bytes:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return http(json.dumps({"message": "Bad credentials"}), "401 Unauthorized")
        assert request.headers["user-agent"]
        self.answered += 1
        if self.answered == 1:  # the limit is over soon, so that no test waits for long
            limits = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "0.05"}
            return http(json.dumps({"errors": [LIMITED]}), **limits)
        if self.answered == 3:
            return http(json.dumps(SECONDARY), "403 Forbidden", retry_after="0")
        return http(json.dumps({"data": _page(request.json["variables"].get("after"))}))

    async def send(self, request: Request, stream: SocketStream) -> bool:
        await stream.send(self.answer(request))
        return True


@asynccontextmanager
async def github() -> AsyncGenerator[str]:
    """The stand-in's URL, until the context is left."""
    async with peer(GitHub().send) as stand_in:
        yield stand_in.url
