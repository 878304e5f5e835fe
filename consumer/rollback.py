"""Rollback: take a tenant out of the target again. The topics stay, so the log can rebuild it.

Everything goes in one transaction: the tenant's schema, its progress and quarantine, and the
organization's row if we made it. A schema that somebody else made is never dropped: only the rows
we brought (those with an instant in `migrated_at`) are deleted, and only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from consumer.organization import delete_organization
from runtime.interventions import forget_tenant
from runtime.postgres import Connection, explain, use_schema
from runtime.progress import Progress, read_progress, read_tenants
from runtime.reporting import Notice, Report
from schemas.errors import ConfigurationError, Refused
from schemas.migration import Migration
from schemas.sql import quote_ident, quote_qualified


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """What a rollback will take away; `tables` with their rows, children first."""

    tenant: str
    schema: str
    is_ours: bool
    tables: tuple[tuple[str, int], ...]
    others: tuple[str, ...]  # relations in our schema that no generation has
    generations: int
    quarantined: int
    organization: str | None

    def lines(self) -> Iterator[str]:
        """As it is shown before asking."""
        rows = sum(count for _, count in self.tables)
        verb = "drops" if self.is_ours else "deletes the migrated rows of"
        yield f'rollback of tenant {self.tenant} {verb} schema "{self.schema}": {len(self.tables)} tables, {rows:,} rows'
        yield from (f"  {name}  {count:,} rows" for name, count in reversed(self.tables))
        if self.others and self.is_ours:
            yield f"  and what somebody else put there: {', '.join(self.others)}"
        yield f"forgets its progress: {self.generations} generations, {self.quarantined:,} rows in quarantine"
        if self.organization is not None:
            yield f"deletes its row in {self.organization}, which was made by this program"
        yield "the topics stay: `consumer run` rebuilds everything from the log"


def known_progress(connection: Connection, tenant: str) -> Progress:
    """Progress of a tenant that must be there.

    Raises:
        ConfigurationError: this target does not know the tenant.
    """
    progress = read_progress(connection, tenant)
    if progress is None:
        known = ", ".join(item.tenant for item in read_tenants(connection)) or "none"
        raise ConfigurationError(
            f'tenant "{tenant}" is not in this target (known: {known})',
            hint="nothing was loaded, or it was rolled back already; see `tenant` in the migration and NEW_POSTGRES_URL",
        )
    return progress


def plan_rollback(connection: Connection, migration: Migration, *, deletes_rows: bool) -> RollbackPlan:
    """See what there is to take away.

    Raises:
        ConfigurationError: this target does not know the tenant.
        Refused: the schema was made by somebody else, and deleting rows was not asked for.
    """
    progress = known_progress(connection, migration.tenant)
    tenant = progress.tenant
    if not tenant.made_schema and not deletes_rows:
        raise Refused(
            f'schema "{tenant.schema_name}" was made by somebody else, so it is not dropped',
            hint="--delete-rows deletes the rows that were migrated into it and leaves the tables",
        )
    moved = _moved_tables(progress)
    present = _relations(connection, tenant.schema_name)
    try:
        tables = tuple(
            (name, _count(connection, migration, tenant.schema_name, name, only_ours=not tenant.made_schema))
            for name in reversed(moved)
            if name in present
        )
    except psycopg.Error as error:
        raise explain(error, f'schema "{tenant.schema_name}": counting its rows') from None
    organization = migration.organization
    return RollbackPlan(
        tenant=tenant.tenant,
        schema=tenant.schema_name,
        is_ours=tenant.made_schema,
        tables=tables,
        others=tuple(sorted(present - set(moved))),
        generations=len(progress.generations),
        quarantined=sum(progress.open_quarantine.values()),
        organization=organization.table if organization is not None and tenant.made_organization else None,
    )


def roll_back(connection: Connection, plan: RollbackPlan, migration: Migration, report: Report) -> None:
    """Do what the plan says, durably, all of it or nothing.

    Raises:
        TargetError: the target refuses; nothing was taken away.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO on")
            if plan.is_ours:
                connection.execute(f"DROP SCHEMA IF EXISTS {quote_ident(plan.schema)} CASCADE".encode())
            else:
                _delete_rows(connection, plan, migration)
            if plan.organization is not None and migration.organization is not None:
                delete_organization(connection, migration.organization)
            forget_tenant(connection, plan.tenant)
    except psycopg.Error as error:
        raise explain(error, f'rollback of tenant "{plan.tenant}" (nothing was taken away)') from None
    report(Notice(f"tenant {plan.tenant} is out of the target; its topics are untouched"))


def _delete_rows(connection: Connection, plan: RollbackPlan, migration: Migration) -> None:
    use_schema(connection, plan.schema)
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    for name, _ in plan.tables:
        column = quote_ident(migration.rules(name).migrated_at)
        connection.execute(f"DELETE FROM {quote_qualified(plan.schema, name)} WHERE {column} IS NOT NULL".encode())


def _moved_tables(progress: Progress) -> tuple[str, ...]:
    """Every table that a generation had, parents first."""
    names: dict[str, None] = {}
    for number in sorted(progress.generations, reverse=True):
        names |= dict.fromkeys(progress.generations[number].table_order)
    return tuple(names)


def _relations(connection: Connection, schema: str) -> set[str]:
    rows = connection.execute(
        """
        SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        """,
        (schema,),
    ).fetchall()
    return {row[0] for row in rows}


def _count(connection: Connection, migration: Migration, schema: str, table: str, *, only_ours: bool) -> int:
    where = f" WHERE {quote_ident(migration.rules(table).migrated_at)} IS NOT NULL" if only_ours else ""
    row = connection.execute(f"SELECT count(*) FROM {quote_qualified(schema, table)}{where}".encode()).fetchone()
    return 0 if row is None else int(row[0])
