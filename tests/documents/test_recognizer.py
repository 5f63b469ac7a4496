"""What is recognized as a document is one for graphql-core too, with the same operations.

Documents are drawn from the grammar, and then damaged.
``python -m tests.documents.test_recognizer 100000`` does the second for as many damaged documents
as it says, and shows how many were recognized.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import graphql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql.documents.document import Document
from anygql.documents.recognizer import MAX_DEPTH, Operation, operations_in
from anygql.documents.request import gql

Operations = list[tuple[str | None, str]]

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(text: str) -> Operations | None:
    """What graphql-core finds in ``text``; ``None`` if it is a syntax error."""
    try:
        document = graphql.parse(text)
    except graphql.GraphQLSyntaxError:
        return None
    return [
        (definition.name.value if definition.name else None, definition.operation.value)
        for definition in document.definitions
        if isinstance(definition, graphql.OperationDefinitionNode)
    ]


def check(text: str) -> bool:
    """Whether ``text`` is recognized; if so, it has to be what graphql-core finds."""
    found = recognized(text)
    if found is not None:
        assert found == parsed(text), repr(text)
        assert declared(operations_in(text)) == declared(tree_of(text)._definitions), repr(text)
    return found is not None


def recognized(text: str) -> list[tuple[str | None, str]] | None:
    """The name and kind of each operation."""
    found = operations_in(text)
    return None if found is None else [(name, kind) for name, kind, _ in found]


def tree_of(text: str) -> Document:
    return Document(None, graphql.parse(text))


def declared(operations: list[Operation] | None) -> list[tuple[dict[str, str], list[str]]]:
    """The types of the variables of each operation, and which are required."""
    return [(each.types, each.required) for _, _, each in operations or ()]


# Documents as lists of tokens, by the grammar of appendix B.

WORDS = ("a", "b", "Name", "_", "_1", "on", "query", "fragment", "type", "true", "false", "null")
NUMBERS = ("0", "-0", "7", "-12", "0.5", "-1.25", "1e5", "1E+10", "-3.0e-2", "9" * 30)
STRINGS = (
    '""',
    '"a"',
    '"é ☃ 😀 \t #"',
    r'"\"\\\/\b\f\n\r\t"',
    '"a,b{"',
    '""""""',
    '"""a"""',
    '"""a "quoted" ""b\n\r\n  \\""" \\ \\n"""',
    '""" " """',
)
BETWEEN = (" ", "\n", ",", "\t", "\r", "\r\n", "\ufeff", "# why {\n", "#\r", ", ")


class Grammar:
    """Draws a document; ``choose`` picks one of a sequence."""

    def __init__(self, choose: Any) -> None:
        self.choose = choose

    def maybe(self, make: Any, *given: Any) -> list[str]:
        return make(*given) if self.choose((False, True)) else []

    def many(self, make: Any, *given: Any, least: int = 1) -> list[str]:
        count = self.choose((least, least, least + 1, least + 2))
        return [token for _ in range(count) for token in make(*given)]

    def name(self) -> list[str]:
        return [self.choose(WORDS)]

    def document(self) -> list[str]:
        return self.many(self.definition)

    def definition(self) -> list[str]:
        form = self.choose(("short", "query", "mutation", "subscription", "fragment"))
        if form == "short":
            return self.selections(2)
        if form == "fragment":
            start = [form, self.choose([word for word in WORDS if word != "on"]), "on"]
            return [*start, *self.name(), *self.directives(const=False), *self.selections(2)]
        variables = self.maybe(lambda: ["(", *self.many(self.variable), ")"])
        start = [form, *self.maybe(self.name), *variables]
        return [*start, *self.directives(const=False), *self.selections(3)]

    def variable(self) -> list[str]:
        default = self.maybe(lambda: ["=", *self.value(2, const=True)])
        return ["$", *self.name(), ":", *self.type(2), *default, *self.directives(const=True)]

    def type(self, depth: int) -> list[str]:
        inner = depth and self.choose((False, True))
        kind = ["[", *self.type(depth - 1), "]"] if inner else self.name()
        return [*kind, *self.maybe(lambda: ["!"])]

    def directives(self, *, const: bool) -> list[str]:
        def directive() -> list[str]:
            return ["@", *self.name(), *self.maybe(lambda: self.arguments(const=const))]

        return self.many(directive, least=0)

    def arguments(self, *, const: bool) -> list[str]:
        def argument() -> list[str]:
            return [*self.name(), ":", *self.value(2, const=const)]

        return ["(", *self.many(argument), ")"]

    def value(self, depth: int, *, const: bool) -> list[str]:
        forms = ["name", "number", "string"]
        forms += [] if const else ["variable"]
        forms += ["list", "object"] if depth else []
        form = self.choose(forms)
        if form == "name":
            return self.name()
        if form == "variable":
            return ["$", *self.name()]
        if form == "list":
            return ["[", *self.many(lambda: self.value(depth - 1, const=const), least=0), "]"]
        if form == "object":
            fields = self.many(
                lambda: [*self.name(), ":", *self.value(depth - 1, const=const)], least=0
            )
            return ["{", *fields, "}"]
        return [self.choose(NUMBERS if form == "number" else STRINGS)]

    def selections(self, depth: int) -> list[str]:
        return ["{", *self.many(self.selection, depth - 1), "}"]

    def selection(self, depth: int) -> list[str]:
        form = self.choose(("field", "field", "spread", "inline") if depth else ("field", "spread"))
        if form == "spread":
            name = self.choose([word for word in WORDS if word != "on"])
            return ["...", name, *self.directives(const=False)]
        if form == "inline":
            condition = self.maybe(lambda: ["on", *self.name()])
            return ["...", *condition, *self.directives(const=False), *self.selections(depth)]
        alias = self.maybe(lambda: [*self.name(), ":"])
        arguments = self.maybe(lambda: self.arguments(const=False))
        inner = self.maybe(lambda: self.selections(depth)) if depth else []
        return [*alias, *self.name(), *arguments, *self.directives(const=False), *inner]


