"""Syntax errors that end with where they are. Importing this module imports graphql-core."""

from __future__ import annotations

import graphql
from graphql import DocumentNode, GraphQLSyntaxError

__all__ = ["LocatedSyntaxError", "parse_document"]


class LocatedSyntaxError(GraphQLSyntaxError):
    """A syntax error whose message has line and column in its last line, which consoles show."""

    __module__ = "graphql"

    def __str__(self) -> str:
        excerpt = super().__str__()
        if not self.locations:
            return excerpt
        line, column = self.locations[0]
        what = self.message.removeprefix("Syntax Error: ")
        return f"{excerpt}\n\nline {line}, column {column}: {what}"


LocatedSyntaxError.__name__ = LocatedSyntaxError.__qualname__ = "GraphQLSyntaxError"


def parse_document(text: str) -> DocumentNode:
    """Return the tree of a text. Raises ``GraphQLSyntaxError``."""
    try:
        return graphql.parse(text)
    except GraphQLSyntaxError as error:
        if error.source is None or not error.positions:
            raise
        (position,) = error.positions
        what = error.message.removeprefix("Syntax Error: ")
        located = LocatedSyntaxError(error.source, position, what)
    raise located from None
