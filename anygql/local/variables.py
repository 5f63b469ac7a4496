"""Variables as an operation in this process gets them."""

from __future__ import annotations

from typing import Any, cast

from ..documents.files import FileVar, extract_files
from ..documents.request import GraphQLRequest
from ..json import JSON, encode_named

__all__ = ["plain_variables"]


def plain_variables(request: GraphQLRequest, json: JSON) -> dict[str, Any]:
    """Return a request's variables as a server would get them, but with its files in place.

    Raise ``TypeError``, which names the path, for a value without a JSON form.
    """
    if not request.variable_values:
        return {}
    given, files = extract_files(request.variable_values)
    variables = json.decode(encode_named(json, given, "variables"))
    for file, paths in files:
        for path in paths:
            _put(variables, path, file)
    return cast("dict[str, Any]", variables)


def _put(variables: Any, path: str, file: FileVar) -> None:
    """Put a file in its place, given as a path such as ``variables.input.files.0``."""
    *parents, last = path.split(".")[1:]
    holder = variables
    for key in parents:
        holder = _child(holder, key, path)[1]
    key, _ = _child(holder, last, path)
    holder[key] = file


def _child(holder: Any, key: str, path: str) -> tuple[Any, Any]:
    """Return ``key`` as the holder has it (a list's is an ``int``), and the value there."""
    is_list = isinstance(holder, list)
    at: Any = int(key) if is_list and key.isdigit() else key
    try:
        return at, holder[at]
    except (KeyError, TypeError) as exc:
        raise TypeError(f"{path}: no file can stand below a name with a dot in it") from exc
