"""Moving progress: every write to the `replicator` schema, each to stand in its caller's transaction.

A position moves by compare-and-set on its offset and its owner: no row hit means that another
process owns the partition now, and the caller's whole transaction, rows included, must roll back.
That is why each record is applied exactly once whatever dies. An owner is a backend of the target
(pid and start time), because only that can be ended by an heir when its process is frozen.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from runtime.progress import VERSION, PositionProgress, is_installed
from schemas.errors import Refused, TargetError

Partition = tuple[str, int]  # topic, partition

TERMINATION_S = 10.0


class PositionLost(Exception):
    """Another process has moved or claimed this position; nothing of the transaction may stay."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(f"{partition[0]}-{partition[1]}: another process owns this partition now")
        self.partition = partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One partition's way within a transaction: from the offset believed to the next one."""

    partition: Partition
    believed: int
    next_offset: int
    generation: int
    attempt: int
    applied: int = 0
    quarantined: int = 0
    batches: int = 0


def lock_key(name: str) -> int:
    """A stable key for an advisory lock."""
    return int.from_bytes(hashlib.sha256(f"tenant-replicator:{name}".encode()).digest()[:8], "big", signed=True)


@contextmanager
def advisory_lock(connection: psycopg.Connection[Any], name: str, *, wait: bool) -> Iterator[bool]:
    """Hold a session's advisory lock; yields whether it was got (without `wait` it may not be)."""
    if wait:
        connection.execute("SELECT pg_advisory_lock(%s)", (lock_key(name),))
        got = True
    else:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock_key(name),)).fetchone()
        got = row is not None and bool(row[0])
    try:
        yield got
    finally:
        if got and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (lock_key(name),))


def install(connection: psycopg.Connection[Any]) -> None:
    """Make the `replicator` schema unless it is there; refuse one of a newer build."""
    if is_installed(connection):
        return
    script = resources.files("runtime").joinpath("sql/replicator.sql").read_text("utf-8")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("install"),))
        connection.execute(script.encode())
        connection.execute("UPDATE replicator.version SET version = %s", (VERSION,))


def register_tenant(
    connection: psycopg.Connection[Any], *, tenant: str, schema_name: str, log_id: str, prefix: str, made_schema: bool
) -> None:
    """Write the tenant down, once.

    Raises:
        Refused: the tenant came here from another log, or another tenant has this schema.
    """
    connection.execute(
        """
        INSERT INTO replicator.tenants (tenant, schema_name, log_id, prefix, made_schema)
        VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
        """,
        (tenant, schema_name, log_id, prefix, made_schema),
    )
    row = connection.execute(
        "SELECT tenant, schema_name, log_id FROM replicator.tenants WHERE tenant = %s", (tenant,)
    ).fetchone()
    if row is None:
        raise Refused(
            f'schema "{schema_name}" belongs to another tenant in this target',
            hint="name another `schema` in the migration",
        )
    if row[1] != schema_name:
        raise Refused(
            f'tenant "{tenant}" was moved into schema "{row[1]}", the migration now says "{schema_name}"',
            hint="put the schema back in the migration, or `consumer rollback` first",
        )
    if row[2] != log_id:
        raise Refused(
            f'tenant "{tenant}" was loaded from log {row[2]}, the topics now hold log {log_id}',
            hint="the topics were deleted and made anew: `consumer rollback`, then `consumer run` starts over",
        )


