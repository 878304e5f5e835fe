"""Rows in quarantine tried again, the way every row goes: opened, transformed, encrypted, upserted.

A row that is applied leaves quarantine and counts as applied, in one transaction. Parents come
before children, and rows go round until a round applies none. When rows were applied, what waited
for them is done too: vanished rows are pruned, constraints made and foreign keys validated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl
import psycopg
from psycopg import Rollback

from consumer.apply import Loader, Rows
from consumer.aside import open_identities
from consumer.generation import settle_constraints
from consumer.inspect import record_at
from consumer.postdata import close_identities
from consumer.prune import prune
from consumer.quarantine import quarantined
from consumer.refusal import Refusal
from consumer.sealed_row import RowSeal
from consumer.session import Session
from consumer.target import Target
from consumer.transform import TablePlan
from runtime.advance import hold_quarantined, settle_quarantined
from runtime.control import open_value
from runtime.interventions import note_refusal, note_whole
from runtime.postgres import Connection, explain, is_row_fault, is_transient, use_schema
from runtime.progress import GenerationState, Progress, QuarantinedRow, TableState, instant_text, read_progress
from runtime.reporting import Notice, Report
from runtime.stops import SET_ASIDE
from schemas.batch import decode
from schemas.catalogue import Catalogue
from schemas.errors import ContractError, KeyringError, LogError
from schemas.records import Position, TableStarted, WireColumn

_SETTLED = (TableState.COMPLETE, TableState.APPLIED)
_GONE = "its table has begun anew meanwhile"


@dataclass(frozen=True, slots=True)
class RowRetried:
    """A row in quarantine was tried again; `reason` is empty when it is applied now."""

    id: int
    table: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did: rows applied, rows still refused, rows of tables that still load."""

    applied: int
    refused: int
    waiting: int


def retry(session: Session, connection: Connection, report: Report, tables: Sequence[str] = ()) -> Retried:
    """Try open rows again, all or those of some tables; the caller holds the tenant's lock.

    Raises:
        Refused: the migration is another than the rows were read with.
        KeyringError, ContractError: a row cannot be opened.
        TargetError: the target refuses for a reason that lies in no row.
    """
    try:
        return _retry(session, connection, report, tables)
    except psycopg.Error as error:
        raise explain(error, f'tenant "{session.tenant}": rows of the quarantine') from None


def _retry(session: Session, connection: Connection, report: Report, tables: Sequence[str]) -> Retried:
    progress = read_progress(connection, session.tenant)
    if progress is None:
        return Retried(0, 0, 0)
    use_schema(connection, session.migration.schema_)
    rows = quarantined(connection, progress, tables=tables, state="open")
    ready = [row for row in rows if _is_settled(progress, row)]
    work = Work(session, connection, progress)
    applied = 0
    left: list[QuarantinedRow] = ready
    while left:
        refused = [row for row in left if not _tell(report, row, work.try_again(row))]
        applied += len(left) - len(refused)
        if len(refused) == len(left):
            break
        left = refused
    if ready and not applied:
        work.close_identities()
    if applied:
        _finish(session, connection, {row.generation for row in ready}, report)
    return Retried(applied, len(ready) - applied, len(rows) - len(ready))


def _tell(report: Report, row: QuarantinedRow, refusal: Refusal | None) -> bool:
    report(RowRetried(row.id, row.table_name, "" if refusal is None else refusal.reason))
    return refusal is None


def _is_settled(progress: Progress, row: QuarantinedRow) -> bool:
    """Whether the row's table has loaded: before, the gate may still hold it."""
    item = progress.tables.get((row.generation, row.table_name))
    return (
        item is not None
        and item.state in _SETTLED
        and item.attempt == row.attempt
        and progress.generations[row.generation].state is not GenerationState.ABANDONED
    )


