"""``anygql check``: validates documents in files against a schema."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Options, endpoint_options
from .output import Printer, complain

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema

__all__ = ["check"]

_SUFFIXES = {".graphql", ".gql", ".graphqls"}
#: Folders that nobody writes documents in.
_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "build", "dist"}


@dataclass(frozen=True)
class _Text:
    """A document, and where it begins in its file."""

    file: str
    line: int
    column: int
    text: str


@dataclass(frozen=True, order=True)
class _Found:
    file: str
    line: int
    column: int
    kind: str
    message: str

    def __str__(self) -> str:
        message = " ".join(self.message.split())
        return f"{self.file}:{self.line}:{self.column}: {self.kind}: {message}\n"


@click.command(short_help="Validate documents against a schema.")
@click.argument("paths", nargs=-1, required=True, metavar="DOCS…")
@click.option("--schema", "source", metavar="URL|FILE", help="The schema.  [ANYGQL_URL]")
@click.option("--strict", is_flag=True, help="Exit with 7 for warnings, too.")
@endpoint_options
def check(options: Options, paths: tuple[str, ...], source: str | None, strict: bool) -> None:
    """Validate files and folders of documents: *.graphql, and gql("…") in *.py.

    Fragments may be in any of the files. Deprecated fields are warnings. Exits with 7 if something
    is wrong, and with 2 for a folder without documents.
    """
    from .running import run_async
    from .schemas import schema_from

    source = source or os.environ.get("ANYGQL_URL")
    if not source:
        raise click.UsageError("say where the schema is: --schema URL|FILE")
    found_at = source

    async def main() -> int:
        texts = [text for path in paths for text in _documents(path)]
        schema = await schema_from(found_at, options)
        found = sorted(_check(schema, texts))
        Printer().write("".join(map(str, found)))
        errors = sum(each.kind == "error" for each in found)
        warnings = len(found) - errors
        complain(
            f"{_count(len(texts), 'document')}: {_count(errors, 'error')}, "
            f"{_count(warnings, 'warning')}"
        )
        return 7 if errors or (strict and found) else 0

    run_async(main, backend=options.backend, timeout=options.timeout)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _documents(path: str) -> list[_Text]:
    """Return the documents of a file or folder."""
    found = [text for file in _files(Path(path)) for text in _in_file(file)]
    # A file that is named may well have none: hooks before a commit name each that has changed.
    if not found and Path(path).is_dir():
        raise click.UsageError(
            f'{path}: no documents in this folder: no *.graphql, no *.gql, and no gql("…") in *.py'
        )
    return found


def _in_file(file: Path) -> Iterator[_Text]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: it is no text in UTF-8") from None
    if file.suffix == ".py":
        yield from _in_python(str(file), text)
    elif text.strip():
        yield _Text(str(file), 1, 1, text)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(names):
            if Path(name).suffix in {*_SUFFIXES, ".py"}:
                yield Path(folder, name)


def _in_python(file: str, source: str) -> Iterator[_Text]:
    """Return the texts of calls of ``gql`` in a program."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise click.UsageError(f"{file}:{error.lineno}: {error.msg}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "gql" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                segment = ast.get_source_segment(source, first) or ""
                quotes = 3 if segment.lstrip("rRuU")[:3] in {'"""', "'''"} else 1
                prefix = len(segment) - len(segment.lstrip("rRuU"))
                yield _Text(file, first.lineno, first.col_offset + 1 + prefix + quotes, first.value)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _check(schema: GraphQLSchema, texts: Sequence[_Text]) -> Iterator[_Found]:
    from graphql import GraphQLError, parse

    parsed: list[tuple[_Text, DocumentNode]] = []
    for text in texts:
        try:
            parsed.append((text, parse(text.text)))
        except GraphQLError as error:
            yield _at(text, error, "error")
    fragments = _fragments([document for _, document in parsed])
    for text, document in parsed:
        for fault in _errors(schema, document, fragments):
            yield _at(text, fault, "error")
        for fault in _warnings(schema, document):
            yield _at(text, fault, "warning")


def _fragments(documents: Sequence[DocumentNode]) -> dict[str, Any]:
    from graphql import FragmentDefinitionNode

    return {
        definition.name.value: definition
        for document in documents
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def _errors(schema: GraphQLSchema, document: DocumentNode, fragments: dict[str, Any]) -> list[Any]:
    """Return the errors of a document, together with the fragments of others that it uses."""
    from graphql import DocumentNode, NoUnusedFragmentsRule, specified_rules, validate

    own = _fragments([document])
    used = _spread(document.definitions, fragments)
    others = [fragments[name] for name in sorted(used - set(own))]
    # A fragment that isn't used here may be used by another file.
    rules = [rule for rule in specified_rules if rule is not NoUnusedFragmentsRule]
    whole = DocumentNode(definitions=(*document.definitions, *others))
    ours = {id(definition.loc.source) for definition in document.definitions if definition.loc}
    return [
        error
        for error in validate(schema, whole, rules)
        if error.source is None or id(error.source) in ours
    ]


def _spread(nodes: Sequence[Any], fragments: dict[str, Any]) -> set[str]:
    """Return the names of all fragments that are spread in nodes, and in those fragments."""
    from graphql import FragmentSpreadNode, Visitor, visit

    names: set[str] = set()
    waiting = list(nodes)

    class Spreads(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_args: Any) -> None:
            name = node.name.value
            if name not in names and name in fragments:
                names.add(name)
                waiting.append(fragments[name])

    while waiting:
        visit(waiting.pop(), Spreads())
    return names


def _warnings(schema: GraphQLSchema, document: DocumentNode) -> list[Any]:
    from graphql import NoDeprecatedCustomRule, validate

    return list(validate(schema, document, [NoDeprecatedCustomRule]))


def _at(text: _Text, error: Any, kind: str) -> _Found:
    location = error.locations[0] if error.locations else None
    line, column = (1, 1) if location is None else (location.line, location.column)
    if line == 1:
        column += text.column - 1
    return _Found(text.file, text.line + line - 1, column, kind, error.message)
