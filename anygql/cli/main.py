"""The entry point: it starts the command line, or says what is missing for it."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process, and exit."""
    try:
        import click as _  # noqa: F401
    except ImportError:
        sys.stderr.write("anygql: the command line needs its extra: pip install 'anygql[cli]'\n")
        sys.exit(2)
    from .output import is_stuck
    from .root import run

    code = run()
    if is_stuck():  # the interpreter would wait for the thread
        os._exit(code)
    sys.exit(code)
