"""A load that stands still: since when, and what waits for what. Pure.

What counts is what moves in the target: positions, and tables and generations that begin or end.
A partition that is behind and owned is not idle by itself; only time tells, and how long is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from consumer.gate import Gate
from runtime.kafka import Partition
from runtime.progress import GenerationProgress, PositionProgress, Progress, TableProgress, TableState

STALL_S = 30.0

Lag = Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Wait:
    """What does not move: a table, one of its partitions or a generation; `for_what` completes "waits for …"."""

    who: str
    for_what: str

    def __str__(self) -> str:
        return f"{self.who} waits for {self.for_what}"


def still_s(progress: Progress) -> float | None:
    """Seconds since something of the running generation moved, None when no generation runs."""
    running = progress.running
    if running is None or progress.read_at is None:
        return None
    tables = progress.tables_of(running.generation)
    topics = {table.topic for table in tables}
    times: list[datetime | None] = [running.known_at, running.prepared_at, running.loaded_at]
    times += [time for table in tables for time in (table.started_at, table.finished_at)]
    times += [item.moved_at for item in progress.positions.values() if item.topic in topics]
    return max((progress.read_at - max(time for time in times if time is not None)).total_seconds(), 0.0)


def is_stalled(progress: Progress) -> bool:
    """Whether nothing has moved for so long that somebody should look."""
    return (still_s(progress) or 0.0) >= STALL_S


def waits(progress: Progress, lag: Lag) -> tuple[Wait, ...]:
    """What of the running generation does not go on by itself; `lag` are offsets behind the log's end."""
    running = progress.running
    return () if running is None else tuple(_waits(progress, running, lag))


def _waits(progress: Progress, running: GenerationProgress, lag: Lag) -> Iterator[Wait]:
    gate = Gate(progress)
    name = f"generation {running.generation}"
    if not running.is_prepared:
        yield Wait(name, "a consumer that prepares the schema")
        return
    if gate.is_loaded(running):
        yield Wait(name, "a consumer that ends it: vanished rows, indexes, constraints")
        return
    closed = gate.waits_for()
    for table in progress.tables_of(running.generation):
        if table.table_name in closed:
            yield Wait(table.table_name, f"{' and '.join(closed[table.table_name])} to be complete (gate)")
        elif table.instant is None or table.partitions is None:
            yield Wait(table.table_name, "the producer, which has not begun with it")
        elif table.state not in (TableState.COMPLETE, TableState.APPLIED):
            yield from _of_partitions(progress, table, lag)
    if all(table.state is TableState.COMPLETE for table in progress.tables_of(running.generation)):
        yield Wait(name, "the producer, which has not ended the snapshot")


def _of_partitions(progress: Progress, table: TableProgress, lag: Lag) -> Iterator[Wait]:
    stopped = {(stop.topic, stop.partition): stop.offset for stop in progress.stops}
    for place, item in _undone(progress, table):
        if place in stopped:
            yield Wait(str(place), f"somebody to put right what stopped it at offset {stopped[place]}")
        elif item is None or item.owner_member is None:
            yield Wait(str(place), "a consumer that owns it")
        elif lag.get(place, 1) == 0:
            yield Wait(str(place), "the producer: all that is in the log is applied")
        else:
            behind = f", {lag[place]:,} offsets behind the log's end" if place in lag else ""
            yield Wait(str(place), f"consumer {item.owner_member}, which owns it at offset {item.next_offset}{behind}")


def unowned(progress: Progress) -> Iterator[Partition]:
    """Partitions of the running generation that nobody owns and that are not applied to their end."""
    running = progress.running
    for table in progress.tables_of(running.generation) if running is not None else ():
        for place, item in _undone(progress, table):
            if item is None or item.owner_member is None:
                yield place


def _undone(progress: Progress, table: TableProgress) -> Iterator[tuple[Partition, PositionProgress | None]]:
    """Partitions of a table that are not applied to their end, with what is known of each."""
    for number in range(table.partitions or 0):
        place = Partition(table.topic, number)
        item = progress.positions.get(place)
        done = None if item is None else (item.finished_generation, item.finished_attempt)
        if done != (table.generation, table.attempt):
            yield place, item


def stall_lines(progress: Progress, lag: Lag) -> Iterator[str]:
    """That nothing moves, and what waits for what; nothing while it moves."""
    if is_stalled(progress):
        yield f"nothing has moved for {still_s(progress):,.0f} s:"
        yield from (f"  {wait}" for wait in waits(progress, lag))


class Patience:
    """Tells once that nothing moves, and again only after something has."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, progress: Progress, lag: Callable[[], Lag]) -> str:
        """What to tell, "" when there is nothing new."""
        is_stalled_now = is_stalled(progress)
        is_new = is_stalled_now and not self._is_told
        self._is_told = is_stalled_now
        return "\n".join(stall_lines(progress, lag())) if is_new else ""
