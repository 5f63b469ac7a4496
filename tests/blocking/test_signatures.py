"""Blocking names have the arguments, docstrings and types of the async ones, with few additions."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

import anygql
import anygql.blocking
from anygql.client import ExecuteOptions
from tests.support.blocking_stub import STUB, stub

TIMEOUT = "timeout"

#: Arguments that blocking methods have beside those of the async ones: there are no scopes.
ADDED = {
    ("Client", "__init__"): "backend",
    ("Session", "wait_connected"): TIMEOUT,
    ("Session", "wait_closed"): TIMEOUT,
    ("Subscription", "receive"): TIMEOUT,
}
#: What async methods are called here.
NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "connect_async": "open",
    "close_async": "close",
}
#: Async methods that aren't here: `share` is for many tasks of one loop.
ABSENT = {("Session", "share")}
#: On whom that is called, if not on the same.
ELSEWHERE = {("Client", "close_async"): "Session"}


def is_public(name: str) -> bool:
    return name in NAMES or name == "__init__" or not name.startswith("_")


METHODS = [
    (kind, name)
    for kind in ("Client", "Session", "Subscription", "Pages")
    for name, member in vars(getattr(anygql, kind)).items()
    if inspect.isfunction(member) and is_public(name)
    if not (name == "__init__" and kind != "Client")
    if (kind, name) not in ABSENT
]


def blocking_method(kind: str, name: str) -> Any:
    owner = getattr(anygql.blocking, ELSEWHERE.get((kind, name), kind))
    return inspect.getattr_static(owner, NAMES.get(name, name))


@pytest.mark.parametrize(("kind", "name"), sorted(ABSENT))
def test_absent(kind: str, name: str) -> None:
    assert hasattr(getattr(anygql, kind), name)
    assert not hasattr(getattr(anygql.blocking, kind), name)


def parameters(function: Any) -> list[inspect.Parameter]:
    signature = inspect.signature(function)
    return [each.replace(annotation=None) for each in signature.parameters.values()]


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_arguments(kind: str, name: str) -> None:
    ours = parameters(blocking_method(kind, name))
    theirs = parameters(getattr(getattr(anygql, kind), name))
    added = ADDED.get((kind, name))
    if name == "connect_async":  # whose session needs no task group here
        theirs = [each for each in theirs if each.name != "task_group"]
    assert [each for each in ours if each.name != added or each in theirs] == theirs
    assert added is None or added in {each.name for each in ours}


@pytest.mark.parametrize("kind", ["Client", "Session", "Subscription"])
def test_properties(kind: str) -> None:
    ours, theirs = vars(getattr(anygql.blocking, kind)), vars(getattr(anygql, kind))
    properties = {name for name, member in theirs.items() if isinstance(member, property)}
    assert properties <= {name for name, member in ours.items() if isinstance(member, property)}
    assert all(ours[name].__doc__ == theirs[name].__doc__ for name in properties)


def test_execute_s_arguments() -> None:
    ours = [each for each in parameters(anygql.blocking.execute) if each.name != "backend"]
    assert ours == parameters(anygql.execute)
    keywords = {each.name for each in ours if each.kind is each.KEYWORD_ONLY}
    assert keywords == {*ExecuteOptions.__annotations__, "result_type"}
    of_sessions = inspect.signature(anygql.Session.execute).parameters
    of_clients = inspect.signature(anygql.Client).parameters
    assert keywords <= {*of_sessions, *of_clients}


def public(owner: Any) -> list[str]:
    return [name for name in vars(owner) if not name.startswith("_")]


@pytest.mark.parametrize("kind", ["Client", "Session", "Subscription"])
def test_docstrings(kind: str) -> None:
    owner = getattr(anygql.blocking, kind)
    texts = [owner.__doc__, *(getattr(owner, name).__doc__ for name in public(owner))]
    assert all(texts)
    for word in ("async with", "async for", "aclose", "ancel", "task group"):
        assert [text for text in texts if word in text] == [], word
    # Only as the absence of it.
    assert [text for text in texts if "await" in text.replace("without ``await``", "")] == []


def normal(module: ast.Module) -> list[str]:
    """Return the statements, without what a formatter changes."""
    imports: set[str] = set()
    others: list[str] = []
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            imports |= {f"{node.module} {alias.name}" for alias in node.names}
        else:
            others.append(ast.unparse(_Cleaned().visit(node)))
    return [*sorted(imports), *others]


class _Cleaned(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_text = isinstance(node.value, str)
        return ast.Constant(inspect.cleandoc(str(node.value))) if is_text else node


def test_the_stub_is_up_to_date() -> None:
    written = ast.parse(STUB.read_text(encoding="utf-8"))
    assert normal(written) == normal(stub()), "make stubs"
