"""Names that look like slips of others, for messages."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["SOMEWHAT_ALIKE", "nearest"]

#: How alike two names must be for one to be taken for a slip of the other: ``nmae`` and ``name``
#: are as alike as this.
_ALIKE = 0.75

#: The same where a name is wrong for certain, so that a wrong guess only misleads.
SOMEWHAT_ALIKE = 0.5

#: Names are compared in time that grows with the product of their lengths.
_LONGEST = 100


@lru_cache(maxsize=1024)
def nearest(name: str, candidates: tuple[str, ...], alike: float = _ALIKE) -> str | None:
    """Return the candidate that ``name`` looks like a slip of, if there is one."""
    if len(name) > _LONGEST:
        return None
    from difflib import SequenceMatcher  # only for messages

    plain = _plain(name)
    ratios = [
        (SequenceMatcher(None, plain, _plain(candidate), autojunk=False).ratio(), candidate)
        for candidate in candidates
        if len(candidate) <= _LONGEST
    ]
    ratio, candidate = max(ratios, default=(0.0, ""), key=lambda found: found[0])
    return candidate if ratio >= alike else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
