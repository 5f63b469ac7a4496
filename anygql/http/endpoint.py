"""The interface of the transport that its connections use."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from os import PathLike
from typing import Protocol

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..net.authorization import Authorization
from ..net.headers import Headers
from ..net.options import Provider
from .httpx.client import HTTPClient

__all__ = ["HTTPEndpoint"]


class HTTPEndpoint(Protocol):
    """The options of an ``HTTPTransport``, as its connections read them."""

    url: Provider[str]
    headers: Provider[Headers] | None
    auth: Authorization | None
    client: HTTPClient | None
    ssl: ssl_module.SSLContext | None
    proxy: str | bool | None
    uds: str | PathLike[str] | None
    max_connections: int
    connect_timeout: float | None
    keep_alive_timeout: float | None
    max_response_size: int | None
    use_get_for_queries: bool
    persisted_queries: bool | Callable[[GraphQLRequest], str]
    json: JSON
    #: The server, fit for messages. Each request updates it, since ``url`` may be a function.
    description: str
