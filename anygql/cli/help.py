"""The help of ``anygql`` itself. It loads no click: that takes longer than all of Python's start.

Its text is ASCII, which any terminal and any pipe can show.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "MAX_WIDTH", "help_text"]

#: The commands: the name of each, which is that of its module, too, and one line of help.
COMMANDS = {
    "execute": "Run a query or mutation (what `anygql URL ...` does, too).",
    "subscribe": "Print the events of a subscription.",
    "schema": "Fetch, show and compare schemas.",
    "check": "Validate documents against a schema.",
    "upload": "Run a mutation with files.",
    "batch": "Run many operations from a file.",
    "doctor": "Find out what a server speaks, and how fast.",
    "serve": "Serve a schema for tests.",
    "completion": "Print the completion script of a shell.",
}

#: In columns, whatever the terminal has.
MAX_WIDTH = 100
_MIN_WIDTH = 50

_USAGE = "Usage: anygql [OPTIONS] COMMAND [ARGS]..."
_ABOUT = (
    "A GraphQL client: `anygql URL -q '{ hello }'`, or one of the commands.",
    (
        "URL is http(s)://..., ws(s)://..., module:schema, or @NAME of "
        "[tool.anygql.endpoints.NAME] in pyproject.toml; by default it is that of ANYGQL_URL. Data "
        "go to stdout, all else to stderr."
    ),
)
_OPTIONS = {"--version": "Print the version.", "-h, --help": "Show this message and exit."}


def help_text() -> str:
    """Return the help, as wide as the terminal allows, and laid out as click does."""
    import shutil

    width = max(min(shutil.get_terminal_size().columns, MAX_WIDTH) - 2, _MIN_WIDTH)
    about = [_wrapped(f"  {text}", width, 2) for text in _ABOUT]
    lists = [_list("Options", _OPTIONS, width), _list("Commands", COMMANDS, width)]
    return "\n\n".join([_USAGE, *about, *lists]) + "\n"


def _list(title: str, entries: dict[str, str], width: int) -> str:
    column = max(map(len, entries)) + 4
    lines = [
        _wrapped(f"  {name}".ljust(column) + text, width, column) for name, text in entries.items()
    ]
    return "\n".join([f"{title}:", *lines])


def _wrapped(text: str, width: int, column: int) -> str:
    """Return a text in lines, whose second and further ones begin at ``column``."""
    import textwrap

    return textwrap.fill(text, width, subsequent_indent=" " * column)
