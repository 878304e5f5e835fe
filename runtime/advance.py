"""Moving progress: every write to the `replicator` schema, each to stand in its caller's transaction.

A position moves by compare-and-set on its offset and its owner: no row hit means that another
process owns the partition now, and the caller's whole transaction, rows included, must roll back.
That is why each record is applied exactly once whatever dies. `runtime.ownership` says who owns,
`runtime.generations` writes down what the control topic says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from runtime.progress import VERSION, installed_version

Partition = tuple[str, int]  # topic, partition


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
    """Make the `replicator` schema unless it is there, or a newer one of an older; refuse one of a newer build."""
    if installed_version(connection) == VERSION:
        return
    script = resources.files("runtime").joinpath("sql/replicator.sql").read_text("utf-8")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("install"),))
        if installed_version(connection) != VERSION:  # nobody was quicker
            connection.execute(script.encode())


def move(connection: psycopg.Connection[Any], tenant: str, step: Step, *, follows: int) -> None:
    """Move a position past batches of the generation and attempt it is in, of which it has had `follows`.

    Raises:
        PositionLost: it is not where we believe, not ours, or other batches must come first.
    """
    _compare_and_set(
        connection,
        tenant,
        step,
        "applied = applied + %(applied)s, quarantined = quarantined + %(quarantined)s, batches = batches + %(batches)s",
        follows=follows,
    )


def begin_partitions(connection: psycopg.Connection[Any], tenant: str, table: str, steps: Sequence[Step]) -> None:
    """Move positions of a table past its table-started marker: counters begin anew, also after a rewind."""
    for step in steps:
        _compare_and_set(
            connection,
            tenant,
            step,
            "generation = %(generation)s, attempt = %(attempt)s, applied = 0, quarantined = 0, batches = 0",
        )
    step = steps[0]
    connection.execute(
        """
        DELETE FROM replicator.quarantine
        WHERE tenant = %s AND topic = %s AND partition = ANY (%s) AND generation = %s
        """,
        (tenant, step.partition[0], [item.partition[1] for item in steps], step.generation),
    )
    connection.execute(
        """
        UPDATE replicator.tables SET state = 'loading', started_at = coalesce(started_at, clock_timestamp())
        WHERE tenant = %s AND generation = %s AND table_name = %s AND attempt = %s AND state = 'waiting'
        """,
        (tenant, step.generation, table, step.attempt),
    )


def finish_partitions(connection: psycopg.Connection[Any], tenant: str, table: str, steps: Sequence[Step]) -> bool:
    """Move positions of a table past its table-finished marker; returns whether that made the table complete."""
    for step in steps:
        _compare_and_set(
            connection, tenant, step, "finished_generation = %(generation)s, finished_attempt = %(attempt)s"
        )
    step = steps[0]
    place = {"tenant": tenant, "generation": step.generation, "attempt": step.attempt, "table": table}
    # Locked before counting: two processes that finish the last two partitions at once must see each other. The
    # generation comes before its tables, as where the control topic is written down, or the two would block each other.
    connection.execute(
        "SELECT FROM replicator.generations WHERE tenant = %(tenant)s AND generation = %(generation)s FOR UPDATE", place
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
    _compare_and_set(connection, tenant, step, "batches = batches")


def _compare_and_set(
    connection: psycopg.Connection[Any], tenant: str, step: Step, also: str, *, follows: int | None = None
) -> None:
    hit = connection.execute(
        f"""
        UPDATE replicator.positions
        SET next_offset = %(next)s, updated_at = now(), {also}
        WHERE tenant = %(tenant)s AND topic = %(topic)s AND partition = %(partition)s
          AND next_offset = %(believed)s AND owner_pid = pg_backend_pid()
          AND (%(follows)s::bigint IS NULL OR (batches, generation, attempt) = (%(follows)s, %(generation)s, %(attempt)s)
               AND (finished_generation, finished_attempt) <> (%(generation)s, %(attempt)s))
        """,
        {
            "tenant": tenant,
            "topic": step.partition[0],
            "partition": step.partition[1],
            "believed": step.believed,
            "follows": follows,
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


def note_pruned(connection: psycopg.Connection[Any], tenant: str, generation: int, table: str, rows: int) -> None:
    """Count rows that vanished at the source; in the transaction that deletes them."""
    connection.execute(
        """
        UPDATE replicator.tables SET pruned = pruned + %s WHERE tenant = %s AND generation = %s AND table_name = %s
        """,
        (rows, tenant, generation, table),
    )


def rewind(
    connection: psycopg.Connection[Any],
    tenant: str,
    offsets: Mapping[Partition, int],
    generations: Mapping[int, Sequence[str]],
) -> None:
    """Set positions back to table-started markers (or 0), for replay; nobody may be consuming. Stops are over by it.

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
            "DELETE FROM replicator.stops WHERE tenant = %s AND topic = %s AND partition = %s",
            [(tenant, t, p) for t, p in offsets],
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


def forget_quarantine_before(connection: psycopg.Connection[Any], tenant: str, table: str, generation: int) -> None:
    """Forget rows of a table that earlier generations could not apply: the table is replaced whole by this one."""
    connection.execute(
        "DELETE FROM replicator.quarantine WHERE tenant = %s AND table_name = %s AND generation < %s",
        (tenant, table, generation),
    )


def hold_quarantined(connection: psycopg.Connection[Any], tenant: str, quarantine_id: int) -> bool:
    """Keep a row in quarantine until the transaction ends; False when it is not there any more."""
    row = connection.execute(
        "SELECT FROM replicator.quarantine WHERE tenant = %s AND id = %s FOR UPDATE", (tenant, quarantine_id)
    )
    return row.rowcount == 1


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
