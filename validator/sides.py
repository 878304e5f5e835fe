"""The two sides, each seen at one moment: a snapshot that every reader of that side shares.

The first connection of a side opens a REPEATABLE READ, READ ONLY transaction and exports its
snapshot; readers in other threads and processes adopt it. So all layers speak of the same rows,
however long the run takes, and nothing can be written on either side.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from runtime.postgres import Connection, Side, explain, open_source, open_target, use_schema
from runtime.settings import redact
from schemas.canonical import SAMPLE_SQL, Hashing

APPLICATION_NAME = "validator"

# Compiling a statement over fifty columns takes longer than running it; anti-joins hash their parents.
_TUNED = "SET LOCAL jit = off; SET LOCAL work_mem = '64MB'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One side at one moment; enough to open another reader of it, also in another process."""

    side: Side
    url: str = field(repr=False)
    schemas: tuple[str, ...]
    snapshot: str

    def open(self) -> Connection:
        """A further connection that sees exactly what the first one sees."""
        connection = connect(self.side, self.url, self.schemas[0])
        try:
            with named_errors(self.side, f"{self.side}: shared snapshot"):
                connection.execute(f"SET TRANSACTION SNAPSHOT '{self.snapshot}'".encode())
                connection.execute(_TUNED)
                use_schema(connection, *self.schemas)
        except BaseException:
            connection.close()
            raise
        return connection


def connect(side: Side, url: str, schema: str) -> Connection:
    """A read-only connection to one side, its schema first on the search_path."""
    if side == "source":
        return open_source(url, schema=schema, application_name=APPLICATION_NAME)
    return open_target(url, schema=schema, read_only=True, application_name=APPLICATION_NAME)


@contextmanager
def named_errors(side: Side, where: str) -> Iterator[None]:
    """Errors of psycopg carry values; outside of this block they are ours and carry none."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, where, side=side) from None


class Readers:
    """A few connections of one side at its moment, lent to threads one at a time."""

    def __init__(self, side: Side, url: str, schemas: tuple[str, ...], *, count: int) -> None:
        self.side: Side = side
        self._lock = threading.Lock()
        self.first = connect(side, url, schemas[0])
        try:
            with named_errors(side, f"{side}: snapshot"):
                row = self.first.execute("SELECT pg_export_snapshot()").fetchone()
            assert row is not None
            self.moment = Moment(side=side, url=url, schemas=schemas, snapshot=row[0])
            self._all = [self.moment.open() for _ in range(count)]
        except BaseException:
            self.first.close()
            raise
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for connection in self._all:
            self._free.put(connection)

    def hashing(self) -> Hashing:
        """What the server's own hash depends on."""
        info = self.first.info
        with named_errors(self.side, f"{self.side}: server facts"):
            row = self.first.execute(SAMPLE_SQL.encode()).fetchone()
        assert row is not None
        return Hashing(info.server_version, info.parameter_status("server_encoding") or "", row[0])

    @contextmanager
    def borrow(self) -> Iterator[Connection]:
        """A connection of this side for the caller alone; waits until one is free."""
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def cancel(self) -> None:
        """End whatever the readers are running now, so that an interrupted run ends at once."""
        for connection in (self.first, *self._all):
            if not connection.closed:
                try:
                    connection.cancel_safe(timeout=2)
                except psycopg.Error:
                    continue  # it has ended by itself

    def close(self) -> None:
        """Close every connection; the moment is gone then."""
        for connection in (*self._all, self.first):
            connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is said of a side in the report; never a password."""

    url: str
    database: str
    version: str
    system_identifier: str
    snapshot: str
    position: str
    instant: str


def describe(connection: Connection, side: Side, url: str) -> Server:
    """Who answered there, and which moment is seen."""
    with named_errors(side, f"{side}: server facts"):
        row: tuple[Any, ...] | None = connection.execute(
            "SELECT current_database(), current_setting('server_version'), pg_current_snapshot()::text,"
            " to_char(transaction_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
            " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text ELSE pg_current_wal_lsn()::text END,"
            " has_function_privilege('pg_control_system()', 'EXECUTE')"
        ).fetchone()
        assert row is not None
        database, version, snapshot, instant, position, may_ask = row
        # A statement of its own: a right that is missing refuses it even in a branch that never runs.
        found = connection.execute("SELECT system_identifier::text FROM pg_control_system()") if may_ask else None
        system = (found.fetchone() or ("",))[0] if found is not None else ""
    return Server(
        url=redact(url),
        database=database,
        version=version.split()[0],
        system_identifier=system,
        snapshot=snapshot,
        position=position,
        instant=instant,
    )
