"""Merging the payloads of ``@defer`` and ``@stream``, as tables of what servers send.

An id begins with the number of the point of incremental delivery that the row is about: 4 stop at
``hasNext: false``. 5 merge by path. 6 the newer form with ``pending``, ``incremental``, ``subPath``
and ``completed``. 7 a single answer is fine too.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anygql.exceptions import ProtocolViolation
from anygql.results.incremental import IncrementalMerge
from anygql.results.result import ExecutionResult

R = ExecutionResult


def merged(*payloads: dict[str, Any]) -> list[ExecutionResult]:
    """Each state, in order; more is said to come until the last."""
    merge = IncrementalMerge()
    states: list[ExecutionResult] = []
    for payload in payloads:
        assert merge.has_next
        states.append(merge.add(payload))
    assert not merge.has_next
    assert merge.result == states[-1]
    return states


# graphql-core 3.3: fragments within fragments, announced when their objects are known.
CORE_DEFER = [
    {
        "data": {"hero": {"id": "1"}},
        "pending": [{"id": "0", "path": ["hero"], "label": "D"}],
        "hasNext": True,
    },
    {
        "hasNext": True,
        "pending": [
            {"id": "1", "path": ["hero", "friends", 0]},
            {"id": "2", "path": ["hero", "friends", 1]},
        ],
        "incremental": [
            {"data": {"name": "a", "friends": [{"id": "11"}, {"id": "12"}]}, "id": "0"}
        ],
        "completed": [{"id": "0"}],
    },
    {
        "hasNext": False,
        "incremental": [{"data": {"name": "b"}, "id": "1"}, {"data": {"name": "c"}, "id": "2"}],
        "completed": [{"id": "1"}, {"id": "2"}],
    },
]
CORE_SUB_PATH = [
    {
        "data": {"hero": {"id": "1"}},
        "pending": [{"id": "0", "path": ["hero"]}, {"id": "1", "path": ["hero"]}],
        "hasNext": True,
    },
    {
        "hasNext": True,
        "incremental": [
            {"data": {"friends": [{}, {}]}, "id": "0"},
            {"data": {"id": "11"}, "id": "0", "subPath": ["friends", 0]},
            {"data": {"id": "12"}, "id": "0", "subPath": ["friends", 1]},
        ],
        "completed": [{"id": "0"}],
    },
    {
        "hasNext": False,
        "incremental": [
            {"data": {"name": "b"}, "id": "1", "subPath": ["friends", 0]},
            {"data": {"name": "c"}, "id": "1", "subPath": ["friends", 1]},
        ],
        "completed": [{"id": "1"}],
    },
]
CORE_STREAM = [
    {
        "data": {"tags": ["a"]},
        "pending": [{"id": "0", "path": ["tags"], "label": "T"}],
        "hasNext": True,
    },
    {"hasNext": True, "incremental": [{"items": ["b"], "id": "0"}]},
    {"hasNext": True, "incremental": [{"items": ["c", None], "id": "0"}]},
    {"hasNext": False, "completed": [{"id": "0"}]},
]
CORE_FAILED = [
    {"data": {"hero": {"id": "1"}}, "pending": [{"id": "0", "path": ["hero"]}], "hasNext": True},
    {
        "hasNext": False,
        "completed": [{"id": "0", "errors": [{"message": "x", "path": ["hero", "bad"]}]}],
    },
]
# Strawberry: the same, with a path and a label on each patch, and nulls.
STRAWBERRY = [
    {
        "data": {"hero": {"id": "1"}},
        "errors": None,
        "extensions": None,
        "hasNext": True,
        "pending": [{"id": "0", "path": ["hero"], "label": None}],
    },
    {
        "hasNext": False,
        "extensions": None,
        "completed": [{"id": "0"}],
        "incremental": [
            {"data": {"name": "a"}, "id": "0", "path": ["hero"], "label": None, "errors": None}
        ],
    },
]
# Apollo Server, deferSpec=20220824.
APOLLO_2022 = [
    {"hasNext": True, "data": {"hero": {"id": "1", "friends": [{"id": "2"}]}}},
    {
        "hasNext": True,
        "incremental": [
            {"path": ["hero"], "label": "D", "data": {"name": "a", "friends": [{"name": "b"}]}}
        ],
    },
    {
        "hasNext": True,
        "incremental": [
            {"path": ["hero", "friends", 1], "items": [{"id": "3"}]},
            {"path": ["hero", "friends", 2], "items": [{"id": "4"}, {"id": "5"}]},
        ],
    },
    {"hasNext": False},
]
# Apollo Server, incrementalSpec=v0.2.
APOLLO_V02 = [
    {
        "hasNext": True,
        "data": {"hero": {"id": "1"}},
        "pending": [{"id": "0", "path": ["hero"], "label": "D"}],
    },
    {
        "hasNext": False,
        "incremental": [{"id": "0", "data": {"name": "a"}}],
        "completed": [{"id": "0"}],
    },
]
# Yoga: by path, without anything pending.
YOGA = [
    {"data": {"hero": {"id": "1"}, "tags": []}, "hasNext": True},
    {"incremental": [{"items": ["a"], "path": ["tags", 0]}], "hasNext": True},
    {"incremental": [{"data": {"name": "a"}, "path": ["hero"]}], "hasNext": True},
    {"incremental": [{"items": ["b"], "path": ["tags", 1]}], "hasNext": True},
    {"hasNext": False},
]
# The oldest form: a payload is a patch.
OLDEST = [
    {"data": {"hero": {"id": "1"}, "tags": ["a"]}, "hasNext": True},
    {"data": {"name": "a"}, "path": ["hero"], "label": "D", "hasNext": True},
    {"data": "b", "path": ["tags", 1], "label": "T", "hasNext": True},
    {"data": None, "path": ["tags", 2], "hasNext": True},
    {"data": None, "path": ["hero"], "errors": [{"message": "x"}], "hasNext": True},
    {"hasNext": False},
]

MERGED = [
    pytest.param(
        CORE_DEFER,
        [
            R({"hero": {"id": "1"}}),
            R({"hero": {"id": "1", "name": "a", "friends": [{"id": "11"}, {"id": "12"}]}}),
            R(
                {
                    "hero": {
                        "id": "1",
                        "name": "a",
                        "friends": [{"id": "11", "name": "b"}, {"id": "12", "name": "c"}],
                    }
                }
            ),
        ],
        id="6-graphql-core-nested",
    ),
    pytest.param(
        CORE_SUB_PATH,
        [
            R({"hero": {"id": "1"}}),
            R({"hero": {"id": "1", "friends": [{"id": "11"}, {"id": "12"}]}}),
            R(
                {
                    "hero": {
                        "id": "1",
                        "friends": [{"id": "11", "name": "b"}, {"id": "12", "name": "c"}],
                    }
                }
            ),
        ],
        id="6-graphql-core-sub-path",
    ),
    pytest.param(
        CORE_STREAM,
        [
            R({"tags": ["a"]}),
            R({"tags": ["a", "b"]}),
            R({"tags": ["a", "b", "c", None]}),
            R({"tags": ["a", "b", "c", None]}),
        ],
        id="6-graphql-core-stream",
    ),
    pytest.param(
        CORE_FAILED,
        [
            R({"hero": {"id": "1"}}),
            R({"hero": {"id": "1"}}, [{"message": "x", "path": ["hero", "bad"]}]),
        ],
        id="6-completed-with-errors",
    ),
    pytest.param(
        STRAWBERRY,
        [R({"hero": {"id": "1"}}), R({"hero": {"id": "1", "name": "a"}})],
        id="6-strawberry",
    ),
    pytest.param(
        APOLLO_V02,
        [R({"hero": {"id": "1"}}), R({"hero": {"id": "1", "name": "a"}})],
        id="6-apollo-v0.2",
    ),
    pytest.param(
        APOLLO_2022,
        [
            R({"hero": {"id": "1", "friends": [{"id": "2"}]}}),
            R({"hero": {"id": "1", "friends": [{"id": "2", "name": "b"}], "name": "a"}}),
            *[
                R(
                    {
                        "hero": {
                            "id": "1",
                            "friends": [
                                {"id": "2", "name": "b"},
                                {"id": "3"},
                                {"id": "4"},
                                {"id": "5"},
                            ],
                            "name": "a",
                        }
                    }
                )
            ]
            * 2,
        ],
        id="5-apollo-20220824",
    ),
    pytest.param(
        YOGA,
        [
            R({"hero": {"id": "1"}, "tags": []}),
            R({"hero": {"id": "1"}, "tags": ["a"]}),
            R({"hero": {"id": "1", "name": "a"}, "tags": ["a"]}),
            *[R({"hero": {"id": "1", "name": "a"}, "tags": ["a", "b"]})] * 2,
        ],
        id="5-yoga",
    ),
    pytest.param(
        OLDEST,
        [
            R({"hero": {"id": "1"}, "tags": ["a"]}),
            R({"hero": {"id": "1", "name": "a"}, "tags": ["a"]}),
            R({"hero": {"id": "1", "name": "a"}, "tags": ["a", "b"]}),
            R({"hero": {"id": "1", "name": "a"}, "tags": ["a", "b", None]}),
            *[R({"hero": {"id": "1", "name": "a"}, "tags": ["a", "b", None]}, [{"message": "x"}])]
            * 2,
        ],
        id="5-oldest",
    ),
    pytest.param([{"data": {"a": 1}}], [R({"a": 1})], id="7-single"),
    pytest.param([{"data": {"a": 1}, "hasNext": False}], [R({"a": 1})], id="4-first-is-last"),
    pytest.param([{"errors": ["x"]}], [R(None, ["x"])], id="7-request-error"),
    pytest.param(
        [
            {"data": {}, "pending": [{"id": "0", "path": []}], "hasNext": True},
            {"incremental": [{"id": "0", "data": {"a": 1}}], "hasNext": False},
        ],
        [R({}), R({"a": 1})],
        id="6-at-the-root-never-completed",
    ),
    pytest.param(
        [
            {"data": {}, "hasNext": True},
            {"incremental": [{"path": [], "data": {"a": {"b": 1}}}], "hasNext": True},
            {"incremental": [{"path": [], "data": {"a": {"c": 2}}}], "hasNext": False},
        ],
        [R({}), R({"a": {"b": 1}}), R({"a": {"b": 1, "c": 2}})],
        id="5-deep",
    ),
    pytest.param(
        [
            {"data": {"a": [{"x": 1}, None, {"x": 3}]}, "hasNext": True},
            {
                "incremental": [{"path": [], "data": {"a": [{"y": 1}, {"y": 2}, None, {"y": 4}]}}],
                "hasNext": False,
            },
        ],
        [
            R({"a": [{"x": 1}, None, {"x": 3}]}),
            R({"a": [{"x": 1, "y": 1}, {"y": 2}, None, {"y": 4}]}),
        ],
        id="5-lists-by-index",
    ),
    pytest.param(
        [
            {"data": {"a": [["x"]]}, "hasNext": True},
            {"incremental": [{"path": ["a", 0, 1], "items": ["y"]}], "hasNext": True},
            {"incremental": [{"path": ["a", 1], "items": [["z"]]}], "hasNext": False},
        ],
        [R({"a": [["x"]]}), R({"a": [["x", "y"]]}), R({"a": [["x", "y"], ["z"]]})],
        id="5-lists-in-lists",
    ),
    pytest.param(
        [
            {"data": {"a": []}, "hasNext": True},
            {"incremental": [{"path": ["a"], "items": ["y"]}], "hasNext": False},
        ],
        [R({"a": []}), R({"a": ["y"]})],
        id="5-items-without-index",
    ),
    pytest.param(
        [
            {"data": {"a": []}, "hasNext": True},
            {
                "incremental": [{"path": ["a", 0], "items": None, "errors": ["x"]}],
                "hasNext": False,
            },
        ],
        [R({"a": []}), R({"a": []}, ["x"])],
        id="5-stream-failed",
    ),
    pytest.param(
        [
            {"data": {"a": None}, "errors": ["1"], "extensions": {"t": 1}, "hasNext": True},
            {
                "incremental": [
                    {"path": ["a"], "data": None, "errors": ["2"], "extensions": {"u": 2}}
                ],
                "errors": ["3"],
                "extensions": {"t": 3},
                "hasNext": False,
            },
        ],
        [R({"a": None}, ["1"], {"t": 1}), R({"a": None}, ["1", "3", "2"], {"t": 3, "u": 2})],
        id="5-errors-and-extensions-are-collected",
    ),
    pytest.param(
        [
            {"data": {"a": {}}, "hasNext": True},
            {"incremental": [{"path": ["a"], "data": {"b": 1}}]},
            {"hasNext": False},
        ],
        [R({"a": {}}), R({"a": {"b": 1}}), R({"a": {"b": 1}})],
        id="4-has-next-left-out",
    ),
    pytest.param(
        [
            {
                "data": {"a": {}},
                "incremental": [{"path": ["a"], "data": {"b": 1}}],
                "hasNext": True,
            },
            {"hasNext": False},
        ],
        [R({"a": {"b": 1}}), R({"a": {"b": 1}})],
        id="5-patch-in-the-first",
    ),
]

FIRST: dict[str, Any] = {
    "data": {"a": {"b": [1]}, "n": None, "s": "text"},
    "pending": [{"id": "0", "path": ["a"]}, {"id": "9", "path": ["a", "gone"]}],
    "hasNext": True,
}


def patch(**parts: Any) -> dict[str, Any]:
    return {"incremental": [parts], "hasNext": True}


REFUSED = [
    pytest.param(patch(id="1", data={}), "the unknown id '1'", id="6-unknown-id"),
    pytest.param({"completed": [{"id": "1"}]}, "the unknown id '1'", id="6-unknown-completed"),
    pytest.param(
        {"completed": [{"id": "0"}, {"id": "0"}]}, "the unknown id '0'", id="6-completed-twice"
    ),
    pytest.param({"pending": [{"id": "0", "path": []}]}, "'0' is pending", id="6-pending-twice"),
    pytest.param(patch(id="9", data={}), "unknown path 'a.gone'", id="6-unknown-path"),
    pytest.param(
        patch(id="0", subPath=["b", 5], data={}), "unknown path 'a.b.5'", id="6-unknown-sub-path"
    ),
    pytest.param(
        patch(id="0", subPath=["b", 1], data={}), "unknown path 'a.b.1'", id="6-next-sub-path"
    ),
    pytest.param(patch(id="0", items=[1]), "unknown path 'a'", id="6-items-of-an-object"),
    pytest.param(patch(path=["x"], data={}), "unknown path 'x'", id="5-unknown-path"),
    pytest.param(patch(path=["n"], data={}), "unknown path 'n'", id="5-path-to-null"),
    pytest.param(patch(path=["s"], data={}), "unknown path 's'", id="5-path-to-text"),
    pytest.param(patch(path=["s", 0], data={}), "unknown path 's.0'", id="5-path-into-text"),
    pytest.param(patch(path=["a", "b", -1], data={}), "unknown path", id="5-negative-index"),
    pytest.param(patch(path=["a", "b", "0"], data={}), "unknown path", id="5-index-as-text"),
    pytest.param(patch(path=["a", 0], items=[1]), "unknown path 'a.0'", id="5-items-of-an-object"),
    pytest.param(patch(path=["a", "b", 3], items=[1]), "unknown path 'a.b.3'", id="5-gap"),
    pytest.param(patch(path=["a", "b", -1], items=[1]), "unknown path", id="5-items-before"),
    pytest.param(patch(path=["x" * 500], data={}), "xxx…", id="5-long-path"),
    pytest.param(patch(path=["a"], data=[1]), "another type", id="5-list-upon-object"),
    pytest.param(patch(path=["a"], data=1), "another type", id="5-scalar-upon-object"),
    pytest.param(patch(data={}), "neither an id nor a path", id="5-no-path"),
    pytest.param({"data": {"x": 1}, "hasNext": True}, "data but no path", id="5-second-data"),
    pytest.param({"incremental": {}}, "$.incremental", id="incremental-object"),
    pytest.param({"hasNext": "yes"}, "$.hasNext", id="has-next-text"),
    pytest.param({"pending": [{"path": []}]}, "`id`", id="6-pending-without-id"),
    pytest.param({"pending": [{"id": "3"}]}, "`path`", id="6-pending-without-path"),
    pytest.param({"pending": [{"id": "3", "path": [True]}]}, "$.pending[0].path[0]", id="6-path"),
    pytest.param({"errors": "x"}, "$.errors", id="errors-text"),
]


@pytest.mark.parametrize(("payloads", "states"), MERGED)
def test_merging(payloads: list[dict[str, Any]], states: list[ExecutionResult]) -> None:
    given = copy.deepcopy(payloads)
    found = merged(*payloads)
    assert found == states  # all of them, so none was changed by a later one
    assert payloads == given


@pytest.mark.parametrize(("payload", "reason"), REFUSED)
def test_what_is_not_allowed(payload: dict[str, Any], reason: str) -> None:
    merge = IncrementalMerge()
    first = merge.add(FIRST)
    kept = copy.deepcopy(first)
    with pytest.raises(ProtocolViolation) as caught:
        merge.add(payload)
    assert reason in caught.value.reason
    assert len(caught.value.reason) < 200
    assert first == kept
    assert not merge.has_next
    with pytest.raises(ProtocolViolation, match="after the last one"):
        merge.add({"hasNext": False})


@pytest.mark.parametrize("payload", [[], "x", None], ids=repr)
def test_a_payload_is_an_object(payload: Any) -> None:
    with pytest.raises(ProtocolViolation, match="Expected `object`"):
        IncrementalMerge().add(payload)


@pytest.mark.parametrize(
    "first",
    [{}, {"message": "no"}, {"errors": []}, {"errors": {}}, {"data": []}, {"hasNext": True}],
)
def test_a_first_payload_that_is_no_result_is_refused(first: dict[str, Any]) -> None:
    with pytest.raises(ProtocolViolation, match="malformed incremental payload"):
        IncrementalMerge().add(first)


def test_a_later_payload_without_any_part_is_refused_with_the_servers_words() -> None:
    merge = IncrementalMerge()
    merge.add({"data": {"a": 1}, "hasNext": True})
    with pytest.raises(ProtocolViolation, match="without any part of a result: no"):
        merge.add({"message": "no"})


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("payload", [{}, {"message": "Internal server error"}, {"errors": []}])
def test_a_payload_that_is_no_part_of_a_result(payload: Any, begun: bool) -> None:
    if begun and "errors" in payload:
        return
    merge = IncrementalMerge()
    if begun:
        merge.add({"data": {}, "hasNext": True})
    with pytest.raises(ProtocolViolation) as caught:
        merge.add(payload)
    assert ("message" not in payload) or ("Internal server error" in caught.value.reason)


@pytest.mark.parametrize("payload", [{"hasNext": False}, {"data": [], "errors": {}}])
def test_a_first_payload_that_is_no_result(payload: Any) -> None:
    with pytest.raises(ProtocolViolation):
        IncrementalMerge().add(payload)


def test_nothing_comes_after_the_last() -> None:
    merge = IncrementalMerge()
    merge.add({"data": {"a": 1}})
    with pytest.raises(ProtocolViolation, match="after the last one"):
        merge.add({"hasNext": False})


def test_pending_patches_are_bounded() -> None:
    merge = IncrementalMerge(max_pending=2)
    pending = [{"id": str(number), "path": []} for number in range(3)]
    merge.add({"data": {}, "pending": pending[:2], "hasNext": True})
    merge.add({"completed": [{"id": "0"}], "hasNext": True})
    merge.add({"pending": pending[2:], "hasNext": True})  # one has made room
    with pytest.raises(ProtocolViolation, match=r"more than 2 patches are pending"):
        merge.add({"pending": pending[:1], "hasNext": True})


def test_payloads_nested_too_deeply() -> None:
    deep: Any = {}
    other: Any = {}
    for _ in range(100_000):
        deep, other = {"a": deep}, {"a": other}
    merge = IncrementalMerge()
    merge.add({"data": deep, "hasNext": True})
    with pytest.raises(ProtocolViolation, match="too deeply"):
        merge.add({"path": [], "data": other, "hasNext": True})


def test_what_is_not_touched_is_shared() -> None:
    merge = IncrementalMerge()
    first = merge.add({"data": {"a": {}, "b": {"c": 1}}, "hasNext": True})
    second = merge.add(patch(path=["a"], data={"x": 1}))
    assert second.data["b"] is first.data["b"]
    assert second.data["a"] is not first.data["a"]


def test_many_patches_in_one_payload_copy_a_list_once() -> None:
    merge = IncrementalMerge()
    merge.add({"data": {"list": []}, "hasNext": True})
    patches = [{"path": ["list", index], "items": [index]} for index in range(50_000)]
    result = merge.add({"incremental": patches, "hasNext": False})
    assert result.data == {"list": list(range(50_000))}


TREES: st.SearchStrategy[Any] = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def stripped(tree: Any) -> Any:
    """The objects of a tree, without their leaves."""
    return {key: stripped(value) for key, value in tree.items() if isinstance(value, dict)}


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[list[str], Any]]:
    found: list[tuple[list[str], Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += leaves(value, (*path, key))
        else:
            found.append(([*path], {key: value}))
    return found


@given(st.dictionaries(st.sampled_from("abc"), TREES, min_size=1), st.randoms())
def test_patches_in_any_order_make_the_whole(tree: dict[str, Any], random: Any) -> None:
    patches = [{"path": path, "data": data} for path, data in leaves(tree)]
    random.shuffle(patches)
    merge = IncrementalMerge()
    states = [merge.add({"data": stripped(tree), "hasNext": True})]
    copies = copy.deepcopy(states)
    for one in patches:
        states.append(merge.add({"incremental": [one], "hasNext": True}))
        copies.append(copy.deepcopy(states[-1]))
    assert states[-1].data == tree
    assert states == copies
