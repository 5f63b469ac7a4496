"""Runs programs, each in a process that is forked from this one: see ``tests.support.programs``.

This process has loaded what programs need of others, which takes longer than the programs do. Of
anygql it has loaded nothing: a program that forgets an import fails.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import sys
import types
from typing import Any

#: Those of them that are installed.
LOADED = (
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "graphql",
    "httpcore",
    "httpx",
    "httpx2",
    "msgspec",
    "tenacity",
    "websockets.client",
    "websockets.server",
)

#: Seconds after which a program that goes on says where it is, and ends.
HUNG = 60


def main() -> None:
    for name in LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Else each program looks through all of it as it ends.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        program = json.loads(line)
        child = os.fork()
        if not child:
            become(program)
            return
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)


def become(program: dict[str, Any]) -> None:
    """Run the program as the interpreter would, which ends as it does when this returns."""
    for descriptor, name in enumerate((os.devnull, program["output"], program["errors"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    faulthandler.dump_traceback_later(HUNG, exit=True)
    os.environ.update(program["environment"])
    sys.argv = [program["file"]]
    sys.path[0] = os.path.dirname(program["output"])
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(compile(program["source"], program["file"], "exec"), vars(module))
    except Exception as error:
        here = error.__traceback__
        sys.excepthook(type(error), error, here and here.tb_next)
        sys.exit(1)


if __name__ == "__main__":
    main()