def _finish(session: Session, connection: Connection, generations: Iterable[int], report: Report) -> None:
    progress = read_progress(connection, session.tenant)
    ended = [] if progress is None else [n for n, item in progress.generations.items() if item.ended_at is not None]
    if progress is None or not ended or progress.running is not None:
        return  # the generation that runs will do all of it at its end
    newest = progress.generations[max(ended)]
    if not newest.is_partial:
        target = session.tenant_target(connection, newest.catalogue, is_ours=progress.tenant.made_schema)
        still_open = {t: rows for (n, t), rows in progress.open_quarantine.items() if n == newest.generation}
        for pruned in prune(target, session.tenant, progress.tables_of(newest.generation), still_open, report):
            report(Notice(f"{pruned.table}: {pruned.rows} rows that vanished at the source are deleted"))
    settle_constraints(session, connection, report)
    with connection.transaction():
        whole = note_whole(connection, session.tenant, generations)
    for number in whole:
        report(Notice(f"generation {number} is whole now"))


@dataclass(slots=True)
class Work:
    """One retry: plans and staging tables are made once for each table of a generation."""

    session: Session
    connection: Connection
    progress: Progress
    _loaders: dict[tuple[int, str], Loader] = field(default_factory=dict)
    _batches: dict[Position, pl.DataFrame] = field(default_factory=dict)
    _unreadable: set[Position] = field(default_factory=set)
    _last: tuple[int, str] | None = None

    def try_again(self, row: QuarantinedRow) -> Refusal | None:
        """Apply one row, or write down why it is refused this time.

        Raises:
            psycopg.Error: transient; nothing was done.
            TargetError: the target refuses for a reason that lies in no row.
        """
        try:
            loader = self._loader(row)
            frame = self._frame_or_none(row, loader.plan)
            if frame is None:
                return Refusal(row=row.row_index, sqlstate=row.sqlstate, reason=row.reason)
            ready, places, refusals = loader.plan.shape(frame)
            with self.connection.transaction():
                self.connection.execute("SET LOCAL synchronous_commit TO on")
                if not hold_quarantined(self.connection, self.session.tenant, row.id):
                    return Refusal(row=row.row_index, sqlstate="", reason=_GONE)
                if not refusals:
                    rows = Rows.of(loader.plan, ready, places)
                    refusals = tuple(loader.write_with_care(rows))
                if not refusals:
                    settle_quarantined(self.connection, self.session.tenant, row.id, applied=True)
                    return None
                note_refusal(
                    self.connection,
                    row.id,
                    sqlstate=refusals[0].sqlstate,
                    reason=refusals[0].reason,
                    constraint=refusals[0].constraint,
                    column=refusals[0].column,
                )
                return refusals[0]
        except psycopg.Error as error:
            if is_transient(error):
                raise
            raise explain(error, f"{row.table_name}: row {row.id} of the quarantine") from None

    def try_together(self, rows: Sequence[QuarantinedRow]) -> bool:
        """Apply rows of one or more tables in one transaction, deferrable constraints looked at last; or none.

        Raises: as `try_again`.
        """
        by_table: dict[tuple[int, str], list[QuarantinedRow]] = {}
        for row in rows:
            by_table.setdefault((row.generation, row.table_name), []).append(row)
        try:
            with self.connection.transaction():
                self.connection.execute("SET LOCAL synchronous_commit TO on; SET CONSTRAINTS ALL DEFERRED")
                if not all(hold_quarantined(self.connection, self.session.tenant, row.id) for row in rows):
                    raise Rollback
                for group in by_table.values():
                    loader = self._loader(group[0])
                    frame = pl.concat([self._frame(row, loader.plan) for row in group])
                    ready, places, refusals = loader.plan.shape(frame)
                    if refusals:
                        raise Rollback
                    replace(loader, checks_at_commit=False).write(Rows.of(loader.plan, ready, places), clears=True)
                self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                for row in rows:
                    settle_quarantined(self.connection, self.session.tenant, row.id, applied=True)
                return True
        except psycopg.Error as error:
            if is_transient(error):
                raise
            if not is_row_fault(error):
                raise explain(error, f"{rows[0].table_name}: rows of the quarantine") from None
        return False

    def _loader(self, row: QuarantinedRow) -> Loader:
        place = (row.generation, row.table_name)
        if place != self._last:
            self.connection.execute("DISCARD TEMP")  # a staging table of another generation may have other columns
            self._last = place
        if place not in self._loaders:
            plan = self._plan(row)
            open_identities(self._target(row), plan.mapping.table)
            is_computed = any(added.sql is not None for added in plan.mapping.added)
            self._loaders[place] = Loader(
                connection=self.connection,
                plan=plan,
                is_direct=not plan.mapping.table.key and not is_computed,
                checks_at_commit=not self.progress.tenant.made_schema,
            )
        return self._loaders[place]

    def close_identities(self) -> None:
        """Undo what the loaders opened, when nothing else will finish the schema."""
        if self.progress.running is None and self._last is not None:
            generation = max(number for number, _ in self._loaders)
            catalogue = self.progress.generations[generation].catalogue
            target = self._target_of(catalogue)
            for table in catalogue.tables:
                if (generation, table.name) in self._loaders:
                    close_identities(target, table)

    def _target(self, row: QuarantinedRow) -> Target:
        return self._target_of(self.progress.generations[row.generation].catalogue)

    def _target_of(self, catalogue: Catalogue) -> Target:
        return self.session.tenant_target(self.connection, catalogue, is_ours=self.progress.tenant.made_schema)

    def _plan(self, row: QuarantinedRow) -> TablePlan:
        generation = self.progress.generations[row.generation]
        tenant = self.progress.tenant
        digest, parts = generation.migration_digest, generation.migration_parts
        self.session.see_digest(generation.generation, digest, tenant.accepted_digest, parts)
        mapping = self.session.mappings(generation.catalogue)[row.table_name]
        self.session.see_keys({row.table_name: mapping})
        return self.session.plan(mapping, self._started(row))

    def _started(self, row: QuarantinedRow) -> TableStarted:
        item = self.progress.tables[row.generation, row.table_name]
        found = self.connection.execute(
            "SELECT wire_schema FROM replicator.tables WHERE tenant = %s AND generation = %s AND table_name = %s",
            (self.session.tenant, row.generation, row.table_name),
        ).fetchone()
        assert found is not None
        assert item.instant is not None
        return TableStarted(
            table=row.table_name,
            generation=row.generation,
            attempt=item.attempt,
            instant=instant_text(item.instant),
            topic=item.topic,
            partitions=item.partitions or 0,
            columns=tuple(WireColumn(**column) for column in json.loads(found[0])),
            schema="",
            key=(),
            parents=(),
        )

    def _frame_or_none(self, row: QuarantinedRow, plan: TablePlan) -> pl.DataFrame | None:
        """The row, None when it was set aside with its record, which still cannot be read."""
        if not row.reason.startswith(SET_ASIDE):
            return self._frame(row, plan)
        position = Position(row.topic, row.partition, row.offset)
        if position in self._unreadable:
            return None
        try:
            return self._frame(row, plan)
        except (ContractError, KeyringError):
            self._unreadable.add(position)
            return None

    def _frame(self, row: QuarantinedRow, plan: TablePlan) -> pl.DataFrame:
        """The row as it came from the log: unsealed, or read again from its position."""
        position = Position(row.topic, row.partition, row.offset)
        found = self.connection.execute(
            "SELECT sealed_row FROM replicator.quarantine WHERE id = %s", (row.id,)
        ).fetchone()
        sealed = None if found is None else found[0]
        if sealed is None:
            if position not in self._batches:
                self._batches.clear()  # rows come in the order of the log: one batch at a time is enough
                self._batches[position] = self._batch(position, plan)
            return self._batches[position].slice(row.row_index, 1)
        seal = RowSeal(
            tenant=self.session.tenant,
            log_id=self.progress.tenant.log_id,
            keyring=self.session.keyring,
            schema=plan.schema,
            table=plan.mapping.table,
        )
        return seal.open(sealed, row.kid, position, row.row_index)

    def _batch(self, position: Position, plan: TablePlan) -> pl.DataFrame:
        record = record_at(self.session.kafka, position, log=self.progress.tenant.log_id)
        if record is None or record.position != position:
            raise LogError(f"{position}: the record of a row in quarantine is not in the log any more")
        frame = decode(open_value(record, self.session.keyring, self.session.tenant), plan.schema, position)
        if frame.height != record.header.rows:
            raise ContractError(f"{position}: {frame.height} rows, its header says {record.header.rows}")
        return frame
