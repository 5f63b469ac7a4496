"""How a Python name is spelt in GraphQL."""

from __future__ import annotations

__all__ = ["TYPENAME", "TYPENAME_FIELD", "camel_case"]

#: The meta-field of the specification (§4.1), which no Python class can have as an attribute: what
#: begins with two underscores in a class's body is renamed by Python.
TYPENAME = "__typename"

#: The field of a Python type that is filled from ``__typename``.
TYPENAME_FIELD = "typename__"


def camel_case(name: str) -> str:
    """``first_name`` as ``firstName``.

    Underscores in front stay. One at the end goes: it is there because the name would be a
    keyword (``from_``). Capitals stay as they are (``user_ID`` is ``userID``), and a digit after
    an underscore simply follows (``line_1`` is ``line1``).
    """
    body = name.lstrip("_")
    front = name[: len(name) - len(body)]
    if not body.endswith("__"):
        body = body.removesuffix("_")
    first, *others = body.split("_")
    return front + first + "".join(other[:1].upper() + other[1:] for other in others)
