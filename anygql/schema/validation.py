"""Validating a document before it is sent (specification §5)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..documents.document import Document
from .errors import GraphQLValidationError, list_errors

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema

__all__ = ["find_errors", "validation_error"]


def find_errors(schema: GraphQLSchema, document: Document) -> tuple[GraphQLError, ...]:
    """Validate a document and return all errors. This takes milliseconds.

    Raises:
        GraphQLSyntaxError: The document doesn't parse, or is nested too deeply to parse.
        ValueError: The schema itself is not valid.
        GraphQLValidationError: The document is nested too deeply to validate.
    """
    from graphql import validate, validate_schema

    try:
        # A schema keeps the outcome of its own validation.
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
    # graphql-core reports some recursions as an error without a location.
    if any(error.message == "Validation aborted." for error in errors):
        raise _too_deep()
    return tuple(errors)


def validation_error(errors: tuple[GraphQLError, ...]) -> GraphQLValidationError:
    """Return the exception for a document with these errors, a new one each time."""
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
