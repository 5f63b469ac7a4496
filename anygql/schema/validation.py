"""Finding what is wrong with a document before it is sent (specification §5)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..documents.document import Document
from .errors import GraphQLValidationError, list_errors

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema

__all__ = ["find_errors", "validation_error"]


def find_errors(schema: GraphQLSchema, document: Document) -> tuple[GraphQLError, ...]:
    """All that is wrong with the document; takes as long as validation does.

    Raises ``GraphQLSyntaxError`` if the document doesn't parse (or is nested far too deeply for
    that), ``ValueError`` if the schema
    itself is not valid, and ``GraphQLValidationError`` if the document is nested so deeply that
    it can't be validated at all.
    """
    from graphql import validate, validate_schema

    try:
        # What is wrong with a schema is found once, and kept by it.
        if faults := validate_schema(schema):
            raise ValueError(
                list_errors(
                    "documents can't be validated, since the schema itself is not valid (one that "
                    "must be used as it is can be loaded with assume_valid=True)",
                    faults,
                )
            )
        errors = validate(schema, document.node, max_errors=sys.maxsize)
    except RecursionError:
        raise _too_deep() from None
    # graphql-core tells of some recursions by an error without a place.
    if any(error.message == "Validation aborted." for error in errors):
        raise _too_deep()
    return tuple(errors)


def validation_error(errors: tuple[GraphQLError, ...]) -> GraphQLValidationError:
    """What to raise for a document with these errors: a new exception each time."""
    return GraphQLValidationError(
        list_errors("the document is not valid for the schema", errors), errors=errors
    )


def _too_deep() -> GraphQLValidationError:
    from graphql import GraphQLError

    error = GraphQLError(
        "the document is nested too deeply for Python's recursion limit "
        f"({sys.getrecursionlimit()}): split it, or use fewer levels of fields and fragments"
    )
    return GraphQLValidationError(
        f"the document can't be validated: {error.message}", errors=[error]
    )
