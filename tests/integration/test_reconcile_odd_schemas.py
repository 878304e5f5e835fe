"""`validator reconcile` on tables with odd names, keys and types, made by hand on both sides, nothing encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from schemas.migration import parse_migration
from tests.conftest import MakeDatabase
from validator.options import Options
from validator.reconcile import Reconciliation
from validator.verdict import Layer

MIGRATION = """
tenant = "odd"
tables = "*"
[source]
schemas = ["Shop 1", "second"]
"""

# {schema 1} and {schema 2} hold the source's tables; in the target both are the tenant's schema.
TABLES = """
CREATE TYPE {1}.mood AS ENUM ('so', 'SO', 'a,b');
CREATE TYPE {1}.pair AS (a int, b text);
CREATE DOMAIN {1}.short AS char(5);
CREATE TABLE {1}."Pa rent" ("Ke""y" uuid, "select" numeric, at timestamptz, "%s" text, PRIMARY KEY ("select", "Ke""y"));
CREATE TABLE {1}."Kind" (id int PRIMARY KEY, "Ke""y" uuid, "select" numeric, best int REFERENCES {1}."Kind"(id),
  mood {1}.mood, moods {1}.mood[], pair {1}.pair, short {1}.short, bits bit varying, doc xml, cash money, "real" real,
  spans int4range, grid int[][], raw bytea, v tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce(short::text, ''))) STORED,
  FOREIGN KEY ("select", "Ke""y") REFERENCES {1}."Pa rent");
CREATE TABLE {1}.nothing (id int PRIMARY KEY, x text);
CREATE TABLE {2}.moods (mood {1}.mood PRIMARY KEY, n smallint UNIQUE);
CREATE TABLE {2}.no_key (a text, b float8, c json);
"""

ROWS = """
INSERT INTO {1}."Pa rent" SELECT ('00000000-0000-0000-0000-0000000000' || lpad(n::text, 2, '0'))::uuid, n / 7.0,
  CASE WHEN n = 3 THEN 'infinity' ELSE timestamptz '0044-03-15 12:00:00.000001 BC' + n * interval '1 year' END, '50 %s ' || n
  FROM generate_series(1, 30) n;
INSERT INTO {1}."Kind" (id, "Ke""y", "select", best, mood, moods, pair, short, bits, doc, cash, "real", spans, grid, raw)
  SELECT n, CASE WHEN n % 4 <> 0 THEN p."Ke""y" END, CASE WHEN n % 3 <> 0 THEN p."select" END, CASE WHEN n % 2 = 0 THEN n END,
  (ARRAY['so', 'SO', 'a,b'])[1 + n % 3]::{1}.mood, ARRAY['so', NULL]::{1}.mood[], CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN ROW(NULL, NULL)::{1}.pair
  ELSE ROW(n, 'x, "y"')::{1}.pair END, 'ab', B'101', '<a b="1">é</a>', n, 0.1, int4range(n, NULL), ARRAY[[1, n], [NULL, 3]], '\\x00ff'
  FROM {1}."Pa rent" p JOIN generate_series(1, 30) n ON p."Ke""y" = ('00000000-0000-0000-0000-0000000000' || lpad(n::text, 2, '0'))::uuid;
