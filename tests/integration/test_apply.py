"""Rows into a real target: upsert by age, exactly the value, and bad rows found among good ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import pytest

from consumer.apply import Loader, Rows
from consumer.predata import pre_data
from consumer.target import Target
from consumer.transform import TablePlan
from runtime.postgres import Connection, open_target
from schemas.batch import WireSchema, row_keys
from schemas.catalogue import Catalogue, Column, Key, Table
from schemas.mapping import table_mapping
from schemas.migration import parse_migration
from schemas.pgtypes import text_expression
from tests.made_log import instant, table

MIGRATION = parse_migration('tenant = "t"\nschema = "tenant_t"\ntables = "*"\n', "test.toml")


@pytest.fixture
def connection(target_url: str) -> Iterator[Connection]:
    with open_target(target_url, schema="tenant_t", autocommit=True) as opened:
        yield opened


def prepare(connection: Connection, item: Table) -> None:
    mappings = {item.name: table_mapping(item, MIGRATION)}
    pre_data(
        Target(
            connection=connection,
            schema="tenant_t",
            catalogue=Catalogue(tables=(item,)),
            mappings=mappings,
            is_ours=True,
        ),
        lambda fact: None,
    )


def ready(item: Table, second: int, rows: Sequence[Mapping[str, Any]]) -> Rows:
    schema = WireSchema.of(item)
    plan = TablePlan(mapping=table_mapping(item, MIGRATION), schema=schema, instant=instant(second), ciphers={})
    frame, places, refusals = plan.shape(pl.DataFrame([dict(row) for row in rows], schema=schema.polars))
    assert not refusals
    return Rows.of(plan, frame, places)


def write(connection: Connection, rows: Rows, *, is_direct: bool = False, reapply: bool = False) -> Loader:
    loader = Loader(connection=connection, plan=rows.plan, is_direct=is_direct, reapply=reapply)
    with connection.transaction():
        loader.write(rows)
    return loader


def column(connection: Connection, query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode()).fetchall()]


def test_an_older_image_never_replaces_a_newer_one(connection: Connection) -> None:
    orders = table("orders", "id bigint", "state text")
    prepare(connection, orders)
    write(connection, ready(orders, 2, [{"id": 1, "state": "paid"}]), is_direct=True)

    write(connection, ready(orders, 1, [{"id": 1, "state": "old"}, {"id": 2, "state": "old"}]))
    write(connection, ready(orders, 3, [{"id": 2, "state": "new"}]))

    assert column(connection, "SELECT state FROM orders ORDER BY id") == ["paid", "new"]


def test_the_same_rows_again_change_nothing_unless_reapplied(connection: Connection) -> None:
    orders = table("orders", "id bigint", "state text")
    prepare(connection, orders)
    rows = ready(orders, 1, [{"id": 1, "state": "paid"}])
    write(connection, rows, is_direct=True)
    before = column(connection, "SELECT xmin::text FROM orders")

    write(connection, rows)
    unchanged = column(connection, "SELECT xmin::text FROM orders")
    write(connection, rows, reapply=True)

    assert unchanged == before
    assert column(connection, "SELECT xmin::text FROM orders") != before


def test_every_column_is_written_also_a_key_that_compares_equal(connection: Connection) -> None:
    prices = table("prices", "id numeric", "note text")
    prepare(connection, prices)
    write(connection, ready(prices, 1, [{"id": "1.1", "note": "a"}]), is_direct=True)

    write(connection, ready(prices, 2, [{"id": "1.10", "note": "b"}]))

    assert column(connection, "SELECT id::text || note FROM prices") == ["1.10b"]


def test_identity_always_and_generated_columns_take_the_source_values(connection: Connection) -> None:
    entries = Table(
        name="entries",
        columns=(
            Column(name="id", type="bigint", not_null=True, identity="always", sequence="entries_id_seq"),
            Column(name="cents", type="integer"),
            Column(name="double", type="integer", generated="(cents * 2)"),
        ),
        primary_key=Key(name="entries_pkey", columns=("id",), definition="PRIMARY KEY (id)"),
    )
    prepare(connection, entries)
    write(connection, ready(entries, 1, [{"id": 41, "cents": 1}]), is_direct=True)

    write(connection, ready(entries, 2, [{"id": 41, "cents": 4}, {"id": 42, "cents": 5}]))

    assert column(connection, "SELECT id || ':' || double FROM entries ORDER BY id") == ["41:8", "42:10"]


def test_text_that_looks_like_copy_syntax_arrives_as_it_is(connection: Connection) -> None:
    texts = table("texts", "id integer", "body text")
    prepare(connection, texts)
    bodies = ["\\.", "a\n\\.\nb", "", None, "\\N", '"', ",", "\r\n", "\ufeffbom", "NULL"]

    write(connection, ready(texts, 1, [{"id": n, "body": body} for n, body in enumerate(bodies)]), is_direct=True)

    assert column(connection, "SELECT body FROM texts ORDER BY id") == bodies


def test_one_bad_row_of_a_thousand_stands_alone(connection: Connection) -> None:
    events = table("events", "id integer", "at timestamp without time zone")
    prepare(connection, events)
    rows = [{"id": n, "at": "not a time" if n == 617 else "2026-01-01 00:00:00"} for n in range(1000)]
    loader = Loader(connection=connection, plan=ready(events, 1, rows[:1]).plan, is_direct=True)

    with connection.transaction():
        refusals = loader.write_with_care(ready(events, 1, rows))

    assert [(refusal.row, refusal.sqlstate) for refusal in refusals] == [(617, "22007")]
    assert "not a time" not in repr(refusals)
    assert column(connection, "SELECT count(*) FROM events") == [999]


def test_a_unique_violation_on_the_straight_way_falls_back_to_the_upsert(connection: Connection) -> None:
    orders = table("orders", "id bigint", "state text")
    prepare(connection, orders)
    write(connection, ready(orders, 1, [{"id": 1, "state": "old"}]), is_direct=True)
    again = ready(orders, 2, [{"id": 1, "state": "new"}, {"id": 2, "state": "new"}])
    loader = Loader(connection=connection, plan=again.plan, is_direct=True)

    with connection.transaction():
        refusals = loader.write_with_care(again)

    assert (refusals, loader.is_direct) == ([], False)
    assert column(connection, "SELECT state FROM orders ORDER BY id") == ["new", "new"]


@pytest.mark.parametrize(
    ("type_", "sent"),
    [
        ("bigint", -9007199254740993),
        ("boolean", True),
        ("double precision", 1e300),
        ("real", 1e-05),
        ("bytea", b"\x00\xff"),
        ("character(4)", "ab  "),
        ("numeric(10,2)", "1.10"),
        ("timestamp with time zone", "2026-01-01 00:00:00.5+00"),
        ("uuid", "6f1c1f5e-2f54-4c5e-9d1e-0d2f5a3b7c11"),
    ],
)
def test_the_key_text_that_binds_a_cell_is_the_one_sql_says(connection: Connection, type_: str, sent: Any) -> None:
    """Encrypted cells are bound to it by the consumer, and opened by it by the validator."""
    keyed = table("keyed", f"id {type_}")
    prepare(connection, keyed)
    rows = ready(keyed, 1, [{"id": sent}])
    write(connection, rows, is_direct=True)

    said = column(connection, f"SELECT {text_expression(keyed.column('id'), 'k')} FROM keyed k")

    assert row_keys(rows.frame, ["id"]) == [tuple(said)]
