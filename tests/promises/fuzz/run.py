"""One target under atheris: only in an environment that has it.

Called by ``__main__``, in a process of its own for each target, since libFuzzer ends its process.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["anygql", "websockets"]):
    from tests.promises.fuzz.targets import TARGETS


def main() -> None:
    """``run.py TARGET [libFuzzer's arguments]``."""
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