def note_generation(
    connection: psycopg.Connection[Any],
    tenant: str,
    *,
    generation: int,
    instant: str,
    is_partial: bool,
    catalogue: str,
    tables: Mapping[str, str],
    migration_digest: str,
) -> None:
    """Write down a generation that the control topic names, with its tables (name to topic, in order)."""
    connection.execute(
        """
        INSERT INTO replicator.generations
               (tenant, generation, instant, state, is_partial, catalogue, table_order, migration_digest)
        VALUES (%s, %s, %s, 'running', %s, %s, %s, %s)
        ON CONFLICT (tenant, generation) DO UPDATE SET instant = excluded.instant
        WHERE replicator.generations.instant < excluded.instant
        """,
        (tenant, generation, instant, is_partial, catalogue, list(tables), migration_digest),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO replicator.tables (tenant, generation, table_name, attempt, topic, state)
            VALUES (%s, %s, %s, 0, %s, 'waiting') ON CONFLICT DO NOTHING
            """,
            [(tenant, generation, table, topic) for table, topic in tables.items()],
        )


def note_attempt(
    connection: psycopg.Connection[Any],
    tenant: str,
    *,
    generation: int,
    table: str,
    attempt: int,
    instant: str,
    partitions: int,
    wire_schema: str,
) -> None:
    """Write down a table's newest attempt; what an earlier one had completed no longer counts."""
    connection.execute(
        """
        UPDATE replicator.tables
        SET attempt = %(attempt)s, instant = %(instant)s, partitions = %(partitions)s, wire_schema = %(wire)s,
            published = NULL, finished_at = NULL, applied = 0, quarantined = 0,
            state = CASE WHEN state = 'waiting' THEN 'waiting' ELSE 'loading' END
        WHERE tenant = %(tenant)s AND generation = %(generation)s AND table_name = %(table)s
          AND (attempt < %(attempt)s OR attempt = %(attempt)s AND instant IS NULL)
        """,
        {
            "tenant": tenant,
            "generation": generation,
            "table": table,
            "attempt": attempt,
            "instant": instant,
            "partitions": partitions,
            "wire": wire_schema,
        },
    )


def note_superseded(
    connection: psycopg.Connection[Any], tenant: str, *, generation: int, table: str, attempt: int
) -> None:
    """Write down that a resume found a table changed: it counts as complete only with its next attempt."""
    connection.execute(
        """
        UPDATE replicator.tables
        SET attempt = %(attempt)s + 1, instant = NULL, partitions = NULL, published = NULL, finished_at = NULL,
            applied = 0, quarantined = 0, state = CASE WHEN state = 'waiting' THEN 'waiting' ELSE 'loading' END
        WHERE tenant = %(tenant)s AND generation = %(generation)s AND table_name = %(table)s AND attempt <= %(attempt)s
        """,
        {"tenant": tenant, "generation": generation, "table": table, "attempt": attempt},
    )


def note_published(
    connection: psycopg.Connection[Any], tenant: str, *, generation: int, table: str, attempt: int, rows: int
) -> None:
    """Write down how many rows the newest attempt of a table has in the log."""
    connection.execute(
        """
        UPDATE replicator.tables SET published = %s
        WHERE tenant = %s AND generation = %s AND table_name = %s AND attempt = %s AND published IS DISTINCT FROM %s
        """,
        (rows, tenant, generation, table, attempt, rows),
    )


def note_snapshot_finished(connection: psycopg.Connection[Any], tenant: str, generation: int, instant: str) -> None:
    """Write down that a generation is complete in the log."""
    connection.execute(
        """
        UPDATE replicator.generations SET is_published = true, instant = %s
        WHERE tenant = %s AND generation = %s AND NOT is_published
        """,
        (instant, tenant, generation),
    )


def note_abandoned(connection: psycopg.Connection[Any], tenant: str, generation: int) -> None:
    """Write down that a generation will never end; the next may begin."""
    connection.execute(
        """
        UPDATE replicator.generations SET state = 'abandoned', ended_at = now()
        WHERE tenant = %s AND generation = %s AND state = 'running'
        """,
        (tenant, generation),
    )


def note_prepared(
    connection: psycopg.Connection[Any], tenant: str, generation: int, was_empty: Mapping[str, bool]
) -> None:
    """Write down that pre-data is done, and which tables were empty then."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            UPDATE replicator.tables SET was_empty = %s
            WHERE tenant = %s AND generation = %s AND table_name = %s
            """,
            [(empty, tenant, generation, table) for table, empty in was_empty.items()],
        )
    connection.execute(
        """
        UPDATE replicator.generations SET is_prepared = true, prepared_at = coalesce(prepared_at, now())
        WHERE tenant = %s AND generation = %s
        """,
        (tenant, generation),
    )


