"""What a batch's cells are as text: the same from the log, by polars and by the server, as PostgreSQL prints them."""

from __future__ import annotations

import math
import struct

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from runtime.postgres import open_target
from schemas.batch import WireSchema
from schemas.canonical import canonical_text, fingerprint, halves
from schemas.catalogue import Column, Key, Table
from schemas.mapping import table_mapping
from schemas.migration import parse_migration
from schemas.pgtypes import Wire, float_text
from tests.conftest import MakeDatabase
from validator.plan import table_plan
from validator.texts import Shaper, fingerprints, row_texts, sums_of

CELLS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_rows_have_the_same_text_and_sums_column_wise_as_one_by_one(rows: list[tuple[str | None, ...]]) -> None:
    columns = [pl.Series(list(column), dtype=pl.String) for column in zip(*rows, strict=True)]

    assert row_texts(columns).to_list() == [canonical_text(row) for row in rows]
    sums = sums_of(fingerprints(columns))
    parts = [halves(fingerprint(row)) for row in rows]
    assert (sums.rows, sums.first, sums.second) == (len(rows), sum(a for a, _ in parts), sum(b for _, b in parts))


def test_cells_are_what_postgres_prints(make_database: MakeDatabase) -> None:
    doubles = [0.1, 1e15, -0.0, 5e-324, 1e300, math.inf, -math.inf, math.nan, None]
    singles = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in range(1, 2**31, 2**27 + 12345)][:9]
    table = Table(
        name="t",
        columns=tuple(
            Column(name=name, type=type_)
            for name, type_ in (
                ("id", "bigint"),
                ("d", "double precision"),
                ("s", "real"),
                ("b", "bytea"),
                ("ok", "boolean"),
                ("gross 100%", "numeric"),
                ("share", "text"),
            )
        ),
        primary_key=Key(name="t_pkey", columns=("id",), definition=""),
    )
    migration = parse_migration(
        'tenant = "a"\ntables = ["t"]\n[table.t.transform]\n"gross 100%" = "bigint"\nshare = "percent"\n', "a.toml"
    )
    schema, mapping = WireSchema.of(table), table_mapping(table, migration)
    columns = {
        "id": list(range(9)),
        "d": doubles,
        "s": singles,
        "b": [b"\x00\xff", b"", None, b"a", b"b", b"c", b"d", b"e", b"f"],
        "ok": [True, False, None] * 3,
        "gross 100%": ["0.5", "-2.5", "NaN", None, "99999999999999999999", "1", "1", "2.4", "-0.4"],
        "share": ["15 %", " 12,5 ", "x", None, "", "+3", "3", ".5", "1e3"],
    }
    frame = pl.DataFrame({schema.field(name): values for name, values in columns.items()}, schema=schema.polars)
    with open_target(make_database(), schema="public", read_only=True, application_name="test") as connection:
        shaper = Shaper(target=connection, mapping=mapping, plan=table_plan(mapping, table, "public"), schema=schema)
        shaped = shaper.shape(frame)

    texts = {cell.name: column.to_list() for cell, column in zip(shaper.plan.clear, shaped.clear, strict=True)}
    assert texts["d"] == [None if value is None else float_text(value) for value in doubles]
    assert texts["s"] == [float_text(value, Wire.FLOAT) for value in singles]
    assert texts["b"][:3] == ["\\x00ff", "\\x", None]
    assert texts["ok"][:3] == ["true", "false", None]
    assert texts["gross 100%"] == ["1", "-3", None, None, None, "1", "1", "2", "0"]
    assert texts["share"] == ["15", "12.5", None, None, None, "3", "3", "0.5", None]
    assert [column.to_list() for column in shaped.key] == [[str(number) for number in range(9)]]
