"""The course of generations, written down: what the control topic says, and what becomes of it in the target.

Each function stands in its caller's transaction, and saying a thing twice changes nothing. Everybody locks a
generation before its tables: processes that write down the same thing at once wait, and never for each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from schemas.errors import Refused


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
    migration_parts: Mapping[str, str] | None = None,
) -> None:
    """Write down a generation that the control topic names, with its tables (name to topic, in order)."""
    connection.execute(
        """
        INSERT INTO replicator.generations
               (tenant, generation, instant, state, is_partial, catalogue, table_order, migration_digest,
                migration_parts)
        VALUES (%s, %s, %s, 'running', %s, %s, %s, %s, %s)
        ON CONFLICT (tenant, generation) DO UPDATE SET instant = excluded.instant
        WHERE replicator.generations.instant < excluded.instant
        """,
        (
            *(tenant, generation, instant, is_partial, catalogue, list(tables), migration_digest),
            json.dumps(dict(migration_parts or {}), ensure_ascii=False),
        ),
    )
    connection.execute(
        """
        INSERT INTO replicator.tables (tenant, generation, table_name, attempt, topic, state)
        SELECT %s, %s, named.table_name, 0, named.topic, 'waiting'
        FROM unnest(%s::text[], %s::text[]) AS named (table_name, topic) ON CONFLICT DO NOTHING
        """,
        (tenant, generation, list(tables), list(tables.values())),
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
    connection.execute(
        """
        UPDATE replicator.generations SET is_prepared = true, prepared_at = coalesce(prepared_at, now())
        WHERE tenant = %s AND generation = %s
        """,
        (tenant, generation),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            UPDATE replicator.tables SET was_empty = %s
            WHERE tenant = %s AND generation = %s AND table_name = %s
            """,
            [(empty, tenant, generation, table) for table, empty in was_empty.items()],
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
    row = connection.execute(
        """
        UPDATE replicator.generations SET state = 'ended', ended_at = now(), whole = NOT EXISTS (
            SELECT FROM replicator.quarantine q WHERE q.tenant = %(tenant)s AND q.generation = %(generation)s)
        WHERE tenant = %(tenant)s AND generation = %(generation)s RETURNING whole
        """,
        {"tenant": tenant, "generation": generation},
    ).fetchone()
    connection.execute(
        "UPDATE replicator.tables SET state = 'applied' WHERE tenant = %s AND generation = %s", (tenant, generation)
    )
    connection.execute(
        """
        UPDATE replicator.tenants SET reapply = false
        WHERE tenant = %s AND reapply AND NOT EXISTS (
            SELECT FROM replicator.generations g WHERE g.tenant = %s AND g.state = 'running')
        """,
        (tenant, tenant),
    )
    return row is not None and bool(row[0])
