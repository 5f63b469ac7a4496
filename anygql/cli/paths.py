"""``--path``: a part of the data, by keys and indexes, or by an expression of JMESPath."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from .values import is_array, is_object

if TYPE_CHECKING:
    from ..documents.request import GraphQLRequest

__all__ = ["at_path", "check_path"]

_DOTTED = re.compile(r"\w+(\.\w+)*")


def check_path(request: GraphQLRequest, path: str | None) -> None:
    """Refuse a path that no data of the request can have, before that is sent.

    Raises:
        click.UsageError: The expression can't be read, or needs jmespath, which isn't installed.
        ValueError: The operation selects nothing at the path.
    """
    if path is None:
        return
    plain = path.removeprefix("data.")
    if _DOTTED.fullmatch(plain):
        request.check_path([key for key in plain.split(".") if not key.isdigit()])
    else:
        _expression(plain, path)


def at_path(data: Any, path: str | None) -> Any:
    """Return the data at a path.

    Raises ``click.UsageError`` for a path that isn't there.
    """
    if path is None:
        return data
    plain = path.removeprefix("data.")
    if not _DOTTED.fullmatch(plain):
        return _search(_expression(plain, path), data, path)
    for key in plain.split("."):
        if is_object(data) and key in data:
            data = data[key]
        elif is_array(data) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        else:
            raise click.UsageError(f"--path {path}: the data have no {key!r} there")
    return data


def _jmespath(path: str) -> Any:
    try:
        return import_module("jmespath")
    except ImportError:
        raise click.UsageError(
            f"--path {path}: more than keys and indexes with dots between them needs JMESPath: "
            "pip install jmespath"
        ) from None


def _expression(text: str, path: str) -> Any:
    """Return a compiled expression (jmespath keeps those that it has compiled)."""
    jmespath = _jmespath(path)
    try:
        return jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        raise click.UsageError(f"--path {path}: {_first_line(error)}") from None


def _search(expression: Any, data: Any, path: str) -> Any:
    jmespath = _jmespath(path)
    try:
        return expression.search(data)
    except jmespath.exceptions.JMESPathError as error:
        raise click.UsageError(f"--path {path}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    """Return what is wrong, without the drawing of where."""
    return str(error).partition("\n")[0].rstrip(" :.")