def needs_space(left: str, right: str) -> bool:
    wordy = (left[-1].isalnum() or left[-1] == "_") and (right[0].isalnum() or right[0] in "_-.")
    return wordy or (left[-1] == '"' and right[0] == '"')


def written(tokens: list[str], choose: Any) -> str:
    text: str = choose(("", *BETWEEN))
    for left, right in zip(tokens, [*tokens[1:], "}"], strict=True):
        text += left + choose(BETWEEN if needs_space(left, right) else ("", " ", *BETWEEN))
    return text


#: What is put in by damage: whole tokens, parts of them, and what is in no document.
DAMAGE = (
    *WORDS,
    *NUMBERS,
    *STRINGS,
    *BETWEEN,
    *"!$():=@[]{}|&.\"\\#-+'%",
    *("...", "..", '""', '"""', "{}", "()", "extend", "mutation", "subscription"),
    *(r"\u", r'"\u00e9"', r'"\u{1F600}"', r'"\ud83d\ude00"', r'"\ud83d"', r'"\x"'),
    *("01", "1.", ".5", "1e", "0x1"),
    *("é", "\x00", "\x07", "\x7f", "\u2028", "\xa0", "\ud83d", "\udc00"),
)


def damaged(tokens: list[str], choose: Any, below: Any) -> str:
    """The document with one to three tokens or characters taken out, put in or swapped."""
    tokens = list(tokens)
    for _ in range(choose((0, 1, 1, 2))):
        at = below(len(tokens))
        change = choose(("out", "in", "swap", "again"))
        if change == "in":
            tokens.insert(at, choose(DAMAGE))
        elif change == "swap":
            other = below(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif change == "again":
            tokens.insert(at, tokens[at])
        elif len(tokens) > 1:
            del tokens[at]
    text = written(tokens, choose)
    for _ in range(choose((0, 1, 1, 2))):
        at = below(len(text) + 1)
        change = choose(("out", "in", "other", "cut"))
        if change == "in":
            text = text[:at] + choose(DAMAGE) + text[at:]
        elif change == "other":
            text = text[:at] + choose(DAMAGE) + text[at + 1 :]
        elif change == "out":
            text = text[:at] + text[at + 1 :]
        elif below(4) == 0:
            text = text[:at]
    return text


@unhurried
@given(st.randoms(use_true_random=False))
def test_whatever_the_grammar_gives_is_recognized(chance: random.Random) -> None:
    text = written(Grammar(chance.choice).document(), chance.choice)
    assert parsed(text) is not None
    assert check(text)


@unhurried
@given(st.randoms(use_true_random=False))
def test_what_is_recognized_in_a_damaged_document_is_right(chance: random.Random) -> None:
    tokens = Grammar(chance.choice).document()
    check(damaged(tokens, chance.choice, chance.randrange))


@unhurried
@given(st.lists(st.sampled_from(DAMAGE)).map("".join) | st.text())
def test_what_is_recognized_in_rubble_is_right(text: str) -> None:
    check(text)
    check("{a(b:" + text + ")}")
    check("query(" + text + "){a}")


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("{a}", [(None, "query")]),
        ("query{a}", [(None, "query")]),
        ("query query{a}mutation mutation{a}", [("query", "query"), ("mutation", "mutation")]),
        ("subscription S{...F}fragment F on T{a}", [("S", "subscription")]),
        ("fragment F on T { a }", []),
        ("{a} {b}", [(None, "query"), (None, "query")]),
        ("query A{a} query A{b}", [("A", "query"), ("A", "query")]),
        ("query on{...on on{on:on}}fragment on1 on on{a}", [("on", "query")]),
        ("fragment fragment on fragment{fragment}", []),
        ("{...on{a}", None),
        ("{...on}", None),
        ("{... {a} ...@b{c} ...d ... d @e}", [(None, "query")]),
        ("fragment on on T{a}", None),
        ("{a(b:-0 c:[1.5e+3 -2E1])}", [(None, "query")]),
        ('{a(b:"",c:"""\\""" "" " """)}', [(None, "query")]),
        ("{a(b:[] c:{} d:[[{e:$f}]])}", [(None, "query")]),
        ("query($a:[[T!]!]!=[[1]]@b(c:1)$d:T){a}", [(None, "query")]),
        ("query Q @a @b(c: $d) {a}", [("Q", "query")]),
        ("\ufeff#\n{a#}\n}#", [(None, "query")]),
        ("{a(b:1)c:d(e:1)@f{g}}", [(None, "query")]),
        ("{a1 _ __typename}", [(None, "query")]),
        ('{a(b:1"c"d:2)}', None),
        ('{a(b:"""a\\""")}', None),
        ('{a(b:"""a"""")}', None),
        ('{a(b:""""a""")}', [(None, "query")]),
        ("{a(b:1c:2)}", None),
        ("{a(b:01)}", None),
        ("{a(b:1.)}", None),
        ("{a(b:.5)}", None),
        ("{a(b:1.5.2)}", None),
        ("{a(b:- 1)}", None),
        ("{a(b:+1)}", None),
        ("{a(b:٣)}", None),
        ("{é}", None),
        ("{a(b:'c')}", None),
        ('{a(b:"c\nd")}', None),
        ("{a(b:)}", None),
        ("{a(b:...)}", None),
        ("{a()}", None),
        ("{a(b)}", None),
        ("{a:}", None),
        ("{a:b:c}", None),
        ("{a@}", None),
        ("{a{b}", None),
        ("{a}}", None),
        ("{a..b}", None),
        ("{....a}", None),
        ("query(){a}", None),
        ("query($a){a}", None),
        ("query($a:T!!){a}", None),
        ("query($a:[T){a}", None),
        ("query($a:T=$b){a}", None),
        ("query($a:T=[{b:$c}]){a}", None),
        ("query($a:T@b(c:$d)){a}", None),
        ("query($a:T=){a}", None),
        ("query A B{a}", None),
        ("query", None),
        ("query{", None),
        ("Query{a}", None),
        ("on{a}", None),
        ("fragment F{a}", None),
        ("fragment F on{a}", None),
        ("fragment", None),
        ("", None),
        (" \n, ", None),
        ("# nothing", None),
        ("{a} %", None),
        ("{a}\u2028", None),
        ("{a}\xa0", None),
        ("{a}\udc00", None),
    ],
)
def test_recognized_as_graphql_core_does(text: str, operations: Operations | None) -> None:
    assert recognized(text) == operations
    assert parsed(text) == operations


