"""All that a field of a schema has."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema, introspection_from_schema

from anygql.dsl import select_all
from anygql.schema.client_schema import ClientSchema
from tests.schema.starwars import STAR_WARS

SCHEMA = build_schema(STAR_WARS)


def test_all_of_a_field() -> None:
    request = select_all(SCHEMA, "Query.starship", depth=2)
    assert request.text == (
        "query ($id: ID!) {\n"
        "  starship(id: $id) {\n"
        "    id\n"
        "    name\n"
        "    length\n"
        "    coordinates\n"
        "  }\n"
        "}"
    )
    assert (request.result_type, request.path) == (None, None)
    assert request.typed_options(None, None, None) == (None, None, None)


def test_the_levels() -> None:
    one, two = (select_all(SCHEMA, "hero", depth=depth).text for depth in (1, 2))
    assert "query ($episode: Episode) {\n  hero(episode: $episode) {\n    __typename\n" in one
    assert "friends" not in one
    assert "    friends {\n      __typename\n      id\n      name\n" in two
    assert (
        "    ... on Human {\n      homePlanet\n      height\n      born\n      starships {" in two
    )


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["query", "mutation", "subscription"])
def test_what_is_selected_fits_the_schema(kind: str, depth: int) -> None:
    root: Any = getattr(SCHEMA, f"{kind}_type")
    for name in root.fields:
        request = select_all(SCHEMA, f"{root.name}.{name}", depth=depth)
        ClientSchema(SCHEMA).validate(request.source)
        assert request.kind == kind


CLASHES = """
interface Thing { id: ID! }
type A implements Thing { id: ID! size: Int! other: [Thing] old: Int @deprecated }
type B implements Thing { id: ID! size: Float other: Thing size_B: Int }
type C implements Thing { id: ID! size: Int! other: A! }
type D { deep: A! }
union Any = A | B | C | D
type Query {
  things(first: Int! = 3, last: Int): [Thing!]!
  any(with: String!): Any!
  hidden: Hidden
}
type Hidden { needs(argument: Int!): Int inner: Hidden }
"""


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_fields_that_clash_have_aliases(depth: int) -> None:
    schema = build_schema(CLASHES)
    for name in ("things", "any", "hidden"):
        ClientSchema(schema).validate(select_all(schema, name, depth=depth).source)
    text = select_all(schema, "any", depth=depth).text
    assert "size_B: size" in text
    assert "size_C" not in text
    assert "query ($with: String!)" in text
    assert "query ($first: Int, $last: Int)" in select_all(schema, "things").text


def test_an_object_of_which_nothing_can_be_selected() -> None:
    request = select_all(build_schema(CLASHES), "hidden", depth=1)
    assert request.text == "{\n  hidden {\n    __typename\n  }\n}"


def test_deprecated_fields() -> None:
    assert "old" not in select_all(CLASHES, "any").text
    assert "old" in select_all(CLASHES, "any", deprecated=True).text


def test_the_forms_of_a_schema() -> None:
    texts = {
        select_all(schema, "Query.hero").text
        for schema in (SCHEMA, STAR_WARS, introspection_from_schema(SCHEMA))
    }
    assert len(texts) == 1


@pytest.mark.parametrize("path", ["Query.nope", "nope", "Nope.hero", "Query.", "", "Human.name"])
def test_no_such_field(path: str) -> None:
    with pytest.raises(ValueError, match=r"no field '.*', of the form Query\.field or Mutation"):
        select_all(SCHEMA, path)


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_the_depth_is_a_number(depth: Any) -> None:
    with pytest.raises(ValueError, match="depth is a number of levels, from 1 on"):
        select_all(SCHEMA, "hero", depth=depth)
