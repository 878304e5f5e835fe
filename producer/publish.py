"""From CSV text to records in the log: parse, encode, seal, and send in transactions with a checkpoint.

What belongs together is a `Parcel`; a transaction holds one or, when tables are small, many.

A `Sink` is where records go: `Transactions` of the log, or a `Rehearsal` that only counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import polars as pl

from producer.read import Chunk
from runtime.kafka import RecordTooLarge
from runtime.keyring import Keyring
from runtime.reporting import BatchesPublished, Report, TableDone
from runtime.steps import BatchesEncoded, LogCommitted, LogCommitting, RecordSent
from schemas import records
from schemas.avro import control_topic
from schemas.batch import WireSchema, encode, parse_csv, row_keys
from schemas.errors import LogError
from schemas.records import Checkpoint, ControlRecord, Header, Kind, TableFinished, TableStarted
from schemas.seal import seal


class Sink(Protocol):
    """Where records go. All records of one transaction become visible together, or none does."""

    @property
    def max_message_bytes(self) -> int:
        """The largest record that is taken."""

    def transaction(self) -> AbstractContextManager[None]:
        """Open around values that are already encoded."""

    def send(self, topic: str, partition: int, header: Header, value: bytes) -> None:
        """Put a record into the open transaction; RecordTooLarge when it is over the limit."""


@dataclass(slots=True)
class Rehearsal:
    """A sink that takes everything, sends nothing and counts."""

    max_message_bytes: int
    sent_records: int = 0
    sent_bytes: int = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nothing to commit."""
        yield

    def send(self, topic: str, partition: int, header: Header, value: bytes) -> None:  # noqa: ARG002
        """Count the record."""
        if len(value) + records.OVERHEAD_BYTES // 2 > self.max_message_bytes:
            raise RecordTooLarge(topic, len(value), self.max_message_bytes)
        self.sent_records += 1
        self.sent_bytes += len(value)


class RowTooLarge(LogError):
    """One row alone is larger than a record may be. Its table stops; everything before it is in the log."""

    def __init__(self, table: str, topic: str, row: str, size_bytes: int, max_message_bytes: int) -> None:
        wanted = 2 ** (size_bytes + 4096).bit_length()
        super().__init__(
            f'table "{table}": the row with {row} is {size_bytes} bytes as a record, '
            f"log.max_message_bytes is {max_message_bytes}",
            hint=f"set [log] max_message_bytes = {wanted} in the migration and alter every topic of the tenant: "
            f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} "
            f"--add-config max.message.bytes={wanted}; then `producer snapshot` goes on where it stopped",
        )
        self.table = table
        self.size_bytes = size_bytes


@dataclass(slots=True)
class TableRun:
    """How far one attempt is prepared; it is in the log as far as its last checkpoint says."""

    started: TableStarted
    wire: WireSchema
    sequence: int = 0
    rows: int = 0
    bytes: int = 0
    last_key: tuple[str, ...] = ()
    partition_rows: list[int] = field(default_factory=list)
    largest_row_bytes: int = 0

    def __post_init__(self) -> None:
        if not self.partition_rows:
            self.partition_rows = [0] * self.started.partitions

    @property
    def table(self) -> str:
        """The table's name."""
        return self.started.table

    def partition(self, sequence: int) -> int:
        """The partition that a batch goes to."""
        return sequence % self.started.partitions

    def partition_batches(self, partition: int) -> int:
        """How many of the batches so far went to a partition."""
        return len(range(partition, self.sequence, self.started.partitions))


