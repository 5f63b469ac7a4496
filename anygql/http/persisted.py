"""Persisted queries: asking by the hash of a document, and what servers say to that.

https://www.apollographql.com/docs/apollo-server/performance/apq, and the appendix "Persisted
Documents" of GraphQL over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from ..documents.request import GraphQLRequest

__all__ = ["PersistedAnswer", "document_id", "persisted_answer", "persisted_extensions"]


class PersistedAnswer(StrEnum):
    """What a server says that can't answer a hash."""

    NOT_FOUND = "PersistedQueryNotFound"  # send it with the text, and it will know it
    NOT_SUPPORTED = "PersistedQueryNotSupported"  # send the text, and never only a hash again


_BY_MESSAGE = {str(answer): answer for answer in PersistedAnswer}
_BY_CODE = {
    "PERSISTED_QUERY_NOT_FOUND": PersistedAnswer.NOT_FOUND,
    "PERSISTED_QUERY_NOT_SUPPORTED": PersistedAnswer.NOT_SUPPORTED,
}


def persisted_extensions(request: GraphQLRequest) -> dict[str, Any]:
    """The request's extensions with its hash: for sending the hash alone, and with the text."""
    hashed = {"version": 1, "sha256Hash": request.source.sha256}
    return {**(request.extensions or {}), "persistedQuery": hashed}


def document_id(request: GraphQLRequest) -> str:
    """The ``documentId`` under which a document is known by its hash."""
    return f"sha256:{request.source.sha256}"


def persisted_answer(errors: Iterable[Any] | None) -> PersistedAnswer | None:
    """What a result's errors say of a persisted query; ``None`` if they are about other things.

    "Not supported" wins where both are said.
    """
    found = {_meaning(error) for error in errors or ()}
    for answer in (PersistedAnswer.NOT_SUPPORTED, PersistedAnswer.NOT_FOUND):
        if answer in found:
            return answer
    return None


def _meaning(error: Any) -> PersistedAnswer | None:
    if not isinstance(error, dict):
        return None
    message: Any = error.get("message")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    extensions: Any = error.get("extensions")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    code: Any = extensions.get("code") if isinstance(extensions, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    by_message = _BY_MESSAGE.get(message) if isinstance(message, str) else None
    return by_message or (_BY_CODE.get(code) if isinstance(code, str) else None)
