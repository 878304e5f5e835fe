"""What the log says of one table, read by the validator itself: the readings that make up its state, and their rows.

The state that the target owes is what the newest complete generation published, and what later
partial ones published over it, key by key. Whether all of it is in the log is judged by the markers
and their counts, on each partition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from runtime.control import open_control, open_value
from runtime.kafka import LogRecord, read_all
from runtime.keyring import Keyring
from runtime.progress import GenerationState, Progress
from runtime.settings import KafkaSettings
from schemas.batch import WireSchema, decode
from schemas.catalogue import Catalogue, Table
from schemas.control import ControlState
from schemas.errors import ContractError, Inconclusive
from schemas.migration import Migration
from schemas.records import Kind, Position, TableFinished, TableStarted
from schemas.snapshots import Snapshot

ReadingId = tuple[int, int]  # generation, attempt


class LogGap(Inconclusive):
    """The log does not hold all that its markers tell of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The last attempt of a table in one generation, complete in the log."""

    generation: int
    is_partial: bool
    snapshot: Snapshot
    started: TableStarted
    finished: TableFinished

    @property
    def id(self) -> ReadingId:
        """Generation and attempt."""
        return self.generation, self.started.attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one record."""

    position: Position
    reading: ReadingId
    frame: pl.DataFrame


def state_readings(control: ControlState, progress: Progress, table: Table) -> tuple[Reading, ...]:
    """The readings whose rows the target owes, the oldest first; empty when the table was never published.

    Raises:
        LogGap: the control topic does not tell of a generation that the target has applied.
    """
    ended = [
        number
        for number, item in sorted(progress.generations.items())
        if item.state is GenerationState.ENDED and table.name in item.table_order
    ]
    complete = [number for number in ended if not progress.generations[number].is_partial]
    chain = [number for number in ended if not complete or number >= complete[-1]]
    if not table.key:
        chain = chain[-1:]  # its table-started marker emptied the table
    return tuple(_reading(control, number, table.name) for number in chain)


def _reading(control: ControlState, number: int, table: str) -> Reading:
    generation = control.generations.get(number)
    state = generation.tables.get(table) if generation is not None else None
    if generation is None or state is None or state.finished is None or state.is_superseded:
        raise LogGap(
            f"{table}: generation {number} was applied, and the log's control topic does not tell that it was published",
            hint="the log was deleted or cut; only `validator reconcile` against the source can prove it now",
        )
    return Reading(
        generation=number,
        is_partial=generation.started.is_partial,
        snapshot=Snapshot.parse(generation.snapshot.snapshot),
        started=state.started,
        finished=state.finished,
    )


def published_catalogue(control: ControlState, progress: Progress) -> Catalogue:
    """The source's definition as the generations that were applied tell it; a later one counts more."""
    tables: dict[str, Table] = {}
    newest: Catalogue | None = None
    for number, item in sorted(progress.generations.items()):
        if item.state is GenerationState.ENDED and number in control.generations:
            newest = Catalogue.from_json(control.generations[number].started.catalogue)
            order = {table.name: table for table in newest.tables}
            tables = {**order, **{name: table for name, table in tables.items() if name not in order}}
    if newest is None:
        raise LogGap(
            "the log does not tell of any generation that this target has applied",
            hint="see that KAFKA_BOOTSTRAP_SERVERS and log.prefix name the log that the target was loaded from",
        )
    return Catalogue(tables=tuple(tables.values()), types=newest.types, collations=newest.collations)


@dataclass(slots=True)
class _Share:
    """What was seen of a reading on one partition."""

    rows: int = 0
    batches: int = 0
    finished: TableFinished | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLog:
    """One table's topic."""

    kafka: KafkaSettings
    migration: Migration
    keyring: Keyring | None
    log_id: str
    readings: tuple[Reading, ...] = field(default=())

    def batches(self, only: Collection[ReadingId] | None = None) -> Iterator[Batch]:
        """Batches of the readings; partitions come mixed, each in order. One pass over the topic.

        Raises:
            LogGap: at the end, when it was less than the markers tell.
            LogError, ContractError, KeyringError: the log cannot be read or opened.
        """
        wanted = {reading.id: reading for reading in self.readings if only is None or reading.id in only}
        if not wanted:
            return
        newest = self.readings[-1].started
        schemas = {place: WireSchema(reading.started.columns) for place, reading in wanted.items()}
        shares: dict[ReadingId, dict[int, _Share]] = {
            place: {number: _Share() for number in range(reading.started.partitions)}
            for place, reading in wanted.items()
        }
        for record in self.records(newest.topic):
            place = record.header.generation, record.header.attempt
            if place not in wanted:
                continue
            share = shares[place].setdefault(record.position.partition, _Share())
            if record.header.kind is Kind.BATCH:
                frame = self.frame(record, schemas[place])
                _see_sequence(record, share, wanted[place].started.partitions)
                share.rows, share.batches = share.rows + frame.height, share.batches + 1
                yield Batch(position=record.position, reading=place, frame=frame)
            elif record.header.kind is Kind.TABLE_FINISHED:
                marker = open_control(record, self.keyring, self.migration.tenant)
                assert isinstance(marker, TableFinished)
                share.finished = marker
        for place, found in shares.items():
            _see_whole(wanted[place], found)

    def records(self, topic: str) -> Iterator[LogRecord]:
        """Every record of the topic, still sealed."""
        return read_all(self.kafka, topic, log=self.log_id, max_message_bytes=self.migration.log.max_message_bytes)

    def frame(self, record: LogRecord, schema: WireSchema) -> pl.DataFrame:
        """The rows of a batch."""
        frame = decode(open_value(record, self.keyring, self.migration.tenant), schema, record.position)
        if frame.height != record.header.rows:
            raise ContractError(
                f"{record.position}: {frame.height} rows, its header says {record.header.rows}",
                hint="the record was written by another program or build; `consumer inspect` shows its headers",
            )
        return frame


def _see_sequence(record: LogRecord, share: _Share, partitions: int) -> None:
    """Batch n stands on partition n mod partitions, so which number comes next is known."""
    expected = record.position.partition + share.batches * partitions
    if record.header.sequence != expected:
        raise LogGap(
            f"{record.position}: batch {record.header.sequence} where batch {expected} belongs",
            hint="records were deleted, or another program wrote to the topic",
        )


def _see_whole(reading: Reading, shares: Mapping[int, _Share]) -> None:
    rows = batches = 0
    for number, share in sorted(shares.items()):
        marker = share.finished
        told = (marker.partition_rows, marker.partition_batches) if marker is not None else None
        if told != (share.rows, share.batches):
            raise _gap(reading, f"partition {number} holds {share.rows:,} rows, its marker tells of {told and told[0]}")
        rows, batches = rows + share.rows, batches + share.batches
    if (rows, batches) != (reading.finished.rows, reading.finished.batches):
        raise _gap(reading, f"it holds {rows:,} rows, the control topic tells of {reading.finished.rows:,}")


def _gap(reading: Reading, why: str) -> LogGap:
    return LogGap(
        f"{reading.started.topic}: generation {reading.generation} is not whole in the log: {why}",
        hint="records were deleted; only `validator reconcile` against the source can prove the target now",
    )
