"""A changed migration is told by what has changed in it."""

from __future__ import annotations

import pytest

from schemas.migration import parse_migration
from schemas.shape import changes

BEGUN = """
tenant = "shop"
tables = ["orders"]
[table.orders]
encrypt = ["email", "phone"]
[table.orders.transform]
total = "bigint"
"""


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('["email", "phone"]', '["email"]', "table.orders.encrypt phone is gone"),
        ('["email", "phone"]', '["email", "note", "phone"]', "table.orders.encrypt note is new"),
        ('total = "bigint"', 'total = "percent"', "table.orders.transform.total is another"),
        ('["orders"]', '["orders", "items"]', "tables is another"),
        ('tenant = "shop"', 'tenant = "shop"\nschema = "elsewhere"', "schema is another"),
    ],
)
def test_what_has_changed_is_named_by_table_column_and_rule(was: str, becomes: str, told: str) -> None:
    then, now = parse_migration(BEGUN, "then.toml"), parse_migration(BEGUN.replace(was, becomes), "now.toml")

    assert changes(then.parts(), now.parts()) == told
    assert then.digest() != now.digest()


def test_what_does_not_shape_the_data_is_no_change() -> None:
    then, now = (parse_migration(BEGUN + limit, "a.toml") for limit in ("", "\n[apply]\nmax_quarantined = 5\n"))

    assert changes(then.parts(), now.parts()) == ""


def test_a_log_of_an_older_build_knows_no_parts() -> None:
    assert changes({}, parse_migration(BEGUN, "a.toml").parts()) == ""
