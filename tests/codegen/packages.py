"""Packages generated from the schema and the documents here, in an environment of their own.

The generator wants an older graphql-core than anygql does, so it can't be installed beside it.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.peers.node import needed
from tests.support.paths import ROOT

HERE = Path(__file__).parent
GENERATOR = ROOT / ".venv-codegen" / "bin" / "ariadne-codegen"

_SCALARS = """
[tool.ariadne-codegen.scalars.Color]
type = ".scalars.Color"
parse = ".scalars.parse_color"
serialize = ".scalars.serialize_color"

[tool.ariadne-codegen.scalars.DateTime]
type = "datetime.datetime"

[tool.ariadne-codegen.scalars.Date]
type = "datetime.date"

[tool.ariadne-codegen.scalars.Decimal]
type = "decimal.Decimal"
"""

_CONTRIB = "ariadne_codegen.contrib"

#: What the configuration of each package says besides; `library` has the generator's defaults.
PACKAGES = {
    "library": "",
    "short_library": f"""
use_alias_generator = true
defer_model_build = true
ignore_extra_fields = false
plugins = [
    "{_CONTRIB}.shorter_results.ShorterResultsPlugin",
    "{_CONTRIB}.extract_operations.ExtractOperationsPlugin",
]

[tool.ariadne-codegen.scalars.Upload]
type = "anygql.FileVar"
""",
    "built_library": "enable_custom_operations = true",
}


def generate(folder: Path, config: str, file: str = "codegen.toml") -> None:
    """Run the generator in ``folder``, where its packages go, or skip or fail without it."""
    if not GENERATOR.exists():
        needed("ariadne-codegen is not installed: make codegen")
    (folder / file).write_text(config, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    done = subprocess.run(
        [GENERATOR, "--config", file],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def generate_packages(folder: Path) -> None:
    """Generate all packages, at the same time."""
    with ThreadPoolExecutor() as generators:
        for done in [generators.submit(generate_package, folder, name) for name in PACKAGES]:
            done.result()


def generate_package(folder: Path, name: str) -> None:
    config = f"""
[tool.ariadne-codegen]
schema_path = "{HERE / "schema.graphql"}"
queries_path = "{HERE / "documents.graphql"}"
target_package_name = "{name}"
base_client_name = "BaseClient"
base_client_file_path = "{HERE / "base_client.py"}"
files_to_include = ["{HERE / "scalars.py"}"]
{PACKAGES[name]}
{_SCALARS}"""
    generate(folder, config, f"{name}.toml")
