"""Ctrl-C at lines that chance would hardly ever find, under trio.

Among them are those of anyio and trio in which a task of ours begins or ends, or a context manager
is entered or left: there, a ``KeyboardInterrupt`` may take a task before it has done anything.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.amount import DAY, EVERYTHING
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at the files that are open"),
    pytest.mark.timeout(1200 if EVERYTHING else 300),
]

#: Lines of each program, others every day.
LINES = 1000 if EVERYTHING else 4


def test_a_keyboard_interrupt_comes_out_and_nothing_is_left() -> None:
    command = [sys.executable, "-m", "tests.promises.interrupting", str(LINES), DAY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # Standard error tells the last program, and where it is if it hung.
    assert not done.returncode, done.stderr[-5000:]
    assert not done.stdout, done.stdout
