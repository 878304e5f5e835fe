"""Who consumes a tenant now: replay and rollback refuse while anybody does, because both pull the ground away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from consumer.generation import lock_name
from consumer.session import group_id
from runtime.advance import advisory_lock
from runtime.kafka import Admin
from runtime.postgres import Connection
from schemas.errors import Refused
from schemas.migration import Migration


@contextmanager
def without_members(connection: Connection, admin: Admin, migration: Migration) -> Iterator[None]:
    """Hold the tenant's lock, after seeing that no consumer of it lives.

    Raises:
        Refused: one is in the group, owns a partition, or finishes a generation; it says where.
    """
    tenant = migration.tenant
    with advisory_lock(connection, lock_name(tenant), wait=False) as is_ours:
        if not is_ours:
            raise Refused(
                f'another process is changing the schema of tenant "{tenant}"',
                hint="a consumer prepares or ends a generation; stop it, or wait until it is done",
            )
        _see_owners(connection, tenant)
        _see_group(admin, group_id(tenant))
        yield


def _see_owners(connection: Connection, tenant: str) -> None:
    owners = connection.execute(
        """
        SELECT DISTINCT coalesce(p.owner_member, 'unnamed'), a.pid, coalesce(host(a.client_addr), 'this machine')
        FROM replicator.positions p
        JOIN pg_stat_activity a ON a.pid = p.owner_pid AND a.backend_start = p.owner_backend_start
        WHERE p.tenant = %s ORDER BY 1, 2
        """,
        (tenant,),
    ).fetchall()
    if owners:
        who = ", ".join(f"{member} (backend {pid}, from {host})" for member, pid, host in owners)
        raise Refused(f'consumers of tenant "{tenant}" are running: {who}', hint="stop them first (SIGTERM)")


def _see_group(admin: Admin, group: str) -> None:
    members = admin.group_members(group)
    if members:
        raise Refused(
            f'group "{group}" has {members} member{"s" if members > 1 else ""}',
            hint="stop them first (SIGTERM); one that was killed is forgotten after about 10 s",
        )
