"""docs/cli.md: its examples run, and print what the page says; its options are there."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import click
import pytest

from anygql.cli.root import CLI
from tests.cli.conftest import Command, Served
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
FROM_GQL = (ROOT / "docs" / "from-gql.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE + FROM_GQL, re.MULTILINE | re.DOTALL)
URL = re.compile(r"wss?://localhost:8000/graphql")


def ran(line: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a line of a shell, and return what it prints."""
    words = shlex.split(line)
    if "|" in words:
        assert words[0] == "echo"
        monkeypatch.setattr("sys.stdin", io.StringIO(words[1]))
        words = words[words.index("|") + 1 :]
    assert words[0] == "anygql"
    for code in (0, 1, 2):
        try:
            done = command(*words[1:], code=code)
        except AssertionError:
            if code == 2:
                raise
        else:
            return done.out + done.err
    raise AssertionError


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][2:40])
def test_examples(
    block: str,
    command: Command,
    served: Served,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "query.graphql").write_text("query ($name: String!) { hello(name: $name) }")
    for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = example.partition("\n")
        assert ran(URL.sub(served.url, line), command, monkeypatch) == output


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 4


def test_every_command_and_option_is_on_the_page() -> None:
    lacking = []
    schema = CLI.get_command(None, "schema")  # type: ignore[arg-type]
    commands = [CLI.get_command(None, name) for name in CLI.list_commands(None)]  # type: ignore[arg-type]
    commands += [schema.get_command(None, name) for name in ("fetch", "show", "diff")]  # type: ignore[union-attr,arg-type]
    for command in commands:
        assert command is not None
        assert f"`anygql {command.name}" in PAGE or command.name in {"fetch", "show", "diff"}
        for option in command.params:
            shown = any(name in PAGE for name in option.opts)
            if option.name not in KNOWN_FEATURES and isinstance(option, click.Option) and not shown:
                lacking.append(f"{command.name} {option.opts}")
    assert lacking == []


#: Those of IntrospectionOptions, which docs/schema.md describes.
KNOWN_FEATURES = {
    "descriptions",
    "schema_description",
    "specified_by_url",
    "directive_is_repeatable",
    "input_value_deprecation",
    "input_object_one_of",
}
