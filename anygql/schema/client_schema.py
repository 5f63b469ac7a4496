"""A schema with the findings about documents: validation errors and plans.

Validating a document takes milliseconds, and so does planning how its results are parsed. Both are
done once for each document and schema, and shared by all clients with that schema.
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

#: For how many documents the findings are kept, for each schema.
DOCUMENTS_KEPT = 4096


class _Findings:
    """The findings about one document with one schema."""

    __slots__ = ("errors", "plans")

    def __init__(self) -> None:
        self.errors: tuple[GraphQLError, ...] | None = None  # None until validated
        self.plans: dict[Hashable, Any] = {}


class _Documents(WeakKeyDictionary[Document, _Findings]):
    """The findings about each document, which are freed with the document or with the schema.

    The keys are weak. The values must refer neither to the ``Document`` nor to the
    ``GraphQLSchema``, or neither would ever be freed. Trees and types don't refer to them.
    """

    def add(self, document: Document) -> _Findings:
        while len(self) >= DOCUMENTS_KEPT:
            self.pop(next(iter(self)), None)  # the oldest
        findings = self[document] = _Findings()
        return findings


_documents: WeakKeyDictionary[GraphQLSchema, _Documents] = WeakKeyDictionary()


class ClientSchema:
    """A schema with the findings about documents.

    All instances with one schema share the findings, so making an instance is cheap. Updates of the
    schema by ``update_schema_scalar`` or ``update_schema_enum`` discard the findings. After any
    other change to the schema, call ``forget``.

    Args:
        graphql: The schema.
    """

    __slots__ = ("_documents", "graphql")

    def __init__(self, graphql: GraphQLSchema) -> None:
        self.graphql = graphql
        documents = _documents.get(graphql)
        if documents is None:
            documents = _documents[graphql] = _Documents()
        self._documents = documents

    def validate(self, document: Document) -> None:
        """Validate a document. The outcome is kept, so calling this again costs little.

        Raises:
            GraphQLValidationError: The document is not valid. The error has all that is wrong.
            GraphQLSyntaxError: The document doesn't parse.
            ValueError: The schema is not valid.
        """
        findings = self._documents.get(document) or self._documents.add(document)
        errors = findings.errors
        if errors is None:
            errors = findings.errors = find_errors(self.graphql, document)
        if errors:
            raise validation_error(errors)

    def serialized(self, request: GraphQLRequest, *, camel_case: bool = False) -> GraphQLRequest:
        """Return the request with its variables serialized by their declared types.

        With ``camel_case``, the attribute ``first_name`` of an instance is ``firstName``.

        Raises:
            VariableError: The variables don't have their declared types. The error has all that is
                wrong, and is a ``ValueError``.
        """
        plans = self.plans(request.source)
        key = ("variables", request.operation[0], camel_case)
        plan = plans.get(key)
        if plan is None:
            from .variables import variables_plan

            plan = plans[key] = variables_plan(
                self.graphql, request.source, key[1], camel_case=camel_case
            )
        return request.replace(variable_values=plan(request.variable_values or {}))

    def results_plan(self, request: GraphQLRequest) -> ResultsPlan:
        """Return the plan that parses the data of the request's results; raise as ``validate``."""
        plans = self.plans(request.source)
        key = ("results", request.operation[0])
        plan: ResultsPlan | None = plans.get(key)
        if plan is None:
            from .results import results_plan

            plan = plans[key] = results_plan(self.graphql, request.source, key[1])
        return plan

    def plans(self, document: Document) -> dict[Hashable, Any]:
        """Return the dictionary that keeps plans for the document and this schema.

        Don't keep the dictionary itself: after an update of the schema, it is another one. Its
        values must refer neither to the ``Document`` nor to the ``GraphQLSchema``. They may refer
        to trees and types.
        """
        return (self._documents.get(document) or self._documents.add(document)).plans


def forget(schema: GraphQLSchema) -> None:
    """Discard the findings about documents with this schema, after a change to the schema."""
    documents = _documents.get(schema)
    if documents is not None:
        documents.clear()
