"""Publishing the tables of an open generation, one after the other, parents first.

Reading (this thread), preparing (parse, encode, seal) and sending (each a thread of its own) run side
by side; a few chunks are in memory whatever a table's size. A transaction holds whatever is ready:
one chunk of a large table, or many small tables, because committing costs milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Self

from producer.publish import Parcel, Publisher, TableRun
from producer.read import Limits, Totals, read_chunks, read_statement, read_totals
from producer.resume import TableFate
from producer.source import Held
from runtime.postgres import Connection, use_schema
from runtime.reporting import Report, TableDone, TableTotals
from runtime.steps import BatchesRead
from schemas.avro import topic_name
from schemas.batch import WireSchema
from schemas.catalogue import Table, gates
from schemas.errors import SourceError
from schemas.migration import Migration
from schemas.records import TableStarted

_AHEAD = 256
_AHEAD_BYTES = 32_000_000  # of CSV text
_TRANSACTION_RECORDS = 512
_TRANSACTION_BYTES = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOutcome:
    """One table of the generation as it stands in the log now."""

    table: str
    fate: str
    attempt: int
    rows: int
    batches: int
    bytes: int
    largest_row_bytes: int  # measured by a rehearsal only, else 0


@dataclass(frozen=True, kw_only=True)
class Work:
    """A generation that is open, and everything its tables are published with."""

    connection: Connection
    held: Held
    tables: tuple[Table, ...]
    migration: Migration
    publisher: Publisher
    generation: int
    instant: str
    report: Report
    among: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)  # only rows with these keys, by table

    @cached_property
    def gates(self) -> dict[str, frozenset[str]]:
        """What each table's gate waits for: its parents in the generation, outside of its own ring."""
        return gates(self.tables)


class Line:
    """Two threads: one prepares parcels, one sends those that are ready; everything in the order it was put.

    After the first failure nothing more is sent: a later chunk's checkpoint would claim what is missing.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="send")
        self._prepared: deque[Future[Parcel]] = deque()  # not sent yet
        self._pending: deque[tuple[Future[list[object]], int]] = deque()
        self._ahead_bytes = 0
        self._is_broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._preparing.shutdown(cancel_futures=True)
        self._sending.shutdown(cancel_futures=True)

    def put(self, prepare: Callable[[], Parcel], size_bytes: int = 0) -> None:
        """Have a parcel made and sent after all that was put before; it holds `size_bytes` until then."""
        self._prepared.append(self._preparing.submit(prepare))
        self._pending.append((self._sending.submit(self._send), size_bytes))
        self._ahead_bytes += size_bytes

    def facts(self) -> Iterator[object]:
        """What has been done; waits while too much is under way. Errors come out here."""
        while self._pending and (self._is_full or self._pending[0][0].done()):
            yield from self._oldest()

    def rest(self) -> Iterator[object]:
        """What is done when everything is; waits for it."""
        while self._pending:
            yield from self._oldest()

    @property
    def _is_full(self) -> bool:
        return len(self._pending) > _AHEAD or self._ahead_bytes > _AHEAD_BYTES

    def _oldest(self) -> list[object]:
        sent, size_bytes = self._pending.popleft()
        facts = sent.result()
        self._ahead_bytes -= size_bytes
        return facts

    def _send(self) -> list[object]:
        """Send the oldest parcel and those behind it that are ready; nothing is left when an earlier call took all."""
        if self._is_broken:
            raise CancelledError
        try:
            return self._publisher.publish(self._ready())
        except BaseException:
            self._is_broken = True
            raise

    def _ready(self) -> list[Parcel]:
        parcels: list[Parcel] = []
        records = size_bytes = 0
        while self._prepared and records < _TRANSACTION_RECORDS and size_bytes < _TRANSACTION_BYTES:
            oldest = self._prepared[0]
            if parcels and (not oldest.done() or oldest.exception() is not None):
                break  # what failed is told by the next call: everything before it goes into the log
            parcel = oldest.result()
            self._prepared.popleft()
            parcels.append(parcel)
            records += len(parcel.records)
            size_bytes += parcel.bytes
        return parcels


def publish_tables(work: Work, fates: Sequence[TableFate]) -> list[TableOutcome]:
    """Publish what each table's fate asks for, in order."""
    for fate in fates:
        done = fate.published_rows
        rows = len(work.among.get(fate.table.name, ())) or fate.table.rows
        expected = done if fate.fate == "kept" else rows
        work.report(TableTotals(fate.table.name, expected if expected > 0 else None, done))
    runs: list[TableRun | None] = []
    seen_from = ""
    with Line(work.publisher) as line:
        for fate in fates:
            if fate.fate == "kept":
                runs.append(None)
                kept = Parcel(fact=partial(TableDone, fate.table.name, fate.published_rows))
                line.put(partial(_same, kept))
                continue
            if fate.table.schema != seen_from:
                look_from(work, fate.table)
                seen_from = fate.table.schema
            runs.append(_publish_table(work, fate, line))
        for fact in line.rest():
            work.report(fact)
    return [_outcome(fate, run) for fate, run in zip(fates, runs, strict=True)]


