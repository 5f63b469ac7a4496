"""A session's connection to a local schema: the operations that run on it.

A query runs in the task that called for it, a subscription in a task of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delivery.base import Endpoint
from ..delivery.buffering import Delivery
from ..delivery.independent import IndependentConnection, RunningFeed, RunningStream
from ..delivery.interfaces import AnyTransportArgs, refuse_args
from ..documents.request import GraphQLRequest
from ..results.result import ExecutionResult

if TYPE_CHECKING:
    from .execution import LocalExecution

__all__ = ["LocalConnection"]


class LocalConnection(IndependentConnection):
    """A connection to a local schema, made by ``LocalSchemaTransport.connect``."""

    def __init__(self, endpoint: Endpoint, execution: LocalExecution) -> None:
        super().__init__(endpoint)
        self._execution = execution

    async def execute(
        self, request: GraphQLRequest, transport_args: AnyTransportArgs = None
    ) -> ExecutionResult:
        """Run a query or mutation and return its whole result, deferred parts included.

        Canceling cancels its resolvers, and waits until they have ended.
        """
        refuse_args(transport_args, self._endpoint.description)
        variables = self._execution.variables(request)
        return await self._run(lambda: self._execution.execute(request, variables))

    def execute_incremental(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Start a query or mutation with an incremental result; the caller must leave the feed."""
        refuse_args(transport_args, self._endpoint.description)
        variables = self._execution.variables(request)

        async def work(stream: RunningStream) -> None:
            async def show(state: ExecutionResult) -> bool:
                if not await stream.room():
                    return False
                stream.feed.next(state)
                return True

            await self._execution.execute(request, variables, show)

        return self._start(delivery, work)

    def subscribe(
        self, request: GraphQLRequest, delivery: Delivery, transport_args: AnyTransportArgs = None
    ) -> RunningFeed:
        """Start a subscription; the caller must leave the feed."""
        refuse_args(transport_args, self._endpoint.description)
        variables = self._execution.variables(request)

        async def work(stream: RunningStream) -> None:
            await self._execution.subscribe(request, variables, stream)

        return self._start(delivery, work)
