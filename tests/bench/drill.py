"""One wrong cent among ten million rows: what it takes from sums that differ to the row and its column.

In this process and over two connections, because the command does not say when it knew which ranges differ.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg

from runtime.introspect import read_catalogue, read_survey
from schemas.canonical import method_for
from schemas.mapping import table_mapping
from schemas.migration import parse_migration
from tests.bench.ways import Servers
from validator.drill import Begun, InSql, differing_buckets, differing_rows_of
from validator.fetch import Fetcher
from validator.plan import table_plan
from validator.ranges import cut_ranges
from validator.sides import Readers

MIGRATION = 'tenant = "drill"\nschema = "tenant_drill"\ntables = ["payments"]\n'

FILL = """
CREATE TABLE {schema}.payments (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL, payer text, paid_at timestamptz);
INSERT INTO {schema}.payments SELECT g, (g % 100000) / 100.0, 'customer ' || g % 977,
  timestamptz '2024-01-01 00:00+00' + g * interval '1 second' FROM generate_series(1, {rows}) g;
"""
WRONG = "UPDATE tenant_drill.payments SET amount = amount + 0.01 WHERE id = {key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """Seconds to cut the table into ranges, to add them up on both sides, and then to name row and column."""

    rows: int
    cut_s: float
    add_up_s: float
    name_s: float


def prepare(servers: Servers, rows: int) -> tuple[str, str]:
    """The same rows on both servers, but for one cent; the two URLs."""
    source = servers.source.dsn(servers.source.create_database("drill"))
    target = servers.target.dsn(servers.target.create_database("drill"))
    for url, schema in ((source, "public"), (target, "tenant_drill")):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
            connection.execute(FILL.format(schema=schema, rows=rows).encode())
            connection.execute("VACUUM (FREEZE, ANALYZE)")
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(WRONG.format(key=_wrong(rows)).encode())
    return source, target


def drill(source_url: str, target_url: str, rows: int) -> Drilled:
    """Find it.

    Raises:
        AssertionError: another row or column was found, or more than one; the figures would mean nothing.
    """
    migration = parse_migration(MIGRATION, "drill")
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        there = Readers("source", source_url, ("public",), count=1)
        stack.callback(there.close)
        here = Readers("target", target_url, ("tenant_drill",), count=1)
        stack.callback(here.close)
        table = read_catalogue(there.first, migration).tables[0]
        target_table = read_survey(here.first, ["tenant_drill"], side="target").tables[0]
        plan = table_plan(table_mapping(table, migration), target_table, "tenant_drill")
        began = time.perf_counter()
        ranges = cut_ranges(there.first, plan, target_table, rows)
        cut = time.perf_counter()
        method = method_for(there.hashing(), here.hashing())
        sides = [cell.source for cell in plan.clear], [cell.target for cell in plan.clear]
        source = Begun.begin(pool, InSql(there.first, plan, "source", sides[0], ranges=ranges, method=method))
        target = InSql(here.first, plan, "target", sides[1], ranges=ranges, method=method)
        differing = differing_buckets(source, target)
        known = time.perf_counter()
        keys = [found.key for found in differing_rows_of(source, target, differing)]
        fetcher = Fetcher(source=there.first, target=here.first, plan=plan, keyring=None, tenant="drill")
        named = [(found.key, found.columns) for found in fetcher.compare(keys)]
        ended = time.perf_counter()
    assert named == [((str(_wrong(rows)),), ("amount",))], named
    return Drilled(rows=rows, cut_s=cut - began, add_up_s=known - cut, name_s=ended - known)


def _wrong(rows: int) -> int:
    return rows * 7 // 10 + 1
