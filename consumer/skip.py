"""Getting past a record at which a partition stopped, when it cannot be put right.

What the record was decides what is lost by it, and all of that is counted: rows of a batch go into
quarantine without their values (`quarantine retry` reads the record again), so that published is
still applied plus quarantined, the generation ends not whole, and reconcile goes on to say so.
A record that was never part of this log costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import psycopg

from runtime import advance, ownership, stops
from runtime.advance import Step
from runtime.control import open_control
from runtime.kafka import Damaged, LogRecord
from runtime.kafka.reading import end_of_damage, first_from
from runtime.keyring import Keyring
from runtime.postgres import Connection, explain
from runtime.progress import PositionProgress, Progress, StoppedPartition, TableProgress
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, ContractError, KeyringError, Refused
from schemas.records import Kind, Position, TableFinished

MAX_ROWS = 1000  # of a batch


class Way(StrEnum):
    """How a partition gets past a record."""

    PASS = "pass"  # noqa: S105 - nothing of this log is lost by it
    BEGIN = "begin"  # the marker that begins the attempt: the control topic says the same
    SET_ASIDE = "set aside"  # a batch: its rows go into quarantine
    DAMAGED = "damaged"  # nothing can be known of them: what they had is counted at the end marker
    GAP = "gap"  # batches are missing before this one: what they had is counted at the end marker
    SHORT = "short"  # an end marker that tells of more rows than came: what is missing counts as quarantined
    FINISH = "finish"  # an end marker that cannot be read: the same, by the table's own number


_SAID = {
    Way.PASS: "no record of the generation that is applied: nothing is lost by it",
    Way.BEGIN: "the marker that begins the table here: the control topic says the same, nothing is lost by it",
    Way.SET_ASIDE: "a batch: its rows go into quarantine, to be read again by `consumer quarantine retry`",
    Way.DAMAGED: "records that the broker damaged, up to there: what they had will be counted at the table's end marker",
    Way.GAP: "batches are missing before it: what they had will be counted at the table's end marker",
    Way.SHORT: "the marker that ends the table here: the missing rows are given up, they count as quarantined",
    Way.FINISH: "the marker that ends the table here: missing rows are given up, they count as quarantined",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """What will be done about one stop; `rows` count as not applied from then on."""

    stop: StoppedPartition
    way: Way
    position: Position  # of the record
    batches: int  # that the partition has had by then
    rows: int = 0
    keeps: bool = False  # the record itself is not at fault, and will be applied
    generation: int = 0
    attempt: int = 0

    def lines(self) -> Iterator[str]:
        """As it is shown before asking."""
        yield f"skips {self.position} of table {self.stop.table_name}: {_SAID[self.way]}"
        yield f"  it stopped because: {self.stop.reason}"
        if self.rows > 0:
            yield f"  {self.rows:,} rows will not be applied; `validator reconcile` will say so"


def parse_position(text: str) -> Position:
    """A position as it is shown everywhere, `topic-partition@offset`.

    Raises:
        ConfigurationError: it is none.
    """
    place, _, offset = text.rpartition("@")
    topic, _, partition = place.rpartition("-")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise ConfigurationError(f"{text}: no position", hint="as `consumer status` shows it: rawdog.orders-1@17")
    return Position(topic, int(partition), int(offset))


def plan_skip(settings: KafkaSettings, progress: Progress, wanted: Position, keyring: Keyring | None) -> Skip:
    """See what the record is, and what is lost with it.

    Raises:
        ConfigurationError: no partition has stopped there.
        Refused: records before it are not applied so far, or nothing but replay helps.
    """
    stop = _stop_at(progress, wanted)
    item = progress.positions[wanted.topic, wanted.partition]
    look = Look(settings, keyring, progress.tenant.tenant)
    try:
        found = first_from(settings, Position(wanted.topic, wanted.partition, item.next_offset))
    except Damaged:
        return _past_damage(
            progress, Skip(stop=stop, way=Way.DAMAGED, position=wanted, batches=item.batches), item, look
        )
    if found is None or (found[0].offset > wanted.offset and item.next_offset != wanted.offset):
        raise Refused(f"{wanted}: no record stands there any more", hint="`consumer run` goes on where it was")
    position, record = found
    if position.offset < wanted.offset:
        raise Refused(
            f"{wanted}: records before it are not applied so far, the first is {position}",
            hint="start `consumer run`; skip the record when the partition has stopped there again",
        )
    skip = Skip(stop=stop, way=Way.PASS, position=position, batches=item.batches)
    if record is None:
        return skip
    return _judged(progress, skip, item, record, look)


def _stop_at(progress: Progress, wanted: Position) -> StoppedPartition:
    for stop in progress.stops:
        if (stop.topic, stop.partition, stop.offset) == (wanted.topic, wanted.partition, wanted.offset):
            return stop
    known = ", ".join(str(Position(stop.topic, stop.partition, stop.offset)) for stop in progress.stops) or "nowhere"
    raise ConfigurationError(f"{wanted}: no partition has stopped there (stopped: {known})")


def _judged(progress: Progress, skip: Skip, item: PositionProgress, record: LogRecord, look: Look) -> Skip:
    """What a record is that stands next in its partition; `skip` is how to pass it by."""
    table = _current(progress, skip.stop, record)
    if table is None:
        return skip
    skip = replace(skip, generation=table.generation, attempt=table.attempt)
    has_begun = (item.generation, item.attempt) == (table.generation, table.attempt)
    kind, number = record.header.kind, record.header.sequence // (table.partitions or 1)
    if not has_begun and kind in (Kind.BATCH, Kind.TABLE_STARTED):
        return replace(skip, way=Way.BEGIN, batches=0, keeps=kind is Kind.BATCH)
    if kind is Kind.BATCH and number > item.batches:
        return replace(skip, way=Way.GAP, batches=number, keeps=True)
    if kind is Kind.BATCH and number == item.batches and record.header.rows <= MAX_ROWS:
        return replace(skip, way=Way.SET_ASIDE, rows=record.header.rows, batches=number + 1)
    if kind is Kind.TABLE_FINISHED and has_begun and not look.goes_on_after(skip.position, table):
        return _at_the_end(progress, skip, table, item, look.marker(record, table))
    return skip


def _past_damage(progress: Progress, skip: Skip, item: PositionProgress, look: Look) -> Skip:
    """What is lost with damaged records is known from what follows them only."""
    end = end_of_damage(look.settings, skip.position)
    skip = replace(skip, position=replace(end, offset=end.offset - 1))
    running = progress.running
    table = None if running is None else progress.tables.get((running.generation, skip.stop.table_name))
    if table is None:
        return skip
    skip = replace(skip, generation=table.generation, attempt=table.attempt)
    if (item.generation, item.attempt) != (table.generation, table.attempt):
        return replace(skip, way=Way.BEGIN, batches=0, keeps=True)
    if look.goes_on_after(skip.position, table):
        return skip
    return _at_the_end(progress, skip, table, item, None)


def _current(progress: Progress, stop: StoppedPartition, record: LogRecord) -> TableProgress | None:
    """The table of the running generation, if the record claims to be of its newest attempt."""
    running = progress.running
    table = None if running is None else progress.tables.get((running.generation, stop.table_name))
    if table is None or record.header.log != progress.tenant.log_id:
        return None
    return table if _is_of(record, table) else None


def _is_of(record: LogRecord, table: TableProgress) -> bool:
    return (record.header.generation, record.header.attempt) == (table.generation, table.attempt)


def _at_the_end(
    progress: Progress, skip: Skip, table: TableProgress, item: PositionProgress, marker: TableFinished | None
) -> Skip:
    counted = item.applied + item.quarantined
    if marker is not None:
        missing = marker.partition_rows - counted
        return replace(skip, way=Way.SHORT, rows=missing, batches=marker.partition_batches, keeps=True)
    places = [(table.topic, number) for number in range(table.partitions or 1) if number != item.partition]
    others = [progress.positions.get(place) for place in places]
    done = [
        other
        for other in others
        if other is not None
        and (other.finished_generation, other.finished_attempt) == (table.generation, table.attempt)
    ]
    if table.published is None or len(done) < len(others):
        raise Refused(
            f"{skip.position}: what this marker told can be known only when the table's other partitions are applied",
            hint="start `consumer run`; skip this record last",
        )
    missing = table.published - counted - sum(other.applied + other.quarantined for other in done)
    return replace(skip, way=Way.FINISH, rows=missing)


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked up in the log to judge an end marker."""

    settings: KafkaSettings
    keyring: Keyring | None
    tenant: str

    def goes_on_after(self, position: Position, table: TableProgress) -> bool:
        """Whether the attempt goes on in the partition after a record: then that was not its end."""
        found = first_from(self.settings, replace(position, offset=position.offset + 1))
        return found is not None and found[1] is not None and _is_of(found[1], table)

    def marker(self, record: LogRecord, table: TableProgress) -> TableFinished | None:
        """The end marker, None if it cannot be read or is another table's."""
        try:
            found = open_control(record, self.keyring, self.tenant)
        except (ContractError, KeyringError):
            return None
        return found if isinstance(found, TableFinished) and found.table == table.table_name else None


