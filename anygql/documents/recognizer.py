"""What operations a document has, without graphql-core, whose import takes longer than all else
that a first request needs.

This is a recogniser, not a parser: it says yes only to documents that graphql-core's ``parse``
certainly accepts, and does not say what is wrong with the others. Those are graphql-core's to
judge: what is wrong, and also what is right but rare (the type system, escapes of code points,
control characters, descriptions and empty selection sets, which not every release knows).

Specification §2, "Language", and appendix B.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

__all__ = ["OperationKind", "operations_in"]

OperationKind: TypeAlias = Literal["query", "mutation", "subscription"]

_KINDS: dict[str, OperationKind] = {
    "query": "query",
    "mutation": "mutation",
    "subscription": "subscription",
}

#: How deeply selection sets, values and types may nest; graphql-core goes further.
MAX_DEPTH = 50

#: Between tokens (§2.1.1 to §2.1.5): white space, the ends of lines, commas, the byte order mark.
_BYTE_ORDER_MARK = r"\ufeff"  # not in a set: a set beyond Latin-1 takes a millisecond to compile
_IGNORED = r"\ \t\n\r,"
#: What neither a string nor a comment may have in it, nor surrogates.
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f"

#: A comment; or a token, which is the first group; or the rest of the text, if it begins with
#: neither. Each kind of token takes all that the lexer would take, or does not match at all.
_TOKENS = re.compile(
    rf"""
    \#[^\n\r{_CONTROL}]*+
    | (
        [A-Za-z_][A-Za-z0-9_]*+
      | [!$():=@\[\]{{}}]
      | \.\.\.
      | -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_.])
      | "{{3}}(?:[^"\\{_CONTROL}]|\\"{{3}}|\\(?!"{{3}})|"(?!""))*"{{3}}
      | "(?!"")(?:[^"\\\n\r{_CONTROL}]|\\["\\/bfnrt])*"
    )
    | ((?!{_BYTE_ORDER_MARK})[^{_IGNORED}][\s\S]*)
    """,
    re.VERBOSE,
)


class _NotRecognized(Exception):
    """The document is not certainly valid."""


def operations_in(text: str) -> list[tuple[str | None, OperationKind]] | None:
    """The name (``None``: it has none) and kind of each operation in ``text``, in order.

    ``None`` if ``text`` may be no valid document, or one with more than operations and fragments:
    then graphql-core has to parse it. Names may occur twice, and a document may have no
    operation; that is for the caller to refuse.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # surrogates
        return None
    pieces = _TOKENS.split(text)  # what is ignored, a token, the rest; and so on
    tokens = [token for token in pieces[1::3] if token is not None]  # a comment is no token
    if not tokens or pieces[-2] is not None:
        return None
    tokens.append("")  # the end: equal to no token that is asked for
    try:
        return _read_document(tokens)
    except _NotRecognized:
        return None


# What follows reads one production each. `at` is the place of its first symbol; returned is the
# place behind its last one.


def _read_document(tokens: list[str]) -> list[tuple[str | None, OperationKind]]:
    operations: list[tuple[str | None, OperationKind]] = []
    at = 0
    while symbol := tokens[at]:
        if symbol == "{":
            operations.append((None, "query"))
        elif (kind := _KINDS.get(symbol)) is not None:
            at += 1
            name = None
            if tokens[at].isidentifier():
                name = tokens[at]
                at += 1
            if tokens[at] == "(":
                at = _read_variables(tokens, at)
            at = _read_directives(tokens, at, const=False)
            operations.append((name, kind))
        elif symbol == "fragment" and tokens[at + 1] != "on":
            at = _read_name(tokens, at + 1)
            at = _read_name(tokens, _read_symbol(tokens, at, "on"))
            at = _read_directives(tokens, at, const=False)
        else:
            raise _NotRecognized
        at = _read_selections(tokens, at, 1)
    return operations


def _read_symbol(tokens: list[str], at: int, symbol: str) -> int:
    if tokens[at] != symbol:
        raise _NotRecognized
    return at + 1


def _read_name(tokens: list[str], at: int) -> int:
    if not tokens[at].isidentifier():  # no other kind of symbol is one
        raise _NotRecognized
    return at + 1


def _read_selections(tokens: list[str], at: int, depth: int) -> int:
    at = _read_symbol(tokens, at, "{")
    if depth > MAX_DEPTH or tokens[at] == "}":
        raise _NotRecognized
    while (symbol := tokens[at]) != "}":
        if symbol == "...":
            at += 1
            if tokens[at] == "on":
                at = _read_name(tokens, at + 1)
            elif tokens[at].isidentifier():  # the name of a fragment, which has no selections
                at = _read_directives(tokens, at + 1, const=False)
                continue
            at = _read_directives(tokens, at, const=False)
            at = _read_selections(tokens, at, depth + 1)
            continue
        at = _read_name(tokens, at)
        if tokens[at] == ":":
            at = _read_name(tokens, at + 1)
        if tokens[at] == "(":
            at = _read_arguments(tokens, at, const=False)
        if tokens[at] == "@":
            at = _read_directives(tokens, at, const=False)
        if tokens[at] == "{":
            at = _read_selections(tokens, at, depth + 1)
    return at + 1


def _read_arguments(tokens: list[str], at: int, *, const: bool) -> int:
    at += 1
    while True:  # at least one
        at = _read_name(tokens, at)
        at = _read_value(tokens, _read_symbol(tokens, at, ":"), 1, const=const)
        if tokens[at] == ")":
            return at + 1


def _read_directives(tokens: list[str], at: int, *, const: bool) -> int:
    while tokens[at] == "@":
        at = _read_name(tokens, at + 1)
        if tokens[at] == "(":
            at = _read_arguments(tokens, at, const=const)
    return at


def _read_value(tokens: list[str], at: int, depth: int, *, const: bool) -> int:
    symbol = tokens[at]
    at += 1
    if symbol == "$" and not const:
        return _read_name(tokens, at)
    if symbol in ("[", "{"):
        if depth > MAX_DEPTH:
            raise _NotRecognized
        end = "]" if symbol == "[" else "}"
        while tokens[at] != end:
            if symbol == "{":
                at = _read_symbol(tokens, _read_name(tokens, at), ":")
            at = _read_value(tokens, at, depth + 1, const=const)
        return at + 1
    if not symbol or symbol in "!$():=@]}...":
        raise _NotRecognized
    return at  # a name (also true, false, null, a member of an enum), a number or a string


def _read_variables(tokens: list[str], at: int) -> int:
    at += 1
    while True:  # at least one
        at = _read_name(tokens, _read_symbol(tokens, at, "$"))
        at = _read_type(tokens, _read_symbol(tokens, at, ":"), 1)
        if tokens[at] == "=":
            at = _read_value(tokens, at + 1, 1, const=True)
        at = _read_directives(tokens, at, const=True)
        if tokens[at] == ")":
            return at + 1


def _read_type(tokens: list[str], at: int, depth: int) -> int:
    if tokens[at] == "[":
        if depth > MAX_DEPTH:
            raise _NotRecognized
        at = _read_symbol(tokens, _read_type(tokens, at + 1, depth + 1), "]")
    else:
        at = _read_name(tokens, at)
    return at + 1 if tokens[at] == "!" else at
