"""Which recorded operation answers a request, and what to say if none does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any

from ..documents.request import GraphQLRequest
from .cassette import Cassette, OperationRecord
from .redaction import Redaction
from .tape import question

__all__ = ["Playable", "Playables"]

#: How many characters of a value or line a message shows.
SHOWN = 80


#: A block string, a string, a comment, a name or number, or one other character.
_TOKEN = re.compile(
    r'"""(?:\\"""|(?!""").)*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|\w+|[^\s,\ufeff]', re.DOTALL
)


class Playable:
    """A recorded operation, which is played once."""

    def __init__(self, record: OperationRecord) -> None:
        self.record = record
        self.text = _normalized(record.document)
        #: Whether a request has been answered with it.
        self.is_taken = False
        #: Whether all of its results have been handed out.
        self.is_played = False


class _Question:
    """What is asked for, as a cassette would have it."""

    def __init__(self, request: GraphQLRequest, redaction: Redaction) -> None:
        self.kind, self.name, self.lines, self.variables = question(request, redaction)
        self.text = _normalized(self.lines)

    def is_answered_by(self, playable: Playable) -> bool:
        record = playable.record
        return (
            self.text == playable.text
            and self.name == record.name
            and self.variables == record.variables
        )

    def likeness(self, playable: Playable) -> tuple[object, ...]:
        """Return what to order recorded operations by: the nearest one has the greatest."""
        record = playable.record
        name = SequenceMatcher(None, self.name or "", record.name or "").ratio()
        text = 1.0
        if self.text != playable.text:
            text = SequenceMatcher(None, self.text, playable.text, autojunk=False).quick_ratio()
        common = sum(record.variables.get(key) == it for key, it in self.variables.items())
        return self.name == record.name, text == 1, self.kind == record.kind, name + text, common


class Playables:
    """All recorded operations of a cassette, by connection."""

    def __init__(self, cassette: Cassette, server: str) -> None:
        self._redaction = Redaction(cassette.secrets)
        self._server = server
        self.by_connection = [
            [Playable(record) for record in connection.operations]
            for connection in cassette.connections
        ]

    def take(self, request: GraphQLRequest, first: list[Playable]) -> Playable:
        """Return the operation that answers a request: one of ``first``, or else any other.

        Raises:
            AssertionError: There is none, or none any more.
        """
        asked = _Question(request, self._redaction)
        everything = [playable for some in self.by_connection for playable in some]
        for playable in (*first, *everything):
            if not playable.is_taken and asked.is_answered_by(playable):
                playable.is_taken = True
                return playable
        raise AssertionError(self._unknown(asked, everything))

    def left(self) -> Iterable[Playable]:
        """Return the operations that no request has asked for."""
        return [each for some in self.by_connection for each in some if not each.is_taken]

    def _unknown(self, asked: _Question, playables: list[Playable]) -> str:
        what = _named(asked.kind, asked.name)
        if same := sum(asked.is_answered_by(playable) for playable in playables):
            times = "once" if same == 1 else f"{same} times"
            return f"{self._server} has {what} {times}, and it was asked for once more"
        message = f"{self._server} has no answer to {what}"
        if not playables:
            return f"{message}: no operation was recorded"
        nearest = max(playables, key=asked.likeness)
        record = nearest.record
        return (
            f"{message}. The nearest recorded operation is {_named(record.kind, record.name)}"
            f"{_difference(asked, nearest)}. If the request is right, record the cassette anew"
        )


def _normalized(lines: list[str]) -> str:
    """Return a document's text without what is there for its readers.

    Ignored tokens (section 2.1.7 of the GraphQL specification) are left out: blanks, line breaks,
    commas and comments.
    """
    return " ".join(found for found in _TOKEN.findall("\n".join(lines)) if found[0] != "#")


def _named(kind: str, name: str | None) -> str:
    return f"the {kind} {name!r}" if name else f"a {kind} without a name"


def _difference(asked: _Question, playable: Playable) -> str:
    """Return how a recorded operation differs from the one that is asked for."""
    record = playable.record
    if asked.text != playable.text:
        lines = [" ".join(line.split()) for line in asked.lines]
        recorded = [" ".join(line.split()) for line in record.document]
        for number, (line, other) in enumerate(zip(lines, recorded, strict=False), start=1):
            if line != other:
                return f", with line {number} {_cut(other)!r} and not {_cut(line)!r}"
        return f", with {len(recorded)} lines and not {len(lines)}"
    if asked.name != record.name:
        return ", another one of the same document"
    names = sorted({*asked.variables, *record.variables})
    differences = [_variable(name, asked.variables, record.variables) for name in names]
    return f", with {', '.join(filter(None, differences))}"


def _variable(name: str, asked: dict[str, Any], recorded: dict[str, Any]) -> str:
    """Return how a variable's recorded value differs from the one that is asked with."""
    if name not in recorded:
        return f"no ${name}"
    value = json.dumps(recorded[name], ensure_ascii=False)
    if name not in asked:
        return f"${name} {value}, which is not given"
    if asked[name] == recorded[name]:
        return ""
    return f"${name} {value} and not {json.dumps(asked[name], ensure_ascii=False)}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
