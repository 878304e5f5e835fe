"""What operators do to progress: accept a changed migration, forget a tenant. Each in its caller's transaction.

`runtime.advance` holds what the load itself writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg


def accept_migration(connection: psycopg.Connection[Any], tenant: str, digest: str) -> None:
    """Let rows of the same instant be written again, under the migration of this digest (`replay --reapply`)."""
    connection.execute(
        "UPDATE replicator.tenants SET reapply = true, accepted_digest = %s WHERE tenant = %s", (digest, tenant)
    )


def note_made_organization(connection: psycopg.Connection[Any], tenant: str) -> None:
    """Write down that the organization's row is ours, so that rollback takes it away again."""
    connection.execute("UPDATE replicator.tenants SET made_organization = true WHERE tenant = %s", (tenant,))


def forget_tenant(connection: psycopg.Connection[Any], tenant: str) -> None:
    """Remove a tenant with its generations, positions and quarantine; nothing is left of it."""
    connection.execute("DELETE FROM replicator.tenants WHERE tenant = %s", (tenant,))


def note_whole(connection: psycopg.Connection[Any], tenant: str, generations: Iterable[int]) -> tuple[int, ...]:
    """Mark those of ended generations whole that have no row in quarantine any more; returns their numbers."""
    rows = connection.execute(
        """
        UPDATE replicator.generations g SET whole = true
        WHERE g.tenant = %s AND g.generation = ANY (%s) AND g.state = 'ended' AND g.whole IS FALSE AND NOT EXISTS (
            SELECT FROM replicator.quarantine q WHERE q.tenant = g.tenant AND q.generation = g.generation)
        RETURNING g.generation
        """,
        (tenant, list(generations)),
    ).fetchall()
    return tuple(sorted(row[0] for row in rows))


def note_refusal(
    connection: psycopg.Connection[Any],
    quarantine_id: int,
    *,
    sqlstate: str,
    reason: str,
    constraint: str | None,
    column: str | None,
) -> None:
    """Write down why a row was refused this time."""
    connection.execute(
        """
        UPDATE replicator.quarantine SET sqlstate = %s, reason = %s, constraint_name = %s, column_name = %s
        WHERE id = %s
        """,
        (sqlstate, reason, constraint, column, quarantine_id),
    )
