"""Whether a tenant has converged after whatever was done to it: said by many looks, each its own way.

    converged(environment)   # [] when source and target are equal and nothing is left behind

`environment` are the variables by which the programs find the tenant (POSTGRES_URL, NEW_POSTGRES_URL,
KAFKA_BOOTSTRAP_SERVERS, MIGRATION, and KEYRING if there is one). The rows are compared here too, by COPY on
both sides, so that an error of the validator cannot hide one of the consumer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from consumer.session import group_id
from runtime.control import read_control
from runtime.kafka import Admin
from runtime.keyring import load_keyring
from runtime.progress import GenerationState, Progress, read_progress, read_quarantine
from runtime.settings import kafka_settings, source_settings, target_settings
from schemas.avro import control_topic
from schemas.mapping import TableMapping, Treatment, table_mapping
from schemas.migration import Migration, parse_migration
from schemas.pgtypes import text_expression
from schemas.sql import quote_ident, quote_qualified
from tests.oracle import differences
from validator.options import Options
from validator.reconcile import Reconciliation

OPTIONS = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c extra_float_digits=1 -c lc_monetary=C"
SHOWN = 3
SETTLES_S = 30.0  # what a server may take to notice that a process is gone

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What may differ from a whole, equal, idle tenant."""

    quarantined: Mapping[str, int] | None = None  # open rows of the newest generation, by table
    exit_code: int = 0  # of reconcile
    is_idle: bool = True  # nobody consumes: no owner may be left, and Kafka must have been told all positions
    lag_explained: bool = False  # Kafka may have been told less than the positions, never more


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tenant is, opened."""

    environment: Mapping[str, str]
    migration: Migration
    source: Connection
    target: Connection
    expected: Expected


def converged(
    environment: Mapping[str, str], expected: Expected | None = None, *, settles_s: float = SETTLES_S
) -> list[str]:
    """Everything that is not as it must be, as sentences."""
    file = environment["MIGRATION"]
    migration = parse_migration(Path(file).read_text(encoding="utf-8"), file)
    source_url, target_url = source_settings(environment).url, target_settings(environment).url
    with (
        psycopg.connect(source_url, autocommit=True, options=OPTIONS) as source,
        psycopg.connect(target_url, autocommit=True, options=OPTIONS) as target,
    ):
        place = Place(
            environment=environment,
            migration=migration,
            source=source,
            target=target,
            expected=expected or Expected(),
        )
        progress = read_progress(target, migration.tenant)
        if progress is None:
            return ["the target knows no such tenant"]
        found = [*_of_generations(place, progress)]
        if not found:
            found += _of_rows(place, progress)
            found += _of_quarantine(place)
            found += _of_positions(place, progress)
        found += _of_what_is_left(place, settles_s)
    return found + _of_log(place) + _of_definitions(place) + _of_reconcile(place)


def _of_generations(place: Place, progress: Progress) -> Iterator[str]:
    """All generations of the log are over here too, and of the newest one every row is accounted for."""
    log = read_control(
        kafka_settings(place.environment),
        place.migration.log.prefix,
        place.migration.tenant,
        load_keyring(place.environment),
    )
    if set(log.generations) != set(progress.generations):
        yield f"generations: {sorted(log.generations)} in the log, {sorted(progress.generations)} in the target"
    for number, item in progress.generations.items():
        if item.state is GenerationState.RUNNING:
            yield f"generation {number} has not ended"
    newest = progress.newest
    if newest is None or log.latest is None or log.latest.finished is None:
        yield "the newest generation is not complete in the log"
        return
    for table in progress.tables_of(newest.generation):
        published = log.latest.tables[table.table_name].rows
        if (table.published, table.applied + table.quarantined) != (published, published):
            yield (
                f"{table.table_name}: {published} rows in the log, {table.published} published, "
                f"{table.applied} applied, {table.quarantined} quarantined in progress"
            )


def _of_rows(place: Place, progress: Progress) -> Iterator[str]:
    """Every row once and of the newest image, by the clear columns and by `migrated_at`."""
    newest = progress.newest
    assert newest is not None
    missing = place.expected.quarantined or {}
    for table in newest.catalogue.tables:
        if table.name not in newest.table_order:
            continue
        mapping = table_mapping(table, place.migration)
        here = f"{table.only}{quote_qualified(place.migration.schema_, table.name)}"
        before = _lines(place.source, f"{table.only}{quote_qualified(table.schema, table.name)}", mapping)
        after = _lines(place.target, here, mapping)
        allowed = missing.get(table.name, 0)
        lost, extra = before - after, after - before
        if lost.total() != allowed:
            yield f"{table.name}: {lost.total()} rows are only in the source: {_shown(lost)}"
        if extra and not allowed:
            yield f"{table.name}: {extra.total()} rows are only in the target: {_shown(extra)}"
        instant = progress.tables[newest.generation, table.name].instant
        column = quote_ident(mapping.migrated_at)
        row = place.target.execute(
            f"SELECT count(*) FROM {here} WHERE {column} IS DISTINCT FROM %s".encode(), (instant,)
        ).fetchone()
        if row is not None and row[0] and not allowed and not newest.is_partial:
            yield f"{table.name}: {row[0]} rows are not of the newest image"


def _lines(connection: Connection, table: str, mapping: TableMapping) -> Counter[bytes]:
    columns = [
        text_expression(mapping.table.column(column.name), "t")
        for column in mapping.columns
        if column.treatment is Treatment.CLEAR
    ]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY (SELECT {', '.join(columns)} FROM {table} AS t) TO STDOUT".encode()) as copy,
    ):
        return Counter(map(bytes, copy))


def _shown(lines: Counter[bytes]) -> str:
    return "; ".join(line.decode().rstrip()[:200] for line in list(lines)[:SHOWN])


def _of_quarantine(place: Place) -> Iterator[str]:
    found = Counter(row.table_name for row in read_quarantine(place.target, place.migration.tenant))
    wanted = Counter({table: rows for table, rows in (place.expected.quarantined or {}).items() if rows})
    if found != wanted:
        yield f"quarantine holds {dict(found)}, expected {dict(wanted)}"


def _of_positions(place: Place, progress: Progress) -> Iterator[str]:
    """Positions stand at the end of each partition and nobody owns them; Kafka was told the same."""
    settings = kafka_settings(place.environment)
    admin = Admin(settings)
    ends = admin.ends({topic for topic, _ in progress.positions})
    told = {
        (p.topic, p.number): offset for p, offset in admin.committed_offsets(group_id(progress.tenant.tenant)).items()
    }
    for key, item in sorted(progress.positions.items()):
        name = f"{key[0]}-{key[1]}"
        behind = ends[key[0]].get(key[1], 0) - item.next_offset
        if behind not in (0, 1):  # after the last record stands the mark of its transaction
            yield f"{name}: position {item.next_offset} is {behind} before the end"
        if not place.expected.is_idle:
            continue
        if item.owner_pid is not None:
            yield f"{name}: still owned by backend {item.owner_pid} ({item.owner_member})"
        offset = told.get(key)
        is_late = offset is None or offset < item.next_offset
        if (is_late and not place.expected.lag_explained) or (offset or 0) > item.next_offset:
            yield f"{name}: position {item.next_offset}, Kafka was told {offset}"
    newest = progress.newest
    assert newest is not None
    for table in progress.tables_of(newest.generation):
        count = sum(item.table_name == table.table_name for item in progress.positions.values())
        if count != table.partitions:
            yield f"{table.table_name}: {count} positions, {table.partitions} partitions"


def _of_what_is_left(place: Place, settles_s: float) -> list[str]:
    """Nothing of a dead process is left in the databases: sessions, locks, prepared transactions, temporary tables."""
    end = time.monotonic() + settles_s
    while True:
        found = [
            f"{side}: {row[0]}"
            for side, connection in (("source", place.source), ("target", place.target))
            for row in connection.execute(_LEFT, {"idle": place.expected.is_idle}).fetchall()
        ]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


# Temporary tables are looked for by their rows in pg_class: a crash of the server leaves none that a session sees.
_LEFT = """
SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'advisory lock of backend ' || pid FROM pg_locks
WHERE locktype = 'advisory' AND %(idle)s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'session ' || pid || ' of ' || application_name || ', ' || coalesce(state, '') FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND application_name IN ('producer', 'consumer', 'validator') AND (%(idle)s OR state LIKE 'idle in transaction%%')
UNION ALL
SELECT 'temporary table ' || relname FROM pg_class
WHERE relpersistence = 't' AND relkind = 'r' AND %(idle)s
"""


def _of_log(place: Place) -> list[str]:
    """No transaction is open in the log: a reader of committed records sees as far as any."""
    settings = kafka_settings(place.environment)
    prefix = place.migration.log.prefix
    topics = [
        topic for topic in Admin(settings).topics() if topic.startswith(f"{prefix}.") or topic == control_topic(prefix)
    ]
    client = AdminClient({"bootstrap.servers": settings.bootstrap, **settings.properties})
    found = client.list_topics(timeout=30).topics
    places = [TopicPartition(topic, number) for topic in topics for number in found[topic].partitions]
    ends = []
    for isolation in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        asked = client.list_offsets({item: OffsetSpec.latest() for item in places}, isolation_level=isolation)  # type: ignore[no-untyped-call]
        ends.append({(item.topic, item.partition): future.result().offset for item, future in asked.items()})
    return [
        f"{topic}-{number}: a transaction is open from offset {offset} on"
        for (topic, number), offset in ends[0].items()
        if offset != ends[1][topic, number]
    ]


def _of_definitions(place: Place) -> list[str]:
    """The oracle's view, where every column of every table stays as it is."""
    rules = place.migration.table.values()
    schemas = place.migration.source.schemas
    if (
        any(rule.encrypt or rule.transform or rule.add for rule in rules)
        or len(schemas) != 1
        or place.expected.quarantined
    ):
        return []
    tables = None if place.migration.tables == "*" else place.migration.tables
    return differences(
        source_settings(place.environment).url,
        target_settings(place.environment).url,
        schemas={schemas[0]: place.migration.schema_},
        tables=tables,
    )


def _of_reconcile(place: Place) -> list[str]:
    report = Reconciliation(
        migration=place.migration,
        source_url=source_settings(place.environment).url,
        target_url=target_settings(place.environment).url,
        keyring=load_keyring(place.environment),
        environment=place.environment,
        options=Options(jobs=1),
        report_fact=lambda fact: None,
        program_version="test",
    ).run()
    plain = report.to_json()
    if plain["exit_code"] == place.expected.exit_code:
        return []
    return [f"reconcile ended with {plain['exit_code']}, expected {place.expected.exit_code}: {plain['sentence']}"]
