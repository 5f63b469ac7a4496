"""Docstrings in the API reference: what is written for Python's own tools becomes Markdown."""

from __future__ import annotations

import re
from typing import Any

from griffe import Attribute, Docstring, Extension, Function, Object

#: The colons of a block that follows, and the block's opening in Markdown.
LITERAL = re.compile(r"::(?=\n\n +\S)")


class Docstrings(Extension):
    """Reads ``text::`` before a block as Markdown's ``text:``, and comments with ``#:``."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring is None and isinstance(obj, Attribute):
            obj.docstring = _comment(obj)
        if obj.docstring is not None:
            obj.docstring.value = LITERAL.sub(":", obj.docstring.value)
        if isinstance(obj, Function) and "mistaken" in obj.parameters:
            del obj.parameters["mistaken"]  # which is there for its error message alone


def _comment(attribute: Attribute) -> Docstring | None:
    """Return the lines above an attribute that begin with ``#:``, if there are any."""
    if attribute.lineno is None:
        return None
    lines = attribute.module.source.splitlines()[: attribute.lineno - 1]
    comment: list[str] = []
    while lines and lines[-1].lstrip().startswith("#:"):
        comment.insert(0, lines.pop().lstrip().removeprefix("#:").strip())
    return Docstring("\n".join(comment), parent=attribute) if comment else None
