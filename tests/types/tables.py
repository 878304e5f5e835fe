"""Tables with a column of every type, and rows of random values for them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import psycopg

from tests.types import values as v

NULLS = 0.08

MADE = """
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS ltree;
CREATE EXTENSION IF NOT EXISTS cube;
CREATE TYPE mood AS ENUM ('so so', 'glück,"', 'O''Hara', '\\', '', 'NULL', '😀');
CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN four AS char(4);
CREATE DOMAIN yes AS boolean;
CREATE DOMAIN octets AS bytea;
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a integer, "b c" text);
CREATE TYPE nest AS (p pair, m mood, list pair[], j json, i interval, f real);
CREATE DOMAIN some_pair AS pair;
CREATE TYPE float_range AS RANGE (SUBTYPE = double precision, SUBTYPE_DIFF = float8mi);
CREATE TYPE text_range AS RANGE (SUBTYPE = text, COLLATION = "C");
"""


def _day(number: int) -> str:
    return str(date(1970, 1, 1) + timedelta(days=number))


def _instant(number: int) -> str:
    return f"{_day(number // 1000)} 12:00:00.{number % 1000:03d}"


_PAIR = v.composite(v.integer(32), v.text)
_MOOD = v.choice("so so", 'glück,"', "O'Hara", "\\", "", "NULL", "😀")
_NEST = v.composite(_PAIR, _MOOD, v.array(_PAIR), v.json, v.interval, v.real)
_PERCENT = v.choice("0", "100", "12.50", "0.01", "99.9")
_INTS = v.span(str, -(2**31), 2**31 - 2)
_LONGS = v.span(str, -(2**63), 2**63 - 2)
_NUMBERS = v.span(lambda number: f"{number}.10", -999, 999)
_DAYS = v.span(_day, -9999, 99999)
_INSTANTS = v.span(_instant, -9_999_999, 9_999_999)
_FLOATS = v.span(lambda number: repr(number / 7), -999, 999)
_LETTERS = v.span(lambda number: f'{number:04d}, "\\é', 0, 9999)

TABLES: Mapping[str, tuple[str, Mapping[str, v.Make]]] = {
    "cells_plain": (
        "PRIMARY KEY (id)",
        {
            "smallint": v.integer(16),
            "integer": v.integer(32),
            "bigint": v.integer(64),
            "oid": v.integer(32, signed=False),
            "xid8": v.integer(64, signed=False),
            "real": v.real,
            "double precision": v.double,
            "numeric": v.numeric,
            "numeric(12,2)": v.scaled,
            "money": v.money,
            "boolean": v.boolean,
            "text": v.text,
            "character varying(20)": v.short(20),
            "character(9)": v.short(9),
            "bpchar": v.text,
            "name": v.short(15),
            '"char"': v.choice("", "a", "\\", '"', ",", "\n", "\x01", "~"),
            "citext": v.text,
            "bytea": v.bytea,
            "uuid": v.identifier,
            "date": v.date,
            "time": v.clock,
            "time(0)": v.clock,
            "time with time zone": v.timetz,
            "timestamp": v.timestamp,
            "timestamp(3)": v.timestamp,
            "timestamp with time zone": v.timestamptz,
            "interval": v.interval,
            "json": v.json,
            "jsonb": v.jsonb,
            "jsonpath": v.jsonpath,
            "inet": v.inet,
            "cidr": v.cidr,
            "macaddr": v.octets(6),
            "macaddr8": v.octets(8),
            "bit(1)": v.bits(1, 1),
            "bit(65)": v.bits(65, 65),
            "bit varying": v.bits(0, 70),
            "bit varying(9)": v.bits(0, 9),
            "pg_lsn": v.lsn,
        },
    ),
    "cells_shaped": (
        "UNIQUE (id)",
        {
            "tid": v.tid,
            "pg_snapshot": v.snapshot,
            "txid_snapshot": v.snapshot,
            "refcursor": v.text,
            "point": v.geometry("(#,#)"),
            "line": v.geometry("{1,#,#}"),
            "lseg": v.geometry("[(#,#),(#,#)]"),
            "box": v.geometry("(#,#),(#,#)"),
            "path": lambda rng: v.geometry(rng.choice(("[(#,#),(#,#)]", "((#,#),(#,#),(#,#))")))(rng),
            "polygon": v.geometry("((#,#),(#,#),(#,#))"),
            "circle": v.geometry("<(#,#),0.25>"),
            "tsvector": v.tsvector,
            "tsquery": v.tsquery,
            "hstore": v.hstore,
            "ltree": v.ltree,
            "cube": v.cube,
            "int4range": _INTS,
            "int8range": _LONGS,
            "numrange": _NUMBERS,
            "daterange": _DAYS,
            "tsrange": _INSTANTS,
            "tstzrange": _INSTANTS,
            "float_range": _FLOATS,
            "text_range": _LETTERS,
            "int4multirange": v.spans(_INTS),
            "int8multirange": v.spans(_LONGS),
            "nummultirange": v.spans(_NUMBERS),
            "datemultirange": v.spans(_DAYS),
            "tstzmultirange": v.spans(_INSTANTS),
            "float_multirange": v.spans(_FLOATS),
            "mood": _MOOD,
            "percent": _PERCENT,
            "four": v.short(4),
            "yes": v.boolean,
            "octets": v.bytea,
            "moods": v.array(_MOOD),
            "pair": _PAIR,
            "nest": _NEST,
            "some_pair": _PAIR,
            "regtype": v.choice("integer", "text[]", '"char"', "time with time zone"),
        },
    ),
    "cells_arrays": (
        "CHECK (id > 0)",
        {
            "smallint[]": v.array(v.integer(16)),
            "integer[]": v.array(v.integer(32)),
            "bigint[]": v.array(v.integer(64)),
            "real[]": v.array(v.real),
            "double precision[]": v.array(v.double),
            "numeric[]": v.array(v.numeric),
            "money[]": v.array(v.money),
            "boolean[]": v.array(v.boolean),
            "text[]": v.array(v.text),
            "character varying(20)[]": v.array(v.short(20)),
            "character(9)[]": v.array(v.short(9)),
            "citext[]": v.array(v.text),
            "bytea[]": v.array(v.bytea),
            "uuid[]": v.array(v.identifier),
            "date[]": v.array(v.date),
            "time[]": v.array(v.clock),
            "time with time zone[]": v.array(v.timetz),
            "timestamp[]": v.array(v.timestamp),
            "timestamp with time zone[]": v.array(v.timestamptz),
            "interval[]": v.array(v.interval),
            "json[]": v.array(v.json),
            "jsonb[]": v.array(v.jsonb),
            "inet[]": v.array(v.inet),
            "macaddr[]": v.array(v.octets(6)),
            "bit varying[]": v.array(v.bits(0, 70)),
            "point[]": v.array(v.geometry("(#,#)")),
            "box[]": v.array(v.geometry("(#,#),(#,#)"), ";"),
            "tsvector[]": v.array(v.tsvector),
            "hstore[]": v.array(v.hstore),
            "ltree[]": v.array(v.ltree),
            "int8range[]": v.array(_LONGS),
            "nummultirange[]": v.array(v.spans(_NUMBERS)),
            "mood[]": v.array(_MOOD),
            "percent[]": v.array(_PERCENT),
            "four[]": v.array(v.short(4)),
            "octets[]": v.array(v.bytea),
            "pair[]": v.array(_PAIR),
            "nest[]": v.array(_NEST),
            "some_pair[]": v.array(_PAIR),
            "float_range[]": v.array(_FLOATS),
        },
    ),
}
XML: Mapping[str, v.Make] = {"xml": v.xml, "xml[]": v.array(v.xml)}
COLUMNS = sum(len(columns) for _, columns in TABLES.values())


def fill(url: str, rows: int, seed: int, *, with_xml: bool) -> int:
    """Make the tables and that many rows of each; the number of cells, keys not counted."""
    cells = 0
    tables = {**TABLES, **({"cells_xml": ("PRIMARY KEY (id)", XML)} if with_xml else {})}
    with psycopg.connect(url) as connection:
        connection.execute(MADE.encode())
        for number, (table, (key, columns)) in enumerate(tables.items()):
            named = [f"c{place} {type_}" for place, type_ in enumerate(columns)]
            connection.execute(f"CREATE TABLE {table} (id bigint NOT NULL, {', '.join(named)}, {key})".encode())
            rng = random.Random(seed * 100 + number)
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in _rows(rng, columns, rows):
                    copy.write_row(row)
            cells += rows * len(columns)
        connection.execute("SET LOCAL client_min_messages = error; ANALYZE")
    return cells


def _rows(rng: random.Random, columns: Mapping[str, v.Make], count: int) -> Iterator[tuple[str | int | None, ...]]:
    for number in range(1, count + 1):
        yield number, *(None if rng.random() < NULLS else make(rng) for make in columns.values())
