"""What plans for documents have in common: the operation, and paths for messages.

A plan is compiled once for a document and a schema, and then used for every value. See
``variables.py`` and ``results.py``.
"""

from __future__ import annotations

from typing import TypeAlias

from graphql import OperationDefinitionNode

from ..documents.document import Document

__all__ = ["Path", "dotted", "operation_of"]

#: The path to a value: the path to its container, and its key. It is written out only for errors.
Path: TypeAlias = "tuple[Path | None, str | int]"


def dotted(path: Path) -> str:
    """Return the path as text, such as ``variables.input.items[3].when``."""
    around, key = path
    if around is None:
        return str(key)
    return f"{dotted(around)}[{key}]" if isinstance(key, int) else f"{dotted(around)}.{key}"


def operation_of(document: Document, operation_name: str | None) -> OperationDefinitionNode:
    """Return the operation that would run.

    Raises:
        GraphQLSyntaxError: The document doesn't parse.
        ValueError: The document does not determine the operation (specification §6.1,
            "GetOperation").
    """
    selected, _ = document.select(operation_name)
    return next(
        definition
        for definition in document.node.definitions
        if isinstance(definition, OperationDefinitionNode)
        and (definition.name.value if definition.name else None) == selected
    )
