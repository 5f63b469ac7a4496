"""Whether a document can have results at a path of response keys."""

from __future__ import annotations

import graphql
import pytest

from anygql.documents.request import GraphQLRequest, gql

DOCUMENT = """
query Orders($n: Int = 1, $o: In = {a: [{b: 1}]}) @live(at: "{ no }") {
  orders(first: $n, where: {id: {in: ["{ no }"]}}) @include(if: true) {
    edges { cursor node { ...Order ...on Parcel { size weight: grams } } }
    total: count(of: {kind: BIG})
  }
  ... { viewer { name } }
  ...Rest @defer(label: "rest")
  viewer { settings }
  # comment
}

fragment Rest on Query { viewer { id ...Again } ...Rest }
fragment Again on User { friends { name } ...Again }
fragment Order on Order @a { id lines { sku } }
query Other { other }
"""


def orders(source: object = DOCUMENT, name: str = "Orders") -> GraphQLRequest:
    return GraphQLRequest(source, operation_name=name)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [DOCUMENT, graphql.parse(DOCUMENT)], ids=["text", "tree"])
@pytest.mark.parametrize(
    "path",
    [
        "orders",
        "orders.total",
        "orders.edges.cursor",
        "orders.edges.node.id",  # by a named fragment
        "orders.edges.node.lines.sku",
        "orders.edges.node.size",  # by an inline fragment
        "orders.edges.node.weight",
        "viewer.name",  # the two fields have one key, and so has the fragment's
        "viewer.settings",
        "viewer.id",
        "viewer.friends.name",
        "viewer.settings.theme.dark",  # perhaps a scalar that is an object
        "orders.total.whatever",
    ],
)
def test_a_path_that_results_may_have(source: object, path: str) -> None:
    orders(source).check_path(path.split("."))


@pytest.mark.parametrize("source", [DOCUMENT, graphql.parse(DOCUMENT)], ids=["text", "tree"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("order", "no 'order' at the top, where it selects orders, viewer. Did you mean 'orders'?"),
        ("other", "no 'other' at the top"),  # of another operation
        ("orders.edge", "no 'edge' in 'orders', where it selects edges, total. Did you mean 'ed"),
        ("orders.count", "Did you mean 'total', which is what the document calls 'count' there?"),
        ("orders.edges.node.grams", "Did you mean 'weight', which is"),
        ("orders.edges.node.idd", "selects size, weight, id, lines. Did you mean 'id'?"),
        ("viewer.friends.nmae", "no 'nmae' in 'viewer.friends', where it selects name. Did you"),
        ("viewer.zzz", "where it selects name, settings, id, friends."),
        ("Rest", "no 'Rest' at the top"),
        ("n", "no 'n' at the top"),
    ],
)
def test_a_path_that_no_result_has(source: object, path: str, message: str) -> None:
    with pytest.raises(ValueError, match="path=") as caught:
        orders(source).check_path(path.split("."))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"path={path!r}: the document selects ")


def test_the_operation_that_runs_counts() -> None:
    orders(name="Other").check_path(["other"])
    with pytest.raises(ValueError, match="selects other"):
        orders(name="Other").check_path(["orders"])
    gql("{ a: b }").check_path(["a"])
    with pytest.raises(ValueError, match="Did you mean 'a', which"):
        gql("{ a: b }").check_path(["b"])


def test_what_cannot_be_told_passes() -> None:
    gql("{ ...Missing a }").check_path(["b"])  # the server will say so
    gql('query ($a: String = "\\u{1F600}") { a(b: $a) }').check_path(["b"])  # no token of ours


def test_a_message_does_not_list_everything() -> None:
    request = gql("{" + " ".join(f"field_{n}" for n in range(1000)) + "}")
    with pytest.raises(ValueError, match="field_9, …") as caught:
        request.check_path(["x"])
    assert len(str(caught.value)) < 300
