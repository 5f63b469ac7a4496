"""The response keys that a document selects, which are where a ``path=`` can lead."""

from __future__ import annotations

from collections.abc import Sequence

from .spelling import SOMEWHAT_ALIKE, nearest

__all__ = ["Selections"]

#: How many keys a message lists.
_SHOWN = 10


class Selections:
    """What is selected at one place of a document (specification §2.5, "Selection Sets").

    Args:
        fragments: The document's fragments, by name.
    """

    __slots__ = ("aliases", "fields", "fragments", "spreads")

    def __init__(self, fragments: dict[str, Selections]) -> None:
        self.fragments = fragments
        self.fields: dict[str, Selections] = {}
        #: The response key of each field with an alias, by the field's name.
        self.aliases: dict[str, str] = {}
        self.spreads: list[str] = []

    def add_field(self, key: str, name: str) -> Selections:
        """Add a field. Return what is selected in it, to be filled: nothing, for a leaf."""
        if key != name:
            self.aliases[name] = key
        return self.fields.setdefault(key, Selections(self.fragments))

    def add_spread(self, fragment: str) -> None:
        """Add the fields of a named fragment."""
        self.spreads.append(fragment)

    @property
    def has_one_field(self) -> bool:
        """Whether one field is selected here, by no fragment with a name."""
        return len(self.fields) == 1 and not self.spreads

    def check_path(self, path: Sequence[str]) -> None:
        """Raise ``ValueError`` for a path that no result can have.

        What isn't known passes: a scalar may be an object of any keys, and a fragment may be
        missing, which the server will say.
        """
        level: list[Selections] = [self]
        for depth, key in enumerate(path):
            parts = _with_fragments(level)
            known = {name for part in parts or () for name in part.fields}
            if parts is None or not known:
                return
            if key not in known:
                raise ValueError(_unknown(path, depth, parts))
            level = [part.fields[key] for part in parts if key in part.fields]


def _with_fragments(level: list[Selections]) -> list[Selections] | None:
    """Return the selections with those of their fragments, ``None`` if a fragment is missing."""
    parts = list(level)
    seen: set[str] = set()
    for part in parts:  # it grows meanwhile
        for name in part.spreads:
            if name not in part.fragments:
                return None
            if name not in seen:
                seen.add(name)
                parts.append(part.fragments[name])
    return parts


def _unknown(path: Sequence[str], depth: int, parts: list[Selections]) -> str:
    """Return the message for a key that is not selected."""
    key = path[depth]
    keys = list(dict.fromkeys(name for part in parts for name in part.fields))
    aliases = [part.aliases[key] for part in parts if key in part.aliases]
    likely = aliases[0] if aliases else nearest(key, tuple(keys), SOMEWHAT_ALIKE)
    place = f"in {'.'.join(path[:depth])!r}" if depth else "at the top"
    listed = ", ".join(keys[:_SHOWN]) + (", …" if keys[_SHOWN:] else "")
    hint = f" Did you mean {likely!r}?" if likely is not None else ""
    if aliases:
        hint = f" Did you mean {likely!r}, which is what the document calls {key!r} there?"
    return (
        f"path={'.'.join(path)!r}: the document selects no {key!r} {place}, where it selects "
        f"{listed}.{hint}"
    )
