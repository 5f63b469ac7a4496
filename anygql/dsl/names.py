"""Names, types and constants as GraphQL writes them.

They are checked, so that nothing else can be smuggled into a document.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from typing import Any

from ..json import is_mapping, is_sequence

__all__ = ["checked_name", "checked_type", "is_name", "literal"]


def is_name(text: Any) -> bool:
    """Return whether a value is a name (specification §2.1.9)."""
    # What Python calls an identifier is, in ASCII, what GraphQL calls a name.
    return text.__class__ is str and text.isidentifier() and text.isascii()


def checked_name(name: Any, what: str) -> str:
    """Return a name; raise ``TypeError`` or ``ValueError`` if it isn't one."""
    if is_name(name):
        return str(name)
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} is a str, not {type(name).__name__}")
    if is_name(str.__str__(name)):
        return str.__str__(name)
    raise ValueError(
        f"{name!r} can't be the name of {what}: names are made of letters, digits and underscores"
    )


def checked_type(text: Any) -> str:
    """Return a reference to a type, such as ``"[ID!]!"`` (specification §2.11)."""
    if not isinstance(text, str):
        raise TypeError(f'a GraphQL type is a str, such as "ID!", not {type(text).__name__}')
    inner = text
    while inner.startswith("["):
        bracketed = inner.removesuffix("!")
        if not bracketed.endswith("]"):
            break
        inner = bracketed[1:-1]
    if not is_name(inner.removesuffix("!")):
        raise ValueError(f'{text!r} is no GraphQL type, such as "ID!" or "[Int!]"')
    return str.__str__(text)


def literal(value: Any) -> str:
    """Return a constant in GraphQL's notation (specification §2.9).

    Documents have constants only where variables are not allowed.
    """
    if isinstance(value, enum.Enum):
        return checked_name(value.name, "an enum value")
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float) and math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, str):
        value.encode()  # raises for surrogates, which no document can have
        return json.dumps(str.__str__(value), ensure_ascii=False)
    if is_mapping(value):
        return _object(value)
    if is_sequence(value):
        return f"[{', '.join(map(literal, value))}]"
    raise TypeError(f"a {type(value).__name__} can't be written as a constant in a document")


def _object(value: Mapping[Any, Any]) -> str:
    fields = [f"{checked_name(key, 'a field')}: {literal(item)}" for key, item in value.items()]
    return f"{{ {', '.join(fields)} }}" if fields else "{}"
