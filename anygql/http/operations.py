"""Operations as HTTP requests: which of them go by GET, by POST or as a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..documents.files import extract_batch_files, extract_files
from ..documents.request import GraphQLRequest
from .accept import accept_for
from .endpoint import HTTPEndpoint
from .requests import HTTPRequest, as_get, as_post, as_upload, make_parameters

__all__ = ["RequestBuilder", "has_files"]


def has_files(request: GraphQLRequest) -> bool:
    """Return whether there are files among the request's variables."""
    return bool(extract_files(request.variable_values)[1])


class RequestBuilder:
    """The maker of HTTP requests, by a transport's options."""

    def __init__(self, endpoint: HTTPEndpoint) -> None:
        self._endpoint = endpoint
        self._json = endpoint.json

    def _document_id(self, request: GraphQLRequest) -> str | None:
        id_of = self._endpoint.persisted_queries
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
        """Return the HTTP request of one operation.

        Args:
            request: The operation.
            args: The user's ``transport_args``.
            text: Whether to send the document's text.
            get: Whether a query may go by GET, if the transport's options say so.
            accept: The ``Accept`` header; by default, what suits the document.

        Raises:
            TypeError: A value has no JSON form; the message names it.
        """
        accept = accept or accept_for(incremental=request.source.is_incremental)
        variables, files = extract_files(request.variable_values)
        parameters = make_parameters(
            self._json,
            request,
            variables=variables,
            text=text,
            document_id=self._document_id(request),
        )
        if files:
            outgoing = as_upload(parameters, files, args, accept=accept)
        elif get and self._endpoint.use_get_for_queries and request.kind == "query":
            outgoing = as_get(parameters, request.text, args, accept=accept)
        else:
            outgoing = as_post(parameters, args, accept=accept)
        outgoing.is_repeatable = request.kind != "mutation"
        return outgoing

    def batch(self, requests: Sequence[GraphQLRequest], args: Mapping[str, Any]) -> HTTPRequest:
        """Return the HTTP request of several operations as one array. Raise as ``single`` does."""
        batch, files = extract_batch_files([request.variable_values for request in requests])
        parameters = [
            make_parameters(
                self._json,
                request,
                variables=variables,
                document_id=self._document_id(request),
            )
            for request, variables in zip(requests, batch, strict=True)
        ]
        outgoing = as_upload(parameters, files, args) if files else as_post(parameters, args)
        outgoing.is_repeatable = all(request.kind != "mutation" for request in requests)
        return outgoing
