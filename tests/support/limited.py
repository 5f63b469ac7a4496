"""Servers with limits, which do the arithmetic that GitHub and Shopify document.

Each is an interceptor's ``call``, with time on its way there, at work and on its way back, by the
loop's clock. What is over the budget is refused and counted. ``over_http`` serves any of them.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import repeat
from typing import Any

import anyio
from anyio.abc import SocketStream

from anygql import ExecutionResult, GraphQLRequest, Operation, TransportServerError
from anygql.results.result import Origin, ResultWithOrigin
from tests.support.http_peer import Request, http, peer

__all__ = ["Bucket", "GitHub", "Limited", "Response", "Shopify", "operation", "over_http"]

#: A query whose variables say what it costs.
COSTLY = "query Costly($cost: Float = 1, $actual: Float) { a(cost: $cost, actual: $actual) }"

#: The wall clock's time at 0 of the loop's clock, as these servers see it.
EPOCH = 1_800_000_000

#: Sums of fractions are inexact.
INEXACT = 1e-6


def operation(text: str = COSTLY, /, **variables: Any) -> Operation:
    """An operation with these variables."""
    return Operation(request=GraphQLRequest(text, variables), connection="the server")


class Response:
    """An HTTP response, or what else has a body, a status and headers."""

    def __init__(self, body: Any, status: int = 200, headers: dict[str, Any] | None = None) -> None:
        self.body = body
        self.status = status
        self.headers = {name: str(value) for name, value in (headers or {}).items()}

    def result(self) -> ExecutionResult:
        """What a transport makes of it, or raises."""
        if self.status != 200:
            wait = self.headers.get("retry-after")
            error = TransportServerError(
                f"the server answered {self.status}",
                code=self.status,
                headers=self.headers,
                body=json.dumps(self.body),
                retryable=True,
            )
            error.retry_after = None if wait is None else float(wait)
            raise error
        result = ExecutionResult(**self.body)
        return ResultWithOrigin.make(result, Origin(200, self.headers))


class Limited:
    """A server with limits: the base.

    Args:
        delays: How long each request is on its way there, at work, and on its way back.
    """

    def __init__(self, delays: Iterator[tuple[float, float, float]] | None = None) -> None:
        self._delays = delays or repeat((0.0, 0.0, 0.0))
        self.answered: list[Any] = []
        self.refused: list[Any] = []
        self.times: list[float] = []
        self.busy = 0
        self.busiest = 0

    async def __call__(self, operation: Operation) -> ExecutionResult:
        there, _, back = delays = next(self._delays)
        await anyio.sleep(there)
        variables = {"cost": 1.0, **(operation.request.variable_values or {})}
        response = await self.respond(variables, delays[1])
        await anyio.sleep(back)
        return response.result()

    async def respond(self, variables: dict[str, Any], seconds: float) -> Response:
        with self._working():
            self.times.append(anyio.current_time())
            if (refusal := self.refuse(variables)) is not None:
                self.refused.append(variables)
                return refusal
            await anyio.sleep(seconds)
            self.answered.append(variables)
            return self.answer(variables)

    @contextmanager
    def _working(self) -> Iterator[None]:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            yield
        finally:
            self.busy -= 1

    def refuse(self, variables: dict[str, Any]) -> Response | None:
        """Charge for an operation, or return its refusal."""
        raise NotImplementedError

    def answer(self, variables: dict[str, Any]) -> Response:
        """Return the response to an operation."""
        return Response({"data": {"a": variables.get("id")}})


class Bucket(Limited):
    """Refuses with 429 what is more than so many requests a second, beyond a burst."""

    def __init__(self, rate: float, burst: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.burst = rate, burst
        self.level = burst
        self.at = -math.inf

    def fill(self) -> None:
        now = anyio.current_time()
        self.level = min(self.burst, self.level + self.rate * (now - self.at))
        self.at = now

    def take(self, points: float) -> bool:
        self.fill()
        if self.level < points - INEXACT:
            return False
        self.level -= points
        return True

    def refuse(self, variables: dict[str, Any]) -> Response | None:
        if self.take(variables["cost"]):
            return None
        wait = math.ceil((variables["cost"] - self.level) / self.rate)
        return Response("slow down", 429, {"retry-after": wait})


class Shopify(Bucket):
    """The bucket holds what a query may cost before it runs; what it didn't cost is given back."""

    def cost(self, variables: dict[str, Any], actual: float | None) -> dict[str, Any]:
        self.fill()
        status = {"maximumAvailable": self.burst, "currentlyAvailable": self.level}
        status["restoreRate"] = self.rate
        cost = {"requestedQueryCost": variables["cost"], "actualQueryCost": actual}
        return {"cost": {**cost, "throttleStatus": status}}

    def refuse(self, variables: dict[str, Any]) -> Response | None:
        if self.take(variables["cost"]):
            return None
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return Response({"errors": [error], "extensions": self.cost(variables, None)})

    def answer(self, variables: dict[str, Any]) -> Response:
        actual = variables.get("actual")
        actual = variables["cost"] if actual is None else actual
        self.level = min(self.burst, self.level + variables["cost"] - actual)
        extensions = self.cost(variables, actual)
        return Response({**super().answer(variables).body, "extensions": extensions})


