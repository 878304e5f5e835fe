"""Stopped partitions: a record that cannot be understood stops its partition there, and the others go on. Pure.

What stands before the record is applied. A process meets the record once and does not try it again;
another process that gets the partition, or this one after a restart, does: it may have been a wrong key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from consumer.gate import Gate
from runtime.kafka import Partition
from runtime.progress import Progress, StoppedPartition, TableState, instant_text
from schemas.errors import ContractError
from schemas.records import Poisoned, Position

_COMPLETE = (TableState.COMPLETE, TableState.APPLIED)


class Stops:
    """The stops that one member has met in the partitions it owns."""

    def __init__(self) -> None:
        self._met: dict[Partition, Poisoned] = {}
        self._reached: set[Partition] = set()
        self._noted: set[Partition] = set()
        self._told: set[Position] = set()

    def meet(self, poison: Poisoned) -> bool:
        """Note that a record stops its partition; returns whether nobody was told so far."""
        place = Partition(poison.position.topic, poison.position.partition)
        known = self._met.get(place)
        if known is None or poison.position < known.position:
            self._met[place] = poison
            self._noted.discard(place)
        self._reached.add(place)
        is_new = poison.position not in self._told
        self._told.add(poison.position)
        return is_new

    def is_beyond(self, position: Position) -> bool:
        """Whether a record is the one that stops its partition, or comes after it."""
        place = Partition(position.topic, position.partition)
        is_beyond = place in self._met and position >= self._met[place].position
        if is_beyond:
            self._reached.add(place)
        return is_beyond

    def is_reached(self, place: Partition) -> bool:
        """Whether nothing more can come of a partition."""
        return place in self._reached

    def read_again(self, place: Partition) -> None:
        """Note that a partition is read again from its position: what comes before the stop may come once more."""
        self._reached.discard(place)

    def to_note(self) -> tuple[Poisoned, ...]:
        """Stops that have been reached and are not written down."""
        return tuple(self._met[place] for place in sorted(self._reached & self._met.keys() - self._noted))

    def noted(self, poison: Poisoned) -> None:
        """Note that a stop is written down."""
        self._noted.add(Partition(poison.position.topic, poison.position.partition))

    def forget(self, places: Iterable[Partition]) -> tuple[Partition, ...]:
        """Forget partitions that are no longer ours; returns those that had stopped."""
        gone = tuple(place for place in places if self._met.pop(place, None) is not None)
        self._reached.difference_update(gone)
        self._noted.difference_update(gone)
        return gone

    @property
    def places(self) -> tuple[Partition, ...]:
        """Partitions that have stopped."""
        return tuple(self._met)


class PartitionsStopped(ContractError):
    """Partitions have stopped, and nothing else of the generation can move."""

    def __init__(self, progress: Progress) -> None:
        stops = progress.stops
        many = f"{len(stops)} partitions have" if len(stops) > 1 else "a partition has"
        lines = "".join(f"\n  {line}" for line in stopped_lines(stops))
        super().__init__(
            f"{many} stopped, and nothing else can move:{lines}",
            hint="put right what is named and start again: each is tried again; or give a record up: "
            "`consumer quarantine skip POSITION` (docs/operating.md)",
        )
        self.stops = stops


def stopped_lines(stops: Sequence[StoppedPartition]) -> Iterator[str]:
    """Where partitions have stopped, since when, why, and what to do."""
    for stop in stops:
        position = Position(stop.topic, stop.partition, stop.offset)
        reason = stop.reason.removeprefix(f"{position}: ")
        yield f"{position} (since {instant_text(stop.since)[:19]}Z): {reason}" + (f"; {stop.hint}" if stop.hint else "")


def nothing_moves(progress: Progress) -> bool:
    """Whether all that is left of the running generation waits behind stopped partitions.

    Only a generation that is complete in the log is judged, and only stops of members that still own
    the partition count: others will be tried again.
    """
    running = progress.running
    if running is None or not running.is_prepared or not running.is_published:
        return False
    held = {(stop.topic, stop.partition) for stop in progress.stops if stop.is_held}
    waiting = Gate(progress).waits_for()
    has_stopped = False
    for table in progress.tables_of(running.generation):
        if table.state in _COMPLETE or table.table_name in waiting:
            continue
        for number in range(table.partitions or 1):
            item = progress.positions.get((table.topic, number))
            finished = (0, 0) if item is None else (item.finished_generation, item.finished_attempt)
            if finished == (table.generation, table.attempt):
                continue
            if (table.topic, number) not in held:
                return False
            has_stopped = True
    return has_stopped
