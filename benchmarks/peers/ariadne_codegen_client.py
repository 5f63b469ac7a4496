"""ariadne-codegen: the base client that generated clients are made with.

A generated method is ``execute``, ``get_data`` and then a pydantic model of the data. The model is
left out, as the other clients give plain data here.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["open_http"]


class _Session:
    def __init__(self, client: Any) -> None:
        self._client = client

    def request(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        return {"query": document, "variables": variables}

    async def execute(self, request: dict[str, Any]) -> Any:
        return self._client.get_data(await self._client.execute(**request))

    def subscribe(self, request: Any) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def open_http(
    engine: str, url: str, context: ssl.SSLContext | None
) -> AsyncGenerator[_Session]:
    from ariadne_codegen.client_generators.dependencies.async_base_client import AsyncBaseClient

    async with AsyncBaseClient(url) as client:
        yield _Session(client)
