"""Rows of one table as COPY gives them, cut into batches.

One libpq message is one row, so batches are cut by counting, without looking into the text. The
loop below runs once a row: it is the hot path of the program.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import pq

from runtime.postgres import Connection, explain
from schemas.batch import COPY_OPTIONS
from schemas.catalogue import Table
from schemas.errors import SourceError
from schemas.pgtypes import select_expression
from schemas.sql import quote_ident, quote_literal

_EXACT_TYPES = ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A batch is closed by whichever limit it meets first; a row over `max_bytes` travels alone."""

    max_rows: int = 1_000
    max_bytes: int = 1_000_000
    max_chunk_batches: int = 64  # as many are parsed, encoded and sent together
    max_chunk_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Batches that are parsed together: their CSV text, which whoever parses it empties, and the rows of each."""

    csv: bytearray
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What the source itself counts and adds up, in the same snapshot as the rows are read in."""

    rows: int
    sums: dict[str, str]


def read_statement(table: Table, rows_of: str, after: Sequence[str] = (), among: Sequence[Sequence[str]] = ()) -> bytes:
    """The COPY that reads the table (`rows_of` follows FROM) in the order of its key.

    `after` that key if given, and only rows whose key is `among` those if any are.
    """
    columns = ", ".join(select_expression(column, "t") for column in table.stored)
    statement = f"SELECT {columns} FROM {rows_of} AS t"
    conditions = [key_comparison(table, ">", after)] if after else []
    conditions += [key_among(table, among)] if among else []
    if conditions:
        statement += f" WHERE {' AND '.join(conditions)}"
    if table.key:
        statement += f" ORDER BY {_key(table)}"
    return f"COPY ({statement}) TO STDOUT {COPY_OPTIONS}".encode()


def key_comparison(table: Table, operator: str, key: Sequence[str]) -> str:
    """Compare rows with a key that travelled as text.

    Each value is cast to the column's own type and the columns are qualified, so that the comparison
    is the key's own: exact under any collation, for citext, char(n), numeric with NaN, composites.
    """
    return f"({_key(table)}) {operator} {_values(table, key)}"


def key_among(table: Table, keys: Sequence[Sequence[str]]) -> str:
    """Whether a row's key is one of these, each value cast as in `key_comparison`."""
    return f"({_key(table)}) IN (VALUES {', '.join(_values(table, key) for key in keys)})"


def read_chunks(connection: Connection, statement: bytes, table: Table, limits: Limits) -> Iterator[Chunk]:
    """Run `statement` and yield its rows; order is kept, no chunk is empty, one chunk is in memory.

    Raises:
        SourceError: reading failed; names the table and the SQLSTATE, never a value.
    """
    _begin_copy(connection, statement, table)
    get = connection.pgconn.get_copy_data
    # A row of up to so many bytes is only appended: as many as there is room for in the worst case
    # are taken before bytes are counted again. Counting at each row would cost as much as reading it.
    small = max(1, limits.max_bytes // limits.max_rows)
    chunk, large = _OpenChunk(), _NOTHING
    while True:
        room = min(limits.max_rows - chunk.count, (limits.max_bytes - chunk.batch_bytes) // small)
        if chunk.count and (room <= 0 or chunk.batch_bytes + len(large) > limits.max_bytes):
            chunk.close_batch()
            if chunk.is_full(limits):
                yield chunk.closed()
                chunk = _OpenChunk()
            continue
        if large:
            chunk.csv += large
            chunk.count += 1
            large = _NOTHING
            continue
        csv, length, taken = chunk.csv, 0, 0
        for taken in range(room):  # noqa: B007 - used after the loop
            length, data = get(1)
            if 0 < length <= small:
                csv += data
            else:
                break
        else:
            taken = room
        chunk.count += taken
        if length > small:
            large, data = data, _NOTHING  # held once
        elif length == 0:
            _wait(connection, table)
        elif length < 0:
            break
    _end_copy(connection, table, length)
    chunk.close_batch()
    if chunk.rows:
        yield chunk.closed()


_NOTHING = memoryview(b"")


@dataclass(slots=True)
class _OpenChunk:
    """The chunk that is being filled; `count` are the rows of its last batch, which is still open."""

    csv: bytearray = field(default_factory=bytearray)
    rows: list[int] = field(default_factory=list)
    count: int = 0
    batch_begin: int = 0

    @property
    def batch_bytes(self) -> int:
        """Bytes of the open batch."""
        return len(self.csv) - self.batch_begin

    def close_batch(self) -> None:
        """End the open batch; an empty one leaves no trace."""
        if self.count:
            self.rows.append(self.count)
        self.count, self.batch_begin = 0, len(self.csv)

    def is_full(self, limits: Limits) -> bool:
        """Whether no other batch of full size belongs into it."""
        return len(self.rows) >= limits.max_chunk_batches or len(self.csv) + limits.max_bytes > limits.max_chunk_bytes

    def closed(self) -> Chunk:
        """The chunk, complete."""
        return Chunk(self.csv, tuple(self.rows))


def read_totals(
    connection: Connection,
    table: Table,
    rows_of: str,
    declared: Sequence[str],
    among: Sequence[Sequence[str]] = (),
) -> Totals:
    """Count the table and add up its integer and `declared` columns, exactly, on the server; or rows `among` keys.

    It is a second path beside COPY: what was published is compared with it.
    """
    names = [column.name for column in table.stored if column.type in _EXACT_TYPES or column.name in declared]
    sums = "".join(f", coalesce(sum(t.{quote_ident(name)}), 0)::text" for name in names)
    statement = f"SELECT count(*){sums} FROM {rows_of} AS t" + (f" WHERE {key_among(table, among)}" if among else "")
    try:
        row = connection.execute(statement.encode()).fetchone()
    except psycopg.Error as error:
        raise explain(error, f'table "{table.name}": adding up', side="source") from None
    assert row is not None
    return Totals(row[0], dict(zip(names, row[1:], strict=True)))


def _key(table: Table) -> str:
    return ", ".join(f"t.{quote_ident(name)}" for name in table.key)


def _values(table: Table, key: Sequence[str]) -> str:
    values = (
        f"{quote_literal(value)}::{table.column(name).type_at_source}"
        for name, value in zip(table.key, key, strict=True)
    )
    return f"({', '.join(values)})"


def _where(table: Table) -> str:
    return f'table "{table.name}": reading'


def _begin_copy(connection: Connection, statement: bytes, table: Table) -> None:
    result = connection.pgconn.exec_(statement)
    if result.status != pq.ExecStatus.COPY_OUT:
        raise explain(psycopg.errors.error_from_result(result), _where(table), side="source") from None


def _wait(connection: Connection, table: Table) -> None:
    """Wait for more bytes; other threads and signals run meanwhile."""
    try:
        while not select.select([connection.pgconn.socket], [], [], 1.0)[0]:
            pass
        connection.pgconn.consume_input()
    except psycopg.Error as error:
        raise explain(error, _where(table), side="source") from None


def _end_copy(connection: Connection, table: Table, code: int) -> None:
    """See that COPY ended by itself, not by an error in the middle."""
    failed: psycopg.Error | None = None
    while (result := connection.pgconn.get_result()) is not None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            failed = psycopg.errors.error_from_result(result)
    if failed is not None:
        raise explain(failed, _where(table), side="source") from None
    if code != -1:
        raise SourceError(f"{_where(table)}: the connection was lost", hint="start again: it goes on where it stopped")
