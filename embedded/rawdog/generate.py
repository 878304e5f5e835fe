"""Fills an empty database with RAWDOG's tables.

The server draws the rows itself (`drawing.sql`, `bulk/*.sql`), a chunk a
statement: nothing is held here, and what is held there does not grow with the
scale. `special/*.sql` adds the rows that a faithful copy must keep exactly,
`mess/*.sql` those that cannot be converted. Everything is one transaction, so a
load that fails leaves nothing behind.

This writes, and is meant to: it makes a source for tests and demonstrations. The
programs never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from embedded.rawdog.proportions import TABLES, big_document_bytes, drawn_rows
from schemas.errors import Refused, Unavailable

Report = Callable[[str, int], None]

# A multiple of 1000: see bulk/creators.sql.
CHUNK_ROWS: Final = 20_000

_HERE: Final = Path(__file__).parent

# What the text of dates, money and intervals means must not depend on the server's settings.
_SESSION: Final = """
    SET LOCAL search_path = public;
    SET LOCAL client_encoding = 'UTF8';
    SET LOCAL standard_conforming_strings = on;
    SET LOCAL DateStyle = 'ISO, MDY';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL lc_monetary = 'C';
    SET LOCAL synchronous_commit = off;
    SET LOCAL client_min_messages = warning;
"""


def load(
    conninfo: str,
    *,
    scale: float = 1.0,
    seed: int = 1,
    mess: bool = False,
    replace: bool = False,
    big_bytes: int | None = None,
    report: Report | None = None,
) -> dict[str, int]:
    """Create RAWDOG's tables in the database and fill them; return the rows of each table.

    The same `scale`, `seed`, `mess` and `big_bytes` give the same rows in any
    database. `replace` drops the tables first, and only them. `report` hears the
    rows of a table so far, after each chunk.

    Raises:
        Refused: the database has such tables already, or cannot hold every character.
    """
    drawn = drawn_rows(scale)
    numbers = {**drawn, "seed": seed, "big_bytes": big_document_bytes(scale) if big_bytes is None else big_bytes}
    before_rows, after_rows = _schema()
    try:
        with _connect(conninfo) as connection, connection.transaction():
            connection.execute(_SESSION)
            _refuse_unless_fit(connection)
            _make_room(connection, replace=replace)
            connection.execute(before_rows.encode())
            connection.execute(_script("drawing.sql", numbers))
            rows = {table: _fill(connection, table, numbers, mess=mess, report=report) for table in TABLES}
            connection.execute(after_rows.encode())
            for table in TABLES:
                _advance_sequence(connection, table)
            connection.execute("ANALYZE")
    except psycopg.Error as error:
        raise Unavailable(
            f"RAWDOG's source could not be loaded, nothing was kept: {error.diag.message_primary or error}",
            hint="the role must be allowed to create tables and the extension citext in an empty database",
        ) from None
    return rows


def _schema() -> tuple[str, str]:
    """Cut the schema before its last statement: the late foreign key, which comes when the orphans are there."""
    script = (_HERE / "source.sql").read_text(encoding="utf-8")
    # The schema takes the database to be new; a template may have brought the extension.
    script = script.replace("CREATE EXTENSION citext", "CREATE EXTENSION IF NOT EXISTS citext")
    before, late_key, after = script.partition("ALTER TABLE line_items")
    return before, late_key + after


def _connect(conninfo: str) -> psycopg.Connection:
    try:
        return psycopg.connect(conninfo, autocommit=True)
    except psycopg.ProgrammingError:  # its words repeat the URL, and that holds a password
        raise Unavailable(
            "the database to fill is not named by a URL that libpq reads", hint="postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    except psycopg.OperationalError as error:
        raise Unavailable(
            f"cannot connect to the database to fill: {str(error).strip()}", hint="is the server up, and the URL right?"
        ) from None


def _refuse_unless_fit(connection: psycopg.Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Refused(
            f"the database's encoding is {encoding}: it cannot hold RAWDOG's text",
            hint="create it with ENCODING 'UTF8' TEMPLATE template0",
        )


def _make_room(connection: psycopg.Connection, *, replace: bool) -> None:
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY(%s) ORDER BY relname",
        [list(TABLES)],
    ).fetchall()
    names = [str(name) for (name,) in found]
    if names and not replace:
        raise Refused(
            f"the database has {len(names)} of RAWDOG's {len(TABLES)} tables already: {', '.join(names)}",
            hint="name an empty database, or drop these tables and load them anew with --replace",
        )
    if names:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(map(sql.Identifier, names))))
    if replace:
        connection.execute("DROP DOMAIN IF EXISTS currency_code; DROP TYPE IF EXISTS order_state")


def _fill(
    connection: psycopg.Connection, table: str, numbers: Mapping[str, int], *, mess: bool, report: Report | None
) -> int:
    """Insert special rows, messy ones and drawn ones, in this order: the first have the small, fixed keys."""
    statements: list[bytes] = [_script(f"special/{table}.sql", numbers)]
    if mess and (_HERE / "mess" / f"{table}.sql").exists():
        statements.append(_script(f"mess/{table}.sql", numbers))
    rows = 0
    for statement in statements:
        rows += _execute(connection, statement)
    for first, last in _chunks(numbers[table]):
        rows += _execute(connection, _script(f"bulk/{table}.sql", {**numbers, "first": first, "last": last}))
        if report is not None:
            report(table, rows)
    return rows


def _chunks(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(1, rows + 1, CHUNK_ROWS):
        yield first, min(first + CHUNK_ROWS - 1, rows)


def _script(name: str, numbers: Mapping[str, int]) -> bytes:
    """Read a script and put the numbers in: its braces are also JSON's, so only the known names are replaced."""
    text = (_HERE / name).read_text(encoding="utf-8")
    for key, number in numbers.items():
        text = text.replace("{" + key + "}", str(number))
    return text.encode()


def _execute(connection: psycopg.Connection, script: bytes) -> int:
    """Run the statements of a script; return the rows they wrote together."""
    with connection.cursor() as cursor:
        cursor.execute(script)
        rows = max(cursor.rowcount, 0)
        while cursor.nextset():
            rows += max(cursor.rowcount, 0)
    return rows


def _advance_sequence(connection: psycopg.Connection, table: str) -> None:
    sequence = connection.execute(
        "SELECT pg_get_serial_sequence(%s, 'id') FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'id'",
        [table, table],
    ).fetchone()
    if sequence is not None and sequence[0] is not None:
        connection.execute(
            sql.SQL("SELECT setval(%s, (SELECT max(id) FROM {}))").format(sql.Identifier(table)), [sequence[0]]
        )
