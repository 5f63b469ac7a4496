"""What a user of the wheel installs, as a CycloneDX file: ``python -m release.sbom WHEEL``.

It lists the packages, with their versions and licenses, that are installed today with the wheel
and all its extras into an empty environment: ``build/anygql-VERSION.cdx.json``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from .installed import make_environment, metadata

__all__ = ["write"]

ROOT = Path(__file__).parents[1]


def write(wheel: Path, output: Path) -> None:
    """Install the wheel with all its extras, and write what there is then."""
    about = metadata(wheel)
    extras = ",".join(sorted(about.get_all("Provides-Extra", [])))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        environment = make_environment(sys.executable, folder)
        environment.install(f"{wheel}[{extras}]" if extras else str(wheel))
        # The tool does not know that a build can find the version elsewhere.
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        given = project.replace('dynamic = ["version"]', f'version = "{about["Version"]}"')
        (folder / "pyproject.toml").write_text(given, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "cyclonedx_py", "environment"),
            *("--pyproject", folder / "pyproject.toml", "--mc-type", "library"),
            *("--short-PURLs", "--output-reproducible", "--output-file", output),
            environment.python,
        ]
        subprocess.run(list(map(str, command)), check=True, cwd=folder)


def main() -> None:
    """Write the file for the wheel that is named."""
    wheel = Path(sys.argv[1]).resolve()
    output = ROOT / "build" / f"anygql-{metadata(wheel)['Version']}.cdx.json"
    output.parent.mkdir(exist_ok=True)
    write(wheel, output)
    print(f"sbom: {output.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