def skip_record(connection: Connection, tenant: str, skip: Skip) -> None:
    """Get the partition past it, durably; nobody may be consuming.

    Raises:
        PositionLost: somebody moved the partition meanwhile; nothing was done.
        TargetError: the target refuses; nothing was done.
    """
    place = (skip.stop.topic, skip.stop.partition)
    try:
        claimed = ownership.claim(connection, tenant, {place: skip.stop.table_name}, "skip")[place]
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO on")
            _apply(connection, tenant, skip, claimed.next_offset)
        ownership.give_back(connection, tenant, [place])
    except psycopg.Error as error:
        raise explain(error, f"skipping {skip.position} (nothing was done)") from None


def _apply(connection: Connection, tenant: str, skip: Skip, believed: int) -> None:
    step = Step(
        partition=(skip.stop.topic, skip.stop.partition),
        believed=believed,
        next_offset=believed if skip.keeps else skip.position.offset + 1,
        generation=skip.generation,
        attempt=skip.attempt,
    )
    if skip.way in (Way.SET_ASIDE, Way.GAP, Way.SHORT, Way.FINISH):
        _count(connection, tenant, skip, step)
    if skip.way is Way.BEGIN:
        advance.begin_partitions(connection, tenant, skip.stop.table_name, [step])
    elif skip.way is Way.FINISH:
        advance.finish_partitions(connection, tenant, skip.stop.table_name, [step])
    else:
        advance.pass_over(connection, tenant, step)
    stops.end_stop(connection, tenant, step.partition)


def _count(connection: Connection, tenant: str, skip: Skip, step: Step) -> None:
    is_exact = stops.count_lost(
        connection,
        tenant,
        step,
        table=skip.stop.table_name,
        offset=skip.position.offset,
        rows=skip.rows,
        batches=skip.batches,
        is_open=skip.way is Way.SET_ASIDE,
    )
    if not is_exact:
        raise Refused(
            f"{skip.position}: more rows were applied than there should be",
            hint=f"`consumer replay --table {skip.stop.table_name}` reads the table again from its beginning",
        )