class GitHub(Limited):
    """So many points an hour, from the first request on; and two secondary limits.

    Args:
        limit: The points of an hour.
        left: Those that others have left of the first hour.
        a_minute: The requests of a minute, at most.
        at_once: The requests that may be under way, at most.
        names_time: Whether a secondary limit names the time to come back.
        has_headers: Whether answers have headers. Otherwise they have the field ``rateLimit``.
        hour: The seconds of an hour. The headers of a short one say how long it lasts.
    """

    def __init__(
        self,
        limit: float = 5000,
        *,
        left: float | None = None,
        a_minute: int = 10**9,
        at_once: int = 10**9,
        names_time: bool = True,
        has_headers: bool = True,
        hour: float = 3600,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.limit = limit
        self.left = limit if left is None else left
        self.a_minute, self.at_once = a_minute, at_once
        self.names_time, self.has_headers = names_time, has_headers
        self.hour = hour
        self.reset = -math.inf
        self.recent: deque[float] = deque()
        self.is_first = True

    def now(self) -> float:
        return EPOCH + anyio.current_time() % 1e6

    def headers(self) -> dict[str, Any]:
        date = {"date": formatdate(math.floor(self.now()), usegmt=True)}
        if not self.has_headers:
            return date
        return {
            **date,
            "x-ratelimit-limit": int(self.limit),
            "x-ratelimit-remaining": int(self.left),
            "x-ratelimit-used": int(self.limit - self.left),
            "x-ratelimit-reset": self.reset - self.now()
            if self.hour < 1
            else math.ceil(self.reset),
            "x-ratelimit-resource": "graphql",
        }

    def refuse(self, variables: dict[str, Any]) -> Response | None:
        now = self.now()
        if now >= self.reset:
            self.reset = now + self.hour
            if not self.is_first:
                self.left = self.limit
            self.is_first = False
        while self.recent and self.recent[0] <= now - 60:
            self.recent.popleft()
        if self.busy > self.at_once or len(self.recent) >= self.a_minute:
            words = "You have exceeded a secondary rate limit. Please wait a few minutes."
            wait = {"retry-after": 60} if self.names_time else {}
            return Response({"message": words}, 403, {**self.headers(), **wait})
        self.recent.append(now)
        if self.left < variables["cost"]:
            error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded."}
            return Response({"errors": [error]}, 200, self.headers())
        self.left -= variables["cost"]
        return None

    def answer(self, variables: dict[str, Any]) -> Response:
        reset = datetime.fromtimestamp(math.ceil(self.reset), UTC).isoformat()
        told = {"cost": variables["cost"], "remaining": self.left, "limit": self.limit}
        data = {"a": variables.get("id"), "rateLimit": {**told, "resetAt": reset}}
        return Response({"data": data}, 200, self.headers())


@asynccontextmanager
async def over_http(server: Limited) -> AsyncGenerator[str]:
    """Serve it over HTTP, and give the URL."""

    async def serve(request: Request, stream: SocketStream) -> bool:
        variables = {"cost": 1.0, **(request.json.get("variables") or {})}
        response = await server.respond(variables, 0)
        headers = {name.replace("-", "_"): value for name, value in response.headers.items()}
        status = f"{response.status} {'OK' if response.status == 200 else 'Not So'}"
        await stream.send(http(json.dumps(response.body), status, **headers))
        return False

    async with peer(serve) as it:
        yield it.url
