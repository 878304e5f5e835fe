"""What PostgreSQL prints, the log carries and PostgreSQL reads again is the same value, type by type."""

from __future__ import annotations

import random

import psycopg
import pytest
from psycopg import sql

from runtime.postgres import open_source, open_target
from schemas.batch import COPY_OPTIONS, WireSchema, decode, encode, parse_csv, row_keys, to_copy_csv
from schemas.catalogue import Column, Key, Table
from schemas.pgtypes import select_expression, text_expression
from schemas.records import Position
from schemas.sql import quote_ident
from tests.conftest import MakeDatabase

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'so so', 'glück,"');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN code AS character(4);
CREATE DOMAIN yes AS boolean;
"""

VALUES: dict[str, list[str]] = {
    "smallint": ["-32768", "32767"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "boolean": ["true", "false"],
    "real": ["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "16777217", "0.1"],
    "double precision": [
        "NaN",
        "Infinity",
        "-0",
        "5e-324",
        "1.7976931348623157e308",
        "0.1",
        "9007199254740993",
        "1e-320",
    ],
    "numeric": ["NaN", "Infinity", "-Infinity", "1.10", "1e131071", "1e-16383", "-0.00", "9" * 60],
    "numeric(5,-2)": ["12300"],
    "money": ["$1,234.56", "-$0.01", "92233720368547758.07"],
    "text": [
        "",
        " ",
        "\\.",
        "\\N",
        "NULL",
        '"',
        '""',
        ",",
        "\r",
        "\n",
        "\r\n",
        "\ufeffx",
        "\ufeff",
        "é",
        "é",
        "😀",
        "\x01\x7f\u2028",
    ],
    "character(3)": ["", "ab", "   "],
    "name": ["x" * 63],
    "bytea": ["\\x", "\\x00ff5c", "\\x" + bytes(range(256)).hex()],
    "date": ["0001-01-01", "0044-03-15 BC", "10000-01-01", "infinity", "-infinity"],
    "timestamp without time zone": [
        "294276-12-31 23:59:59.999999",
        "4713-01-01 00:00:00 BC",
        "infinity",
        "1970-01-01 00:00:00.000001",
    ],
    "timestamp with time zone": ["2024-07-01 12:00:00+05:30", "1800-01-01 00:00:00-00:01:15", "-infinity"],
    "time without time zone": ["24:00:00", "23:59:59.999999"],
    "time with time zone": ["23:59:59+15:59:59"],
    "interval": ["1 mon", "-1 mons +1 day -00:00:01", "178000000 years", "24:00:00"],
    "uuid": ["ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "json": ['{"a":1.10,"a":2}', "null", '"\\u0000"', " [1e400 ]"],
    "jsonb": ['{"a": 1.10}', "null", "1e400"],
    "inet": ["192.168.0.1/24", "10.0.0.1", "::1/128"],
    "cidr": ["10.0.0.0/8"],
    "bit varying": ["", "0001", "1" * 65],
    "bit(1)": ["0"],
    "integer[]": ["{}", "[0:1]={1,NULL}", "{{1,2},{3,4}}"],
    "text[]": ['{"a,b","c\\"d","NULL",NULL,""}'],
    "mood": ["so so", 'glück,"'],
    "pair": ["(,)", '(1,"a,""b")'],
    "code": ["a"],
    "yes": ["t"],
    "int4range": ["empty", "[1,5)", "(,)"],
    "int4multirange": ["{}", "{[1,2),[5,6)}"],
    "tsvector": ["'a':1A,3 'b''c'"],
    "point": ["(-0,1e-300)"],
    "path": ["[(0,0),(1,1)]"],
    "pg_lsn": ["16/B374D848"],
    "xid8": ["18446744073709551615"],
}


def read(connection: psycopg.Connection[tuple[object, ...]], table: Table) -> tuple[bytes, int]:
    cells = ", ".join(select_expression(column) for column in table.columns)
    query = f"COPY (SELECT {cells} FROM {quote_ident(table.name)} t ORDER BY t.id) TO STDOUT {COPY_OPTIONS}"
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        lines = [bytes(line) for line in copy]
    return b"".join(lines), len(lines)


def through_the_log(data: bytes, rows: int, schema: WireSchema) -> bytes:
    frame = parse_csv(data, schema, rows=rows)
    return to_copy_csv(decode(encode(frame, schema), schema, Position("t", 0, 0)))


def write(connection: psycopg.Connection[tuple[object, ...]], table: Table, data: bytes) -> int:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {quote_ident(table.name)} FROM STDIN {COPY_OPTIONS}".encode()) as copy:
            copy.write(data)
        return cursor.rowcount


def table_of(name: str, *types: str) -> Table:
    columns = [Column(name="id", type="bigint", not_null=True)]
    columns += [Column(name=f"c{number}", type=type_) for number, type_ in enumerate(types)]
    key = Key(name="pk", columns=("id",), definition="PRIMARY KEY (id)")
    return Table(name=name, columns=tuple(columns), primary_key=key)


def create(table: Table) -> str:
    columns = ", ".join(f"{quote_ident(column.name)} {column.type}" for column in table.columns)
    return f"CREATE TABLE {quote_ident(table.name)} ({columns})"


def test_every_type_is_exact_and_its_text_is_the_same_on_both_sides(make_database: MakeDatabase) -> None:
    table = table_of("t", *VALUES)
    url, other = make_database(TYPES + create(table)), make_database(TYPES + create(table))
    height = max(map(len, VALUES.values())) + 1  # the last row is all NULL
    with psycopg.connect(url) as connection:
        for row in range(height):
            cells = [values[row] if row < len(values) else None for values in VALUES.values()]
            casts = sql.SQL(", ").join(sql.SQL("%s::text::") + sql.SQL(type_) for type_ in VALUES)  # type: ignore[arg-type]
            connection.execute(sql.SQL("INSERT INTO t VALUES (%s, {})").format(casts), [row, *cells])
    schema = WireSchema.of(table)

    with open_source(url) as source, open_target(other, schema="public") as target:
        data, rows = read(source, table)
        assert write(target, table, through_the_log(data, rows, schema)) == rows == height
        assert read(target, table)[0] == data

        frame = parse_csv(data, schema)
        for column in table.columns:
            field, text = schema.field(column.name), text_expression(column).encode()
            found = target.execute(
                b"SELECT " + text + b" FROM t WHERE " + text + b" IS NOT NULL ORDER BY t.id"
            ).fetchall()
            kept = frame.filter(frame[field].is_not_null())
            assert [(field, row[0]) for row in found] == [(field, key[0]) for key in row_keys(kept, [field])]


@pytest.mark.parametrize("with_numbers", [True, False])
def test_any_text_is_exact_also_alone_in_its_table(make_database: MakeDatabase, with_numbers: bool) -> None:
    table = table_of("t", "text", "text", "integer")
    url, other = make_database(create(table)), make_database(create(table))
    draw = random.Random(7)
    letters = ['"', ",", "\n", "\r", "a", "\\", ".", " ", "\ufeff", "é", "'", "\t", "#"]
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
        for row in range(20_000):
            texts = ["".join(draw.choices(letters, k=draw.choice([0, 0, 1, 2, 5, 40]))) for _ in range(2)]
            copy.write_row([row, *(text if draw.random() < 0.8 else None for text in texts), row])
    if not with_numbers:
        table = Table(name="t", columns=table.columns[1:2])
    schema = WireSchema.of(table)
    columns = ", ".join(column.name for column in table.columns)

    with open_source(url) as source, open_target(other, schema="public") as target:
        data, rows = read(source, table)
        sent = through_the_log(data, rows, schema)
        with target.cursor() as cursor:
            with cursor.copy(f"COPY t ({columns}) FROM STDIN {COPY_OPTIONS}".encode()) as copy:
                copy.write(sent)
            assert cursor.rowcount == rows
        found, expected = (
            connection.execute(
                f"SELECT md5(string_agg(md5(ROW({columns})::text), '' ORDER BY ROW({columns})::text COLLATE \"C\")) FROM t".encode()
            ).fetchone()
            for connection in (target, source)
        )
        assert found == expected


def test_float_text_is_postgresqls(make_database: MakeDatabase) -> None:
    draw = random.Random(3)
    doubles = [
        draw.choice([2.0 ** draw.randint(-1074, 1023), draw.uniform(-1, 1) * 10.0 ** draw.randint(-320, 308)])
        for _ in range(4000)
    ]
    table = table_of("t", "double precision", "real")
    with psycopg.connect(make_database(create(table))) as connection:
        with connection.cursor() as cursor, cursor.copy("COPY t (c0, c1) FROM STDIN") as copy:
            for value in doubles:
                copy.write_row([repr(value), repr(value) if 1e-37 < abs(value) < 1e38 else "0"])
        data, rows = read(connection, table)
        frame = parse_csv(data, WireSchema.of(table), rows=rows)
        fields = ["c0", "c1"]

        assert row_keys(frame, fields) == [tuple(line.split(",")[1:]) for line in data.decode().splitlines()]
