"""The examples of gql's documentation, written with anygql: they run, and are shorter."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from graphql import parse, print_ast

from anygql.cli.root import run
from anygql.testing import GraphQLServer
from examples.from_gql.countries import schema
from examples.from_gql.dsl import EXAMPLES
from tests.support.paths import ROOT
from tests.support.programs import Forker

FOLDER = ROOT / "examples" / "from_gql"
CONTINENTS = [
    {"code": "AF", "name": "Africa"},
    {"code": "AN", "name": "Antarctica"},
    {"code": "AS", "name": "Asia"},
    {"code": "EU", "name": "Europe"},
]
NAMES = {"continents": [{"name": each["name"]} for each in CONTINENTS]}

#: What each program prints, and the size of gql's: characters of code without spaces and comments,
#: counted in the documentation of gql 4.
PROGRAMS: dict[str, tuple[list[object], int]] = {
    "sync": ([{"continents": CONTINENTS}], 271),
    "requests_sync": ([{"continents": CONTINENTS}], 338),
    "variables": ([{"continent": {"name": "Europe"}}, {"continent": {"name": "Africa"}}], 230),
    "batching": ([{"continents": CONTINENTS}, {"continent": {"name": "Africa"}}], 368),
    "extensions": ([f"{NAMES} None"], 316),
    "sync_dsl": ([{"continents": CONTINENTS}], 484),
    "async_dsl": (["[Continent(code='EU', name='Europe')]"], 796),
    # gql's documentation has no whole program for it.
    "headers": (["application/graphql-response+json; charset=utf-8"], 271),
}

#: The size of gql-cli's command for each of ours, without the URL.
COMMANDS = [47, 47, 89, 25, 20, 36, 85]


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(GraphQLServer(schema)) as server,
    ):
        yield portal.call(server.listen), server.http_url


def size(code: str) -> int:
    """Return how many characters code has, without spaces, comments and the docstring."""
    code = re.sub(r'^""".*?"""', "", code, flags=re.DOTALL)
    lines = [line for line in code.splitlines() if not line.lstrip().startswith("#")]
    return len(re.sub(r"\s", "", "".join(lines)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name: str, urls: tuple[str, str], forker: Forker) -> None:
    printed, theirs = PROGRAMS[name]
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert size(source) < theirs
    assert "http://localhost:8000/graphql" in source
    done = forker.run(source.replace("http://localhost:8000/graphql", urls[1]), f"{name}.py")
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [str(line) for line in printed]


def commands() -> list[tuple[str, str]]:
    """Return the lines of the shell, each with what it prints first."""
    text = (FOLDER / "commands.sh").read_text(encoding="utf-8")
    return re.findall(r"^(anygql .*)\n#> (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize(("index", "line", "printed"), [(i, *c) for i, c in enumerate(commands())])
def test_a_command(
    index: int,
    line: str,
    printed: str,
    urls: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "query.gql").write_text('{ continent(code: "AF") { name } }')
    typed = "query ($code: ID!) { continent(code: $code) { name } }"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    words = shlex.split(line.replace("$WS", urls[0]).replace("$HTTP", urls[1]))
    assert run(words[1:]) == 0
    captured = capfd.readouterr()
    assert (captured.out + captured.err).splitlines()[0] == printed
    assert len(re.sub(r"\s|\$(WS|HTTP)", "", line)) < COMMANDS[index]


#: What gql's page generates for each section. Values are variables here, and not in the text.
DOCUMENTS = {
    "How to use": "{ hero { id name friends { name } } }",
    "Arguments": "query ($id: ID!) { human(id: $id) { name } }",
    "Aliases": "query ($id: ID!) { luke: human(id: $id) { name } }",
    "Aliases of a selection": "{ hero { my_name: name } }",
    "Mutations": "mutation ($episode: Episode, $review: ReviewInput)"
    " { createReview(episode: $episode, review: $review) { stars commentary } }",
    "Variable arguments": "mutation ($review: ReviewInput, $episode: Episode)"
    " { createReview(review: $review, episode: $episode) { stars commentary } }",
    "Subscriptions": "subscription ($episode: Episode)"
    " { reviewAdded(episode: $episode) { stars commentary } }",
    "Multiple fields": "query ($episode: Episode)"
    " { hero { name } hero_of_episode_5: hero(episode: $episode) { name } }",
    "Operation name": "query GetHeroName { hero { name } }",
    "Multiple operations": "query One { hero { name } } query Two { hero { id } }",
    "Fragments": "{ hero { ...NameAndAppearances } }"
    " fragment NameAndAppearances on Character { name appearsIn }",
    "Inline fragments": "query ($episode: Episode)"
    " { hero(episode: $episode) { name ... on Human { homePlanet } } }",
    "Meta-fields": "{ hero { name __typename } }",
    "Directives": "query ($if: Boolean!) { hero { name @skip(if: $if) } }",
    "Operation directives": "query @customQueryDirective { hero { name } }",
    "Field directives": "query ($first: String!, $second: String!)"
    " { hero { appearsIn @repeat(value: $first) @repeat(value: $second) } }",
    "Fragment directives": "query BaseQuery { hero { ...CharacterInfo } }"
    " query QueryWithDirective { hero { ...CharacterInfo @customFragmentSpreadDirective } }"
    " fragment CharacterInfo on Character @customFragmentDefinitionDirective { name appearsIn }",
    "Inline fragment directives": "query ($episode: Episode) { hero(episode: $episode)"
    " { name ... on Human @customInlineFragmentDirective { homePlanet } } }",
    "Variable definition directives": "query ($episode: Episode @customVariableDirective)"
    " { hero(episode: $episode) { name } }",
}


def test_the_dsl() -> None:
    assert EXAMPLES.keys() == DOCUMENTS.keys()
    for section, request in EXAMPLES.items():
        assert print_ast(parse(request.text)) == print_ast(parse(DOCUMENTS[section])), section
    assert EXAMPLES["Arguments"].variable_values == {"id": "1000"}
    assert EXAMPLES["Directives"].variable_values == {"if": True}
