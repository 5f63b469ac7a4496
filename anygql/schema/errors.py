"""Errors of documents, variables and introspection results."""

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

#: How many errors a message lists. The exception has all of them.
SHOWN = 20

#: How many problems of variables are looked for.
PROBLEM_LIMIT: Final = 20


class GraphQLValidationError(ValueError):
    """A document is not valid for the schema. It was not sent.

    Args:
        message: The first 20 errors, each as ``line:column: message``.
        errors: All that is wrong, each a ``graphql.GraphQLError`` with ``message`` and
            ``locations``.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, errors: Sequence[GraphQLError] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


class IntrospectionError(ValueError):
    """No schema can be built from an introspection result.

    Args:
        message: What is missing or wrong, and its path.
        cut_off: Whether a type is wrapped in more lists and non-nulls than the query reaches, so
            that a larger ``type_depth`` helps; ``False`` by default.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, cut_off: bool = False) -> None:
        super().__init__(message)
        self.cut_off = cut_off


class VariableError(ValueError):
    """Variables don't have the types that the document declares. They were not sent.

    If a scalar refused the first value, ``__cause__`` is the scalar's exception.

    Args:
        problems: A line for each problem, up to 20. Each begins with the path to the value.
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
    """Return a message: ``what``, and each error with its line and column, which count from 1."""
    lines = [_line(error) for error in errors]
    if len(lines) == 1:
        return f"{what}: {lines[0]}"
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([f"{what}: {len(lines)} errors", *lines[:SHOWN], *more])
