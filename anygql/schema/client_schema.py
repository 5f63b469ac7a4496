"""A schema, and what has been found out about documents with it.

Validating a document takes milliseconds, and so does planning how its results are parsed. Both
are done once for each document and schema, however many clients have that schema.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..documents.document import Document
from ..documents.request import GraphQLRequest
from .validation import find_errors, validation_error

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema

    from .results import ResultsPlan

__all__ = ["ClientSchema", "forget"]

#: For how many documents at most one schema keeps what it found out.
DOCUMENTS_KEPT = 4096


class _Findings:
    """What was found out about one document with one schema."""

    __slots__ = ("errors", "plans")

    def __init__(self) -> None:
        self.errors: tuple[GraphQLError, ...] | None = None  # None: not validated yet
        self.plans: dict[Hashable, Any] = {}


class _Documents(WeakKeyDictionary[Document, _Findings]):
    """What was found out about each document. An entry goes with its document, or with the schema.

    The keys are weak. The values must refer neither to the ``Document`` nor to the
    ``GraphQLSchema`` (trees and types do not), or neither would ever be freed.
    """

    def add(self, document: Document) -> _Findings:
        while len(self) >= DOCUMENTS_KEPT:
            self.pop(next(iter(self)), None)  # the oldest
        findings = self[document] = _Findings()
        return findings


_documents: WeakKeyDictionary[GraphQLSchema, _Documents] = WeakKeyDictionary()


class ClientSchema:
    """A ``GraphQLSchema`` (``graphql``) as the client uses it.

    Cheap to make: those of one schema share what they know. It is forgotten when the schema is
    updated in place by ``update_schema_scalar`` or ``update_schema_enum``; after any other change
    to the schema, call ``forget``.
    """

    __slots__ = ("_documents", "graphql")

    def __init__(self, graphql: GraphQLSchema) -> None:
        self.graphql = graphql
        documents = _documents.get(graphql)
        if documents is None:
            documents = _documents[graphql] = _Documents()
        self._documents = documents

    def validate(self, document: Document) -> None:
        """Raise ``GraphQLValidationError``, with all its errors, if the document is not valid.

        Raises ``GraphQLSyntaxError`` if it doesn't parse, and ``ValueError`` if the schema is
        not valid. The outcome is kept, good or bad, so asking again costs next to nothing.
        """
        findings = self._documents.get(document) or self._documents.add(document)
        errors = findings.errors
        if errors is None:
            errors = findings.errors = find_errors(self.graphql, document)
        if errors:
            raise validation_error(errors)

    def serialized(self, request: GraphQLRequest) -> GraphQLRequest:
        """The request with its variables as the server is to get them.

        Raises ``VariableError``, a ``ValueError``, with all that is wrong with them.
        """
        plans = self.plans(request.source)
        key = ("variables", request.operation[0])
        plan = plans.get(key)
        if plan is None:
            from .variables import variables_plan

            plan = plans[key] = variables_plan(self.graphql, request.source, key[1])
        return request.replace(variable_values=plan(request.variable_values or {}))

    def results_plan(self, request: GraphQLRequest) -> ResultsPlan:
        """What parses the data of the request's results; raises as ``validate`` does."""
        plans = self.plans(request.source)
        key = ("results", request.operation[0])
        plan: ResultsPlan | None = plans.get(key)
        if plan is None:
            from .results import results_plan

            plan = plans[key] = results_plan(self.graphql, request.source, key[1])
        return plan

    def plans(self, document: Document) -> dict[Hashable, Any]:
        """Where to keep what is derived from the document and this schema, by keys of your own.

        Ask for it each time: it is another dictionary after an update of the schema. Values must
        not refer to the ``Document`` or to the ``GraphQLSchema``; trees and types may be kept.
        """
        return (self._documents.get(document) or self._documents.add(document)).plans


def forget(schema: GraphQLSchema) -> None:
    """Forget what was found out with this schema, since it is no longer what it was."""
    documents = _documents.get(schema)
    if documents is not None:
        documents.clear()
