"""Rows of source and target beside each other: how many are lost, twice, or of an old image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import psycopg

from schemas.sql import quote_ident, quote_qualified
from tests.chaos.shop import ENCRYPTED, TABLES, Watched

OPTIONS = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c extra_float_digits=1 -c client_encoding=UTF8"

Line = tuple[bytes, bytes]  # key and row


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found, of how many rows."""

    rows: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0


def compare(source_url: str, target_url: str, schema: str) -> Compared:
    """Compare all tables by the columns that are not encrypted."""
    rows = lost = duplicated = stale = 0
    with (
        psycopg.connect(source_url, options=OPTIONS) as source,
        psycopg.connect(target_url, options=OPTIONS) as target,
    ):
        for table in TABLES:
            columns = _columns(source, table)
            one = judge(
                _lines(source, "public", table, columns), _lines(target, schema, table, columns), bool(table.key)
            )
            rows, lost = rows + one.rows, lost + one.lost
            duplicated, stale = duplicated + one.duplicated, stale + one.stale
    return Compared(rows, lost, duplicated, stale)


def judge(source: Counter[Line], target: Counter[Line], has_key: bool) -> Compared:
    """Take the differences of one table apart.

    >>> one, two = (b"1", b"1 a"), (b"1", b"1 b")
    >>> judge(Counter([one]), Counter([two]), True)
    Compared(rows=1, lost=0, duplicated=0, stale=1)
    >>> judge(Counter([one]), Counter([one, one]), True)
    Compared(rows=1, lost=0, duplicated=1, stale=0)
    >>> judge(Counter([one]), Counter(), True)
    Compared(rows=1, lost=1, duplicated=0, stale=0)
    """
    missing, extra = source - target, target - source
    if not has_key:
        duplicated = sum(count for line, count in extra.items() if line in source)
        return Compared(source.total(), missing.total(), duplicated, extra.total() - duplicated)
    wanted, there = Counter[bytes](), Counter[bytes]()
    for (key, _), count in source.items():
        wanted[key] += count
    for (key, _), count in target.items():
        there[key] += count
    lost = (wanted - there).total()
    duplicated = sum(count - wanted[key] for key, count in there.items() if key in wanted and count > wanted[key])
    return Compared(source.total(), lost, duplicated, extra.total() - duplicated)


def _columns(connection: psycopg.Connection[Any], table: Watched) -> list[str]:
    rows = connection.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        (f"public.{table.name}",),
    ).fetchall()
    return [name for (name,) in rows if (table.name, name) not in ENCRYPTED]


def _lines(connection: psycopg.Connection[Any], schema: str, table: Watched, columns: Collection[str]) -> Counter[Line]:
    key = f"ROW({', '.join(table.key)})::text"
    row = f"ROW({', '.join(map(quote_ident, columns))})::text"
    query = f"SELECT {key}, {row} FROM {quote_qualified(schema, table.name)}"
    return Counter((a.encode(), b.encode()) for a, b in connection.execute(query.encode()))
