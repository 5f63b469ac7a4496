"""HTTP requests: how an operation is written for a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..protocols.messages import Maybe, value_or_unset
from .accept import ACCEPT
from .upload import UploadBody

__all__ = [
    "BUILD_NAMES",
    "SEND_NAMES",
    "HTTPRequest",
    "Parameters",
    "as_get",
    "as_post",
    "as_upload",
    "checked_args",
    "make_parameters",
    "merged_headers",
]


#: Apollo Server and others refuse a GET or an upload without a header that no plain HTML form can
#: send. It protects browsers' users from request forgery.
PREFLIGHT = ("Apollo-Require-Preflight", "true")

# The names in `transport_args`: for the client's `build_request`, for its `send`, and our own.
BUILD_NAMES = frozenset({"cookies", "extensions", "headers", "params", "timeout"})
SEND_NAMES = frozenset({"auth", "follow_redirects"})
_OUR_NAMES = frozenset({"progress"})

_encode = msgspec.json.Encoder().encode


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A request's parameters, by the names that the specification gives them.

    Absent parameters are left out. To the specification, null means the same, but Mercurius
    refuses ``"extensions": null``.
    """

    query: Maybe = msgspec.UNSET
    document_id: str | None = None
    operation_name: str | None = None
    variables: Maybe = msgspec.UNSET
    extensions: Maybe = msgspec.UNSET


def make_parameters(
    json: JSON,
    request: GraphQLRequest,
    *,
    variables: Any = ...,
    text: bool = True,
    document_id: str | None = None,
) -> Parameters:
    """Return the parameters of a request.

    Args:
        json: How values become JSON.
        request: The request.
        variables: The variables to send, if not those of ``request``.
        text: Whether to send the document's text, unless there is a ``document_id``.
        document_id: The identifier of a document that the server knows.

    Raises:
        TypeError: A value has no JSON form; the message names it.
    """
    if variables is ...:
        variables = request.variable_values
    return Parameters(
        request.source.json if text and document_id is None else msgspec.UNSET,
        document_id,
        request.operation_name,
        value_or_unset(json, variables, "variables"),
        value_or_unset(json, request.extensions, "extensions"),
    )


@dataclass(slots=True)
class HTTPRequest:
    """One HTTP request, without the URL and the headers that all requests have.

    Args:
        method: The HTTP method.
        body: The body, if it has one.
        headers: Headers that the user may override.
        fixed: Headers that the user can't override.
        params: What to add to the query of the URL.
        args: The user's ``transport_args``.
        is_repeatable: Whether the server may get it twice: it has no mutation.
    """

    method: str
    body: bytes | UploadBody | None
    headers: Sequence[tuple[str, str]]
    fixed: Sequence[tuple[str, str]] = ()
    params: Sequence[tuple[str, str]] | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_repeatable: bool = False

    def with_header(self, name: str, value: str) -> HTTPRequest:
        """Return the same request with one more header, which can't be overridden."""
        return replace(self, fixed=[*self.fixed, (name, value)])


def merged_headers(*layers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Merge layers of headers; a later layer's replace all earlier ones of the same name."""
    result: list[tuple[str, str]] = []
    for layer in layers:
        headers = list(layer)
        if not headers:
            continue
        names = {name.lower() for name, _ in headers}
        result = [pair for pair in result if pair[0].lower() not in names]
        result += headers
    return result


def checked_args(args: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return ``transport_args`` as they are. Raise ``TypeError`` for an unknown name."""
    if args is None:
        return {}
    if not isinstance(args, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"transport_args must be a mapping, not {type(args).__name__}")
    known = BUILD_NAMES | SEND_NAMES | _OUR_NAMES
    unknown = sorted(map(str, args.keys() - known))
    if unknown:
        raise TypeError(
            f"transport_args has {', '.join(map(repr, unknown))}: over HTTP there are "
            f"{', '.join(sorted(known))}"
        )
    return args


def as_post(
    parameters: Parameters | Sequence[Parameters], args: Mapping[str, Any], *, accept: str = ACCEPT
) -> HTTPRequest:
    """Return the POST of an operation, or of a batch, as JSON."""
    headers = (("Accept", accept), ("Content-Type", "application/json"))
    return HTTPRequest("POST", _encode(parameters), headers, args=args)


def as_upload(
    parameters: Parameters | Sequence[Parameters],
    files: Any,
    args: Mapping[str, Any],
    *,
    accept: str = ACCEPT,
) -> HTTPRequest:
    """Return the POST of an operation with files, or of a batch, as a multipart form."""
    body = UploadBody(_encode(parameters), files, args.get("progress"))
    fixed = [("Content-Type", body.content_type)]
    return HTTPRequest("POST", body, [("Accept", accept), PREFLIGHT], fixed, args=args)


def as_get(
    parameters: Parameters, text: str, args: Mapping[str, Any], *, accept: str = ACCEPT
) -> HTTPRequest:
    """Return the GET of a query, with the parameters in the URL, the nested ones as JSON.

    ``text`` is the document's, of which ``parameters`` has only the JSON.
    """
    params: list[tuple[str, str]] = []
    if parameters.query:
        params.append(("query", text))
    if parameters.document_id is not None:
        params.append(("documentId", parameters.document_id))
    if parameters.operation_name is not None:
        params.append(("operationName", parameters.operation_name))
    if parameters.variables:
        params.append(("variables", bytes(parameters.variables).decode()))
    if parameters.extensions:
        params.append(("extensions", bytes(parameters.extensions).decode()))
    return HTTPRequest("GET", None, [("Accept", accept), PREFLIGHT], params=params, args=args)
