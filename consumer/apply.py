"""One group of batches into the target, in one transaction with its positions.

Two ways: COPY straight into a table that was empty when its generation began; else COPY into a
temporary table and upsert by the key, every column, where the row there is older. A unique
violation on the first way falls back to the second. When rows are at fault the transaction is
rolled back and done again with care: halved inside savepoints until the bad rows stand alone,
which go into quarantine in the same transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl
import psycopg
from psycopg import errors

from consumer.refusal import Refusal
from consumer.transform import TablePlan
from runtime.postgres import Connection, failure, is_row_fault
from runtime.reporting import Report, unheard
from runtime.steps import RowsCopied
from schemas.batch import COPY_OPTIONS, to_copy_csv
from schemas.errors import TargetError
from schemas.mapping import TableMapping
from schemas.sql import quote_ident


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows ready for the target: `csv` as COPY reads them, in pieces, `places` their rows in the group.

    `again` makes the frame of the same rows, the target's columns in the plan's order: it is wanted
    only when a row is at fault, and as large as all else.
    """

    plan: TablePlan
    places: Sequence[int]
    csv: Sequence[bytes]
    again: Callable[[], pl.DataFrame]

    @classmethod
    def of(cls, plan: TablePlan, frame: pl.DataFrame, places: Sequence[int]) -> Rows:
        """The rows of a frame."""
        return cls(plan=plan, places=places, csv=(to_copy_csv(frame),), again=lambda: frame)

    @property
    def height(self) -> int:
        """How many there are."""
        return len(self.places)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows as a frame."""
        return self.again()

    def cut(self, start: int, length: int) -> Rows:
        """Some of the rows."""
        return Rows.of(self.plan, self.frame.slice(start, length), self.places[start : start + length])


@dataclass(kw_only=True)
class Loader:
    """Writes rows of one table. `is_direct` is given up for good at the first unique violation."""

    connection: Connection
    plan: TablePlan
    is_direct: bool
    reapply: bool = False
    report: Report = unheard
    checks_at_commit: bool = False  # somebody else's deferrable constraints: looked at before the commit, to blame rows
    _has_staging: bool = field(default=False, init=False)
    _is_staged: bool = field(default=False, init=False)  # by the transaction under way

    @property
    def mapping(self) -> TableMapping:
        """What becomes of the table's columns."""
        return self.plan.mapping

    def write(self, rows: Rows, *, clears: bool = False) -> None:
        """Write all rows inside the caller's transaction; `clears` when the transaction has written some already.

        Raises:
            psycopg.Error: as the server says; the transaction is broken then.
        """
        self._is_staged = False
        self._write(rows, clears=clears)

    def _write(self, rows: Rows, *, clears: bool) -> None:
        if not rows.height:
            return
        if self.is_direct:
            self._copy(self._into_table, rows)
        else:
            self._upsert(rows, clears=clears)
        if self.checks_at_commit:
            self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")

    def write_with_care(self, rows: Rows) -> list[Refusal]:
        """Write what can be written, halving inside savepoints; returns the rows that cannot.

        Raises:
            psycopg.Error: a failure that no row is to blame for.
        """
        self._is_staged = False
        refusals: list[Refusal] = []
        work = [rows]
        while work:
            part = work.pop()
            if not part.height:
                continue
            if not self.is_direct:
                self._stage()  # not inside the savepoint, which may be rolled back
            try:
                with self.connection.transaction():
                    self._write(part, clears=True)
            except errors.UniqueViolation as error:
                if self.is_direct and self.mapping.table.key:
                    self.is_direct = False
                    work.append(part)
                    continue
                _halve(part, error, work, refusals)
            except psycopg.Error as error:
                if not is_row_fault(error):
                    raise
                _halve(part, error, work, refusals)
        return refusals

    def _upsert(self, rows: Rows, *, clears: bool) -> None:
        self._stage()
        if clears:
            self.connection.execute(f"TRUNCATE {self._staging}".encode())
        self._copy(self._into_staging, rows)
        # A group is small beside its table: read the table by its key, never as a whole for each group.
        self.connection.execute("SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off")
        self.connection.execute(self._insert.encode())

    def _stage(self) -> None:
        if not (self._has_staging or self._is_staged):
            self.connection.execute(self._create_staging.encode())
            self._is_staged = True

    def committed(self) -> None:
        """Note that what was made in the transaction stays: the temporary table is the session's."""
        self._has_staging = self._has_staging or self._is_staged

    def _copy(self, statement: str, rows: Rows) -> None:
        with self.connection.cursor() as cursor:
            with cursor.copy(f"{statement} {COPY_OPTIONS}".encode()) as copy:
                for piece in rows.csv:
                    copy.write(piece)
            if cursor.rowcount != rows.height:
                # A lone \\. ends COPY without an error; our text is quoted, so this must not be.
                raise TargetError(
                    f"{self.mapping.table.name}: COPY took {cursor.rowcount} rows of {rows.height}",
                    hint="nothing was written; please report it with the types of the table's columns",
                )
        self.report(RowsCopied(self.mapping.table.name, rows.height))

    @cached_property
    def _staging(self) -> str:
        # Named after its columns, too: a later generation of the table may have others in the same session.
        columns = hashlib.sha256("\0".join(self.plan.columns).encode()).hexdigest()[:8]
        return "pg_temp." + quote_ident(f"{columns}_{self.mapping.table.name}".encode()[:63].decode("utf-8", "ignore"))

    @cached_property
    def _create_staging(self) -> str:
        columns = ", ".join(map(quote_ident, self.plan.columns))
        source = f"SELECT {columns} FROM {quote_ident(self.mapping.table.name)}"
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self._staging} ON COMMIT DELETE ROWS AS {source} WITH NO DATA"

    @cached_property
    def _into_table(self) -> str:
        columns = ", ".join(map(quote_ident, self.plan.columns))
        return f"COPY {quote_ident(self.mapping.table.name)} ({columns}) FROM STDIN"

    @cached_property
    def _into_staging(self) -> str:
        return f"COPY {self._staging} FROM STDIN"

    @cached_property
    def _insert(self) -> str:
        computed = {added.name: added.sql for added in self.mapping.added if added.sql is not None}
        columns = [*self.plan.columns, *computed]
        values = [f"s.{quote_ident(name)}" for name in self.plan.columns] + [f"({sql})" for sql in computed.values()]
        table = self.mapping.table
        statement = (
            f"INSERT INTO {quote_ident(table.name)} AS t ({', '.join(map(quote_ident, columns))}) "
            f"OVERRIDING SYSTEM VALUE SELECT {', '.join(values)} FROM {self._staging} AS s"
        )
        if not table.key:
            return statement
        settled = {column.name for column in table.columns if column.identity == "always" and column.name in table.key}
        sets = ", ".join(
            f"{quote_ident(name)} = excluded.{quote_ident(name)}" for name in columns if name not in settled
        )
        instant = quote_ident(self.mapping.migrated_at)
        older, as_new = ("<=", ">") if self.reapply else ("<", ">=")
        same = " AND ".join(f"o.{quote_ident(name)} = s.{quote_ident(name)}" for name in table.key)
        # A row that is as new is left out before the conflict, which would lock and so rewrite its page.
        return (
            f"{statement} WHERE NOT EXISTS (SELECT FROM {table.only}{quote_ident(table.name)} AS o "
            f"WHERE {same} AND o.{instant} {as_new} s.{instant}) "
            f"ON CONFLICT ({', '.join(map(quote_ident, table.key))}) DO UPDATE SET {sets} "
            f"WHERE t.{instant} {older} excluded.{instant}"
        )


def _halve(part: Rows, error: psycopg.Error, work: list[Rows], refusals: list[Refusal]) -> None:
    height = part.height
    if height > 1:
        work.append(part.cut(height // 2, height - height // 2))
        work.append(part.cut(0, height // 2))
        return
    diagnosis = error.diag
    refusals.append(
        Refusal(
            row=part.places[0],
            sqlstate=error.sqlstate or "",
            reason=failure(error),
            constraint=diagnosis.constraint_name,
            column=diagnosis.column_name,
        )
    )
