"""The consumer's transactions in the target: rows, quarantine and position together, or nothing.

Batches commit with synchronous_commit off: a crash of the server loses position and rows together,
and they come again. Markers and quarantine commit as the server is configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from consumer.apply import Loader
from consumer.backlog import Work
from consumer.prepare import Group
from consumer.refusal import Refusal
from consumer.sealed_row import RowSeal
from consumer.transform import TablePlan
from runtime import advance, ownership
from runtime.advance import PositionLost, Step
from runtime.kafka import LogRecord, Partition
from runtime.keyring import Keyring
from runtime.postgres import Connection, explain, is_row_fault, is_transient
from runtime.progress import PositionProgress
from runtime.reporting import Report, unheard
from runtime.steps import RowQuarantined, TargetCommitted, TargetCommitting, Transaction
from schemas.errors import ContractError, NotWhole
from schemas.records import Poisoned, TableFinished, TableStarted
from schemas.sql import quote_ident

MAY_COME_RIGHT = (
    "23503",  # its parent comes in a later batch
    "23505",  # another row gives up its value in a later batch
)

_SYNCHRONOUS = "SET LOCAL synchronous_commit TO DEFAULT"
_RELAXED = "SET LOCAL synchronous_commit TO off"


@dataclass(frozen=True, slots=True)
class Limits:
    """When rows that cannot be applied end the run."""

    max_quarantined: int
    aborts: bool = False  # at the first
    tries_again: bool = False  # rows that others may make good are tried again when all tables are in; they count then

    def holds(self, sqlstate: str) -> bool:
        """Whether such a row only waits."""
        return self.tries_again and sqlstate in MAY_COME_RIGHT


@dataclass(frozen=True, slots=True)
class Written:
    """What one transaction has made durable."""

    rows: int = 0
    quarantined: int = 0
    completes_table: bool = False


@dataclass(kw_only=True)
class Writer:
    """Transactions of one tenant over one connection; a call that fails has left nothing.

    `positions` are the offsets we believe our partitions are at; they move with each commit.
    """

    connection: Connection
    tenant: str
    log_id: str
    keyring: Keyring | None
    limits: Limits
    is_ours: bool
    reapply: bool = False
    report: Report = unheard
    positions: dict[Partition, int] = field(default_factory=dict)
    _loaders: dict[tuple[str, int, int], Loader] = field(default_factory=dict, init=False)

    def batches(self, group: Group, *, partitions: int, was_empty: bool) -> Written:
        """Apply a group of batches.

        Raises:
            PositionLost: another process owns a partition now.
            NotWhole: a row cannot be applied and the limits say stop.
            psycopg.Error: transient; the same group may be applied again.
            TargetError: any other failure.
        """
        loader = self._loader(group.plan, group.work, was_empty=was_empty)
        try:
            written = self._swiftly(group, loader, partitions) or self._with_care(group, loader, partitions)
        except psycopg.Error as error:
            if is_transient(error):
                raise
            raise explain(error, f"{group.plan.mapping.table.name}: {group.work.records[0].position}") from None
        self._moved(group.work)
        loader.committed()
        self.report(TargetCommitted(group.plan.mapping.table.name, "rows"))
        return written

    def _swiftly(self, group: Group, loader: Loader, partitions: int) -> Written | None:
        """All rows at once; None when a row is at fault."""
        if group.refusals:
            return None
        try:
            with self.connection.transaction():
                self.connection.execute(_RELAXED)
                loader.write(group.rows)
                self._move(group, {}, partitions)
                self.report(TargetCommitting(group.plan.mapping.table.name, "rows"))
        except errors.UniqueViolation:
            if loader.is_direct and group.plan.mapping.table.key:
                loader.is_direct = False
            return None
        except psycopg.Error as error:
            if not is_row_fault(error):
                raise
            return None
        return Written(rows=group.height)

    def _with_care(self, group: Group, loader: Loader, partitions: int) -> Written:
        with self.connection.transaction():
            self.connection.execute(_SYNCHRONOUS)
            refusals = [*group.refusals, *loader.write_with_care(group.rows)]
            refused: dict[Partition, int] = {}
            for refusal in refusals:
                partition = self._quarantine(group, refusal)
                refused[partition] = refused.get(partition, 0) + 1
            if refusals:
                self._see_limit(group)
            self._move(group, refused, partitions)
            self.report(TargetCommitting(group.plan.mapping.table.name, "rows"))
        return Written(rows=group.height - len(refusals), quarantined=len(refusals))

    def _loader(self, plan: TablePlan, work: Work, *, was_empty: bool) -> Loader:
        table = plan.mapping.table
        place = (table.name, work.generation, work.attempt)
        if place not in self._loaders:
            is_computed = any(added.sql is not None for added in plan.mapping.added)
            self._loaders[place] = Loader(
                connection=self.connection,
                plan=plan,
                is_direct=not is_computed and (not table.key or (was_empty and work.attempt == 1)),
                reapply=self.reapply,
                report=self.report,
                checks_at_commit=not self.is_ours,
            )
        return self._loaders[place]

    def _quarantine(self, group: Group, refusal: Refusal) -> Partition:
        table = group.plan.mapping.table
        position, index = group.place(refusal.row)
        if self.limits.aborts and not self.limits.holds(refusal.sqlstate):
            raise NotWhole(
                f"{table.name}: {position} row {index} cannot be applied: {refusal.reason}",
                hint="correct the target or the migration and start again, or run with --on-error quarantine",
            )
        seal = RowSeal(
            tenant=self.tenant, log_id=self.log_id, keyring=self.keyring, schema=group.plan.schema, table=table
        )
        sealed = seal.seal(group.source(refusal.row), position, index)
        self.connection.execute(
            """
            INSERT INTO replicator.quarantine
                   (tenant, topic, partition, "offset", row_index, generation, attempt, table_name, key_digest,
                    sqlstate, reason, constraint_name, column_name, kid, sealed_row)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                *(self.tenant, position.topic, position.partition, position.offset, index),
                *(group.work.generation, group.work.attempt, table.name, sealed.key_digest),
                *(refusal.sqlstate, refusal.reason, refusal.constraint, refusal.column, sealed.kid, sealed.value),
            ),
        )
        self.report(RowQuarantined(table.name))
        return Partition(position.topic, position.partition)

    def _see_limit(self, group: Group) -> None:
        row = self.connection.execute(
            "SELECT count(*) FROM replicator.quarantine WHERE tenant = %s AND generation = %s AND sqlstate <> ALL (%s)",
            (self.tenant, group.work.generation, list(MAY_COME_RIGHT) if self.limits.tries_again else []),
        ).fetchone()
        if row is not None and row[0] > self.limits.max_quarantined:
            raise NotWhole(
                f"{group.plan.mapping.table.name}: more than {self.limits.max_quarantined} rows cannot be applied",
                hint="`consumer quarantine list` says why; correct that, or raise apply.max_quarantined",
            )

    def _move(self, group: Group, refused: Mapping[Partition, int], partitions: int) -> None:
        """Move each partition, if these are the batches that follow there: batch n stands on n mod partitions."""
        for partition, (rows, batches) in sorted(group.rows_by_partition().items()):
            numbers = [
                record.header.sequence // partitions for record in group.work.records if record.partition == partition
            ]
            if numbers != list(range(numbers[0], numbers[0] + batches)):
                raise PositionLost(partition)
            quarantined = refused.get(partition, 0)
            step = self._step(
                group.work, partition, applied=rows - quarantined, quarantined=quarantined, batches=batches
            )
            advance.move(self.connection, self.tenant, step, follows=numbers[0])

    def _step(
        self, work: Work, partition: Partition, *, applied: int = 0, quarantined: int = 0, batches: int = 0
    ) -> Step:
        first, next_offset = work.ends[partition]
        believed = self.positions.get(partition)
        if believed is None or first < believed:
            raise PositionLost(partition)
        return Step(
            partition=partition,
            believed=believed,
            next_offset=next_offset,
            generation=work.generation,
            attempt=work.attempt,
            applied=applied,
            quarantined=quarantined,
            batches=batches,
        )

    def _moved(self, work: Work) -> None:
        for partition, (_, next_offset) in work.ends.items():
            self.positions[partition] = next_offset

    def started(self, work: Work, marker: TableStarted) -> Written:
        """Apply a table-started marker; a table without a key is emptied, because it is replaced whole.

        Raises:
            Poisoned: the attempt has begun there before.
        """
        with self._marker(work, marker.table, "table started"):
            for record in work.records:
                self._see_begins(record, marker)
            steps = [self._step(work, partition) for partition in sorted(work.ends)]
            advance.begin_partitions(self.connection, self.tenant, marker.table, steps)
            if not marker.key:
                self.connection.execute(f"DELETE FROM {quote_ident(marker.table)}".encode())
                advance.forget_quarantine_before(self.connection, self.tenant, marker.table, marker.generation)
        self._moved(work)
        return Written()

    def finished(self, work: Work, markers: Sequence[TableFinished]) -> Written:
        """Apply a table-finished marker, each partition's own, if the partition has had all that it says.

        Raises:
            Poisoned: rows or batches are missing; completeness is judged here, never by offsets.
        """
        table = markers[0].table
        with self._marker(work, table, "table finished"):
            for record, marker in zip(work.records, markers, strict=True):
                self._see_all_applied(record, marker)
            steps = [self._step(work, partition) for partition in sorted(work.ends)]
            completes = advance.finish_partitions(self.connection, self.tenant, table, steps)
        self._moved(work)
        return Written(completes_table=completes)

    def _counted(self, partition: Partition) -> tuple[int, int, int, int]:
        """Generation, attempt, rows and batches that a partition has had.

        Raises:
            PositionLost: another process has it now, so that its counts say nothing about a record in our hands.
        """
        row = self.connection.execute(
            """
            SELECT generation, attempt, applied + quarantined, batches FROM replicator.positions
            WHERE tenant = %s AND topic = %s AND partition = %s
              AND next_offset = %s AND owner_pid = pg_backend_pid()
            """,
            (self.tenant, *partition, self.positions.get(partition)),
        ).fetchone()
        if row is None:
            raise PositionLost(partition)
        return int(row[0]), int(row[1]), int(row[2]), int(row[3])

    def _see_begins(self, record: LogRecord, marker: TableStarted) -> None:
        """A marker in the middle of its own attempt would forget what was counted so far."""
        generation, attempt, _, batches = self._counted(record.partition)
        if (generation, attempt) == (marker.generation, marker.attempt) and batches:
            error = ContractError(
                f"{record.position}: a {marker.kind} record out of place, after {batches} batches of its attempt",
                hint="the record was written by another program; `consumer inspect` shows it",
            )
            raise Poisoned(record.position, error)

    def _see_all_applied(self, record: LogRecord, marker: TableFinished) -> None:
        row = self._counted(record.partition)
        expected = (marker.generation, marker.attempt, marker.partition_rows, marker.partition_batches)
        if row != expected:
            error = ContractError(
                f"{record.position}: {marker.table} has {marker.partition_rows} rows in "
                f"{marker.partition_batches} batches here, {row[2]} rows in {row[3]} batches were applied",
                hint="`consumer replay --table` reads the table again from its beginning",
            )
            raise Poisoned(record.position, error)

    def passed_over(self, work: Work) -> Written:
        """Move past records that something newer has superseded."""
        with self._marker(work, work.topic, "passed over"):
            for partition in sorted(work.ends):
                advance.pass_over(self.connection, self.tenant, self._step(work, partition))
        self._moved(work)
        return Written()

    @contextmanager
    def _marker(self, work: Work, of: str, what: Transaction) -> Iterator[None]:
        try:
            with self.connection.transaction():
                self.connection.execute(_SYNCHRONOUS)
                yield
                self.report(TargetCommitting(of, what))
        except psycopg.Error as error:
            if is_transient(error):
                raise
            raise explain(error, f"{of}: {work.records[0].position}") from None
        self.report(TargetCommitted(of, what))

    def use(self, connection: Connection) -> None:
        """Go on over a new connection; temporary tables are made again."""
        self.connection = connection
        self._loaders.clear()

    def claim(self, wanted: Mapping[Partition, str], member: str) -> dict[Partition, PositionProgress]:
        """Become the owner of partitions, each with its table; returns their positions."""
        found = ownership.claim(
            self.connection, self.tenant, {(t, n): table for (t, n), table in wanted.items()}, member
        )
        claimed = {Partition(*place): item for place, item in found.items()}
        self.positions |= {place: item.next_offset for place, item in claimed.items()}
        return claimed

    def give_back(self, partitions: Iterable[Partition]) -> None:
        """Give partitions back in order."""
        places = list(partitions)
        for place in places:
            self.positions.pop(place, None)
        if places:
            ownership.give_back(self.connection, self.tenant, places)
