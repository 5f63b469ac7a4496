"""HTTP requests: what of an operation goes server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ..documents.request import GraphQLRequest
from ..json import JSON
from ..net.headers import Headers, pairs
from ..protocols.messages import Maybe, value_or_unset
from .accept import ACCEPT
from .compression import ACCEPT_ENCODING
from .upload import UploadBody

__all__ = [
    "HTTPRequest",
    "Parameters",
    "as_get",
    "as_post",
    "as_upload",
    "checked_args",
    "parameters",
]


#: Apollo Server and others take a GET or an upload only from who sends a header that no plain
#: HTML form could: against request forgery, of which only browsers can be the instrument.
PREFLIGHT = ("Apollo-Require-Preflight", "true")

_BUILD = frozenset({"cookies", "extensions", "headers", "params", "timeout"})
_SEND = frozenset({"auth", "follow_redirects"})
_OWN = frozenset({"progress"})

_encode = msgspec.json.Encoder().encode


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A request's parameters, by the names that the specification gives them. What it hasn't is
    left out: null ≡ absent, but Mercurius refuses ``"extensions": null``."""

    query: Maybe = msgspec.UNSET
    document_id: str | None = None
    operation_name: str | None = None
    variables: Maybe = msgspec.UNSET
    extensions: Maybe = msgspec.UNSET


def parameters(
    json: JSON,
    request: GraphQLRequest,
    *,
    variables: Any = ...,
    text: bool = True,
    document_id: str | None = None,
) -> Parameters:
    """The parameters of a request: with its text, or something that stands for it.

    Raises ``TypeError``, naming what in it has no JSON form.
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


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One HTTP request, but for the URL and the headers that all have.

    ``headers`` may be overridden, ``fixed`` may not.
    """

    method: str
    body: bytes | UploadBody | None
    headers: Sequence[tuple[str, str]]
    fixed: Sequence[tuple[str, str]] = ()
    params: Sequence[tuple[str, str]] | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def build(self, url: str, headers: Headers | None) -> dict[str, Any]:
        """The arguments for the client's ``build_request``; ``headers``: the transport's."""
        args = {name: value for name, value in self.args.items() if name in _BUILD}
        own = pairs(args.pop("headers", None))
        args["headers"] = _merged(self.headers, pairs(headers), own, self.fixed, [ACCEPT_ENCODING])
        extra: Any = args.pop("params", None)
        if self.params is not None or extra is not None:
            # The client replaces the URL's query by the params that it is given.
            given = parse_qsl(urlsplit(url).query, keep_blank_values=True)
            more: Iterable[Any] = extra.items() if hasattr(extra, "items") else extra or ()
            args["params"] = [*given, *(self.params or ()), *more]
        if isinstance(self.body, bytes):
            args["content"] = self.body
        return {"method": self.method, "url": url, **args}

    def with_header(self, name: str, value: str) -> HTTPRequest:
        """The same with one more header, which may not be overridden."""
        return replace(self, fixed=[*self.fixed, (name, value)])

    def send(self) -> dict[str, Any]:
        """The arguments for the client's ``send``."""
        return {name: value for name, value in self.args.items() if name in _SEND}


def _merged(*layers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers, of which a later layer's take the place of all earlier ones of that name."""
    result: list[tuple[str, str]] = []
    for layer in layers:
        added = list(layer)
        if not added:
            continue
        names = {name.lower() for name, _ in added}
        result = [pair for pair in result if pair[0].lower() not in names]
        result += added
    return result


def checked_args(args: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """``transport_args`` as they were given; raises ``TypeError`` for a name that is unknown."""
    if args is None:
        return {}
    if not isinstance(args, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"transport_args must be a mapping, not {type(args).__name__}")
    known = _BUILD | _SEND | _OWN
    unknown = sorted(map(str, args.keys() - known))
    if unknown:
        raise TypeError(
            f"transport_args has {', '.join(map(repr, unknown))}: over HTTP there are "
            f"{', '.join(sorted(known))}"
        )
    return args


def as_post(
    wanted: Parameters | Sequence[Parameters], args: Mapping[str, Any], *, accept: str = ACCEPT
) -> HTTPRequest:
    """An operation, or a batch of them, as JSON by POST."""
    headers = [("Accept", accept), ("Content-Type", "application/json")]
    return HTTPRequest("POST", _encode(wanted), headers, args=args)


def as_upload(
    wanted: Parameters | Sequence[Parameters],
    files: Any,
    args: Mapping[str, Any],
    *,
    accept: str = ACCEPT,
) -> HTTPRequest:
    """An operation with files, or a batch of them, as a multipart form by POST."""
    body = UploadBody(_encode(wanted), files, args.get("progress"))
    fixed = [("Content-Type", body.content_type)]
    return HTTPRequest("POST", body, [("Accept", accept), PREFLIGHT], fixed, args=args)


def as_get(
    wanted: Parameters, text: str, args: Mapping[str, Any], *, accept: str = ACCEPT
) -> HTTPRequest:
    """A query by GET: the same parameters in the URL, the nested ones as JSON.

    ``text``: the document's, of which ``wanted`` only has the JSON.
    """
    params: list[tuple[str, str]] = []
    if wanted.query:
        params.append(("query", text))
    if wanted.document_id is not None:
        params.append(("documentId", wanted.document_id))
    if wanted.operation_name is not None:
        params.append(("operationName", wanted.operation_name))
    if wanted.variables:
        params.append(("variables", bytes(wanted.variables).decode()))
    if wanted.extensions:
        params.append(("extensions", bytes(wanted.extensions).decode()))
    return HTTPRequest("GET", None, [("Accept", accept), PREFLIGHT], params=params, args=args)