def note_ended(connection: psycopg.Connection[Any], tenant: str, generation: int) -> bool:
    """Write down that a generation has ended; returns whether it is whole (no row in quarantine).

    Quarantine of earlier generations is superseded where this one has read the whole table again.
    """
    connection.execute(
        """
        DELETE FROM replicator.quarantine q USING replicator.generations g
        WHERE q.tenant = %s AND g.tenant = q.tenant AND g.generation = %s AND NOT g.is_partial
          AND q.generation < g.generation AND q.table_name = ANY (g.table_order)
        """,
        (tenant, generation),
    )
    connection.execute(
        "UPDATE replicator.tables SET state = 'applied' WHERE tenant = %s AND generation = %s", (tenant, generation)
    )
    row = connection.execute(
        """
        UPDATE replicator.generations SET state = 'ended', ended_at = now(), whole = NOT EXISTS (
            SELECT FROM replicator.quarantine q WHERE q.tenant = %(tenant)s AND q.generation = %(generation)s)
        WHERE tenant = %(tenant)s AND generation = %(generation)s RETURNING whole
        """,
        {"tenant": tenant, "generation": generation},
    ).fetchone()
    connection.execute(
        """
        UPDATE replicator.tenants SET reapply = false
        WHERE tenant = %s AND reapply AND NOT EXISTS (
            SELECT FROM replicator.generations g WHERE g.tenant = %s AND g.state = 'running')
        """,
        (tenant, tenant),
    )
    return row is not None and bool(row[0])


def claim(
    connection: psycopg.Connection[Any], tenant: str, wanted: Mapping[Partition, str], member: str
) -> dict[Partition, PositionProgress]:
    """Become the owner of partitions (each with its table) and read their positions.

    An owner still written did not give them back: its backend is ended first, because frozen in
    the middle of COPY it would hold its rows for ever.

    Raises:
        TargetError: the former owner's backend cannot be ended.
    """
    if not wanted:
        return {}
    keys = {"tenant": tenant, "topics": [t for t, _ in wanted], "partitions": [p for _, p in wanted]}
    _end_former_owners(connection, keys)
    with connection.transaction():
        rows = connection.execute(
            """
            INSERT INTO replicator.positions AS p
                   (tenant, topic, partition, table_name, next_offset, owner_pid, owner_backend_start, owner_member)
            SELECT %(tenant)s, w.topic, w.partition, w.table_name, 0, me.pid, me.backend_start, %(member)s
            FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(tables)s::text[]) AS w (topic, partition, table_name)
            CROSS JOIN (SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS me
            ON CONFLICT (tenant, topic, partition) DO UPDATE
            SET owner_pid = excluded.owner_pid, owner_backend_start = excluded.owner_backend_start,
                owner_member = excluded.owner_member, updated_at = now()
            RETURNING p.topic, p.partition, p.next_offset, p.table_name, p.generation, p.attempt, p.applied,
                      p.quarantined, p.batches, p.finished_generation, p.finished_attempt, p.committed_offset,
                      p.owner_pid, p.owner_backend_start, p.owner_member
            """,
            {**keys, "tables": list(wanted.values()), "member": member},
        )
        names = [column.name for column in rows.description or ()]
        found = [PositionProgress(**dict(zip(names, row, strict=True))) for row in rows.fetchall()]
    return {(item.topic, item.partition): item for item in found}


