"""What is in hand between poll and commit: records polled, groups being prepared, in the order of the log.

A second thread prepares a group of batches while the one before it is written; both ends belong to
the worker's thread. Whoever forgets what is in hand must read it again from the positions in the
target: what comes next from Kafka follows what was forgotten.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from consumer.backlog import Backlog, Work
from consumer.control import ControlReader
from consumer.gate import Gate, Verdict
from consumer.prepare import Group, Marker, prepare_group, prepare_markers
from consumer.session import Session
from consumer.transform import TablePlan
from consumer.writer import Writer
from runtime.kafka import LogRecord, Partition
from runtime.progress import Progress
from runtime.reporting import BatchesApplied, Report, TableDone
from schemas.avro import table_of_topic
from schemas.mapping import TableMapping
from schemas.records import TableFinished, TableStarted

IN_FLIGHT = 2
MAX_POLLED = 256
MAX_POLLED_BYTES = 16 * 1024 * 1024

Markers = tuple[Marker, ...]
Ready = Group | Markers


class Flow:
    """Records on their way; entered, it has its second thread."""

    def __init__(self, session: Session, report: Report) -> None:
        self.control: ControlReader | None = None
        self.backlog = Backlog()
        self._session = session
        self._report = report
        self._in_flight: deque[tuple[Work, TablePlan | None, Future[Ready] | None]] = deque()
        self._plans: dict[tuple[str, int, int], TablePlan] = {}
        self._mappings: dict[str, Mapping[str, TableMapping]] = {}

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def has_room(self) -> bool:
        """Whether more may be polled."""
        return self.backlog.records < MAX_POLLED and self.backlog.bytes < MAX_POLLED_BYTES

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        return not self._in_flight and not self.backlog.records

    @property
    def is_busy(self) -> bool:
        """Whether something is being prepared or waits to be written."""
        return bool(self._in_flight)

    @property
    def is_full(self) -> bool:
        """Whether the second thread has enough to do."""
        return len(self._in_flight) >= IN_FLIGHT

    @property
    def is_ready(self) -> bool:
        """Whether the oldest work can be written without waiting."""
        future = self._in_flight[0][2] if self._in_flight else None
        return future is None or future.done()

    def holds(self, place: Partition) -> bool:
        """Whether a record of the partition is in hand."""
        in_flight = any(place in work.ends for work, _, _ in self._in_flight)
        return in_flight or self.backlog.head(place) is not None

    def take_in(self, record: LogRecord) -> None:
        """Take in a record that was polled."""
        self.backlog.add(record)

    def hand_on(self, gate: Gate) -> Iterator[LogRecord]:
        """Make work of what was polled as long as there is room; yields the first record of what must wait.

        The partition of such a record is forgotten: it is to be paused, and read again from there.
        """
        for head in self.backlog.heads():
            current = self.backlog.head(head.partition)
            while current is not None and not self.is_full:
                plan, verdict = self._judge(gate, current)
                if verdict is Verdict.WAIT:
                    self.backlog.drop([current.partition])
                    yield current
                    break
                work = self.backlog.take(current)
                self._in_flight.append((work, plan, self._prepared(work, plan)))
                current = self.backlog.head(head.partition)

    def _judge(self, gate: Gate, record: LogRecord) -> tuple[TablePlan | None, Verdict]:
        """What becomes of a record, and the plan to apply it by; it waits while our control topic is behind."""
        table = table_of_topic(self._session.prefix, record.position.topic) or ""
        number, attempt = record.header.generation, record.header.attempt
        verdict = gate.verdict(table, number, attempt)
        plan = self._plan(gate.progress, table, number, attempt) if verdict is Verdict.APPLY else None
        return plan, Verdict.WAIT if verdict is Verdict.APPLY and plan is None else verdict

    def _plan(self, progress: Progress, table: str, number: int, attempt: int) -> TablePlan | None:
        place = (table, number, attempt)
        if place not in self._plans:
            started = None if self.control is None else self.control.started(table, number, attempt)
            if started is None:
                return None
            generation = progress.generations[number]
            if generation.catalogue_json not in self._mappings:
                mappings = self._session.mappings(generation.catalogue)
                self._session.see_keys(mappings)
                self._mappings[generation.catalogue_json] = mappings
            self._plans[place] = self._session.plan(self._mappings[generation.catalogue_json][table], started)
        return self._plans[place]

    def _prepared(self, work: Work, plan: TablePlan | None) -> Future[Ready] | None:
        tenant, keyring = self._session.tenant, self._session.keyring
        if plan is None:
            return None
        if work.is_marker:
            return self._pool.submit(prepare_markers, work, plan, tenant, keyring)
        return self._pool.submit(prepare_group, work, plan, tenant, keyring, self._report)

    def write(self, writer: Writer, progress: Progress) -> str | None:
        """Write the oldest work, waiting until it is prepared; returns the table that became complete by it.

        Raises:
            Poisoned: a record of it stops its partition; nothing of the work was written.
        """
        began = time.monotonic()
        work, plan, future = self._in_flight.popleft()
        ready = None if future is None else future.result()
        if plan is None or ready is None:
            writer.passed_over(work)
        elif isinstance(ready, Group):
            item = progress.tables[work.generation, plan.mapping.table.name]
            written = writer.batches(ready, partitions=item.partitions or 1, was_empty=item.was_empty)
            seconds = time.monotonic() - began
            self._report(BatchesApplied(plan.mapping.table.name, written.rows, written.quarantined, seconds))
        else:
            return self._mark(writer, work, ready)
        return None

    def _mark(self, writer: Writer, work: Work, markers: Markers) -> str | None:
        if isinstance(markers[0], TableStarted):
            writer.started(work, markers[0])
        elif isinstance(markers[0], TableFinished):
            finished = [marker for marker in markers if isinstance(marker, TableFinished)]
            if writer.finished(work, finished).completes_table:
                self._report(TableDone(finished[0].table, finished[0].rows))
                return finished[0].table
        return None

    def forget(self) -> None:
        """Drop everything in hand; the second thread may finish what it has, for nobody."""
        for _, _, future in self._in_flight:
            if future is not None and not future.cancel():
                future.add_done_callback(lambda done: done.exception())
        self._in_flight.clear()
        self.backlog.drop(self.backlog.partitions)
