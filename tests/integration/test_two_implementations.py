"""What is written twice, in Python and in SQL, says the same on a real PostgreSQL."""

from __future__ import annotations

import random

import polars as pl
import psycopg
import pytest

from schemas.batch import WireSchema, parse_csv
from schemas.canonical import Method, canonical_text, fingerprint, fingerprint_sql, halves, row_text, sums_sql
from schemas.catalogue import Column, Table
from schemas.envelope import CellCipher, envelope_check, row_contexts
from schemas.transforms import transform
from tests.conftest import MakeDatabase

BIGINTS = [
    "1999", "1999.0", "1999.5", "1999.49999999999999999999", "-500", "-0.5", "0.5", "-0.4", "0", "2.5", "3.5", "-2.5",
    "NaN", "Infinity", "-Infinity", "3000000000", "9223372036854775807", "9223372036854775807.4999",
    "9223372036854775807.5", "-9223372036854775808", "-9223372036854775808.4", "-9223372036854775808.5",
    "9223372036854775808", "1e40", "1e300", "0.00000000000000000001", "170141183460469231731687303715884105727.5",
]  # fmt: skip
PERCENTS = [
    "15", "15%", "0.15", " 12,5 % ", "15.0", "n/a", "", " ", "\t\n\v\f\r ", "150", "-3", "+3", "+-3", "3-", ".5", ",5",
    "5.", "1.234,50", "1,234", "1e3", "1E3", "NaN", "Infinity", "inf", "0x10", "15 %%", "%15", "%", "1 5", "- 5", "-0",
    "0", "1", "1.0", "1.000000000000000000000000000001", "1.0000000000000000000000000000001", "0.1", "999999999999999",
    "1000000000000000", "\u00a015", "15\u2009%", "١٥", "１５", "15％", "15\u0085", "15\n", "\n15%\n", "15\nx", "x\n15",
    "12\u066b5", "--1", "\ufeff15", "1_000", "15\x1c", "0.000000000000000000000000000001",
]  # fmt: skip


def cells(
    make_database: MakeDatabase, rule: str, type_: str, values: list[str | None]
) -> tuple[list[tuple[object, ...]], ...]:
    """Each value's result, refusal and notices: by the server, and by polars over what COPY prints."""
    made = transform(rule)
    with psycopg.connect(make_database(f"CREATE TABLE t (id integer, c {type_})")) as connection:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
        sql = [f"({made.sql('t.c')})::text", made.sql_failed("t.c"), *(notice.sql("t.c") for notice in made.notices)]
        by_server = connection.execute(f"SELECT {', '.join(sql)} FROM t ORDER BY id".encode()).fetchall()
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT c FROM t ORDER BY id) TO STDOUT (FORMAT csv)") as copy,
        ):
            data = b"".join(bytes(line) for line in copy)
        frame = parse_csv(data, WireSchema.of(Table(name="t", columns=(Column(name="c", type=type_),))))
        cell = pl.col("c")
        expressions = [made.expression(cell), made.failed(cell), *(notice.expression(cell) for notice in made.notices)]
        results = frame.select(expression.alias(str(number)) for number, expression in enumerate(expressions))
        texts = connection.execute(
            f"SELECT x::text FROM unnest(%s::{made.target_type}[]) WITH ORDINALITY u(x, n) ORDER BY n".encode(),
            [results["0"].to_list()],
        ).fetchall()
    return by_server, [(text[0], *row[1:]) for text, row in zip(texts, results.rows(), strict=True)]


@pytest.mark.parametrize(
    ("rule", "type_", "values"),
    [
        ("bigint", "numeric", [*BIGINTS, None]),
        ("bigint", "bigint", ["9223372036854775807", "-9223372036854775808", "0", None]),
        ("bigint", "smallint", ["-32768", None]),
        ("percent", "text", [*PERCENTS, None]),
        ("percent", "character(8)", ["15", "15 %", "", "n/a", None]),
    ],
)
def test_a_transform_is_the_same_in_polars_and_in_sql(
    make_database: MakeDatabase, rule: str, type_: str, values: list[str | None]
) -> None:
    by_server, by_polars = cells(make_database, rule, type_, values)

    assert list(zip(values, by_polars, strict=True)) == list(zip(values, by_server, strict=True))


def test_random_percents_and_numbers_agree(make_database: MakeDatabase) -> None:
    draw = random.Random(5)
    percents = ["".join(draw.choices("0159.,%+- \t", k=draw.randint(0, 6))) for _ in range(5000)]
    numbers = [
        f"{draw.choice(['', '-'])}{draw.randrange(10 ** draw.randint(1, 20))}.{draw.randrange(1000):03}"
        for _ in range(5000)
    ]

    for rule, type_, values in (("percent", "text", percents), ("bigint", "numeric", numbers)):
        by_server, by_polars = cells(make_database, rule, type_, list(values))
        assert by_polars == by_server


def test_rows_have_one_text_and_one_fingerprint_everywhere(make_database: MakeDatabase) -> None:
    draw = random.Random(11)
    letters = [
        "",
        "a",
        " ",
        "\t",
        "\n",
        "\v",
        "\f",
        "\r",
        '"',
        "\\",
        "(",
        ")",
        ",",
        "é",
        "\u00a0",
        "\u0085",
        "\u2028",
        "😀",
        "\x1f",
    ]
    rows = [
        tuple(None if draw.random() < 0.2 else "".join(draw.choices(letters, k=draw.randint(0, 4))) for _ in range(3))
        for _ in range(4000)
    ]
    texts = ["t.a", "t.b", "t.c"]
    with psycopg.connect(make_database("CREATE TABLE t (id integer, a text, b text, c text)")) as connection:
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row([number, *row])
        found = connection.execute(
            f"SELECT {row_text(texts)}, {fingerprint_sql(texts)} FROM t ORDER BY id".encode()
        ).fetchall()
        inner = f"(SELECT {fingerprint_sql(texts)} AS f FROM t OFFSET 0) q"
        sums = connection.execute(f"SELECT {', '.join(sums_sql('f'))} FROM {inner}".encode()).fetchone()
        inner = f"(SELECT {fingerprint_sql(texts, Method.HASH)} AS f FROM t OFFSET 0) q"
        quick = connection.execute(f"SELECT {', '.join(sums_sql('f', Method.HASH))} FROM {inner}".encode()).fetchone()

    assert found == [(canonical_text(row), fingerprint(row)) for row in rows]
    assert len(set(found)) == len(set(rows))
    added = [sum(part) for part in zip(*(halves(fingerprint(row)) for row in rows), strict=True)]
    assert sums == tuple(map(str, added))
    assert quick is not None
    assert all(quick)
    assert quick != sums


def test_the_envelopes_check_lets_envelopes_in_and_keeps_plaintext_out(make_database: MakeDatabase) -> None:
    url = make_database(f"CREATE TABLE t (c bytea CHECK {envelope_check('c')})")
    sealed = CellCipher(b"k" * 32, 7, "rawdog", "orders", "email", nonces=bytes).encrypt(
        ["", None], row_contexts([("1",), ("2",)])
    )

    with psycopg.connect(url, autocommit=True) as connection:
        for cell in sealed:
            connection.execute("INSERT INTO t VALUES (%s)", [cell])
        for plaintext in (b"", b"\xfe", b"ann@example.com", b"a" * 40, b"\xfe\x02" + bytes(40)):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("INSERT INTO t VALUES (%s)", [plaintext])
