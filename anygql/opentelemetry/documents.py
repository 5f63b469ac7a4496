"""Documents without what may be data in them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import (
    EnumValueNode,
    GraphQLError,
    ValueNode,
    VariableNode,
    Visitor,
    print_ast,
    visit,
)

if TYPE_CHECKING:
    from ..documents.document import Document

__all__ = ["without_literals"]

#: What stands for a value. It is printed like the name of an enum's value, and is none.
_PLACEHOLDER = EnumValueNode(value="?")

#: Number of documents whose text without literals is kept.
_KEPT = 256


class _Redaction(Visitor):
    """Replaces every value but variables: whole lists and objects, defaults, descriptions."""

    def enter(self, node: Any, *_: Any) -> Any:
        """Return what to print in a node's place, or ``None`` for the node itself."""
        is_literal = isinstance(node, ValueNode) and not isinstance(node, VariableNode)
        return _PLACEHOLDER if is_literal else None


@lru_cache(maxsize=_KEPT)
def without_literals(document: Document) -> str | None:
    """Return a document in one line, with ``?`` for each value that is no variable.

    Names, aliases and variables stay. ``None`` if graphql-core can't parse the document.
    """
    try:
        tree = document.node
    except GraphQLError:
        return None
    # No text is left in which white space counts.
    return re.sub(r"\s+", " ", print_ast(visit(tree, _Redaction()))).strip()