def look_from(work: Work, table: Table) -> None:
    """Set the search_path that the table's types were printed under."""
    schemas = work.migration.source.schemas
    use_schema(work.connection, table.schema, *(schema for schema in schemas if schema != table.schema))


def _outcome(fate: TableFate, run: TableRun | None) -> TableOutcome:
    if run is not None:
        return TableOutcome(
            table=run.table,
            fate=fate.fate,
            attempt=run.started.attempt,
            rows=run.rows,
            batches=run.sequence,
            bytes=run.bytes,
            largest_row_bytes=run.largest_row_bytes,
        )
    state = fate.state
    assert state is not None
    return TableOutcome(
        table=fate.table.name,
        fate=fate.fate,
        attempt=state.attempt,
        rows=state.rows,
        batches=state.batches,
        bytes=state.bytes,
        largest_row_bytes=0,
    )


def _publish_table(work: Work, fate: TableFate, line: Line) -> TableRun:
    """Read here; the line prepares and sends, and may still be at it when this returns."""
    table, rows_of = fate.table, work.held.rows_of(fate.table)
    if fate.fate == "continue":
        run = _continued(fate)
    else:
        run = _begun(work, fate)
        line.put(partial(work.publisher.begin_table, run))
    batch = work.migration.batch
    limits = Limits(max_rows=batch.max_rows, max_bytes=batch.max_bytes)
    among = work.among.get(table.name, ())
    for chunk in read_chunks(work.connection, read_statement(table, rows_of, run.last_key, among), table, limits):
        work.report(BatchesRead(table.name, sum(chunk.rows)))
        line.put(partial(work.publisher.prepare, run, chunk), len(chunk.csv))
        for fact in line.facts():
            work.report(fact)
    totals = read_totals(work.connection, table, rows_of, work.migration.rules(table.name).sums, among)
    line.put(partial(_finish, work, run, totals))
    for fact in line.facts():
        work.report(fact)
    return run


def _same(parcel: Parcel) -> Parcel:
    return parcel


def _finish(work: Work, run: TableRun, totals: Totals) -> Parcel:
    if totals.rows != run.rows:
        raise SourceError(
            f'table "{run.table}": COPY gave {run.rows} rows, count(*) in the same snapshot {totals.rows}',
            hint="an index of the source may be damaged (amcheck tells); then `producer snapshot --restart`",
        )
    return work.publisher.finish_table(run, totals.sums)


def _begun(work: Work, fate: TableFate) -> TableRun:
    table = fate.table
    wire = WireSchema.of(table)
    started = TableStarted(
        table=table.name,
        generation=work.generation,
        attempt=fate.next_attempt,
        instant=work.instant,
        topic=topic_name(work.migration.log.prefix, table.name),
        partitions=work.migration.partitions_of(table),
        columns=wire.columns,
        schema=wire.hash,
        key=table.key,
        parents=tuple(sorted(work.gates[table.name])),
    )
    return TableRun(started, wire)


def _continued(fate: TableFate) -> TableRun:
    state = fate.state
    assert state is not None
    return TableRun(
        state.started,
        WireSchema(state.started.columns),
        sequence=state.batches,
        rows=state.rows,
        bytes=state.bytes,
        last_key=state.last_key,
        partition_rows=list(state.partition_rows),
    )
