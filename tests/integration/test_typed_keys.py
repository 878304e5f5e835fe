"""A key that somebody typed: which row it is of, and which it is not of."""

from __future__ import annotations

from contextlib import closing

import pytest

from runtime.postgres import open_target
from schemas.catalogue import Column, Key, Table
from schemas.errors import ConfigurationError
from tests.conftest import MakeDatabase
from validator.equal_keys import EqualKeys
from validator.one_row import RowSides
from validator.plan import TablePlan

TYPES = """
CREATE DOMAIN code AS varchar(3);
CREATE TYPE "odd % type" AS (number int, "text ?" text);
CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
"""

TYPED = [
    ("character varying(3)", "abc", "abc"),
    ("character varying(3)", "abcd", None),
    ("character(3)", "a", "a  "),
    ("character(3)", "abcd", None),
    ("code", "abcd", None),
    ("name", "x" * 64, None),
    ('"char"', "ab", None),
    ("bit(3)", "1011", None),
    ("numeric(10,2)", "1.010", "1.01"),
    ("numeric(10,2)", "1.005", None),
    ("numeric", "1.005", "1.005"),
    ("timestamp(0) with time zone", "2024-01-01 13:00:00+01", "2024-01-01 12:00:00+00"),
    ("timestamp(0) with time zone", "2024-01-01 12:00:00.4+00", None),
    ("timestamp(0) without time zone", "2024-01-01 12:00:00", "2024-01-01 12:00:00"),
    ("time(0) without time zone", "12:00:00.4", None),
    ("interval(0)", "1.4 s", None),
    ("boolean", "yes", "true"),
    ("uuid", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("bytea", "\\xDEAD", "\\xdead"),
    ('"odd % type"', '(1,"a b")', '(1,"a b")'),
    ("int4range", "[1,5]", "[1,6)"),
    ("text", "l1\nl2 %s \u00e9", "l1\nl2 %s \u00e9"),
]


def test_a_key_is_never_cut_to_that_of_another_row(make_database: MakeDatabase) -> None:
    with closing(open_target(make_database(TYPES), schema="public", read_only=True)) as target:
        for type_, typed, printed in TYPED:
            sides = RowSides(source=target, target=target, plan=plan("id % ?", type_), keyring=None, tenant="shop")
            if printed is None:
                with pytest.raises(ConfigurationError, match="this is no value of it"):
                    sides.printed((typed,))
                target.rollback()
            else:
                assert sides.printed((typed,)) == (printed,)


def test_a_key_is_found_however_it_was_written_when_it_was_published(make_database: MakeDatabase) -> None:
    with closing(open_target(make_database(TYPES), schema="public", read_only=True)) as target:
        for column, key, others in (
            (Column(name="id", type="numeric"), "1.0", ["1", "10", "1.00"]),
            (Column(name="id", type="interval"), "30 days", ["1 mon", "29 days", "30 days"]),
            (Column(name="id", type="text", collation="folded"), "Abc", ["aBC", "abd", "Abc"]),
            (Column(name="id", type="double precision"), "0", ["-0", "1", "0"]),
            (Column(name="id", type="text"), "a", ["a", "A", "a"]),
        ):
            equals = EqualKeys(target=target, columns=[column, Column(name="n", type="bigint")], key=(key, "1"))
            assert equals.places([*((other, "1") for other in others), (key, "2")]) == [0, 2]


def plan(name: str, type_: str) -> TablePlan:
    key = Key(name="t_pkey", columns=(name,), definition="")
    table = Table(name="t", columns=(Column(name=name, type=type_),), primary_key=key)
    return TablePlan(table=table, schema="public", key=(), clear=(), sealed=(), summed=())
