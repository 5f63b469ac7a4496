"""Finding the operations of a document without importing graphql-core.

That import takes longer than everything else that a first request needs. This is a recognizer, not
a parser: it accepts only documents that graphql-core's ``parse`` certainly accepts, and doesn't say
what is wrong with others. graphql-core has to parse those: invalid documents, and valid ones with
rare features (the type system, escapes of code points, control characters, and descriptions and
empty selection sets, which not every release knows).

See the specification, §2, "Language", and appendix B.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from .selections import Selections
from .variables import DeclaredVariables

__all__ = ["Operation", "OperationKind", "operations_in", "selections_in"]

OperationKind: TypeAlias = Literal["query", "mutation", "subscription"]

#: An operation: its name, if it has one, its kind and the variables that it declares.
Operation: TypeAlias = tuple[str | None, OperationKind, DeclaredVariables]

_KINDS: dict[str, OperationKind] = {
    "query": "query",
    "mutation": "mutation",
    "subscription": "subscription",
}

#: How deeply selection sets, values and types may nest. graphql-core accepts more.
MAX_DEPTH = 50

#: Ignored tokens (§2.1.1 to §2.1.5): white space, line terminators, commas, byte order marks.
_BYTE_ORDER_MARK = r"\ufeff"  # not in a set: a set beyond Latin-1 takes a millisecond to compile
_IGNORED = r"\ \t\n\r,"
#: Characters that strings and comments here may not contain; surrogates are refused separately.
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f"

#: A comment; a token, in the first group; or the rest of the text if it begins with neither.
#: Each kind of token matches all that graphql-core's lexer would match, or nothing.
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
    """The document may be invalid; graphql-core has to parse it."""


def operations_in(text: str) -> list[Operation] | None:
    """Return the name, kind and variables of each operation in ``text``, in order.

    The name of an operation without one is ``None``. The caller must check that names are distinct
    and that there is an operation.

    Returns:
        The operations; ``None`` if graphql-core has to parse ``text``, since it may be invalid or
        has other definitions than operations and fragments.
    """
    try:
        return _read_document(_tokens_of(text))
    except _NotRecognized:
        return None


def selections_in(text: str) -> dict[str | None, Selections] | None:
    """Return what each operation in ``text`` selects, by its name.

    Returns ``None`` where ``operations_in`` does.
    """
    operations: dict[str | None, Selections] = {}
    try:
        _read_document(_tokens_of(text), operations)
    except _NotRecognized:
        return None
    return operations


def _tokens_of(text: str) -> list[str]:
    try:
        text.encode()
    except UnicodeEncodeError:  # surrogates
        raise _NotRecognized from None
    pieces = _TOKENS.split(text)  # ignored text, a token, the rest; repeatedly
    tokens = [token for token in pieces[1::3] if token is not None]  # ``None`` for a comment
    if not tokens or pieces[-2] is not None:
        raise _NotRecognized
    tokens.append("")  # the end, which is equal to no token
    return tokens


# Each of these functions reads one production of the grammar. `at` is the index of its first token;
# the index after its last token is returned.


def _read_document(
    tokens: list[str], selections: dict[str | None, Selections] | None = None
) -> list[Operation]:
    """Read the operations, and into ``selections`` what they select, if that is wanted."""
    operations: list[Operation] = []
    fragments: dict[str, Selections] = {}
    at = 0
    while symbol := tokens[at]:
        found = None if selections is None else Selections(fragments)
        if symbol == "{":
            operations.append((None, "query", DeclaredVariables({})))
        elif (kind := _KINDS.get(symbol)) is not None:
            at += 1
            name = None
            if tokens[at].isidentifier():
                name = tokens[at]
                at += 1
            variables = DeclaredVariables({})
            if tokens[at] == "(":
                at = _read_variables(tokens, at, variables)
            at = _read_directives(tokens, at, const=False)
            operations.append((name, kind, variables))
        elif symbol == "fragment" and tokens[at + 1] != "on":
            at = _read_name(tokens, at + 1)
            if found is not None:
                fragments[tokens[at - 1]] = found
            at = _read_name(tokens, _read_symbol(tokens, at, "on"))
            at = _read_directives(tokens, at, const=False)
        else:
            raise _NotRecognized
        if selections is not None and found is not None and symbol != "fragment":
            selections[operations[-1][0]] = found
        at = _read_selections(tokens, at, 1, found)
    return operations


def _read_symbol(tokens: list[str], at: int, symbol: str) -> int:
    if tokens[at] != symbol:
        raise _NotRecognized
    return at + 1


def _read_name(tokens: list[str], at: int) -> int:
    if not tokens[at].isidentifier():  # of all kinds of tokens, only names are identifiers
        raise _NotRecognized
    return at + 1


def _read_selections(tokens: list[str], at: int, depth: int, into: Selections | None) -> int:
    at = _read_symbol(tokens, at, "{")
    if depth > MAX_DEPTH or tokens[at] == "}":
        raise _NotRecognized
    while (symbol := tokens[at]) != "}":
        if symbol == "...":
            at += 1
            if tokens[at] == "on":
                at = _read_name(tokens, at + 1)
            elif tokens[at].isidentifier():  # the name of a fragment, which has no selections
                if into is not None:
                    into.add_spread(tokens[at])
                at = _read_directives(tokens, at + 1, const=False)
                continue
            at = _read_directives(tokens, at, const=False)
            at = _read_selections(tokens, at, depth + 1, into)
            continue
        at = _read_name(tokens, at)
        if tokens[at] == ":":
            at = _read_name(tokens, at + 1)
        field = None if into is None else into.add_field(symbol, tokens[at - 1])
        if tokens[at] == "(":
            at = _read_arguments(tokens, at, const=False)
        if tokens[at] == "@":
            at = _read_directives(tokens, at, const=False)
        if tokens[at] == "{":
            at = _read_selections(tokens, at, depth + 1, field)
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


def _read_variables(tokens: list[str], at: int, variables: DeclaredVariables) -> int:
    at += 1
    while True:  # at least one
        at = _read_name(tokens, _read_symbol(tokens, at, "$"))
        name, type_at = tokens[at - 1], _read_symbol(tokens, at, ":")
        at = _read_type(tokens, type_at, 1)
        has_default = tokens[at] == "="
        variables.declare(name, "".join(tokens[type_at:at]), has_default=has_default)
        if has_default:
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
