"""Stops, written down: where a partition stopped at a record that cannot be understood, for all processes to see.

A stop is over when the position has moved beyond it, whoever moved it; so nothing has to be taken back.
"""

from __future__ import annotations

from typing import Any

import psycopg

from runtime.advance import Partition, Step
from schemas.records import Poisoned

SET_ASIDE = "its record was set aside"  # the reason of rows that nobody could read


def note_stop(connection: psycopg.Connection[Any], tenant: str, poison: Poisoned, *, table: str, member: str) -> None:
    """Write down that `member` met a record at which the partition stops; one met again keeps its time."""
    place = poison.position
    connection.execute(
        """
        INSERT INTO replicator.stops AS s (tenant, topic, partition, "offset", table_name, reason, hint, member)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (tenant, topic, partition) DO UPDATE
        SET "offset" = excluded."offset", table_name = excluded.table_name, reason = excluded.reason,
            hint = excluded.hint, member = excluded.member,
            since = CASE WHEN s."offset" = excluded."offset" THEN s.since ELSE excluded.since END
        """,
        (tenant, place.topic, place.partition, place.offset, table, str(poison), poison.hint, member),
    )


def end_stop(connection: psycopg.Connection[Any], tenant: str, partition: Partition) -> None:
    """Forget a stop: the record will be tried again, or was skipped."""
    connection.execute(
        "DELETE FROM replicator.stops WHERE tenant = %s AND topic = %s AND partition = %s", (tenant, *partition)
    )


def count_lost(
    connection: psycopg.Connection[Any],
    tenant: str,
    step: Step,
    *,
    table: str,
    offset: int,
    rows: int,
    batches: int,
    is_open: bool,
) -> bool:
    """Count rows of a skipped record as quarantined, without their values; `batches` is what the partition has had.

    Fewer than none takes back what was counted too much of skipped records; False when there is not so much.
    """
    place = {"tenant": tenant, "topic": step.partition[0], "partition": step.partition[1], "offset": offset}
    place |= {"generation": step.generation, "attempt": step.attempt, "table": table, "reason": SET_ASIDE}
    connection.execute(
        """
        UPDATE replicator.positions SET quarantined = quarantined + %(rows)s, batches = %(batches)s
        WHERE tenant = %(tenant)s AND topic = %(topic)s AND partition = %(partition)s
        """,
        {**place, "rows": rows, "batches": batches},
    )
    if rows < 0:
        gone = connection.execute(
            """
            DELETE FROM replicator.quarantine WHERE id IN (
                SELECT id FROM replicator.quarantine
                WHERE tenant = %(tenant)s AND topic = %(topic)s AND partition = %(partition)s
                  AND generation = %(generation)s AND attempt = %(attempt)s AND reason LIKE %(reason)s || '%%'
                ORDER BY "offset" DESC, row_index DESC LIMIT %(too_many)s)
            """,
            {**place, "too_many": -rows},
        )
        return gone.rowcount == -rows
    connection.execute(
        """
        INSERT INTO replicator.quarantine
               (tenant, topic, partition, "offset", row_index, generation, attempt, table_name, key_digest, sqlstate,
                reason, state)
        SELECT %(tenant)s, %(topic)s, %(partition)s, %(offset)s, n, %(generation)s, %(attempt)s, %(table)s, '', '',
               %(reason)s, %(state)s
        FROM generate_series(0, %(rows)s - 1) AS n
        """,
        {**place, "rows": rows, "state": "open" if is_open else "discarded"},
    )
    return True
