"""The beginning and the end of a generation in the target, each done by one process under an advisory lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg

from consumer.gate import Gate
from consumer.organization import write_organization
from consumer.postdata import Doubts, post_data
from consumer.predata import pre_data
from consumer.prune import prune
from consumer.session import Session
from consumer.target import schema_is_ours
from consumer.tokens import read_tokens
from runtime import advance, generations
from runtime.postgres import Connection, explain, is_transient, use_schema
from runtime.progress import ForeignKeyProgress, GenerationProgress, Progress, instant_text, read_progress
from runtime.reporting import GenerationEnded, GenerationStarted, Notice, Report
from schemas.errors import Refused


def lock_name(tenant: str) -> str:
    """The advisory lock under which a tenant's schema is made, finished, replayed or rolled back."""
    return f"tenant:{tenant}"


def register(session: Session, connection: Connection, log_id: str) -> None:
    """Make sure that the target knows the tenant and that it comes from this log.

    Raises:
        Refused: it came from another log, or the schema is another tenant's.
    """
    advance.install(connection)
    # A lock of its own: ending a generation may hold the other for long.
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (advance.lock_key(f"register:{session.tenant}"),))
        generations.register_tenant(
            connection,
            tenant=session.tenant,
            schema_name=session.migration.schema_,
            log_id=log_id,
            prefix=session.prefix,
            made_schema=schema_is_ours(connection, session.migration.schema_),
        )


def begin(session: Session, connection: Connection, report: Report) -> None:
    """Pre-data of the running generation, unless another process does or did it; that process reports it.

    Raises:
        Refused: the migration is not the one the generation was read with, or the schema cannot take it.
    """
    with advance.advisory_lock(connection, lock_name(session.tenant), wait=False) as got:
        progress = read_progress(connection, session.tenant) if got else None
        running = progress.running if progress is not None else None
        if progress is None or running is None or running.is_prepared:
            return
        accepted = progress.tenant.accepted_digest
        session.see_digest(running.generation, running.migration_digest, accepted, running.migration_parts)
        target = session.tenant_target(connection, running.catalogue, is_ours=progress.tenant.made_schema)
        session.see_keys(target.mappings)
        read_tokens(session.migration, session.environment)  # missing ones are told now, not after hours of loading
        was_empty = pre_data(target, report)
        with connection.transaction():
            generations.note_prepared(connection, session.tenant, running.generation, was_empty)
        report(GenerationStarted(running.generation, instant_text(running.instant)))


LastChance = Callable[[Session, Connection, Progress, GenerationProgress, Report], None]


def end(session: Session, connection: Connection, report: Report, last_chance: LastChance) -> bool:
    """Everything after the last row of the running generation; False when another process is at it.

    Idempotent: killed anywhere, the next process does it again. `last_chance` is what becomes of rows
    in quarantine that other rows may have made good since.
    """
    with advance.advisory_lock(connection, lock_name(session.tenant), wait=False) as got:
        if not got:
            return False
        progress = read_progress(connection, session.tenant)
        running = progress.running if progress is not None else None
        if progress is None or running is None or not Gate(progress).is_loaded(running):
            return True
        try:
            if not progress.tenant.made_schema:
                last_chance(session, connection, progress, running, report)
                progress = read_progress(connection, session.tenant) or progress
            _end(session, connection, progress, running, report)
        except psycopg.Error as error:
            if is_transient(error):
                raise
            raise explain(error, f"generation {running.generation}: ending it") from None
    return True


def _end(
    session: Session, connection: Connection, progress: Progress, running: GenerationProgress, report: Report
) -> None:
    use_schema(connection, session.migration.schema_)
    target = session.tenant_target(connection, running.catalogue, is_ours=progress.tenant.made_schema)
    quarantined = _quarantined(connection, session.tenant, running.generation)
    tables = progress.tables_of(running.generation)
    if not running.is_partial:
        for pruned in prune(target, session.tenant, tables, quarantined, report):
            report(Notice(f"{pruned.table}: {pruned.rows} rows that vanished at the source are deleted"))
        _tell_left_out(connection, session, running, report)
    doubts = Doubts(quarantined, is_partial=running.is_partial, is_followed=progress.is_followed(running.generation))
    keys = post_data(target, doubts, report)
    for key in keys:
        if key.state != "valid":
            waits = "the next generation will end it" if doubts.is_followed else "rows it needs stand in quarantine"
            why = "it is NOT VALID at the source too" if key.state == "inherited" else waits
            report(Notice(f'{key.table_name}: foreign key "{key.name}" stays NOT VALID ({key.state}): {why}'))
    write_organization(connection, session.migration, session.keyring, session.environment)
    with connection.transaction():
        record_foreign_keys(connection, session.tenant, keys)
        whole = generations.note_ended(connection, session.tenant, running.generation)
    report(GenerationEnded(running.generation, whole))


def record_foreign_keys(connection: Connection, tenant: str, keys: tuple[ForeignKeyProgress, ...]) -> None:
    """Write down how each foreign key stands; what is not among `keys` is forgotten."""
    connection.execute("DELETE FROM replicator.foreign_keys WHERE tenant = %s", (tenant,))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO replicator.foreign_keys (tenant, table_name, name, parent, state) VALUES (%s, %s, %s, %s, %s)",
            [(tenant, key.table_name, key.name, key.parent, key.state) for key in keys],
        )


def _quarantined(connection: Connection, tenant: str, generation: int) -> Mapping[str, int]:
    """Rows by table that are not in the target, open or discarded: both explain a constraint that does not hold."""
    rows = connection.execute(
        """
        SELECT table_name, count(*) FROM replicator.quarantine WHERE tenant = %s AND generation = %s GROUP BY 1
        """,
        (tenant, generation),
    ).fetchall()
    return dict(rows)


def _tell_left_out(connection: Connection, session: Session, running: GenerationProgress, report: Report) -> None:
    """Tables that an earlier generation moved and this one does not: reported, never pruned."""
    rows = connection.execute(
        """
        SELECT DISTINCT table_name FROM replicator.tables
        WHERE tenant = %s AND generation < %s AND table_name <> ALL (%s) ORDER BY 1
        """,
        (session.tenant, running.generation, list(running.table_order)),
    ).fetchall()
    for (name,) in rows:
        report(Notice(f"{name}: no longer in the migration; its rows stay as they are"))


def settle_constraints(session: Session, connection: Connection, report: Report) -> tuple[ForeignKeyProgress, ...]:
    """Try again what waited for rows in quarantine, after a retry; writes down how the foreign keys stand.

    Raises:
        Refused: no generation has ended here.
    """
    with advance.advisory_lock(connection, lock_name(session.tenant), wait=True):
        progress = read_progress(connection, session.tenant)
        newest = progress.newest if progress is not None else None
        if progress is None or newest is None or newest.ended_at is None:
            raise Refused("no generation has ended here", hint="start `consumer run`, it finishes the schema itself")
        use_schema(connection, session.migration.schema_)
        target = session.tenant_target(connection, newest.catalogue, is_ours=progress.tenant.made_schema)
        quarantined = _quarantined(connection, session.tenant, newest.generation)
        keys = post_data(target, Doubts(quarantined, is_partial=newest.is_partial), report)
        with connection.transaction():
            record_foreign_keys(connection, session.tenant, keys)
    return keys
