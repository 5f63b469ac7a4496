"""Arguments that say where to go and what to ask: URLs, documents, variables, headers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .values import is_object

if TYPE_CHECKING:
    from ..documents.request import GraphQLRequest

__all__ = [
    "endpoint_table",
    "environment_headers",
    "is_endpoint",
    "is_module",
    "read_document",
    "read_headers",
    "read_json_object",
    "read_text",
    "read_variables",
    "split_endpoint",
]

_URL = re.compile(r"^(https?|wss?)://|^@[\w-]+$", re.IGNORECASE)
_ANY_URL = re.compile(r"^[a-zA-Z][\w+.-]*://")
_MODULE = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")


def is_endpoint(text: str) -> bool:
    """Return whether an argument looks like a URL, ``module:schema`` or ``@NAME``."""
    return any(form.match(text) for form in (_URL, _ANY_URL, _MODULE))


def is_module(text: str) -> bool:
    """Return whether an endpoint is a schema in a module."""
    return _MODULE.match(text) is not None


def split_endpoint(arguments: Sequence[str], most: int) -> tuple[str, list[str]]:
    """Return the endpoint, and the other arguments, of which there may be ``most``.

    Without an endpoint among the arguments, it is that of ``ANYGQL_URL``.
    """
    rest = list(arguments)
    if rest and is_endpoint(rest[0]):
        url = rest.pop(0)
    else:
        url = os.environ.get("ANYGQL_URL", "")
        if not url:
            given = f", and {rest[0]!r} is none" if rest else ""
            raise click.UsageError(f"give a URL, or set ANYGQL_URL{given}")
    if len(rest) > most:
        raise click.UsageError(f"there is an argument too many: {rest[most]!r}")
    return url, rest


def endpoint_table(name: str) -> dict[str, Any]:
    """Return ``[tool.anygql.endpoints.NAME]`` of the nearest pyproject.toml."""
    import tomllib
    from pathlib import Path

    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                project = tomllib.loads(file.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise click.UsageError(f"{file}: {error}") from None
            endpoints = project.get("tool", {}).get("anygql", {}).get("endpoints", {})
            if name in endpoints:
                table: dict[str, Any] = endpoints[name]
                return table
    raise click.UsageError(f"no pyproject.toml here has [tool.anygql.endpoints.{name}]")


def read_text(source: str) -> str:
    """Return the text of a file, or of stdin for ``-``."""
    if source == "-":
        return sys.stdin.read()
    try:
        with open(source, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError:
        raise click.UsageError(f"{source}: it is no text in UTF-8") from None


def read_document(query: str | None, files: Sequence[str]) -> str:
    """Return the document: that of ``-q``, of the file, or of stdin."""
    if query is not None:
        if files:
            raise click.UsageError(f"give -q or a file, not both: {files[0]!r}")
        text, source = (read_text(query[1:]), query[1:]) if query.startswith("@") else (query, "-q")
    elif not files and sys.stdin.isatty():
        raise click.UsageError("give a document: -q TEXT, a file, or - for stdin")
    else:
        source = files[0] if files else "-"
        text = read_text(source)
    if not text.strip():
        raise click.UsageError(f"{'stdin' if source == '-' else source}: the document is empty")
    return text


def _decode(text: str, what: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{what}: this is no JSON ({error})") from None


def read_json_object(given: str, what: str) -> dict[str, Any]:
    """Return the object of a JSON text, of ``@file``, or of stdin for ``-``."""
    text = read_text(given.removeprefix("@")) if given == "-" or given.startswith("@") else given
    value: Any = _decode(text, what)
    if not is_object(value):
        raise click.UsageError(f"{what}: this must be a JSON object")
    return value  # type: ignore[no-any-return]


def read_variables(
    whole: str | None, single: Sequence[str], request: GraphQLRequest
) -> dict[str, Any]:
    """Return the variables of ``--variables`` and ``-V``, the latter ones taking precedence.

    A value of ``-V`` that is JSON is read as such, unless the operation declares the variable as
    ``ID`` or ``String``: so ``id=001`` stays a text.
    """
    variables = {} if whole is None else read_json_object(whole, "--variables")
    declared = request.source.variables[request.operation[0]].types
    for given in single:
        name, sign, value = given.partition("=")
        is_text = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise click.UsageError(f"-V {given!r}: write NAME=JSON, NAME=@file or NAME:=text")
        if value.startswith("@") and not is_text:
            value = read_text(value[1:])
        variables[name] = value if is_text else _value(value, declared.get(name, ""))
    return variables


def _value(text: str, declared: str) -> Any:
    """Return the value of a text, which is JSON or not, for a variable of a type."""
    import msgspec

    is_text = declared.rstrip("!") in {"ID", "String"}
    if is_text and not (len(text) > 1 and text[0] == text[-1] == '"'):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def read_headers(given: Sequence[str]) -> dict[str, str]:
    """Return the headers of ``-H``, each ``K: V``, or ``@file`` with one a line."""
    headers: dict[str, str] = {}
    for each in given:
        lines = read_text(each[1:]).splitlines() if each.startswith("@") else [each]
        for line in filter(str.strip, lines):
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                # It is not quoted: it may be a secret.
                raise click.UsageError("-H: write 'Name: value'")
            headers[name.strip()] = value.strip()
    return headers


def environment_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of ``ANYGQL_HEADERS``: a JSON object, or lines of ``K: V``."""
    given = environment.get("ANYGQL_HEADERS", "").strip()
    if not given:
        return {}
    if given.startswith("{"):
        return {
            name: str(value) for name, value in read_json_object(given, "ANYGQL_HEADERS").items()
        }
    return read_headers(given.splitlines())
