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
from consumer.predata import pre_data
from consumer.prepare import Group, prepare_group
from consumer.sealed_row import RowSeal
from consumer.session import Session
from runtime.control import read_control
from runtime.kafka import LogRecord, read_all
from runtime.postgres import Connection, explain
from runtime.reporting import BatchesApplied, Report, TableDone, TableTotals
from runtime.shutdown import StopFlag
from schemas.catalogue import Catalogue
from schemas.control import GenerationState
from schemas.errors import Refused
from schemas.records import Kind, Position, TableStarted


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
    session.see_digest(generation.number, generation.started.migration_digest, None, generation.started.migration_parts)
    schema = f"replicator_dry_run_{secrets.token_hex(6)}"
    with session.connect(schema) as connection:
        rehearsal = _Rehearsal(session, connection, state.log, generation, report, Rehearsed(generation.number))
        try:
            with connection.transaction(force_rollback=True):
                rehearsal.play(schema, stop)
        except psycopg.Error as error:
            raise explain(error, "dry run") from None
    return rehearsal.seen


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    session: Session
    connection: Connection
    log_id: str
    generation: GenerationState
    report: Report
    seen: Rehearsed

    def play(self, schema: str, stop: StopFlag) -> None:
        """Everything from pre-data to post-data; each table's rows in the order of the log."""
        started = self.generation.started
        catalogue = Catalogue.from_json(started.catalogue)
        target = self.session.tenant_target(self.connection, catalogue, is_ours=True, schema=schema)
        self.session.see_keys(target.mappings)
        pre_data(target, self.report)
        for name in started.tables:
            table = self.generation.tables.get(name)
            if table is None:
                continue
            self.report(TableTotals(name, table.finished.rows if table.finished is not None else None))
            self.seen.rows[name] = 0
            plan = self.session.plan(target.mappings[name], table.started)
            for work in self._work(table.started):
                if stop.is_set:
                    return
                self._apply(prepare_group(work, plan, self.session.tenant, self.session.keyring, self.report))
            self.report(TableDone(name, self.seen.rows[name]))
        refused = {row.table: 1 for row in self.seen.refused}
        keys = post_data(target, Doubts(refused, is_partial=started.is_partial), self.report)
        self.seen.foreign_keys.update({f"{k.table_name}.{k.name}": k.state for k in keys if k.state != "valid"})

    def _work(self, started: TableStarted) -> Iterator[Work]:
        """Groups of the newest attempt's batches."""
        taken: list[LogRecord] = []
        size = 0
        limit = self.session.migration.log.max_message_bytes
        for record in read_all(self.session.kafka, started.topic, log=self.log_id, max_message_bytes=limit):
            header = record.header
            if (header.kind, header.generation, header.attempt) != (Kind.BATCH, started.generation, started.attempt):
                continue
            if taken and (len(taken) >= MAX_BATCHES or size + len(record.value) > MAX_BYTES):
                yield Work(tuple(taken))
                taken, size = [], 0
            taken.append(record)
            size += len(record.value)
        if taken:
            yield Work(tuple(taken))

    def _apply(self, group: Group) -> None:
        plan, table = group.plan, group.plan.mapping.table
        is_computed = any(added.sql is not None for added in plan.mapping.added)
        loader = Loader(connection=self.connection, plan=plan, is_direct=not is_computed)
        refusals = [*group.refusals, *loader.write_with_care(group.rows)]
        seal = RowSeal(
            tenant=self.session.tenant,
            log_id=self.log_id,
            keyring=self.session.keyring,
            schema=plan.schema,
            table=table,
        )
        for refusal in refusals:
            position, index = group.place(refusal.row)
            sealed = seal.seal(group.source(refusal.row), position, index)
            self.seen.refused.append(WouldQuarantine(table.name, position, index, sealed.key_digest, refusal.reason))
        rows = group.height - len(refusals)
        self.seen.rows[table.name] += rows
        self.report(BatchesApplied(table.name, rows, len(refusals)))
