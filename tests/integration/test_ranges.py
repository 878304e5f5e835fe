"""Ranges of a key: together they are the table, alike on both sides, and a row of one is found by the key's index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from runtime.postgres import Side
from schemas.canonical import Method
from schemas.catalogue import Column, Key, Table
from schemas.pgtypes import text_expression
from tests.conftest import MakeDatabase
from validator.drill import InSql, differing_rows
from validator.plan import Cell, TablePlan
from validator.ranges import Ranges, cut_ranges
from validator.verdict import Kind

SIDES: tuple[Side, ...] = ("source", "target")
KEYS = {  # type of the key: the value for n; values that only the target has
    "bigint": ("n * 3 - 100", "'-9223372036854775808', '9223372036854775807'"),
    "uuid": ("md5(n::text)::uuid", "'00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "date": ("date '2024-01-01' + n", "'-infinity', 'infinity', '0044-03-15 BC'"),
    "text": ("chr(33 + n % 94) || n", "'', 'Ä', '''', E'\\\\', '🙂'"),
    "numeric": ("n / 10.0", "'NaN', '-1', '0.10'"),
    "timestamp with time zone": ("timestamptz '2024-01-01' + n * interval '1 hour'", "'-infinity', 'infinity'"),
}
ROWS = 600
SESSION = "-c TimeZone=UTC -c DateStyle=ISO,YMD"


@pytest.fixture
def connection(make_database: MakeDatabase) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(make_database(), autocommit=True, options=SESSION) as made:
        made.execute("CREATE SCHEMA source; CREATE SCHEMA target")
        yield made


def pair(connection: psycopg.Connection[Any], *types: str, rows: int = ROWS) -> tuple[TablePlan, Table]:
    """Two equal tables with a key of columns of these types."""
    columns = [Column(name=f"k{place}", type=type_) for place, type_ in enumerate(types)]
    names = ", ".join(column.name for column in columns)
    for side in SIDES:
        listed = ", ".join(f"{column.name} {column.type}" for column in columns)
        values = ", ".join(KEYS[type_][0] if type_ in KEYS else "7" for type_ in types)
        connection.execute(f"CREATE TABLE {side}.t ({listed}, what text)".encode())
        connection.execute(f"INSERT INTO {side}.t SELECT {values}, 'what' FROM generate_series(1, {rows}) n".encode())
        connection.execute(f"CREATE INDEX ON {side}.t ({names}); ANALYZE {side}.t".encode())
    table = Table(
        name="t",
        schema="source",
        columns=(*columns, Column(name="what", type="text")),
        primary_key=Key(name="t_pkey", columns=tuple(column.name for column in columns), definition=""),
    )
    cells = [
        Cell(name=column.name, source=text_expression(column), target=text_expression(column))
        for column in table.columns
    ]
    plan = TablePlan(table=table, schema="target", key=tuple(cells[:-1]), clear=tuple(cells), sealed=(), summed=())
    return plan, table


def ranges_of(connection: psycopg.Connection[Any], plan: TablePlan, table: Table, rows: int = ROWS) -> Ranges:
    found = cut_ranges(connection, plan, table, rows)
    assert found is not None
    return found


def in_sql(
    connection: psycopg.Connection[Any],
    plan: TablePlan,
    side: Side,
    ranges: Ranges | None,
    method: Method = Method.SHA256,
) -> InSql:
    return InSql(connection, plan, side, [getattr(cell, side) for cell in plan.clear], ranges=ranges, method=method)


@pytest.mark.parametrize("type_", KEYS)
def test_every_row_lies_in_exactly_one_range_also_one_beyond_all_that_the_source_has(
    connection: psycopg.Connection[Any], type_: str
) -> None:
    plan, table = pair(connection, type_)
    connection.execute(
        f"INSERT INTO target.t SELECT v, 'new' FROM unnest(ARRAY[{KEYS[type_][1]}, NULL]::{type_}[]) v".encode()
    )

    ranges = ranges_of(connection, plan, table)

    assert len(ranges.cuts) > 100
    for side in SIDES:
        rows = connection.execute(
            f"SELECT {ranges.number(side)}, count(*) FROM {side}.t t GROUP BY 1".encode()
        ).fetchall()
        for number, count in rows:
            found = connection.execute(
                f"SELECT count(*), count(*) FILTER (WHERE {ranges.number(side)} = {number}) FROM {side}.t t"
                f" WHERE {ranges.holds(side, [number])}".encode()
            ).fetchone()
            assert found == (count, count)


@pytest.mark.parametrize("types", [(type_,) for type_ in KEYS] + [("integer", "bigint"), ("text", "uuid")], ids=str)
def test_rows_named_by_ranges_are_those_named_by_buckets(
    connection: psycopg.Connection[Any], types: tuple[str, ...]
) -> None:
    plan, table = pair(connection, *types)
    connection.execute("UPDATE target.t SET what = 'other' WHERE ctid IN ('(0,5)', '(1,1)')")
    connection.execute("DELETE FROM target.t WHERE ctid = '(0,9)'; DELETE FROM source.t WHERE ctid = '(2,3)'")
    known = {"integer": "7", "text": "'x'"}
    for value in KEYS[types[-1]][1].split(", "):
        values = ", ".join([*(known[type_] for type_ in types[:-1]), value, "'new'"])
        connection.execute(f"INSERT INTO target.t VALUES ({values})".encode())

    found = []
    # both sides are read at once
    with psycopg.connect(connection.info.dsn, autocommit=True, options=SESSION) as other:
        for ranges in (ranges_of(connection, plan, table), None):
            for method in Method:
                both = zip((connection, other), SIDES, strict=True)
                found.append(set(differing_rows(*[in_sql(one, plan, side, ranges, method) for one, side in both])))

    assert all(rows == found[0] for rows in found)
    kinds = [row.kind for row in found[0]]
    assert (kinds.count(Kind.VALUE_MISMATCH), kinds.count(Kind.MISSING_IN_TARGET)) == (2, 1)


def test_a_column_that_is_always_the_same_is_not_what_a_table_is_cut_by(connection: psycopg.Connection[Any]) -> None:
    plan, table = pair(connection, "integer", "bigint")

    ranges = ranges_of(connection, plan, table)

    assert '"k1"' in ranges.source
    assert len(ranges.cuts) > 100


def test_rows_of_one_range_are_found_by_the_index_of_the_key(connection: psycopg.Connection[Any]) -> None:
    plan, table = pair(connection, "bigint", rows=20_000)

    ranges = ranges_of(connection, plan, table, rows=20_000)

    plans = connection.execute(f"EXPLAIN SELECT * FROM target.t t WHERE {ranges.holds('target', [77])}".encode())
    assert "Index" in str(plans.fetchall())


def test_without_a_key_there_are_no_ranges(connection: psycopg.Connection[Any]) -> None:
    plan, table = pair(connection, "bigint")
    keyless = TablePlan(table=table, schema="target", key=(), clear=plan.clear, sealed=(), summed=())

    assert cut_ranges(connection, keyless, table, ROWS) is None
