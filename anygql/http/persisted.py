"""Persisted queries: requests with the hash of a document, and how servers refuse them.

https://www.apollographql.com/docs/apollo-server/performance/apq, and the appendix "Persisted
Documents" of GraphQL over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from ..documents.request import GraphQLRequest

__all__ = [
    "PersistedQueryRefusal",
    "document_id",
    "persisted_extensions",
    "persisted_query_refusal",
]


class PersistedQueryRefusal(StrEnum):
    """Why a server doesn't run a request that has only a hash."""

    NOT_FOUND = "PersistedQueryNotFound"  # send the hash with the text, and it will know both
    NOT_SUPPORTED = "PersistedQueryNotSupported"  # send the text, and never only a hash again


_BY_MESSAGE = {str(refusal): refusal for refusal in PersistedQueryRefusal}
_BY_CODE = {
    "PERSISTED_QUERY_NOT_FOUND": PersistedQueryRefusal.NOT_FOUND,
    "PERSISTED_QUERY_NOT_SUPPORTED": PersistedQueryRefusal.NOT_SUPPORTED,
}


def persisted_extensions(request: GraphQLRequest) -> dict[str, Any]:
    """Return the request's extensions with its document's hash."""
    hashed = {"version": 1, "sha256Hash": request.source.sha256}
    return {**(request.extensions or {}), "persistedQuery": hashed}


def document_id(request: GraphQLRequest) -> str:
    """Return the ``documentId`` that is the document's hash, ``sha256:…``.

    Args:
        request: The request with the document. ``HTTPTransport(persisted_queries=document_id)``
            calls this with each.
    """
    return f"sha256:{request.source.sha256}"


def persisted_query_refusal(errors: Iterable[Any] | None) -> PersistedQueryRefusal | None:
    """Return how a result's errors refuse a hash; ``None`` if they are about something else.

    ``NOT_SUPPORTED`` takes precedence.
    """
    found = {_refusal(error) for error in errors or ()}
    for refusal in (PersistedQueryRefusal.NOT_SUPPORTED, PersistedQueryRefusal.NOT_FOUND):
        if refusal in found:
            return refusal
    return None


def _refusal(error: Any) -> PersistedQueryRefusal | None:
    if not isinstance(error, dict):
        return None
    message: Any = error.get("message")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    extensions: Any = error.get("extensions")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    code: Any = extensions.get("code") if isinstance(extensions, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    by_message = _BY_MESSAGE.get(message) if isinstance(message, str) else None
    return by_message or (_BY_CODE.get(code) if isinstance(code, str) else None)
