"""What is wrong with a document, its variables, or what should have been a schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from graphql import GraphQLError

__all__ = [
    "PROBLEM_LIMIT",
    "GraphQLValidationError",
    "IntrospectionError",
    "VariableError",
    "list_errors",
]

#: How many errors are written out in a message; all of them are on the exception.
SHOWN = 20

#: How many problems an error tells of; what is beyond is not looked for.
PROBLEM_LIMIT: Final = 20


class GraphQLValidationError(ValueError):
    """The document does not fit the schema. It was not sent.

    ``errors`` is everything that is wrong with it, each a ``graphql.GraphQLError`` with
    ``message`` and ``locations``; the message lists them as ``line:column: what``.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, errors: Sequence[GraphQLError] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


class IntrospectionError(ValueError):
    """This introspection result can't be made into a schema; the message says what is missing.

    ``cut_off``: it names a type so deeply wrapped in lists and non-nulls that the query did not
    reach its name. A larger ``type_depth`` does.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, cut_off: bool = False) -> None:
        super().__init__(message)
        self.cut_off = cut_off


class VariableError(ValueError):
    """Variables that are not what the document declares.

    ``problems`` holds a line for each of them, up to ``PROBLEM_LIMIT``, beginning with its path.
    The cause is what the scalar raised, if a scalar refused the first one.
    """

    __module__ = "anygql"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        if len(self.problems) == 1:
            message = self.problems[0]
        else:
            more = "at least " if len(self.problems) >= PROBLEM_LIMIT else ""
            lines = "".join(f"\n  {problem}" for problem in self.problems)
            message = f"{more}{len(self.problems)} of the variables' values are wrong:{lines}"
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


def _line(error: GraphQLError) -> str:
    positions = error.locations
    if not positions:
        return error.message
    where = ", ".join(f"{position.line}:{position.column}" for position in positions)
    return f"{where}: {error.message}"


def list_errors(what: str, errors: Iterable[GraphQLError]) -> str:
    """A message: ``what``, and each error with the line and column (from 1) that it has."""
    lines = [_line(error) for error in errors]
    if len(lines) == 1:
        return f"{what}: {lines[0]}"
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([f"{what}: {len(lines)} errors", *lines[:SHOWN], *more])
