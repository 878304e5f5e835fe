"""Who may move a position: claimed by one backend of the target, given back in order, or taken from the dead.

An owner is a backend (pid and start time), because only that can be ended by an heir when its
process is frozen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from runtime.advance import Partition
from runtime.progress import PositionProgress
from schemas.errors import TargetError

TERMINATION_S = 10.0


class Backend(NamedTuple):
    """One backend of the target; a pid alone is given again."""

    pid: int
    started: datetime


_OF_POSITIONS = """
SELECT DISTINCT owner_pid AS pid, owner_backend_start AS started FROM replicator.positions p
JOIN unnest(%(topics)s::text[], %(partitions)s::int[]) AS w (topic, partition) USING (topic, partition)
WHERE p.tenant = %(tenant)s AND p.owner_pid <> pg_backend_pid()
"""
_NAMED = "SELECT %(pid)s::int AS pid, %(started)s::timestamptz AS started"


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
    _end(connection, _OF_POSITIONS, keys)
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
                owner_member = excluded.owner_member
            RETURNING p.topic, p.partition, p.next_offset, p.table_name, p.generation, p.attempt, p.applied,
                      p.quarantined, p.batches, p.finished_generation, p.finished_attempt, p.committed_offset,
                      p.owner_pid, p.owner_backend_start, p.owner_member
            """,
            {**keys, "tables": list(wanted.values()), "member": member},
        )
        names = [column.name for column in rows.description or ()]
        found = [PositionProgress(**dict(zip(names, row, strict=True))) for row in rows.fetchall()]
    return {(item.topic, item.partition): item for item in found}


def backend_of(connection: psycopg.Connection[Any]) -> Backend:
    """The backend behind a connection."""
    row = connection.execute("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone()
    assert row is not None
    return Backend(*row)


def end_backend(connection: psycopg.Connection[Any], backend: Backend) -> None:
    """End the backend of a connection that was lost: it may not have noticed, and would keep its locks.

    Raises:
        TargetError: it cannot be ended.
    """
    _end(connection, _NAMED, backend._asdict())


def _end(connection: psycopg.Connection[Any], whom: str, keys: Mapping[str, Any]) -> None:
    """End the backends that the query `whom` names (pid, started), those that still live, and see them gone."""
    deadline = time.monotonic() + TERMINATION_S
    while True:
        try:
            ended = connection.execute(
                f"""
                SELECT a.pid, pg_terminate_backend(a.pid) FROM ({whom}) AS o
                JOIN pg_stat_activity a ON a.pid = o.pid AND a.backend_start = o.started
                """.encode(),
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


def are_orphaned(connection: psycopg.Connection[Any], tenant: str) -> bool:
    """Whether positions have an owner that is dead, or were given back without that Kafka was told of them."""
    row = connection.execute(
        """
        SELECT EXISTS (
          SELECT FROM replicator.positions p
          WHERE tenant = %s AND CASE WHEN owner_pid IS NULL
            THEN next_offset > 0 AND committed_offset IS DISTINCT FROM next_offset
            ELSE NOT EXISTS (SELECT FROM pg_stat_activity a
                             WHERE a.pid = p.owner_pid AND a.backend_start = p.owner_backend_start) END)
        """,
        (tenant,),
    ).fetchone()
    return row is not None and bool(row[0])


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
