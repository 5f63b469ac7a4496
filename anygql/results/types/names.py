"""Python names in GraphQL's spelling."""

from __future__ import annotations

__all__ = ["TYPENAME", "TYPENAME_FIELD", "camel_case"]

#: The meta-field of the specification (§4.1). It can't be a field of a Python class, since Python
#: mangles names that begin with two underscores.
TYPENAME = "__typename"

#: The field of a Python type that is filled from ``__typename``.
TYPENAME_FIELD = "typename__"


def camel_case(name: str) -> str:
    """Convert ``first_name`` to ``firstName``.

    Leading underscores stay. One trailing underscore is removed, since it distinguishes a name from
    a keyword (``from_``). Capitals stay (``user_ID`` becomes ``userID``), and an underscore before
    a digit is removed (``line_1`` becomes ``line1``).
    """
    body = name.lstrip("_")
    front = name[: len(name) - len(body)]
    if not body.endswith("__"):
        body = body.removesuffix("_")
    first, *others = body.split("_")
    return front + first + "".join(other[:1].upper() + other[1:] for other in others)
