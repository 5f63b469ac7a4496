"""What is printed: data on stdout, all else on stderr."""

from __future__ import annotations

import os
import re
import select
import sys
from typing import Any

from .values import is_array, is_object

__all__ = [
    "FORMATS",
    "Printer",
    "ReaderLeft",
    "complain",
    "drop_stdout",
    "is_colored",
    "is_stuck",
    "print_errors",
    "printable",
]

FORMATS = ("json", "compact", "ndjson", "table", "raw")

#: Bytes that a pipe takes at once if it takes any (POSIX PIPE_BUF is at least 512).
_AT_ONCE = 512

# Both are compiled when they are first used.
_JSON_PART = r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)'
#: What a terminal may take for a command, but for line breaks and tabs.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"

#: What a thread writes now.
_writing: list[str] = []

_KEY, _TEXT, _WORD, _NUMBER = "\x1b[34m", "\x1b[32m", "\x1b[35m", "\x1b[36m"
_RESET = "\x1b[0m"


def printable(text: str) -> str:
    """Return a text without what a terminal may take for a command."""
    return re.sub(_CONTROL, "\N{REPLACEMENT CHARACTER}", text)


def complain(line: str) -> None:
    """Print a line on stderr."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        pass


def print_errors(errors: list[Any] | None) -> None:
    """Print the errors of an answer on stderr, one a line."""
    for error in errors or ():
        message, where = str(error), ""
        if is_object(error):
            message = str(error.get("message", error))
            path: Any = error.get("path")
            where = f" (at {'.'.join(map(str, path))})" if is_array(path) and path else ""
        complain(f"error: {' '.join(message.split())}{where}")


def is_colored(*, no_color: bool) -> bool:
    """Return whether stdout is a terminal that shows colors (https://no-color.org)."""
    dumb = os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not no_color and not os.environ.get("NO_COLOR") and not dumb


def _paint(match: re.Match[str]) -> str:
    text, colon, word, number = match.groups()
    if text is not None:
        return f"{_KEY if colon else _TEXT}{text}{_RESET}{colon or ''}"
    return f"{_WORD if word else _NUMBER}{word or number}{_RESET}"


def is_stuck() -> bool:
    """Return whether a thread still waits for whoever reads stdout."""
    return bool(_writing)


class ReaderLeft(Exception):
    """Whoever read stdout, such as ``head``, has left."""


def drop_stdout() -> None:
    """Drop what is still to be written on stdout. Call this when nobody reads it any more."""
    # What is buffered would be flushed at exit, with a complaint.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Printer:
    """Prints values on stdout.

    Args:
        form: The format, or ``None``: indented for a terminal, else compact.
        no_color: Whether colors are refused.
    """

    def __init__(self, form: str | None = None, *, no_color: bool = False) -> None:
        self._is_terminal = sys.stdout.isatty()
        self.form = form or ("json" if self._is_terminal else "compact")
        self._colored = is_colored(no_color=no_color)

    def text(self, value: Any) -> str:
        """Return the text for a value, with its line break."""
        if self.form == "table":
            from .tables import table

            return table(value, colored=self._colored)
        if self.form == "raw":
            return "".join(f"{self._raw(each)}\n" for each in _lines(value))
        if self.form == "ndjson":
            return "".join(f"{self._json(each)}\n" for each in _lines(value))
        return f"{self._json(value, 2 if self.form == 'json' else 0)}\n"

    def _json(self, value: Any, indent: int = 0) -> str:
        import msgspec

        encoded = msgspec.json.encode(value)
        if indent:
            encoded = msgspec.json.format(encoded, indent=indent)
        text = encoded.decode()
        if self._is_terminal:
            text = re.sub(_CONTROL, lambda found: f"\\u{ord(found[0]):04x}", text)
        return re.sub(_JSON_PART, _paint, text) if self._colored else text

    def _raw(self, value: Any) -> str:
        if not isinstance(value, str):
            return self._json(value)
        return printable(value) if self._is_terminal else value

    def print(self, value: Any) -> None:
        """Print a value, as ``write`` does."""
        self.write(self.text(value))

    def write(self, text: str) -> None:
        """Print a text as it is, and flush. Raises ``ReaderLeft`` if nobody reads."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderLeft from None

    async def print_event(self, value: Any) -> None:
        """Print a value without making the event loop wait for whoever reads it."""
        text = self.text(value)
        if _takes_at_once(text):
            self.write(text)
            return
        from anyio import to_thread

        await to_thread.run_sync(self._write_in_thread, text, abandon_on_cancel=True)

    def _write_in_thread(self, text: str) -> None:
        _writing.append(text)
        try:
            self.write(text)
        finally:
            _writing.clear()


def _lines(value: Any) -> list[Any]:
    return value if is_array(value) else [value]


def _takes_at_once(text: str) -> bool:
    """Return whether stdout takes a text now: only then, writing doesn't wait."""
    try:
        descriptor = sys.stdout.fileno()
        return len(text) * 4 <= _AT_ONCE and bool(select.select([], [descriptor], [], 0)[1])
    except (OSError, ValueError):  # no file, or not one that can be waited for
        return True