INSERT INTO {2}.moods VALUES ('so', 1), ('SO', 2), ('a,b', NULL);
INSERT INTO {2}.no_key SELECT CASE WHEN n % 2 = 0 THEN '' END, 'NaN', '{"a": 1,  "a": 2}' FROM generate_series(1, 10) n;
"""


def filled(text: str, first: str, second: str) -> bytes:
    return text.replace("{1}", first).replace("{2}", second).encode()


@pytest.fixture
def both(make_database: MakeDatabase) -> tuple[str, str]:
    source, target = make_database(), make_database()
    with psycopg.connect(source, autocommit=True) as there:
        there.execute('CREATE SCHEMA "Shop 1"; CREATE SCHEMA second')
        there.execute(filled(TABLES + ROWS, '"Shop 1"', "second"))
    names = ["Pa rent", "Kind", "nothing", "moods", "no_key"]
    with psycopg.connect(target, autocommit=True) as here:
        here.execute("CREATE SCHEMA tenant_odd")
        here.execute(filled(TABLES + ROWS, "tenant_odd", "tenant_odd"))
        for name in names:
            here.execute(f'ALTER TABLE tenant_odd."{name}" ADD migrated_at timestamptz NOT NULL DEFAULT now()'.encode())
            here.execute(f'ALTER TABLE tenant_odd."{name}" ALTER migrated_at DROP DEFAULT'.encode())
        here.execute((Path(__file__).parents[2] / "runtime/sql/replicator.sql").read_bytes())
        here.execute(
            "INSERT INTO replicator.tenants (tenant, schema_name, log_id, prefix, made_schema)"
            " VALUES ('odd', 'tenant_odd', 'log', 'odd', true);"
            "INSERT INTO replicator.generations (tenant, generation, instant, state, is_partial, whole, catalogue, table_order, migration_digest)"
            " VALUES ('odd', 1, now(), 'ended', false, true, '', '{}', '')"
        )
        for name in names:
            here.execute(
                "INSERT INTO replicator.tables (tenant, generation, table_name, attempt, topic, published, applied, state)"
                f" SELECT 'odd', 1, %s, 1, 'odd.' || %s, count(*), count(*), 'applied' FROM tenant_odd.\"{name}\"".encode(),
                (name, name),
            )
    return source, target


def reconcile(both: tuple[str, str], *layers: Layer) -> dict[str, Any]:
    run = Reconciliation(
        migration=parse_migration(MIGRATION, "odd.toml"),
        source_url=both[0],
        target_url=both[1],
        keyring=None,
        environment={},
        options=Options(layers=(Layer.GENERATION, *layers) if layers else tuple(Layer), seed=3, jobs=1),
        report_fact=lambda fact: None,
        program_version="test",
    )
    return run.run().to_json()


def test_odd_names_keys_and_types_are_equal_in_every_layer(both: tuple[str, str]) -> None:
    report = reconcile(both)

    assert report["differences"] == []
    assert (report["exit_code"], len(report["tables"])) == (0, 5)
    kind = next(item for item in report["tables"] if item["name"] == "Kind")
    assert kind["layers"]["foreign-keys"]["looked_at"] == 15 + 15


CHANGES = [
    ('"Pa rent"', "at = at - interval '1 microsecond' WHERE \"%s\" = '50 %s 2'", ("at",)),
    ('"Pa rent"', "\"%s\" = '50 % 4' WHERE \"%s\" = '50 %s 4'", ("%s",)),
    ('"Kind"', "mood = 'SO' WHERE id = 3", ("mood",)),
    ('"Kind"', "pair = NULL WHERE id = 1", ("pair",)),  # was a row of NULLs
    ('"Kind"', "short = 'AC' WHERE id = 2", ("short", "v")),
    ('"Kind"', "doc = '<a  b=\"1\">é</a>' WHERE id = 4", ("doc",)),
    ('"Kind"', "bits = B'0101' WHERE id = 5", ("bits",)),
    ('"Kind"', 'cash = 0.01::numeric::money, "real" = 0.10000001 WHERE id = 6', ("cash", "real")),
    ('"Kind"', "grid = '[0:1][1:2]={{1,7},{NULL,3}}' WHERE id = 7", ("grid",)),  # the same cells, other bounds
    ('"Kind"', "raw = '\\x00fe' WHERE id = 8", ("raw",)),
    ("moods", "n = 3 WHERE mood = 'a,b'", ("n",)),
]


def test_each_changed_value_of_an_odd_type_is_named(both: tuple[str, str]) -> None:
    with psycopg.connect(both[1], autocommit=True) as here:
        here.execute("SET search_path = tenant_odd")
        for table, change, _ in CHANGES:
            assert here.execute(f"UPDATE {table} SET {change}".encode()).rowcount == 1
        here.execute('UPDATE no_key SET c = \'{"a":1,  "a": 2}\' WHERE ctid = (SELECT ctid FROM no_key LIMIT 1)')

    report = reconcile(both, Layer.CHECKSUMS, Layer.ROWS)

    for layer in ("checksums", "rows"):
        found = [item for item in report["differences"] if item["layer"] == layer]
        keyed = sorted((item["table"], tuple(item["columns"])) for item in found if item["kind"] == "value_mismatch")
        assert keyed == sorted((table.strip('"'), columns) for table, _, columns in CHANGES)
        assert sum(item["rows"] for item in found if item["table"] == "no_key") == (2 if layer == "checksums" else 1)
