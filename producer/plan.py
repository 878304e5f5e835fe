"""What a snapshot would do, told before it is done: order, sizes, keys, time, disk, and what is odd.

Pure: everything it says follows from a `Survey` and the migration. Rows, bytes, time and disk
are estimates, and are called so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from producer.oddities import Rehearsed, find_oddities
from runtime.survey import Survey
from schemas.avro import topic_name
from schemas.catalogue import Table, load_waves
from schemas.errors import ConfigurationError
from schemas.migration import Migration
from schemas.oddity import Oddity, Severity
from schemas.suspicion import Suspicion

# Guesses, from runs on two cores; a real network and disk may halve or double them.
GUESSED_ROWS_PER_SECOND = 150_000
GUESSED_BYTES_PER_SECOND = 40_000_000
GUESSED_LOG_SHARE = 0.6  # what snappy leaves of a table's bytes, headers and seal included


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTable:
    """One table as it would be moved; counts are of columns."""

    name: str
    schema: str
    topic: str
    wave: int  # from 1
    rows: int
    bytes: int
    key: tuple[str, ...]
    partitions: int
    parents: tuple[str, ...]
    clear: int
    encrypted: int
    transformed: int
    generated: int
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMoved:
    """Things of one kind that stay behind."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long a snapshot may take and what the log may need on Kafka's disks, all replicas together."""

    rows: int
    bytes: int
    snapshot_s: float
    kafka_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer of `producer plan`; tables in the order in which they are moved."""

    tenant: str
    source: str
    schemas: tuple[str, ...]
    target_schema: str
    tables: tuple[PlannedTable, ...]
    estimate: Estimate
    extensions: tuple[str, ...]
    extensions_checked: bool  # whether the target was asked for them
    types: tuple[str, ...]
    renamed: tuple[str, ...]  # what has another name in the target: "b.orders: b_orders"
    odd: tuple[Oddity, ...]
    suspicions: tuple[Suspicion, ...]  # columns that seem personal, undecided
    is_lenient: bool  # whether those may travel readable
    not_moved: tuple[NotMoved, ...]
    problems: tuple[str, ...]  # of the migration, each with its line

    @property
    def is_blocked(self) -> bool:
        """Whether a snapshot would stop."""
        return (
            bool(self.problems)
            or bool(self.suspicions and not self.is_lenient)
            or any(oddity.severity is Severity.ERROR for oddity in self.odd)
        )

    @property
    def waves(self) -> int:
        """How many waves there are."""
        return max((table.wave for table in self.tables), default=0)


def make_plan(
    survey: Survey,
    migration: Migration,
    source: str,
    *,
    suspicions: Sequence[Suspicion] = (),
    is_lenient: bool = False,
    rehearsed: Rehearsed | None = None,
) -> Plan:
    """Plan a snapshot; `source` is how the source may be shown, `rehearsed` what the target lacks, if it was asked.

    Raises:
        ConfigurationError: things of two schemas would have one name in the target.
    """
    catalogue = survey.catalogue(migration)
    wave_of = {table.name: number for number, wave in enumerate(load_waves(catalogue.tables), 1) for table in wave}
    return Plan(
        tenant=migration.tenant,
        source=source,
        schemas=survey.schemas,
        target_schema=migration.schema_,
        tables=tuple(_planned(table, wave_of[table.name], migration) for table in catalogue.tables),
        estimate=estimate(catalogue.tables, migration),
        extensions=catalogue.extensions,
        types=tuple(found.name for found in catalogue.types),
        renamed=tuple(
            f"{schema}.{name}: {new}" for schema, names in migration.rename.items() for name, new in names.items()
        ),
        extensions_checked=rehearsed is not None,
        odd=find_oddities(survey, migration, rehearsed),
        suspicions=tuple(suspicions),
        is_lenient=is_lenient,
        not_moved=not_moved(survey, migration),
        problems=tuple(survey.problems(migration)),
    )


def estimate(tables: Iterable[Table], migration: Migration) -> Estimate:
    """Guess time and disk from the source's own estimates of rows and bytes."""
    moved = tuple(tables)
    rows, size = sum(table.rows for table in moved), sum(table.bytes for table in moved)
    return Estimate(
        rows=rows,
        bytes=size,
        snapshot_s=max(rows / GUESSED_ROWS_PER_SECOND, size / GUESSED_BYTES_PER_SECOND),
        kafka_bytes=int(size * GUESSED_LOG_SHARE) * max(migration.log.replication_factor, 1),
    )


def _planned(table: Table, wave: int, migration: Migration) -> PlannedTable:
    rules = migration.rules(table.name)
    stored = {column.name for column in table.stored}
    encrypted, transformed = stored & set(rules.encrypt), stored & set(rules.transform)
    return PlannedTable(
        name=table.name,
        schema=table.schema,
        topic=_topic(migration.log.prefix, table.name),
        wave=wave,
        rows=table.rows,
        bytes=table.bytes,
        key=table.key,
        partitions=migration.partitions_of(table),
        parents=tuple(sorted(table.parents)),
        clear=len(stored - encrypted - transformed),
        encrypted=len(encrypted),
        transformed=len(transformed),
        generated=len(table.columns) - len(stored),
        added=len(rules.add),
    )


def _topic(prefix: str, table: str) -> str:
    try:
        return topic_name(prefix, table)
    except ConfigurationError:
        return ""  # too long for Kafka; told among what is odd


def not_moved(survey: Survey, migration: Migration) -> tuple[NotMoved, ...]:
    """What stays behind, by kind."""
    tables = survey.moved(migration)
    moved = {(table.schema, table.name) for table in tables}
    left = [
        ("table" if table.stored else "table of no column", table.name)
        for table in survey.tables
        if (table.schema, table.name) not in moved
    ]
    unused = [("type of no column", name) for name in survey.unused_types(tables)]
    by_kind: dict[str, list[str]] = {}
    for kind, name in (*left, *survey.not_moved, *unused):
        by_kind.setdefault(kind, []).append(name)
    return tuple(NotMoved(kind=kind, names=tuple(names)) for kind, names in by_kind.items())
