"""Publishing the tables of an open generation, one after the other, parents first.

Reading (this thread), preparing (parse, encode, seal) and sending (each a thread of its own) run side
by side; a few chunks are in memory whatever a table's size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Self

from producer.publish import Publisher, TableRun
from producer.read import Chunk, Limits, Totals, read_chunks, read_statement, read_totals
from producer.resume import TableFate
from producer.source import Held
from runtime.postgres import Connection, use_schema
from runtime.reporting import Report, TableDone, TableTotals
from schemas.avro import topic_name
from schemas.batch import WireSchema
from schemas.catalogue import Table, rings
from schemas.errors import SourceError
from schemas.migration import Migration
from schemas.records import TableStarted

_AHEAD = 4


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


@dataclass(frozen=True, slots=True, kw_only=True)
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


class Line:
    """Two threads: one prepares chunks, one sends what is prepared; everything in the order it was put.

    After the first failure nothing more is sent: a later chunk's checkpoint would claim what is missing.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="send")
        self._pending: deque[Future[object]] = deque()
        self._is_broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._preparing.shutdown(cancel_futures=True)
        self._sending.shutdown(cancel_futures=True)

    def put(self, run: TableRun, chunk: Chunk) -> None:
        """Have a chunk published."""
        prepared = self._preparing.submit(self._publisher.prepare, run, chunk)
        self.then(lambda: self._publisher.publish(prepared.result()))

    def then(self, send: Callable[[], object]) -> None:
        """Have something sent after all that was put before; what it returns is a fact, or None."""
        self._pending.append(self._sending.submit(self._send, send))

    def facts(self, ahead: int) -> Iterator[object]:
        """What has been done; waits while more than `ahead` things are under way. Errors come out here."""
        while self._pending and (len(self._pending) > ahead or self._pending[0].done()):
            fact = self._pending.popleft().result()
            if fact is not None:
                yield fact

    def _send(self, send: Callable[[], object]) -> object:
        if self._is_broken:
            raise CancelledError
        try:
            return send()
        except BaseException:
            self._is_broken = True
            raise


def publish_tables(work: Work, fates: Sequence[TableFate]) -> list[TableOutcome]:
    """Publish what each table's fate asks for, in order."""
    for fate in fates:
        done = fate.published_rows
        expected = done if fate.fate == "kept" else fate.table.rows
        work.report(TableTotals(fate.table.name, expected if expected > 0 else None, done))
    runs: list[TableRun | None] = []
    with Line(work.publisher) as line:
        for fate in fates:
            if fate.fate == "kept":
                runs.append(None)
                line.then(partial(TableDone, fate.table.name, fate.published_rows))
            else:
                runs.append(_publish_table(work, fate, line))
        for fact in line.facts(0):
            work.report(fact)
    return [_outcome(fate, run) for fate, run in zip(fates, runs, strict=True)]


def gate_parents(table: Table, tables: Sequence[Table]) -> tuple[str, ...]:
    """What the table's gate waits for: its parents in the generation, outside of its own ring."""
    ring = next(names for names in rings(tables) if table.name in names)
    present = {other.name for other in tables}
    return tuple(sorted((table.parents & present) - ring))


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
    look_from(work, table)
    if fate.fate == "continue":
        run = _continued(fate)
    else:
        run = _begun(work, fate)
        line.then(lambda: work.publisher.begin_table(run))
    batch = work.migration.batch
    limits = Limits(max_rows=batch.max_rows, max_bytes=batch.max_bytes)
    for chunk in read_chunks(work.connection, read_statement(table, rows_of, run.last_key), table, limits):
        line.put(run, chunk)
        for fact in line.facts(_AHEAD):
            work.report(fact)
    totals = read_totals(work.connection, table, rows_of, work.migration.rules(table.name).sums)
    line.then(lambda: _finish(work, run, totals))
    return run


def _finish(work: Work, run: TableRun, totals: Totals) -> TableDone:
    if totals.rows != run.rows:
        raise SourceError(
            f'table "{run.table}": COPY gave {run.rows} rows, count(*) in the same snapshot {totals.rows}',
            hint="an index of the source may be damaged (amcheck tells); then `producer snapshot --restart`",
        )
    work.publisher.finish_table(run, totals.sums)
    return TableDone(run.table, run.rows)


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
        parents=gate_parents(table, work.tables),
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
