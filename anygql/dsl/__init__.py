"""Documents built in Python: from the type that you want back, or field by field.

Values never become part of a document's text: they are sent as variables.
"""

from __future__ import annotations

from .arguments import Directive, Variable, directive, var
from .documents import select
from .everything import select_all
from .fields import Field
from .nodes import (
    FieldSelection,
    Fragment,
    FragmentSpread,
    InlineFragment,
    Selection,
    field,
    fragment,
    on,
)
from .operations import Operation, mutation, query, subscription

__all__ = [
    "Directive",
    "Field",
    "FieldSelection",
    "Fragment",
    "FragmentSpread",
    "InlineFragment",
    "Operation",
    "Selection",
    "Variable",
    "directive",
    "field",
    "fragment",
    "mutation",
    "on",
    "query",
    "select",
    "select_all",
    "subscription",
    "var",
]
