"""What every plan for a document begins with, and how its errors say where.

A plan is compiled once for a document and a schema, and then used for every value: see
``variables.py`` and ``results.py``.
"""

from __future__ import annotations

from typing import TypeAlias

from graphql import OperationDefinitionNode

from ..documents.document import Document

__all__ = ["Path", "dotted", "operation_of"]

#: A place within a value: the place around it, and its key there. Written out only for an error.
Path: TypeAlias = "tuple[Path | None, str | int]"


def dotted(path: Path) -> str:
    """The path as text, such as ``variables.input.items[3].when``."""
    around, key = path
    if around is None:
        return str(key)
    return f"{dotted(around)}[{key}]" if isinstance(key, int) else f"{dotted(around)}.{key}"


def operation_of(document: Document, operation_name: str | None) -> OperationDefinitionNode:
    """The operation that would run.

    Raises ``GraphQLSyntaxError``, or ``ValueError`` if the document does not say which one
    (specification §6.1, "GetOperation").
    """
    selected, _ = document.select(operation_name)
    return next(
        definition
        for definition in document.node.definitions
        if isinstance(definition, OperationDefinitionNode)
        and (definition.name.value if definition.name else None) == selected
    )
