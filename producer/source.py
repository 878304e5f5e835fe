"""The source held still: locks on every table, one snapshot, and what identifies it.

LOCK comes before the first query of the transaction: a TRUNCATE or a rewriting ALTER that slips
between snapshot and reading would otherwise show an empty table, because neither is versioned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from producer.oddities import find_oddities
from runtime.introspect import read_checked_catalogue, read_source
from runtime.postgres import Connection, explain
from schemas.catalogue import Catalogue, Table
from schemas.errors import ConfigurationError, SourceError
from schemas.migration import Migration, MigrationError
from schemas.oddity import Severity

_TABLES_PER_LOCK = 500
_LOCK_TRIES = 3
_FLUSH_LOOK_S = 0.02

# With fsync off a crash loses anything, whatever is waited for.
_ASYNCHRONOUS = """
SELECT pg_current_wal_insert_lsn(), extract(epoch FROM current_setting('wal_writer_delay')::interval)::float8
WHERE NOT pg_is_in_recovery() AND current_setting('fsync')::bool
  AND (current_setting('synchronous_commit') = 'off'
       OR EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE c = 'synchronous_commit=off'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What identifies the snapshot that a connection holds. `system_identifier` is "" when it may not be read."""

    database: str
    system_identifier: str
    server_version: int
    wal_position: str
    timeline: int  # a promoted standby, and a server restored to an earlier time, has another
    snapshot: str
    clock: str  # ISO 8601, the source's

    @property
    def wal_bytes(self) -> int:
        """The WAL position as a number."""
        return wal_bytes(self.wal_position)


@dataclass(frozen=True, slots=True)
class Held:
    """The catalogue of a source whose tables are locked. `partitioned` are the names of partitioned tables."""

    catalogue: Catalogue
    partitioned: frozenset[str]

    def rows_of(self, table: Table) -> str:
        """What follows FROM: a partitioned table with its partitions, any other without those that inherit from it."""
        return table.at_source if table.name in self.partitioned else f"ONLY {table.at_source}"


def hold_catalogue(connection: Connection, migration: Migration) -> Held:
    """Lock every table of the migration, take the snapshot, and return the catalogue it shows.

    Raises:
        MigrationError: the migration does not fit the source.
        SourceError: a table is locked by another session, may not be read, or they change all the time.
    """
    try:
        catalogue = _checked(connection, migration)
        for _ in range(_LOCK_TRIES):
            connection.rollback()
            _lock(connection, catalogue.tables)
            held = read_checked_catalogue(connection, migration)
            if _names(held) == _names(catalogue):
                return Held(held, _partitioned(connection, held))
            catalogue = held
    except psycopg.Error as error:
        raise explain(error, "source: holding the tables", side="source") from None
    raise SourceError("source: tables come and go while they are being locked", hint="start again when it is quiet")


def read_state(connection: Connection) -> SourceState:
    """Identify the snapshot of the transaction that is open."""
    try:
        row = connection.execute(
            """
            SELECT current_database(),
                   current_setting('server_version_num')::int,
                   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
                   CASE WHEN pg_is_in_recovery() THEN 0
                        ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
                   pg_current_snapshot()::text,
                   to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            """
        ).fetchone()
        assert row is not None
        identifier = ""
        if row[6]:
            found = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
            assert found is not None
            identifier = found[0]
        timeline = row[3] or _timeline_of_standby(connection)
    except psycopg.Error as error:
        raise explain(error, "source: identifying the snapshot", side="source") from None
    return SourceState(
        database=row[0],
        system_identifier=identifier,
        server_version=row[1],
        wal_position=row[2],
        timeline=timeline,
        snapshot=row[4],
        clock=row[5],
    )


def await_durable(connection: Connection) -> None:
    """Where commits may be asynchronous, wait until a crash of the source cannot take back what the snapshot shows.

    Such a commit is seen before it is on disk. After a crash its transaction id would be given to another one,
    and a resume could not tell their rows apart. It is on disk after three times wal_writer_delay at most.
    Only the settings of server, database and roles are known here, not what a session has set for itself.

    Raises:
        SourceError: the source does not answer.
    """
    try:
        row = connection.execute(_ASYNCHRONOUS).fetchone()
        if row is None:
            return
        end, delay_s = row
        until = time.monotonic() + 3 * delay_s
        while time.monotonic() < until:
            row = connection.execute("SELECT pg_current_wal_flush_lsn() >= %s", (end,)).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(_FLUSH_LOOK_S)
    except psycopg.Error as error:
        raise explain(error, "source: waiting for its WAL to be on disk", side="source") from None


def next_instant(clock: str, last: str) -> str:
    """The later of the source's clock and the last instant + 1 µs: instants of one log never go back.

    >>> next_instant("2026-01-01T00:00:00.000000Z", "")
    '2026-01-01T00:00:00.000000Z'
    >>> next_instant("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z")
    '2026-01-01T00:00:00.000001Z'
    """
    if clock > last:
        return clock
    later = datetime.fromisoformat(last).astimezone(UTC) + timedelta(microseconds=1)
    return later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wal_bytes(position: str) -> int:
    """A pg_lsn as a number.

    >>> wal_bytes("1/10")
    4294967312
    """
    high, _, low = position.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _timeline_of_standby(connection: Connection) -> int:
    """A standby cannot name its timeline exactly; 0 when it may not be asked."""
    row = connection.execute(
        "SELECT has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE') "
        "AND has_function_privilege('pg_catalog.pg_control_recovery()', 'EXECUTE')"
    ).fetchone()
    if row is None or not row[0]:
        return 0
    found = connection.execute(
        "SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r"
    ).fetchone()
    return 0 if found is None else int(found[0])


def _checked(connection: Connection, migration: Migration) -> Catalogue:
    """The catalogue, when the migration fits it and the plan sees nothing that cannot be moved."""
    survey = read_source(connection, migration)
    if problems := survey.problems(migration):
        raise MigrationError(problems)
    wrong = [item for item in find_oddities(survey, migration) if item.severity is Severity.ERROR]
    if wrong:
        told = [f"{item.table}: {item.text}" if item.table else item.text for item in wrong]
        raise ConfigurationError(
            "this source cannot be moved as it is:\n  " + "\n  ".join(told),
            hint=f"{wrong[0].hint}; `producer plan` says more",
        )
    return survey.catalogue(migration)


def _partitioned(connection: Connection, catalogue: Catalogue) -> frozenset[str]:
    rows = connection.execute(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'p'"
    ).fetchall()
    found = set(rows)
    return frozenset(
        table.name for table in catalogue.tables if (table.schema, table.source_name or table.name) in found
    )


def _names(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [(table.schema, table.name) for table in catalogue.tables]


def _lock(connection: Connection, tables: Sequence[Table]) -> None:
    for first in range(0, len(tables), _TABLES_PER_LOCK):
        names = ", ".join(table.at_source for table in tables[first : first + _TABLES_PER_LOCK])
        connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())
