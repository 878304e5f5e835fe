"""Going on after a key that travelled as text: exact for every type that can be a key."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from producer.read import Limits, key_comparison, read_chunks, read_statement, read_totals
from producer.source import hold_catalogue
from runtime.postgres import open_source
from schemas.batch import WireSchema, parse_csv, row_keys
from schemas.migration import parse_migration
from tests.conftest import MakeDatabase

KEYS = {
    'text COLLATE "C"': ["''", "'a'", "'A'", "'ä'", r"E'\\'", "E'a\\nb'", "''''", "' a'"],
    "character(3)": ["'a'", "'ab'", "' b'", "'ä'"],
    "numeric": ["'NaN'", "1.10", "1.1000000000000000000001", "-1e30", "0"],
    "double precision": ["'NaN'", "'-Infinity'", "0.1", "1e-300", "-0.0", "123456789.123456789"],
    "real": ["0.1", "'Infinity'", "16777216", "1e-40"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "0"],
    "boolean": ["true", "false"],
    "bytea": [r"'\x'", r"'\x00'", r"'\xff00'", r"'\x5c27'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "'ffffffff-0000-0000-0000-000000000000'"],
    "timestamp with time zone": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-02-29 23:59:59.999999+14'"],
    "interval": ["'1 month'", "'29 days'", "'-1 day 23:00:00'"],
    "inet": ["'10.0.0.1/8'", "'10.0.0.1'", "'::1'"],
    "mood": ["'sad'", "'happy'", "'it''s \"fine\"'"],
    "pair": ["ROW(1, 'a,b')::pair", "ROW(1, NULL)::pair", "ROW(-1, '\"')::pair"],
    "positive": ["1", "20", "3"],
    "integer[]": ["'{}'", "'{1,NULL}'", "'{2}'"],
}  # fmt: skip

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"', 'happy');
CREATE TYPE pair AS (n int, t text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
"""


@pytest.mark.parametrize("kind", list(KEYS))
def test_reading_goes_on_exactly_after_any_key(make_database: MakeDatabase, kind: str) -> None:
    values = ", ".join(f"(1, {value})" for value in KEYS[kind])
    url = make_database(f'{TYPES} CREATE TABLE t (n int, "the key" {kind}, PRIMARY KEY (n, "the key")); INSERT INTO t VALUES {values}')  # fmt: skip

    with open_source(url) as connection:
        held = hold_catalogue(connection, parse_migration('tenant = "x"\ntables = ["t"]', "m.toml"))
        (table,) = held.catalogue.tables
        wire = WireSchema.of(table)

        def keys(after: tuple[str, ...] = (), among: Sequence[tuple[str, ...]] = ()) -> list[tuple[str, ...]]:
            statement = read_statement(table, held.rows_of(table), after, among)
            found = [parse_csv(chunk.csv, wire) for chunk in read_chunks(connection, statement, table, Limits())]
            return [key for frame in found for key in row_keys(frame, list(wire.polars))]

        whole = keys()
        assert len(whole) == len(KEYS[kind])
        for place, key in enumerate(whole, 1):
            assert keys(key) == whole[place:]
            row = connection.execute(
                f"SELECT count(*) FROM {held.rows_of(table)} AS t WHERE {key_comparison(table, '<=', key)}".encode()
            ).fetchone()
            assert row == (place,)
            assert keys(among=[key]) == [key]
            assert read_totals(connection, table, held.rows_of(table), (), among=whole[:place]).rows == place
        assert keys(whole[0], among=whole[::2]) == whole[2::2]