@pytest.mark.parametrize(
    "text",
    [
        "type T { a: Int }",
        "{ a } extend type T @b",
        '{ a(b: "\\u00e9") }',
        '{ a(b: "\\u{1F600}") }',
        '{ a(b: "\x01") }',
        "{ a { } }",
        '"what it does" query Q { a }',
        "{a" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1),
        "{a(b:" + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + ")}",
        "query($a:" + "[" * (MAX_DEPTH + 1) + "T" + "]" * (MAX_DEPTH + 1) + "){a}",
    ],
)
def test_what_is_rare_is_left_to_graphql_core(text: str) -> None:
    assert operations_in(text) is None
    if operations := parsed(text):
        assert [gql(text).operation] == operations


def test_as_deep_as_it_goes() -> None:
    assert check("{a" * MAX_DEPTH + "}" * MAX_DEPTH)
    assert check("{a(b:" + "[" * MAX_DEPTH + "]" * MAX_DEPTH + ")}")
    assert check("query($a:" + "[" * MAX_DEPTH + "T" + "]" * MAX_DEPTH + "){a}")


def test_errors_are_told_with_line_and_column() -> None:
    with pytest.raises(graphql.GraphQLSyntaxError) as caught:
        _ = gql("{\n  a(b: %)\n}").operation
    assert [tuple(location) for location in caught.value.locations or ()] == [(2, 8)]


def main(count: int, *, seed: int) -> None:
    chance = random.Random(seed)
    recognized = valid = 0
    for _ in range(count):
        text = damaged(Grammar(chance.choice).document(), chance.choice, chance.randrange)
        recognized += check(text)
        valid += parsed(text) is not None
    print(f"seed {seed}: {count} documents, {valid} valid, {recognized} recognized, all right")


if __name__ == "__main__":
    main(int(sys.argv[1]), seed=random.randrange(1 << 32))
