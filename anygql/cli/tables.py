"""Tables, by rich, which is imported for nothing else but progress."""

from __future__ import annotations

import io
import shutil
from typing import Any

from .values import is_array, is_object

__all__ = ["render", "table"]


def table(value: Any, *, colored: bool) -> str:
    """Return a list of objects as a table, with a column for each of their keys."""
    from rich.table import Table

    rows: list[Any] = value if is_array(value) else [value]
    columns: dict[str, None] = {}
    for row in rows:
        columns |= dict.fromkeys(row if is_object(row) else ["value"])
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells: dict[str, Any] = row if is_object(row) else {"value": row}
        shown.add_row(*(_cell(cells.get(name)) for name in columns))
    return render(shown, colored=colored)


def _cell(value: Any) -> Any:
    import msgspec
    from rich.text import Text

    from .output import printable

    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return Text("" if value is None else printable(text))


def render(thing: Any, *, colored: bool) -> str:
    """Return what rich makes of a thing, for a terminal of this width, or for a pipe."""
    from rich.console import Console

    width = shutil.get_terminal_size((120, 24)).columns
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=colored, no_color=not colored)
    console.print(thing)
    text = written.getvalue()
    if colored:
        return text
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
