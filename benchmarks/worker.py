"""A client's process: runs the tasks that it is told, one at a time.

Standard input: one JSON object a line, ``{"task": …, "peer": …, "port": …, …}``. Standard output:
one JSON object for each, the task's result ``{"failed": why}`` or ``{"skipped": why}``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from .peers import PEERS
from .tasks import Skipped


def _run(task: str, peer: str, **params: Any) -> dict[str, Any]:
    module = importlib.import_module(f"benchmarks.tasks.{task}")
    result: dict[str, Any] = module.run(PEERS[peer], **params)
    return result


def _why(error: BaseException) -> str:
    """The first leaf of what may be a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}"[:200]


def main() -> None:
    # What clients print must not get between the results.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            result = _run(**json.loads(line))
        except Skipped as why:
            result = {"skipped": str(why)}
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            traceback.print_exc()
            result = {"failed": _why(error)}
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()
