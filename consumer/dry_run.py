"""A rehearsal: the newest generation decoded, transformed and applied into a schema that never existed.

Outside the group, and all of it in one transaction that is rolled back: whatever happens, nothing
is left, no schema and no progress. What would go into quarantine is said, never a value.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from consumer.apply import Loader
from consumer.backlog import MAX_BATCHES, MAX_BYTES, Work
from consumer.postdata import Doubts, post_data
from consumer.prepare import Group, prepare_group
from consumer.sealed_row import seal_row
from consumer.session import Session
from consumer.target import Target, pre_data
from consumer.transform import TablePlan
from runtime.control import read_control
from runtime.kafka import LogRecord, read_all
from runtime.postgres import Connection, explain
from runtime.reporting import BatchesApplied, Report, TableDone, TableTotals
from runtime.shutdown import StopFlag
from schemas.catalogue import Catalogue
from schemas.control import GenerationState
from schemas.errors import Refused
from schemas.records import Kind, Position


@dataclass(frozen=True, slots=True)
class WouldQuarantine:
    """A row that a real run would put into quarantine."""

    table: str
    position: Position
    row_index: int
    key_digest: str
    reason: str


@dataclass(slots=True)
class Rehearsed:
    """What a dry run has seen."""

    generation: int
    rows: dict[str, int] = field(default_factory=dict)
    refused: list[WouldQuarantine] = field(default_factory=list)
    foreign_keys: dict[str, str] = field(default_factory=dict)  # those that would stay NOT VALID


def dry_run(session: Session, report: Report, stop: StopFlag) -> Rehearsed:
    """Do everything a run would do with the newest generation, and undo it.

    Raises:
        Refused: there is no generation in the log, or the migration is another.
    """
    state = read_control(session.kafka, session.prefix, session.tenant, session.keyring)
    alive = [item for item in state.generations.values() if item.abandoned is None]
    if not alive:
        raise Refused("the log has no generation to try", hint="`producer snapshot` makes one")
    generation = alive[-1]
    session.see_digest(generation.number, generation.started.migration_digest, None)
    schema = f"replicator_dry_run_{secrets.token_hex(6)}"
    with session.connect(schema) as connection:
        try:
            with connection.transaction(force_rollback=True):
                return _rehearse(session, connection, generation, state.log, schema, report, stop)
        except psycopg.Error as error:
            raise explain(error, "dry run") from None


def _rehearse(
    session: Session,
    connection: Connection,
    generation: GenerationState,
    log_id: str,
    schema: str,
    report: Report,
    stop: StopFlag,
) -> Rehearsed:
    catalogue = Catalogue.from_json(generation.started.catalogue)
    target = session.tenant_target(connection, catalogue, is_ours=True, schema=schema)
    session.see_keys(target.mappings)
    pre_data(target, report)
    seen = Rehearsed(generation.number)
    for name in generation.started.tables:
        table = generation.tables.get(name)
        if table is None:
            continue
        report(TableTotals(name, table.finished.rows if table.finished is not None else None))
        plan = session.plan(target.mappings[name], table.started)
        for group in _groups(session, plan, generation.number, table.attempt, table.started.topic, log_id):
            if stop.is_set:
                return seen
            _apply(session, connection, target, plan, group, log_id, seen, report)
        report(TableDone(name, seen.rows.get(name, 0)))
    quarantined = {row.table: 1 for row in seen.refused}
    keys = post_data(target, Doubts(quarantined, is_partial=generation.started.is_partial), report)
    seen.foreign_keys = {f"{key.table_name}.{key.name}": key.state for key in keys if key.state != "valid"}
    return seen


def _groups(session: Session, plan: TablePlan, number: int, attempt: int, topic: str, log_id: str) -> Iterator[Group]:
    taken: list[LogRecord] = []
    size = 0
    for record in read_all(session.kafka, topic, log=log_id, max_message_bytes=session.migration.log.max_message_bytes):
        header = record.header
        if header.kind is not Kind.BATCH or (header.generation, header.attempt) != (number, attempt):
            continue
        if taken and (len(taken) >= MAX_BATCHES or size + len(record.value) > MAX_BYTES):
            yield prepare_group(Work(tuple(taken)), plan, session.tenant, session.keyring)
            taken, size = [], 0
        taken.append(record)
        size += len(record.value)
    if taken:
        yield prepare_group(Work(tuple(taken)), plan, session.tenant, session.keyring)


def _apply(
    session: Session,
    connection: Connection,
    target: Target,
    plan: TablePlan,
    group: Group,
    log_id: str,
    seen: Rehearsed,
    report: Report,
) -> None:
    table = plan.mapping.table
    is_computed = any(added.sql is not None for added in plan.mapping.added)
    loader = Loader(connection=connection, plan=plan, is_direct=not is_computed)
    refusals = [*group.refusals, *loader.write_with_care(group.rows)]
    for refusal in refusals:
        position, index = group.place(refusal.row)
        row = group.source.slice(refusal.row, 1)
        sealed = seal_row(
            row, plan.schema, table, position, index, tenant=session.tenant, log_id=log_id, keyring=session.keyring
        )
        seen.refused.append(WouldQuarantine(table.name, position, index, sealed.key_digest, refusal.reason))
    rows = group.source.height - len(refusals)
    seen.rows[table.name] = seen.rows.get(table.name, 0) + rows
    report(BatchesApplied(table.name, rows, len(refusals)))
    assert target.is_ours
