"""Python's names in GraphQL's spelling."""

from __future__ import annotations

import pytest

from anygql.results.types.names import camel_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("name", "name"),
        ("first_name", "firstName"),
        ("a_b_c", "aBC"),
        ("firstName", "firstName"),
        ("user_ID", "userID"),
        ("user_id", "userId"),
        ("line_1", "line1"),
        ("line_1b", "line1b"),
        ("two__of_them", "twoOfThem"),
        ("from_", "from"),
        ("is_in_", "isIn"),
        ("_private_name", "_privateName"),
        ("__typename", "__typename"),
        ("_", "_"),
        ("Name", "Name"),
        ("größe_in_cm", "größeInCm"),
    ],
)
def test_camel_case(name: str, expected: str) -> None:
    assert camel_case(name) == expected
