from __future__ import annotations

import sys
from types import ModuleType

import polars as pl
import pytest

from schemas.catalogue import Column, Key, Table
from schemas.errors import ConfigurationError
from schemas.mapping import Treatment, table_mapping
from schemas.migration import parse_migration
from schemas.migration_model import NAMED_TRANSFORMS, Migration
from schemas.transforms import Transform, transform

CREATORS = Table(
    name="creators",
    columns=(
        Column(name="id", type="text", not_null=True),
        Column(name="tax_id", type="text"),
        Column(name="commission_percent", type="text"),
        Column(name="shown", type="text", generated="upper(id)"),
        Column(name="score", type="numeric(10,2)"),
    ),
    primary_key=Key(name="creators_pkey", columns=("id",), definition="PRIMARY KEY (id)"),
)


def migration(rules: str) -> Migration:
    return parse_migration(f'tenant = "rawdog"\ntables = ["creators"]\n[table.creators]\n{rules}', "rawdog.toml")


def test_each_column_that_travels_has_one_treatment_and_its_target_type() -> None:
    mapping = table_mapping(
        CREATORS,
        migration(
            'encrypt = ["tax_id"]\nsums = ["score"]\nmigrated_at = "moved_at"\ntransform = { commission_percent = "percent" }'
        ),
    )

    assert [(column.name, column.target_type, column.treatment) for column in mapping.columns] == [
        ("id", "text", Treatment.CLEAR),
        ("tax_id", "bytea", Treatment.ENCRYPT),
        ("commission_percent", "double precision", Treatment.TRANSFORM),
        ("score", "numeric(10,2)", Treatment.CLEAR),
    ]
    assert mapping.column("commission_percent").transform is transform("percent")
    assert (mapping.migrated_at, mapping.sums) == ("moved_at", ("score",))


def test_added_columns_are_a_constant_or_sql() -> None:
    rules = "[table.creators.add]\n"
    rules += """tenant_id = { type = "text", value = "it's" }\nlive = { type = "boolean", value = true }\n"""
    rules += """at = { type = "date", sql = "now()" }"""

    added = table_mapping(CREATORS, migration(rules)).added

    assert [(column.name, column.constant, column.sql) for column in added] == [
        ("tenant_id", "'it''s'", None),
        ("live", "'true'", None),
        ("at", None, "now()"),
    ]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ('encrypt = ["id"]', r'rawdog\.toml:3: "creators"\."id" is part of the key'),
        ('transform = { id = "percent" }', "is part of the key"),
        ('encrypt = ["tax"]', "is no column that travels"),
        ('encrypt = ["shown"]', "is no column that travels"),
    ],
)
def test_a_rule_that_would_lose_a_rows_name_or_hit_nothing_is_refused(rules: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        table_mapping(CREATORS, migration(rules))


def test_every_named_transform_exists() -> None:
    assert [transform(name).name for name in NAMED_TRANSFORMS] == list(NAMED_TRANSFORMS)


def test_an_own_transform_is_what_its_function_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("house_rules")
    own = Transform(
        name="upper",
        target_type="text",
        expression=lambda cell: cell.str.to_uppercase(),
        failed=lambda cell: pl.lit(value=False),
        sql=lambda cell: f"upper({cell})",
        sql_failed=lambda cell: "false",
    )
    module.__dict__.update(upper=lambda: own, wrong=lambda: 1, broken=lambda: 1 / 0)
    monkeypatch.setitem(sys.modules, "house_rules", module)

    assert transform("house_rules:upper") is own
    for rule in ("house_rules:wrong", "house_rules:broken", "house_rules:none", "no_such_module:x", "unknown"):
        with pytest.raises(ConfigurationError) as raised:
            transform(rule)
        assert raised.value.hint


def test_small_percents_are_listed_and_blanks_counted() -> None:
    frame = pl.DataFrame({"c": ["0.15", "1", "15", "0", " ", "", None, "n/a", "-0.5"]})
    small, blank = transform("percent").notices

    assert frame.select(small.expression(pl.col("c")))["c"].to_list() == [True, True, *[False] * 7]
    assert frame.select(blank.expression(pl.col("c")))["c"].to_list() == [*[False] * 4, True, True, *[False] * 3]
    assert (small.is_listed, blank.is_listed) == (True, False)


def test_what_cannot_be_converted_fails_and_null_does_not() -> None:
    frame = pl.DataFrame({"c": ["15%", "n/a", "", None, "1.234,50"]})

    assert frame.select(transform("percent").failed(pl.col("c")))["c"].to_list() == [False, True, False, False, True]


def test_halves_are_rounded_away_from_zero() -> None:
    frame = pl.DataFrame({"c": ["0.5", "1.5", "2.5", "-2.5", "2.49999", None, "NaN"]})

    assert frame.select(transform("bigint").expression(pl.col("c")).alias("c"))["c"].to_list() == [
        1,
        2,
        3,
        -3,
        2,
        None,
        None,
    ]