@dataclass(frozen=True, slots=True)
class Addressed:
    """One record, encoded and sealed for its place."""

    topic: str
    partition: int
    header: Header
    value: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records that become visible together, and what is to be reported then."""

    records: tuple[Addressed, ...] = ()
    fact: Callable[[], object] = lambda: None

    @property
    def bytes(self) -> int:
        """Size of its values."""
        return sum(len(record.value) for record in self.records)


class Publisher:
    """Makes one generation's records and sends them. Making and sending may run side by side, each in order."""

    def __init__(
        self,
        sink: Sink,
        *,
        prefix: str,
        tenant: str,
        log: str,
        generation: int,
        keyring: Keyring | None,
        report: Report,
    ) -> None:
        self._sink = sink
        self._report = report
        self._control = control_topic(prefix)
        self._log = log
        self._generation = generation
        self._tenant = tenant
        self._keyring = keyring
        self._is_measuring = isinstance(sink, Rehearsal)
        self._kid = ""
        self._key = b""
        if keyring is not None:
            primary = keyring.primary(tenant)
            self._kid = str(primary.kid)
            self._key = keyring.transport_key(tenant, log, primary.kid)

    def control(self, *said: ControlRecord) -> None:
        """Say something on the control topic only."""
        self.publish([Parcel(tuple(self._said(self._control, 0, record) for record in said))])

    def begin_table(self, run: TableRun) -> Parcel:
        """The table's marker, on the control topic and on each of its partitions."""
        places = [(self._control, 0), *((run.started.topic, number) for number in range(run.started.partitions))]
        return Parcel(tuple(self._said(topic, partition, run.started) for topic, partition in places))

    def finish_table(self, run: TableRun, sums: dict[str, str]) -> Parcel:
        """The end marker, with the table's numbers and each partition's share."""
        shares = [
            (partition, _finished(run, run.partition_rows[partition], run.partition_batches(partition), sums))
            for partition in range(run.started.partitions)
        ]
        whole = _finished(run, run.rows, run.sequence, sums)
        return Parcel(
            (
                *(self._said(run.started.topic, partition, share, run.sequence) for partition, share in shares),
                self._said(self._control, 0, whole, run.sequence),
            ),
            partial(TableDone, run.table, run.rows),
        )

    def prepare(self, run: TableRun, chunk: Chunk) -> Parcel:
        """Parse, encode and seal a chunk, with the checkpoint that says so; `run` moves on.

        Raises:
            RowTooLarge: nothing of the chunk goes into the log.
            SourceError: the text is not rows of the table.
        """
        began = time.perf_counter()
        rows = sum(chunk.rows)
        frame = parse_csv(chunk.csv, run.wire, table=f'table "{run.table}"', rows=rows)
        chunk.csv.clear()  # its rows are in the frame
        batches = tuple(self._sealed(run, frame, chunk.rows))
        size = sum(len(batch.value) for batch in batches)
        for batch in batches:
            run.partition_rows[batch.partition] += batch.header.rows
        run.sequence += len(batches)
        run.rows += rows
        run.bytes += size
        run.last_key = _keys(run, frame.tail(1))[0]
        run.largest_row_bytes = max(run.largest_row_bytes, _largest_row(frame)) if self._is_measuring else 0
        checkpoint = Checkpoint(
            table=run.table,
            generation=self._generation,
            attempt=run.started.attempt,
            sequence=run.sequence,
            rows=run.rows,
            bytes=run.bytes,
            last_key=run.last_key,
            partition_rows=tuple(run.partition_rows),
        )

        def published() -> BatchesPublished:
            return BatchesPublished(checkpoint.table, rows, size, time.perf_counter() - began)

        self._report(BatchesEncoded(run.table, rows, size))
        return Parcel((*batches, self._said(self._control, 0, checkpoint, checkpoint.sequence)), published)

    def publish(self, parcels: Sequence[Parcel]) -> list[object]:
        """Send parcels in one transaction, so topics and checkpoints cannot disagree; returns their facts."""
        sent = [record for parcel in parcels for record in parcel.records]
        if sent:
            with self._sink.transaction():
                for record in sent:
                    self._sink.send(record.topic, record.partition, record.header, record.value)
                    self._report(RecordSent(record.topic, record.partition))
                self._report(LogCommitting(len(sent)))
            self._report(LogCommitted(len(sent)))
        return [fact for parcel in parcels if (fact := parcel.fact()) is not None]

    def _sealed(self, run: TableRun, frame: pl.DataFrame, batch_rows: Sequence[int]) -> Iterator[Addressed]:
        sequence, first = run.sequence, 0
        for rows in batch_rows:
            for height, value in self._encoded(run, frame.slice(first, rows)):
                header = Header(
                    kind=Kind.BATCH,
                    log=self._log,
                    generation=self._generation,
                    attempt=run.started.attempt,
                    sequence=sequence,
                    rows=height,
                    schema=run.started.schema,
                    kid=self._kid,
                )
                partition = run.partition(sequence)
                topic = run.started.topic
                yield Addressed(topic, partition, header, self._seal(topic, partition, header, value))
                sequence += 1
            first += rows

    def _encoded(self, run: TableRun, frame: pl.DataFrame) -> Iterator[tuple[int, bytes]]:
        """One batch, or halves of it while it is larger than a record may be."""
        value = encode(frame, run.wire)
        if len(value) + records.OVERHEAD_BYTES <= self._sink.max_message_bytes:
            yield frame.height, value
        elif frame.height == 1:
            raise RowTooLarge(
                run.table, run.started.topic, self._named(run, frame), len(value), self._sink.max_message_bytes
            )
        else:
            half = frame.height // 2
            yield from self._encoded(run, frame.slice(0, half))
            yield from self._encoded(run, frame.slice(half))

    def _named(self, run: TableRun, frame: pl.DataFrame) -> str:
        """A row by its keyed digest, so that it can be found by who has the key and by nobody else."""
        key = _keys(run, frame)[0]
        if not key or self._keyring is None:
            return f"a place after row {run.rows} of the reading order"
        return f"key digest {self._keyring.digest_of(self._tenant, key)}"

    def _said(self, topic: str, partition: int, record: ControlRecord, sequence: int = 0) -> Addressed:
        header = Header(
            kind=record.kind,
            log=self._log,
            generation=record.generation,
            attempt=getattr(record, "attempt", 0),
            sequence=sequence,
            kid=self._kid,
        )
        return Addressed(topic, partition, header, self._seal(topic, partition, header, records.encode(record)))

    def _seal(self, topic: str, partition: int, header: Header, value: bytes) -> bytes:
        return seal(self._key, value, header.associated_data(topic, partition)) if self._kid else value


def _largest_row(frame: pl.DataFrame) -> int:
    """Bytes of text and binary in the largest row; numbers are counted as eight."""
    cells = [
        pl.col(name).str.len_bytes() if kind == pl.String else pl.col(name).bin.size()
        for name, kind in frame.schema.items()
        if kind in (pl.String, pl.Binary)
    ]
    fixed = 8 * (frame.width - len(cells))
    if not cells:
        return fixed
    return fixed + int(frame.select(pl.sum_horizontal(*cells).max()).item() or 0)


def _keys(run: TableRun, frame: pl.DataFrame) -> list[tuple[str, ...]]:
    return row_keys(frame, [run.wire.field(name) for name in run.started.key])


def _finished(run: TableRun, partition_rows: int, partition_batches: int, sums: dict[str, str]) -> TableFinished:
    return TableFinished(
        table=run.table,
        generation=run.started.generation,
        attempt=run.started.attempt,
        rows=run.rows,
        batches=run.sequence,
        partition_rows=partition_rows,
        partition_batches=partition_batches,
        sums=sums,
    )
