"""The entry point: it starts the command line, or says what is missing for it."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]

#: Objects that are made before garbage is looked for, in place of 700: nearly all that are made at
#: the start live to the end, and looking among them again and again took 8 ms of 130.
_GC_THRESHOLD = 50_000


def main() -> None:
    """Run the command line with the arguments of this process, and exit."""
    gc.set_threshold(_GC_THRESHOLD)
    code = _print_help() if sys.argv[1:] in (["--help"], ["-h"]) else _run()
    # The interpreter would look for garbage among all that is left, which took 20 ms.
    gc.freeze()
    sys.exit(code)


def _print_help() -> int:
    from .help import help_text
    from .output import Printer, ReaderLeft, drop_stdout

    try:
        Printer().write(help_text())
    except ReaderLeft:
        drop_stdout()
    return 0


def _run() -> int:
    try:
        import click as _  # noqa: F401
    except ImportError:
        sys.stderr.write("anygql: the command line needs its extra: pip install 'anygql[cli]'\n")
        return 2
    from .output import is_stuck
    from .root import run

    code = run()
    if is_stuck():  # the interpreter would wait for the thread
        os._exit(code)
    return code
