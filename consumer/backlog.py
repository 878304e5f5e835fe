"""The backlog: records polled and not yet handed on, cut into work in the order of each partition. Pure.

Work is either batches of one table, from several of its partitions, or one marker as it stands on
several of them. Batches never cross a marker, and a partition's records are handed on in the order of the log; between partitions
there is no order to keep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.kafka import LogRecord, Partition
from schemas.records import Kind

MAX_BATCHES = 32
MAX_BYTES = 2 * 1024 * 1024  # as they stand in the log: some seven times that as encrypted cells for COPY


@dataclass(frozen=True, slots=True)
class Work:
    """Records that are applied in one transaction; batches of one table and attempt, or one of its markers."""

    records: tuple[LogRecord, ...]

    @property
    def is_marker(self) -> bool:
        """Whether these are markers, one a partition."""
        return self.records[0].header.kind is not Kind.BATCH

    @property
    def topic(self) -> str:
        """The topic all of it stands in."""
        return self.records[0].position.topic

    @property
    def generation(self) -> int:
        """The generation all of it is of."""
        return self.records[0].header.generation

    @property
    def attempt(self) -> int:
        """The attempt all of it is of."""
        return self.records[0].header.attempt

    @property
    def ends(self) -> dict[Partition, tuple[int, int]]:
        """For each partition the first offset here, and the one that follows the last."""
        found: dict[Partition, tuple[int, int]] = {}
        for record in self.records:
            first, _ = found.get(record.partition, (record.position.offset, 0))
            found[record.partition] = (first, record.position.offset + 1)
        return found


class Backlog:
    """Records by partition, oldest first."""

    def __init__(self, *, max_batches: int = MAX_BATCHES, max_bytes: int = MAX_BYTES) -> None:
        self._max_batches = max_batches
        self._max_bytes = max_bytes
        self._queues: dict[Partition, deque[tuple[int, LogRecord]]] = {}
        self._arrivals = 0
        self.bytes = 0
        self.records = 0

    def add(self, record: LogRecord) -> None:
        """Take in a record that was polled."""
        self._queues.setdefault(record.partition, deque()).append((self._arrivals, record))
        self._arrivals += 1
        self.records += 1
        self.bytes += len(record.value)

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget what was polled of partitions."""
        for partition in partitions:
            for _, record in self._queues.pop(partition, ()):
                self.records -= 1
                self.bytes -= len(record.value)

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """Partitions that have records here."""
        return tuple(self._queues)

    def head(self, place: Partition) -> LogRecord | None:
        """The next record of a partition."""
        queue = self._queues.get(place)
        return queue[0][1] if queue else None

    def heads(self) -> tuple[LogRecord, ...]:
        """The next record of each partition, in order of arrival."""
        ordered = sorted(queue[0] for queue in self._queues.values())
        return tuple(record for _, record in ordered)

    def take(self, head: LogRecord) -> Work:
        """The work that begins with `head`, one of `heads`: its marker on each partition, or batches of its table."""
        same = [head.partition] + [
            place for place in self._queues if place.topic == head.partition.topic and place != head.partition
        ]
        if head.header.kind is not Kind.BATCH:
            return Work(tuple(self._pop(place) for place in same if _together(head, self._queues[place][0][1])))
        taken: list[LogRecord] = []
        size = 0
        for place in same:
            while queue := self._queues.get(place):
                record = queue[0][1]
                fits = not taken or (len(taken) < self._max_batches and size + len(record.value) <= self._max_bytes)
                if not fits or not _together(head, record):
                    break
                taken.append(self._pop(place))
                size += len(record.value)
        return Work(tuple(taken))

    def _pop(self, place: Partition) -> LogRecord:
        queue = self._queues[place]
        _, record = queue.popleft()
        if not queue:
            del self._queues[place]
        self.records -= 1
        self.bytes -= len(record.value)
        return record


def _together(one: LogRecord, other: LogRecord) -> bool:
    return (one.header.kind, one.header.generation, one.header.attempt) == (
        other.header.kind,
        other.header.generation,
        other.header.attempt,
    )
