"""Rows for a schema that ships none: values by type, parents before children.

A table's own rules (checks, unique keys, triggers) may refuse a row: it is left out then. How many
rows came of it is what the report says; that none was lost on the way is what it proves.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from runtime.introspect import read_tables
from schemas.catalogue import Column, Table, load_waves

WORDS = ("Ünïcode", "it's", 'a "quote"', "back\\slash", "line\nbreak", "tab\there", "\\N", "\\.", "", "日本", "🧵")


def fill(url: str, rows: int, *, schema: str = "public", seed: int = 1) -> None:
    """Try to give each table that is empty so many rows."""
    chance = random.Random(seed)
    with psycopg.connect(url, autocommit=True) as connection:
        labels = _labels(connection)
        connection.execute(sql.SQL("SET search_path TO {}, public").format(sql.Identifier(schema)))
        for wave in load_waves(read_tables(connection, [schema])):
            for table in wave:
                _fill_table(connection, table, rows, labels, chance)
        connection.execute("ANALYZE")


def _fill_table(
    connection: psycopg.Connection[Any],
    table: Table,
    rows: int,
    labels: Mapping[str, Sequence[str]],
    chance: random.Random,
) -> None:
    name = sql.Identifier(table.schema, table.name)
    there = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(name)).fetchone()
    if there is None or there[0]:
        return
    for number in range(rows):
        values: dict[str, Any] = {}
        for key in table.foreign_keys:
            values |= _parent(connection, key.parent, key.columns, key.parent_columns)
        for column in table.stored:
            if column.identity or (column.sequence and column.default) or column.name in values:
                continue
            if column.name not in table.key and not column.not_null and chance.random() < 0.2:
                values[column.name] = None
                continue
            values[column.name] = _value(column, number, labels, chance)
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            name,
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(
                sql.SQL("({})::text::{}").format(sql.Literal(value), sql.SQL(table.column(column).type))  # type: ignore[arg-type]
                for column, value in values.items()
            ),
        )
        try:
            connection.execute(statement if values else sql.SQL("INSERT INTO {} DEFAULT VALUES").format(name))
        except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.RaiseException):
            continue


def _parent(
    connection: psycopg.Connection[Any], parent: str, columns: Sequence[str], parent_columns: Sequence[str]
) -> dict[str, Any]:
    found = connection.execute(
        sql.SQL("SELECT {} FROM {} ORDER BY random() LIMIT 1").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in parent_columns),
            sql.Identifier(parent),
        )
    ).fetchone()
    return dict.fromkeys(columns) if found is None else dict(zip(columns, found, strict=True))


def _value(column: Column, number: int, labels: Mapping[str, Sequence[str]], chance: random.Random) -> str:  # noqa: C901, PLR0911 - one table of types
    kind, _, rest = column.type.partition("(")
    if kind in labels:
        return chance.choice(labels[kind])
    match kind.removesuffix("[]"):
        case "smallint" | "integer" | "bigint":
            return _several(column, str(number + 1))
        case "numeric" | "real" | "double precision":
            return _several(column, f"{number % 90}.5")
        case "boolean":
            return _several(column, chance.choice(("true", "false")))
        case "date":
            return f"20{number % 90 + 10}-02-28"
        case text if text.startswith(("timestamp", "time")):
            return f"20{number % 90 + 10}-02-28 23:59:59.{chance.randrange(10**6):06d}+00"
        case "interval":
            return f"{number} days 00:00:0{number % 10}.25"
        case "json" | "jsonb":
            return '{"n": %d, "w": "\\u00fc", "big": 12345678901234567890.10}' % number  # noqa: UP031 - braces
        case "bytea":
            return "\\x" + chance.randbytes(9).hex()
        case "uuid":
            return str(chance.getrandbits(128).to_bytes(16).hex())
        case "inet":
            return f"10.0.0.{number % 250}"
        case "character varying" | "character" | "text" | "citext":
            most = int(rest.rstrip(")")) if rest.rstrip(")").isdigit() else 60
            return _several(column, _text(number, most, chance))
    return "" if column.type != "tsvector" else "a:1 b:2"


def _several(column: Column, value: str) -> str:
    return (
        f'{{"{value}"}}' if column.type.endswith("[]") and value.isalnum() else "{}" if "[]" in column.type else value
    )


def _text(number: int, most: int, chance: random.Random) -> str:
    unique = "".join(chance.choices(string.ascii_letters, k=4)) + str(number)
    return (unique[-min(most, 8) :] + chance.choice(WORDS))[:most]


def _labels(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    rows = connection.execute(
        """
        SELECT t.typname::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY 1
        """
    ).fetchall()
    return dict(rows)
