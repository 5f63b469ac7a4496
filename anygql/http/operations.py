"""Operations as HTTP requests: which of them go by GET, by POST or as a form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..documents.files import extract_batch_files, extract_files
from ..documents.request import GraphQLRequest
from ..json import JSON
from .accept import accept_for
from .httpx.exchange import ExchangeEndpoint
from .requests import HTTPRequest, as_get, as_post, as_upload, parameters

__all__ = ["HTTPEndpoint", "RequestBuilder", "has_files"]


class HTTPEndpoint(ExchangeEndpoint, Protocol):
    """The transport, as its connections see it."""

    json: JSON
    use_get_for_queries: bool
    persisted_queries: bool | Callable[[GraphQLRequest], str]


def has_files(request: GraphQLRequest) -> bool:
    """Whether there are files among its variables."""
    return bool(extract_files(request.variable_values)[1])


class RequestBuilder:
    """What a transport's options make of an operation."""

    def __init__(self, transport: HTTPEndpoint) -> None:
        self._transport = transport
        self._json = transport.json

    def _document_id(self, request: GraphQLRequest) -> str | None:
        id_of = self._transport.persisted_queries
        return None if isinstance(id_of, bool) else id_of(request)

    def single(
        self,
        request: GraphQLRequest,
        args: Mapping[str, Any],
        *,
        text: bool = True,
        get: bool = True,
        accept: str = "",
    ) -> HTTPRequest:
        """One operation. ``text``: with its document; ``get``: by GET if it may.

        Raises ``TypeError``, naming what in it has no JSON form.
        """
        accept = accept or accept_for(incremental=request.source.is_incremental)
        variables, files = extract_files(request.variable_values)
        wanted = parameters(
            self._json,
            request,
            variables=variables,
            text=text,
            document_id=self._document_id(request),
        )
        if files:
            return as_upload(wanted, files, args, accept=accept)
        if get and self._transport.use_get_for_queries and request.kind == "query":
            return as_get(wanted, request.text, args, accept=accept)
        return as_post(wanted, args, accept=accept)

    def batch(self, requests: Sequence[GraphQLRequest], args: Mapping[str, Any]) -> HTTPRequest:
        """Several operations as one array; raises likewise."""
        given = [request.variable_values for request in requests]
        batch, files = extract_batch_files(given)
        wanted = [
            parameters(
                self._json,
                request,
                variables=variables,
                document_id=self._document_id(request),
            )
            for request, variables in zip(requests, batch, strict=True)
        ]
        return as_upload(wanted, files, args) if files else as_post(wanted, args)
