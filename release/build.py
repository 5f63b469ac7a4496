"""The sdist and the wheel in ``dist/``: ``python -m release.build``, which is ``make dist``.

Both are built twice, from copies of the tracked files that differ in all that should not matter:
folder, times, permissions, time zone, and the order of hashes. If one byte differs, that is an
error. The wheel is built from the sdist, so the sdist has all that is needed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["build", "copy_tracked", "hashes"]

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"

#: What differs between the builds: the environment, the mode of files, their time.
BUILDS = (
    ({"TZ": "UTC", "PYTHONHASHSEED": "1"}, 0o644, 1_000_000_000),
    ({"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "2"}, 0o600, 1_500_000_000),
)


def copy_tracked(root: Path, folder: Path, mode: int, time: int) -> None:
    """Copy the files that git tracks, as they are now: uncommitted changes are copied too."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy)
        copy.chmod(mode)
        os.utime(copy, (time, time))


def build(source: Path, output: Path, environment: dict[str, str]) -> None:
    """Build the sdist and, from it, the wheel, with the tools that are installed here."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), "."]
    done = subprocess.run(
        command,
        cwd=source,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\ndist: the build failed")


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


def source_date(root: Path) -> str:
    """Return the time that the files in the archives have: that of the last commit."""
    command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return os.environ.get("SOURCE_DATE_EPOCH") or done.stdout.strip()


def main() -> int:
    """Build twice, compare, and leave the archives in ``dist/``."""
    epoch = {"SOURCE_DATE_EPOCH": source_date(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        outputs = []
        for number, (environment, mode, time) in enumerate(BUILDS):
            source = Path(folder) / f"source-{number}"
            copy_tracked(ROOT, source, mode, time)
            outputs.append(Path(folder) / f"dist-{number}")
            build(source, outputs[-1], {**environment, **epoch})
        first, second = map(hashes, outputs)
        if first != second:
            print("dist: NOT REPRODUCIBLE", first, second, sep="\n")
            return 1
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(outputs[0], DIST)
    for name, digest in first.items():
        print(f"{digest}  {name}")
    print(f"dist: two builds are equal, SOURCE_DATE_EPOCH={epoch['SOURCE_DATE_EPOCH']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