def _end_former_owners(connection: psycopg.Connection[Any], keys: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + TERMINATION_S
    while True:
        try:
            ended = connection.execute(
                """
                SELECT a.pid, pg_terminate_backend(a.pid)
                FROM (SELECT DISTINCT owner_pid, owner_backend_start FROM replicator.positions p
                      JOIN unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition)
                        USING (topic, partition)
                      WHERE p.tenant = %(tenant)s AND p.owner_pid <> pg_backend_pid()) AS o
                JOIN pg_stat_activity a ON a.pid = o.owner_pid AND a.backend_start = o.owner_backend_start
                """,
                keys,
            ).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            raise TargetError(
                "the former owner of a partition runs under another role and cannot be ended",
                hint="run all consumers of a tenant under one role, or grant it pg_signal_backend",
            ) from None
        if not ended:
            return
        if time.monotonic() > deadline:
            pids = ", ".join(str(row[0]) for row in ended)
            raise TargetError(
                f"the former owner of a partition does not end (backend {pids})",
                hint="the server is overloaded or its disk hangs; start the consumer again when it answers",
            )
        time.sleep(0.05)


def reclaim(
    connection: psycopg.Connection[Any], tenant: str, partitions: Sequence[Partition], member: str
) -> dict[Partition, int]:
    """Own again, over a new connection, what this member still owns by name; returns those positions.

    Unlike `claim` it ends nobody: what is missing in the answer was claimed by an heir.
    """
    rows = connection.execute(
        """
        UPDATE replicator.positions p SET owner_pid = me.pid, owner_backend_start = me.backend_start
        FROM unnest(%s::text[], %s::int[]) AS w (topic, partition),
             (SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS me
        WHERE p.tenant = %s AND p.topic = w.topic AND p.partition = w.partition AND p.owner_member = %s
        RETURNING p.topic, p.partition, p.next_offset
        """,
        ([t for t, _ in partitions], [p for _, p in partitions], tenant, member),
    ).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def note_committed(connection: psycopg.Connection[Any], tenant: str, offsets: Mapping[Partition, int]) -> None:
    """Write down what Kafka was told, to notice when somebody sets it back there."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE replicator.positions SET committed_offset = %s WHERE tenant = %s AND topic = %s AND partition = %s",
            [(offset, tenant, topic, partition) for (topic, partition), offset in offsets.items()],
        )


def give_back(connection: psycopg.Connection[Any], tenant: str, partitions: Sequence[Partition]) -> None:
    """Clear the owner of partitions that are still ours, so that an heir need not end anybody."""
    connection.execute(
        """
        UPDATE replicator.positions p SET owner_pid = NULL, owner_backend_start = NULL, owner_member = NULL
        FROM unnest(%s::text[], %s::int[]) AS w (topic, partition)
        WHERE p.tenant = %s AND p.topic = w.topic AND p.partition = w.partition AND p.owner_pid = pg_backend_pid()
        """,
        ([t for t, _ in partitions], [p for _, p in partitions], tenant),
    )


def move(connection: psycopg.Connection[Any], tenant: str, step: Step) -> None:
    """Move a position past records of the generation and attempt it is in.

    Raises:
        PositionLost: it is not where we believe, or not ours.
    """
    _compare_and_set(
        connection,
        tenant,
        step,
        "applied = applied + %(applied)s, quarantined = quarantined + %(quarantined)s, batches = batches + %(batches)s",
    )


def begin_partition(connection: psycopg.Connection[Any], tenant: str, table: str, step: Step) -> None:
    """Move a position past a table-started marker: counters begin anew, also after a rewind."""
    _compare_and_set(
        connection,
        tenant,
        step,
        "generation = %(generation)s, attempt = %(attempt)s, applied = 0, quarantined = 0, batches = 0",
    )
    connection.execute(
        "DELETE FROM replicator.quarantine WHERE tenant = %s AND topic = %s AND partition = %s AND generation = %s",
        (tenant, *step.partition, step.generation),
    )
    connection.execute(
        """
        UPDATE replicator.tables SET state = 'loading', started_at = coalesce(started_at, clock_timestamp())
        WHERE tenant = %s AND generation = %s AND table_name = %s AND attempt = %s AND state = 'waiting'
        """,
        (tenant, step.generation, table, step.attempt),
    )


def finish_partition(connection: psycopg.Connection[Any], tenant: str, table: str, step: Step) -> bool:
    """Move a position past a table-finished marker; returns whether that made the table complete."""
    _compare_and_set(connection, tenant, step, "finished_generation = %(generation)s, finished_attempt = %(attempt)s")
    place = {"tenant": tenant, "generation": step.generation, "attempt": step.attempt, "table": table}
    # Locked before counting: two processes that finish the last two partitions at once must see each other.
    connection.execute(
        """
        SELECT FROM replicator.tables
        WHERE tenant = %(tenant)s AND generation = %(generation)s AND table_name = %(table)s FOR UPDATE
        """,
        place,
    )
    row = connection.execute(
        """
        UPDATE replicator.tables t
        SET state = 'complete', finished_at = clock_timestamp(), applied = p.applied, quarantined = p.quarantined
        FROM (SELECT count(*) AS partitions, coalesce(sum(applied), 0) AS applied,
                     coalesce(sum(quarantined), 0) AS quarantined
              FROM replicator.positions
              WHERE tenant = %(tenant)s AND table_name = %(table)s AND generation = %(generation)s
                AND attempt = %(attempt)s AND finished_generation = %(generation)s
                AND finished_attempt = %(attempt)s) AS p
        WHERE t.tenant = %(tenant)s AND t.generation = %(generation)s AND t.table_name = %(table)s
          AND t.attempt = %(attempt)s AND t.partitions = p.partitions AND t.state = 'loading'
        RETURNING t.table_name
        """,
        place,
    ).fetchone()
    if row is None:
        return False
    connection.execute(
        """
        UPDATE replicator.generations SET loaded_at = clock_timestamp()
        WHERE tenant = %(tenant)s AND generation = %(generation)s AND NOT EXISTS (
            SELECT FROM replicator.tables t
            WHERE t.tenant = %(tenant)s AND t.generation = %(generation)s AND t.state IN ('waiting', 'loading'))
        """,
        place,
    )
    return True


def pass_over(connection: psycopg.Connection[Any], tenant: str, step: Step) -> None:
    """Move a position past records that a newer attempt or generation has superseded; nothing is counted."""
    _compare_and_set(connection, tenant, step, "updated_at = now()")


def _compare_and_set(connection: psycopg.Connection[Any], tenant: str, step: Step, also: str) -> None:
    hit = connection.execute(
        f"""
        UPDATE replicator.positions
        SET next_offset = %(next)s, {also}
        WHERE tenant = %(tenant)s AND topic = %(topic)s AND partition = %(partition)s
          AND next_offset = %(believed)s AND owner_pid = pg_backend_pid()
        """,
        {
            "tenant": tenant,
            "topic": step.partition[0],
            "partition": step.partition[1],
            "believed": step.believed,
            "next": step.next_offset,
            "generation": step.generation,
            "attempt": step.attempt,
            "applied": step.applied,
            "quarantined": step.quarantined,
            "batches": step.batches,
        },
    )
    if hit.rowcount != 1:
        raise PositionLost(step.partition)


def rewind(
    connection: psycopg.Connection[Any],
    tenant: str,
    offsets: Mapping[Partition, int],
    generations: Mapping[int, Sequence[str]],
) -> None:
    """Set positions back to table-started markers (or 0), for replay; nobody may be consuming.

    `generations` names what will be applied again: each becomes running, and of each the named
    tables wait anew. Their quarantine goes, because their records will say it again. Abandoned
    generations stay abandoned.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            UPDATE replicator.positions
            SET next_offset = %(offset)s, generation = 0, attempt = 0, applied = 0, quarantined = 0, batches = 0,
                finished_generation = 0, finished_attempt = 0, committed_offset = NULL
            WHERE tenant = %(tenant)s AND topic = %(topic)s AND partition = %(partition)s
            """,
            [{"tenant": tenant, "topic": t, "partition": p, "offset": o} for (t, p), o in offsets.items()],
        )
        cursor.executemany(
            """
            DELETE FROM replicator.quarantine
            WHERE tenant = %s AND topic = %s AND partition = %s AND "offset" >= %s AND generation = ANY (%s)
            """,
            [(tenant, t, p, o, list(generations)) for (t, p), o in offsets.items()],
        )
    for generation, tables in generations.items():
        connection.execute(
            """
            UPDATE replicator.generations SET state = 'running', is_prepared = false, whole = NULL, ended_at = NULL,
                   loaded_at = NULL, prepared_at = NULL
            WHERE tenant = %s AND generation = %s AND state <> 'abandoned'
            """,
            (tenant, generation),
        )
        connection.execute(
            """
            UPDATE replicator.tables SET state = CASE WHEN table_name = ANY (%(tables)s) THEN 'waiting' ELSE 'complete' END,
                   started_at = CASE WHEN table_name = ANY (%(tables)s) THEN NULL ELSE started_at END
            WHERE tenant = %(tenant)s AND generation = %(generation)s
              AND (table_name = ANY (%(tables)s) OR state = 'applied')
            """,
            {"tenant": tenant, "generation": generation, "tables": list(tables)},
        )


def settle_quarantined(connection: psycopg.Connection[Any], tenant: str, quarantine_id: int, *, applied: bool) -> None:
    """End a row's quarantine: applied after all (it goes, and counts as applied), or discarded (it stays, in name)."""
    if not applied:
        connection.execute(
            "UPDATE replicator.quarantine SET state = 'discarded', sealed_row = NULL WHERE tenant = %s AND id = %s",
            (tenant, quarantine_id),
        )
        return
    connection.execute(
        """
        WITH gone AS (DELETE FROM replicator.quarantine WHERE tenant = %s AND id = %s RETURNING *),
        counted AS (
          UPDATE replicator.tables t SET applied = t.applied + 1, quarantined = t.quarantined - 1 FROM gone
          WHERE t.tenant = gone.tenant AND t.generation = gone.generation AND t.table_name = gone.table_name
            AND t.attempt = gone.attempt AND t.state IN ('complete', 'applied'))
        UPDATE replicator.positions p SET applied = p.applied + 1, quarantined = p.quarantined - 1 FROM gone
        WHERE p.tenant = gone.tenant AND p.topic = gone.topic AND p.partition = gone.partition
          AND p.generation = gone.generation AND p.attempt = gone.attempt
        """,
        (tenant, quarantine_id),
    )
