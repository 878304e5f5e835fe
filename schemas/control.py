"""What the control topic says, folded into a state: which generations exist and how far each table is.

Pure: `ControlState.applied` takes one record after the other, in order, and refuses a record
that cannot follow what came before it. Producer (resume, status), consumer and validator share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.errors import ContractError, LogError
from schemas.records import (
    Checkpoint,
    ControlRecord,
    Header,
    Position,
    SnapshotAbandoned,
    SnapshotFinished,
    SnapshotResumed,
    SnapshotStarted,
    TableFinished,
    TableStarted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """The newest attempt of one table within a generation.

    `is_superseded`: a resume found the table changed, and its next attempt has not begun yet.
    """

    started: TableStarted
    checkpoint: Checkpoint | None = None
    finished: TableFinished | None = None
    is_superseded: bool = False

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        return self.started.attempt

    @property
    def is_finished(self) -> bool:
        """Whether the attempt is complete in the log."""
        return self.finished is not None

    @property
    def rows(self) -> int:
        """Rows of this attempt that are in the log."""
        if self.finished is not None:
            return self.finished.rows
        return 0 if self.checkpoint is None else self.checkpoint.rows

    @property
    def batches(self) -> int:
        """Batches of this attempt that are in the log; also the sequence of the next one."""
        if self.finished is not None:
            return self.finished.batches
        return 0 if self.checkpoint is None else self.checkpoint.sequence

    @property
    def bytes(self) -> int:
        """Bytes of those batches, as sent."""
        return 0 if self.checkpoint is None else self.checkpoint.bytes

    @property
    def partition_rows(self) -> tuple[int, ...]:
        """Rows of this attempt on each partition."""
        return (0,) * self.started.partitions if self.checkpoint is None else self.checkpoint.partition_rows

    @property
    def last_key(self) -> tuple[str, ...]:
        """Key of the last row in the log, as text; empty when nothing is, or the table has no key."""
        return () if self.checkpoint is None else self.checkpoint.last_key


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationState:
    """One generation as far as it is in the log."""

    started: SnapshotStarted
    resumed: tuple[SnapshotResumed, ...] = ()
    tables: Mapping[str, TableState] = field(default_factory=dict)
    finished: SnapshotFinished | None = None
    abandoned: SnapshotAbandoned | None = None

    @property
    def number(self) -> int:
        """The generation's number, from 1."""
        return self.started.generation

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it will come."""
        return self.finished is not None or self.abandoned is not None

    @property
    def state(self) -> Literal["running", "finished", "abandoned"]:
        """In one word; `running` also when its producer has died."""
        if self.abandoned is not None:
            return "abandoned"
        return "running" if self.finished is None else "finished"

    @property
    def snapshot(self) -> SnapshotStarted | SnapshotResumed:
        """The newest snapshot it was read in: instant, WAL position and `pg_current_snapshot()` of it."""
        return self.resumed[-1] if self.resumed else self.started

    @property
    def last_instant(self) -> str:
        """The newest instant that any of its records names."""
        ends = [end.instant for end in (self.finished, self.abandoned) if end is not None]
        return max([self.snapshot.instant, *ends])


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """Everything the control topic says. `log` is the log identity, "" while nothing was written."""

    log: str = ""
    tenant: str = ""
    generations: Mapping[int, GenerationState] = field(default_factory=dict)

    @property
    def latest(self) -> GenerationState | None:
        """The newest generation."""
        return self.generations[max(self.generations)] if self.generations else None

    @property
    def last_instant(self) -> str:
        """The newest instant in the log, "" while nothing was written."""
        return max((generation.last_instant for generation in self.generations.values()), default="")

    @property
    def topics(self) -> Mapping[str, int]:
        """Every table topic that was ever begun: its partitions."""
        return {
            table.started.topic: table.started.partitions
            for generation in self.generations.values()
            for table in generation.tables.values()
        }

    def applied(self, position: Position, header: Header, record: ControlRecord) -> ControlState:
        """The state after `record`.

        Raises:
            LogError: the record is of another log.
            ContractError: it cannot follow what came before.
        """
        if self.log and header.log != self.log:
            raise LogError(
                f"{position}: belongs to log {header.log}, the records before it to {self.log}",
                hint="two logs share one topic; start over: `consumer rollback`, `producer drop-log`, "
                "then `producer snapshot`",
            )
        if isinstance(record, SnapshotStarted):
            return self._begun(position, header, record)
        generation = self.latest
        if generation is None or generation.number != record.generation or generation.is_over:
            raise _misplaced(position, f"generation {record.generation} is not open")
        return replace(
            self, generations={**self.generations, generation.number: _advanced(position, generation, record)}
        )

    def _begun(self, position: Position, header: Header, record: SnapshotStarted) -> ControlState:
        latest = self.latest
        if latest is not None and not latest.is_over:
            raise _misplaced(position, f"generation {latest.number} is not over")
        if record.generation != (0 if latest is None else latest.number) + 1:
            raise _misplaced(position, f"generation {record.generation} out of turn")
        return replace(
            self,
            log=header.log,
            tenant=record.tenant,
            generations={**self.generations, record.generation: GenerationState(started=record)},
        )


def _advanced(
    position: Position,
    generation: GenerationState,
    record: SnapshotResumed | TableStarted | Checkpoint | TableFinished | SnapshotFinished | SnapshotAbandoned,
) -> GenerationState:
    match record:
        case SnapshotResumed():
            tables = {
                name: replace(table, is_superseded=table.is_superseded or name in record.again)
                for name, table in generation.tables.items()
            }
            return replace(generation, resumed=(*generation.resumed, record), tables=tables)
        case SnapshotFinished():
            return replace(generation, finished=record)
        case SnapshotAbandoned():
            return replace(generation, abandoned=record)
        case TableStarted():
            table = _begun_table(position, generation, record)
        case Checkpoint() | TableFinished():
            table = _advanced_table(position, generation, record)
    return replace(generation, tables={**generation.tables, record.table: table})


def _begun_table(position: Position, generation: GenerationState, record: TableStarted) -> TableState:
    if record.table not in generation.started.tables:
        raise _misplaced(position, f'table "{record.table}" is not in generation {generation.number}')
    before = generation.tables.get(record.table)
    if record.attempt != (0 if before is None else before.attempt) + 1:
        raise _misplaced(position, f'attempt {record.attempt} of table "{record.table}" out of turn')
    return TableState(started=record)


def _advanced_table(position: Position, generation: GenerationState, record: Checkpoint | TableFinished) -> TableState:
    table = generation.tables.get(record.table)
    if table is None or table.attempt != record.attempt or table.is_finished:
        raise _misplaced(position, f'attempt {record.attempt} of table "{record.table}" is not open')
    if isinstance(record, TableFinished):
        return replace(table, finished=record)
    if record.sequence < table.batches or record.rows < table.rows:
        raise _misplaced(position, f'checkpoint of table "{record.table}" goes back')
    return replace(table, checkpoint=record)


def _misplaced(position: Position, why: str) -> ContractError:
    return ContractError(
        f"{position}: record that cannot stand here: {why}",
        hint="another program wrote to the control topic; start over: `consumer rollback`, `producer drop-log`, "
        "then `producer snapshot`",
    )
