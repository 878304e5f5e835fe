"""The consumer as a member of its group: partitions come, flow or are paused by the gate, are read again, go.

Callbacks run inside `poll`. Positions come from the target; what Kafka is told of them is a hint
for lag tools.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import psycopg

from consumer.flow import Flow
from consumer.gate import Gate
from consumer.link import Link
from consumer.orphans import Orphans
from consumer.session import Session
from consumer.stall import unowned
from consumer.stops import Stops
from runtime import ownership
from runtime.kafka import Group, LogRecord, Partition
from runtime.kafka.reading import foreign_log
from runtime.progress import Progress
from runtime.reporting import PartitionFreed, PartitionStopped, Report, Warned
from runtime.steps import OffsetsCommitted, PartitionsClaimed, PartitionsGivenUp, RecordPolled
from runtime.stops import note_stop
from schemas.avro import table_of_topic, topic_name
from schemas.errors import ContractError, LogError
from schemas.records import Poisoned, Position

COMMIT_S = 2.0
UNKNOWN_S = 20.0  # the control topic may be seen a moment later than what it tells of
ASK_TIMEOUT_S = 2.0
SHOWN = 5
SESSION_TIMEOUT_S = 6.0  # a killed member is replaced after it; brokers accept no less by default


class Membership:
    """One member of the tenant's group, from `join` to `leave`; `gate` is what lets its partitions flow."""

    gate: Gate

    def __init__(self, session: Session, link: Link, flow: Flow, read: Callable[[], Progress], report: Report) -> None:
        self.must_restart = False  # what was taken in may not follow what was dropped
        self._session = session
        self._link = link
        self._flow = flow
        self._read = read
        self._report = report
        self._group: Group | None = None
        self._topics: frozenset[str] = frozenset()
        self._polled: set[Partition] = set()  # since they were assigned
        self._lost_at: dict[Partition, int] = {}
        self._stops = Stops()
        self._orphans = Orphans()
        self._unknown_since: dict[Position, float] = {}
        self._told_kafka_at = 0.0
        self._told_kafka: dict[Partition, int] = {}

    @property
    def is_joined(self) -> bool:
        """Whether it is in the group now."""
        return self._group is not None

    # ------------------------------------------------------------ joining and leaving

    def join(self, progress: Progress) -> None:
        """Be in the group, for every table that progress knows."""
        topics = frozenset(table.topic for table in progress.tables.values())
        if self._group is None:
            self._group = Group(
                self._session.kafka,
                self._session.group,
                session_timeout_s=SESSION_TIMEOUT_S,
                max_message_bytes=self._session.migration.log.max_message_bytes,
            )
            self._topics = frozenset()
        if topics != self._topics:
            self._group.subscribe(sorted(topics), self._assigned, self._revoked, self._gone)
            self._topics = topics

    def adopt(self, progress: Progress) -> None:
        """Join anew when partitions stay nobody's in the group."""
        if self._group is None:
            return
        group = self._session.group
        orphans = self._orphans.look(
            tuple(unowned(progress)), lambda: self._session.admin().group_assignment(group, ASK_TIMEOUT_S)
        )
        if orphans:
            listed = ", ".join(map(str, orphans[:SHOWN])) + (", …" if len(orphans) > SHOWN else "")
            self._report(Warned(f"group {group} has settled and left {listed} to nobody; joining it again"))
            self._group.unsubscribe()
            self._topics = frozenset()
            self.join(progress)

    def leave(self) -> None:
        """Leave the group, positions told to Kafka; nothing is in hand afterwards."""
        if self._group is None:
            return
        group, self._group = self._group, None
        writer, connection = self._link.writer, self._link.connection
        self._flow.forget()
        try:
            if writer is not None and not connection.closed:
                told = dict(writer.positions)
                if group.commit(told, wait=True):
                    self._report(OffsetsCommitted(len(told)))
                    noted = {(topic, number): offset for (topic, number), offset in told.items()}
                    ownership.note_committed(connection, self._session.tenant, noted)
        except (psycopg.Error, LogError):
            pass  # a hint only
        finally:
            group.close()
            self._topics = frozenset()
            self._polled.clear()
            self._told_kafka.clear()
            self._unknown_since.clear()
            self._lost_at.clear()
            self._free(self._stops.places)

    def tell_kafka(self) -> None:
        """Commit offsets that have moved, now and then."""
        writer = self._link.writer
        if self._group is None or writer is None or time.monotonic() - self._told_kafka_at < COMMIT_S:
            return
        news = {
            place: offset
            for place, offset in writer.positions.items()
            if offset and self._told_kafka.get(place) != offset and place in self._group.assigned
        }
        if news:
            self._group.commit(news)
            self._report(OffsetsCommitted(len(news)))
        self._told_kafka |= news
        self._told_kafka_at = time.monotonic()

    def warn_of_offsets(self, progress: Progress) -> None:
        """Tell when somebody set back what Kafka was told."""
        known = {
            Partition(*place): item.committed_offset
            for place, item in progress.positions.items()
            if item.committed_offset is not None
        }
        if not known:
            return
        committed = self._session.admin().committed_offsets(self._session.group)
        for place, offset in known.items():
            if place in committed and committed[place] < offset:
                self._report(
                    Warned(
                        f"{place}: somebody set Kafka's committed offset back to {committed[place]}; positions are kept "
                        "in the target and go on from there; to apply the log again run `consumer replay`"
                    )
                )

    # ------------------------------------------------------------ what flows

    def open_and_close(self) -> None:
        """Let flow what the gate lets flow, and nothing else."""
        if self._group is None:
            return
        opened: list[Partition] = []
        closed: list[Partition] = []
        for place in self._group.assigned:
            (opened if self._may_flow(place) else closed).append(place)
        self._group.pause(closed)
        self._group.resume(opened)

    def open_after(self, table: str) -> None:
        """Let flow what waited for a table, and nothing else any more."""
        if self._group is not None:
            topics = {topic_name(self._session.prefix, name) for name in self.gate.opened_by(table)}
            self._group.resume(place for place in self._group.paused if place.topic in topics and self._may_flow(place))

    def hold(self, record: LogRecord) -> None:
        """Pause a partition, to be read again from this record when it may flow."""
        assert self._group is not None
        self._group.pause([record.partition])
        self._group.seek(record.partition, record.position.offset)
        self._stops.read_again(record.partition)
        self._see_known(record)

    def _see_known(self, record: LogRecord) -> None:
        """What the control topic does not name after a while was written by another program."""
        header, position = record.header, record.position
        table = self._table(record.partition)
        if self.gate.knows(table, header.generation, header.attempt):
            return
        since = self._unknown_since.setdefault(position, time.monotonic())
        if time.monotonic() - since > UNKNOWN_S:
            error = ContractError(
                f"{position}: generation {header.generation}, attempt {header.attempt} of {table}, which the control "
                "topic does not name",
                hint="see who else writes to this topic; `consumer inspect` shows the record",
            )
            self._halt(Poisoned(position, error))

    def poll(self, timeout_s: float) -> LogRecord | None:
        """The next record of the log."""
        assert self._group is not None
        try:
            record = self._group.poll(timeout_s)
        except Poisoned as poison:
            self._halt(poison)
            return None
        if record is not None:
            self._report(RecordPolled(*record.partition, record.position.offset))
        return record

    def take_in(self, record: LogRecord) -> None:
        """Take a polled record in hand, if its partition is still ours and has not stopped before it."""
        writer = self._link.writer
        if writer is None or self._group is None or record.partition not in writer.positions:
            return
        if self._stops.is_beyond(record.position):
            self._group.pause([record.partition])
            return
        if record.header.log != writer.log_id:
            self._halt(Poisoned(record.position, foreign_log(record, writer.log_id)))
            return
        self._polled.add(record.partition)
        self._flow.take_in(record)

    def _may_flow(self, place: Partition) -> bool:
        writer = self._link.writer
        table = table_of_topic(self._session.prefix, place.topic)
        is_ours = writer is not None and place in writer.positions and not self._stops.is_reached(place)
        return table is not None and is_ours and self.gate.is_open(place.topic, place.number, table)

    # ------------------------------------------------------------ partitions come and go (inside poll)

    def _assigned(self, places: tuple[Partition, ...]) -> Mapping[Partition, int]:
        assert self._link.writer is not None
        assert self._group is not None
        writer = self._link.writer
        tables = {place: table_of_topic(self._session.prefix, place.topic) or "" for place in places}
        claimed = self._link.patiently(lambda: writer.claim(tables, self._link.member))
        self._report(PartitionsClaimed(len(claimed)))
        self.gate = Gate(self._link.patiently(self._read))
        self._group.pause([place for place in places if not self._may_flow(place)])
        return {place: claimed[place].next_offset for place in places}

    def _revoked(self, places: tuple[Partition, ...]) -> None:
        self._gone(places)
        self._report(PartitionsGivenUp(len(places)))
        try:
            if self._link.writer is not None and not self._link.connection.closed:
                self._link.writer.give_back(places)
        except psycopg.Error:
            pass  # the backend is gone with its connection: an heir finds no owner that lives

    def _gone(self, places: tuple[Partition, ...]) -> None:
        """Another member may own them already: nothing of them is written any more."""
        self._flow.forget()
        if self._link.writer is not None:
            for place in places:
                self._link.writer.positions.pop(place, None)
        self._polled.difference_update(places)
        self._lost_at = {place: offset for place, offset in self._lost_at.items() if place not in places}
        self._free(places)
        self.must_restart = True

    # ------------------------------------------------------------ partitions stop

    def stop_at(self, poison: Poisoned) -> None:
        """A record in hand stops its partition. What is in hand is read again, up to there."""
        self._halt(poison)
        self.must_restart = True
        self.restart_if_needed()

    def _halt(self, poison: Poisoned) -> None:
        """Deliver nothing of a partition from this record on, and say so once."""
        place = Partition(poison.position.topic, poison.position.partition)
        writer = self._link.writer
        if self._group is None or writer is None or place not in writer.positions:
            return
        self._group.pause([place])
        if poison.position.offset < writer.positions[place]:  # damage is told of by the first of the records around it
            poison = Poisoned(Position(*place, writer.positions[place]), poison)
        if self._stops.meet(poison):
            self._report(PartitionStopped(self._table(place), place.number, str(poison), poison.hint))

    def note_stops(self) -> None:
        """Write down where partitions have stopped, once everything before that is applied."""
        for poison in self._stops.to_note():
            place = Partition(poison.position.topic, poison.position.partition)
            if not self._flow.holds(place):
                note_stop(
                    self._link.connection,
                    self._session.tenant,
                    poison,
                    table=self._table(place),
                    member=self._link.member,
                )
                self._stops.noted(poison)

    def _table(self, place: Partition) -> str:
        return table_of_topic(self._session.prefix, place.topic) or ""

    def _free(self, places: Iterable[Partition]) -> None:
        for place in self._stops.forget(places):
            self._report(PartitionFreed(self._table(place), place.number))

    # ------------------------------------------------------------ reading again

    def wrote(self) -> None:
        """Note that something was written: a position that has moved is in doubt no more."""
        positions = {} if self._link.writer is None else self._link.writer.positions
        self._lost_at = {place: offset for place, offset in self._lost_at.items() if positions.get(place) == offset}

    def restart_if_needed(self) -> None:
        """Read again from the positions in the target whatever was in hand."""
        if not self.must_restart or self._group is None or self._link.writer is None:
            self.must_restart = False
            return
        self.must_restart = False
        self._flow.forget()
        for place in sorted(self._polled & self._group.assigned):
            if place in self._link.writer.positions:
                self._group.seek(place, self._link.writer.positions[place])
                self._stops.read_again(place)
        self._polled.clear()

    def lost(self, place: Partition) -> None:
        """A position is not where we believed: read it again, or leave the partition to who owns it now.

        For the second time in the same place, what must follow is not there: the partition stops.
        """
        link = self._link
        assert link.writer is not None
        found = ownership.reclaim(link.connection, self._session.tenant, [place], link.member)
        if place in found:
            if self._lost_at.get(place) == found[place]:
                error = ContractError(
                    f"{place}: the batches after offset {found[place]} are not those that must follow",
                    hint="records are missing in the log; `producer snapshot` takes the tables anew",
                )
                self.stop_at(Poisoned(Position(*place, found[place]), error))
                return
            self._lost_at[place] = link.writer.positions[place] = found[place]
        else:
            link.writer.positions.pop(place, None)
            if self._group is not None:
                self._group.pause([place])
            self._report(Warned(f"{place}: another consumer owns it now"))
        self.must_restart = True
        self.restart_if_needed()
