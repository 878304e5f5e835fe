"""Progress: what the target knows of a tenant's load, read as typed data.

The tables are `sql/replicator.sql`; positions move in the transaction that writes the rows,
so what is read here in one transaction is of one moment with the rows. This module only
reads; `runtime.advance` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from schemas.catalogue import Catalogue
from schemas.errors import Refused

VERSION = 2  # stops and parts of the migration are new in it; older ones are read, too


class GenerationState(StrEnum):
    """A generation runs until its post-data is done, or until it is abandoned."""

    RUNNING = "running"
    ENDED = "ended"
    ABANDONED = "abandoned"


class TableState(StrEnum):
    """Complete: table-finished applied on every partition. Applied: its generation has ended."""

    WAITING = "waiting"
    LOADING = "loading"
    COMPLETE = "complete"
    APPLIED = "applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantProgress:
    """One tenant in this target."""

    tenant: str
    schema_name: str
    log_id: str
    prefix: str
    accepted_digest: str | None
    reapply: bool
    made_schema: bool
    made_organization: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationProgress:
    """One generation of a tenant. `whole` is None until it has ended."""

    generation: int
    instant: datetime
    state: GenerationState
    is_partial: bool
    is_published: bool
    is_prepared: bool
    whole: bool | None
    catalogue_json: str
    table_order: tuple[str, ...]
    migration_digest: str
    known_at: datetime
    prepared_at: datetime | None
    loaded_at: datetime | None
    ended_at: datetime | None
    migration_parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def catalogue(self) -> Catalogue:
        """The source's definition as this generation read it."""
        return Catalogue.from_json(self.catalogue_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProgress:
    """One table within a generation; the counters are of this moment, also while it loads."""

    generation: int
    table_name: str
    attempt: int
    instant: datetime | None
    topic: str
    partitions: int | None
    published: int | None
    applied: int
    quarantined: int
    pruned: int
    state: TableState
    was_empty: bool
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionProgress:
    """How far one partition is applied, and which backend may move it."""

    topic: str
    partition: int
    next_offset: int
    table_name: str
    generation: int
    attempt: int
    applied: int
    quarantined: int
    batches: int
    finished_generation: int
    finished_attempt: int
    committed_offset: int | None
    owner_pid: int | None
    owner_backend_start: datetime | None
    owner_member: str | None
    moved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """A row that could not be applied; never its values. `state` is open or discarded."""

    id: int
    topic: str
    partition: int
    offset: int
    row_index: int
    generation: int
    attempt: int
    table_name: str
    key_digest: str
    sqlstate: str
    reason: str
    constraint_name: str | None
    column_name: str | None
    kid: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKeyProgress:
    """A foreign key as post-data left it: valid, inherited (the source breaks it too) or waiting (quarantine)."""

    table_name: str
    name: str
    parent: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedPartition:
    """A partition that stopped at a record which cannot be understood.

    `is_held`: the member that met the record still owns the partition; else it will be tried again.
    """

    topic: str
    partition: int
    offset: int
    table_name: str
    reason: str
    hint: str
    since: datetime
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All of one tenant, read at one moment."""

    tenant: TenantProgress
    generations: Mapping[int, GenerationProgress]
    tables: Mapping[tuple[int, str], TableProgress]
    positions: Mapping[tuple[str, int], PositionProgress]
    open_quarantine: Mapping[tuple[int, str], int]  # rows by generation and table
    foreign_keys: tuple[ForeignKeyProgress, ...]
    stops: tuple[StoppedPartition, ...] = ()
    read_at: datetime | None = None  # by the target's clock, as all times here

    @property
    def running(self) -> GenerationProgress | None:
        """The generation that is applied now: the earliest that neither ended nor was abandoned."""
        running = [number for number, item in self.generations.items() if item.state is GenerationState.RUNNING]
        return self.generations[min(running)] if running else None

    @property
    def newest(self) -> GenerationProgress | None:
        """The generation that was begun last, abandoned ones left out."""
        found = [n for n, item in self.generations.items() if item.state is not GenerationState.ABANDONED]
        return self.generations[max(found)] if found else None

    def tables_of(self, generation: int) -> tuple[TableProgress, ...]:
        """A generation's tables in the order they are moved."""
        return tuple(self.tables[generation, name] for name in self.generations[generation].table_order)

    def is_followed(self, generation: int) -> bool:
        """Whether a later generation is known that was not abandoned."""
        return any(
            number > generation and item.state is not GenerationState.ABANDONED
            for number, item in self.generations.items()
        )

    def newest_table(self, table: str) -> TableProgress | None:
        """The newest generation of a table that has begun here."""
        for generation in sorted(self.generations, reverse=True):
            item = self.tables.get((generation, table))
            if item is not None and item.state is not TableState.WAITING:
                return item
        return None


def instant_text(instant: datetime) -> str:
    """An instant as the log writes it: ISO 8601 in UTC with microseconds and Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_installed(connection: psycopg.Connection[Any]) -> bool:
    """Whether this database has the `replicator` schema; refuses one of a newer build.

    Raises:
        Refused: its version is unknown to this build.
    """
    return installed_version(connection) > 0


def installed_version(connection: psycopg.Connection[Any]) -> int:
    """The version of the `replicator` schema in this database, 0 when there is none; errors as `is_installed`."""
    row = connection.execute("SELECT to_regclass('replicator.version') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return 0
    found = connection.execute("SELECT version FROM replicator.version").fetchone()
    if found is not None and found[0] > VERSION:
        raise Refused(
            f"schema replicator in the target has version {found[0]}, this build knows version {VERSION}",
            hint="run the build that wrote it, or a newer one",
        )
    return 0 if found is None else int(found[0])


def read_tenants(connection: psycopg.Connection[Any]) -> tuple[TenantProgress, ...]:
    """Every tenant that this target knows."""
    if not is_installed(connection):
        return ()
    return tuple(TenantProgress(**row) for row in _rows(connection, _TENANTS, {"tenant": None}))


def read_progress(connection: psycopg.Connection[Any], tenant: str) -> Progress | None:
    """All of one tenant, None when the target does not know it.

    All parts are of one moment: read in a transaction of its own, or in the caller's, which then
    should be REPEATABLE READ.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE or not connection.autocommit:
        return _read_progress(connection, tenant)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _read_progress(connection, tenant)


def _read_progress(connection: psycopg.Connection[Any], tenant: str) -> Progress | None:
    version = installed_version(connection)
    if not version:
        return None
    only = {"tenant": tenant}
    tenants = _rows(connection, _TENANTS, only)
    if not tenants:
        return None
    positions = [PositionProgress(**row) for row in _rows(connection, _POSITIONS, only)]
    tables = [TableProgress(**{**row, "state": TableState(row["state"])}) for row in _rows(connection, _TABLES, only)]
    is_older = version < VERSION
    query = _GENERATIONS if not is_older else _GENERATIONS.replace("migration_parts", "'{}' AS migration_parts")
    generations = [_generation(row) for row in _rows(connection, query, only)]
    quarantine = _rows(connection, _OPEN_QUARANTINE, only)
    stops = [] if is_older else _rows(connection, _STOPS, only)
    return Progress(
        tenant=TenantProgress(**tenants[0]),
        generations={item.generation: item for item in generations},
        tables={(item.generation, item.table_name): item for item in tables},
        positions={(item.topic, item.partition): item for item in positions},
        open_quarantine={(row["generation"], row["table_name"]): row["rows"] for row in quarantine},
        foreign_keys=tuple(ForeignKeyProgress(**row) for row in _rows(connection, _FOREIGN_KEYS, only)),
        stops=tuple(StoppedPartition(**row) for row in stops),
        read_at=_rows(connection, "SELECT clock_timestamp() AS now", {})[0]["now"],
    )


def read_quarantine(
    connection: psycopg.Connection[Any],
    tenant: str,
    *,
    generation: int | None = None,
    table: str | None = None,
    state: str | None = None,
) -> tuple[QuarantinedRow, ...]:
    """Rows in quarantine, in the order of the log."""
    found = _rows(connection, _QUARANTINE, {"tenant": tenant, "generation": generation, "table": table, "state": state})
    return tuple(QuarantinedRow(**row) for row in found)


def _generation(row: dict[str, Any]) -> GenerationProgress:
    parts = {**row, "state": GenerationState(row["state"]), "table_order": tuple(row["table_order"])}
    return GenerationProgress(**{**parts, "migration_parts": json.loads(row["migration_parts"])})


def _rows(connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


_TENANTS = """
SELECT tenant, schema_name, log_id, prefix, accepted_digest, reapply, made_schema, made_organization
FROM replicator.tenants WHERE tenant = coalesce(%(tenant)s::text, tenant) ORDER BY tenant
"""
_POSITIONS = """
SELECT topic, partition, next_offset, table_name, generation, attempt, applied, quarantined, batches,
       finished_generation, finished_attempt, committed_offset, owner_pid, owner_backend_start, owner_member,
       updated_at AS moved_at
FROM replicator.positions WHERE tenant = %(tenant)s ORDER BY topic, partition
"""
_TABLES = """
SELECT generation, table_name, attempt, instant, topic, partitions, published, applied, quarantined, pruned,
       state, was_empty, started_at, finished_at
FROM replicator.table_progress WHERE tenant = %(tenant)s ORDER BY generation, table_name
"""
_GENERATIONS = """
SELECT generation, instant, state, is_partial, is_published, is_prepared, whole, catalogue AS catalogue_json,
       table_order, migration_digest, migration_parts, known_at, prepared_at, loaded_at, ended_at
FROM replicator.generations WHERE tenant = %(tenant)s ORDER BY generation
"""
_OPEN_QUARANTINE = """
SELECT generation, table_name, count(*) AS rows FROM replicator.quarantine
WHERE tenant = %(tenant)s AND state = 'open' GROUP BY generation, table_name
"""
_STOPS = """
SELECT s.topic, s.partition, s."offset", s.table_name, s.reason, s.hint, s.since,
       p.owner_member IS NOT DISTINCT FROM s.member AS is_held
FROM replicator.stops s JOIN replicator.positions p USING (tenant, topic, partition)
WHERE s.tenant = %(tenant)s AND p.next_offset <= s."offset" ORDER BY s.topic, s.partition
"""
_FOREIGN_KEYS = """
SELECT table_name, name, parent, state FROM replicator.foreign_keys WHERE tenant = %(tenant)s ORDER BY 1, 2
"""
_QUARANTINE = """
SELECT id, topic, partition, "offset", row_index, generation, attempt, table_name, key_digest, sqlstate, reason,
       constraint_name, column_name, kid, state, at
FROM replicator.quarantine
WHERE tenant = %(tenant)s AND generation = coalesce(%(generation)s::int, generation)
  AND table_name = coalesce(%(table)s::text, table_name) AND state = coalesce(%(state)s::text, state)
ORDER BY generation, table_name, topic, partition, "offset", row_index
"""
