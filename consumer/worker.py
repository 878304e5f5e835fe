"""The consumer's loop: poll, hand over, COPY, move on; and twice a second look at gate and control topic.

One thread polls Kafka and writes to the target, a second one prepares the next group of batches
beside it. Whatever goes wrong, the target says where to go on: after a lost connection or
partition everything in hand is dropped and read again from the positions there.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from consumer import generation
from consumer.control import ControlReader
from consumer.flow import Flow
from consumer.gate import Gate
from consumer.last_chance import LastChance
from consumer.session import Session
from consumer.writer import Limits, Writer
from runtime import ownership
from runtime.advance import PositionLost
from runtime.control import check_topics
from runtime.health import Heartbeat
from runtime.kafka import Group as KafkaGroup
from runtime.kafka import LogRecord, Partition
from runtime.kafka.reading import foreign_log
from runtime.postgres import TargetUnreachable, explain, is_transient, use_schema
from runtime.progress import GenerationState, Progress, read_progress
from runtime.reporting import Report, TableTotals, Waiting, Warned
from runtime.shutdown import StopFlag
from schemas.avro import control_topic, table_of_topic, topic_name
from schemas.errors import ContractError, LogError, TargetError

LOOK_S = 0.5
LOOK_SHARE = 5  # looking takes no more than a fifth of the time, however many tables there are
COMMIT_S = 2.0
GIVE_UP_S = 600.0
SESSION_TIMEOUT_S = 6.0  # a killed member is replaced after it; brokers accept no less by default

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. `until_complete` ends when the newest generation of the log has ended."""

    until_complete: bool = False
    aborts: bool = False


@dataclass
class Worker:
    """One member of the tenant's consumers."""

    session: Session
    options: Options
    report: Report
    stop: StopFlag
    heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(None))
    member: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        self._flow = Flow(self.session, self.report)
        self._polled: set[Partition] = set()  # since they were assigned
        self._lost_at: dict[Partition, int] = {}
        self._group: KafkaGroup | None = None
        self._topics: frozenset[str] = frozenset()
        self._must_restart = False
        self._looked_at = 0.0
        self._look_s = 0.0  # what reading the progress took last
        self._told_kafka_at = 0.0
        self._told_kafka: dict[Partition, int] = {}
        self._failing_since: float | None = None
        self._failures = 0
        self._loading = 0  # the generation that this process knows to be loading
        self._totals: set[tuple[int, str, int | None]] = set()
        self._waiting = ""

    def run(self) -> Progress | None:
        """Apply the log until stopped, or until complete; returns the progress at the end."""
        if not self._await_log():
            return None
        self._connection = self.session.connect()
        self._writer: Writer | None = None
        try:
            with self._flow:
                try:
                    return self._loop()
                finally:
                    self._flow.forget()
                    self._leave()
        finally:
            self._control.close()
            self._connection.close()

    def _await_log(self) -> bool:
        """Wait for the first generation in the control topic."""
        admin = self.session.admin()
        admin.ping()
        topic = control_topic(self.session.prefix)
        if not admin.exists(topic):
            self._see_unknown()
        while not admin.exists(topic):
            self._say_waiting(f"the first snapshot (topic {topic})")
            if self.stop.wait(LOOK_S / 2):
                return False
        self._control = self._flow.control = ControlReader(self.session)
        self._control.catch_up()
        while not self._control.state.generations:
            self._say_waiting(f"the first snapshot (topic {topic})")
            if self.stop.wait(LOOK_S):
                self._control.close()
                return False
            self._control.read()
        check_topics(admin, self._control.state, {})
        return True

    def _see_unknown(self) -> None:
        """There is no log: fine, unless the target has rows of one.

        Raises:
            LogError: it has; the topics were deleted.
        """
        with self.session.connect() as connection:
            progress = read_progress(connection, self.session.tenant)
        if progress is not None and progress.generations:
            raise LogError(
                f"topic {control_topic(self.session.prefix)} is gone, and the target has generation "
                f"{max(progress.generations)} of tenant {self.session.tenant} from it",
                hint="if the move is over, nothing is to be done; to start over: `consumer rollback`, then "
                "`producer snapshot`",
            )

    def _loop(self) -> Progress | None:
        progress: Progress | None = None
        while not self.stop.is_set:
            self.heartbeat.beat()
            try:
                if time.monotonic() - self._looked_at >= max(LOOK_S, LOOK_SHARE * self._look_s):
                    progress = self._look()
                    if self.options.until_complete and self._is_complete(progress):
                        return progress
                self._turn()
                self._restart_if_needed()
            except PositionLost as lost:
                self._lost(Partition(*lost.partition))
            except psycopg.Error as error:
                self._recover(error)
        return progress

    # ------------------------------------------------------------ looking around

    def _look(self) -> Progress:
        """Read the control topic and the progress, do what is due, and let flow what may."""
        connection = self._connection
        if self._writer is None:
            generation.register(self.session, connection, self._control.state.log)
        self._control.read()
        self._control.note(connection)
        progress = self._read()
        running = progress.running
        if running is not None and not running.is_prepared:
            generation.begin(self.session, connection, self.report)
            progress = self._read()
        elif running is not None and Gate(progress).is_loaded(running) and not self._flow.is_busy:
            if not self._finish(running.generation):
                self._looked_at = time.monotonic()
                return self._read()
            progress = self._read()
        self._gate = Gate(progress)
        self._see_loading(progress)
        if self._writer is None:
            self._warn_of_offsets(progress)
            self._writer = self._make_writer(progress)
        self._writer.reapply = progress.tenant.reapply
        self._tell_totals(progress)
        if not (self.options.until_complete and self._is_complete(progress)):
            self._join(progress)
        self._open_and_close()
        self._tell_kafka()
        self._looked_at = time.monotonic()
        return progress

    def _see_loading(self, progress: Progress) -> None:
        """Once a generation is prepared, find its types: the schemas of extensions may be new."""
        running = progress.running
        if running is None or not running.is_prepared or running.generation == self._loading:
            return
        self._loading = running.generation
        use_schema(self._connection, self.session.migration.schema_)

    def _read(self) -> Progress:
        began = time.monotonic()
        progress = read_progress(self._connection, self.session.tenant)
        self._look_s = time.monotonic() - began
        if progress is None:
            raise TargetError(
                f'tenant "{self.session.tenant}" vanished from the target while it was loaded',
                hint="somebody ran `consumer rollback`; start again",
            )
        return progress

    def _make_writer(self, progress: Progress) -> Writer:
        return Writer(
            connection=self._connection,
            tenant=self.session.tenant,
            log_id=progress.tenant.log_id,
            keyring=self.session.keyring,
            limits=self._limits(tries_again=not progress.tenant.made_schema),
            is_ours=progress.tenant.made_schema,
        )

    def _limits(self, *, tries_again: bool) -> Limits:
        most = self.session.migration.apply.max_quarantined
        return Limits(most, aborts=self.options.aborts, tries_again=tries_again)

    def _is_complete(self, progress: Progress) -> bool:
        latest = self._control.state.latest
        if latest is None or latest.finished is None or progress.running is not None:
            return False
        found = progress.generations.get(latest.number)
        return found is not None and found.state is GenerationState.ENDED

    def _finish(self, number: int) -> bool:
        """End a generation. It may take longer than the group waits for a member, so the group is left before."""
        self._leave()
        last_chance = LastChance(self._limits(tries_again=False))
        is_done = generation.end(self.session, self._connection, self.report, last_chance)
        if not is_done:
            self._say_waiting(f"generation {number} to be ended by another process")
        return is_done

    def _join(self, progress: Progress) -> None:
        topics = frozenset(table.topic for table in progress.tables.values())
        if self._group is None:
            self._group = KafkaGroup(
                self.session.kafka,
                self.session.group,
                session_timeout_s=SESSION_TIMEOUT_S,
                max_message_bytes=self.session.migration.log.max_message_bytes,
            )
            self._topics = frozenset()
        if topics != self._topics:
            self._group.subscribe(sorted(topics), self._assigned, self._revoked, self._gone)
            self._topics = topics

    def _warn_of_offsets(self, progress: Progress) -> None:
        known = {
            Partition(*place): item.committed_offset
            for place, item in progress.positions.items()
            if item.committed_offset is not None
        }
        if not known:
            return
        committed = self.session.admin().committed_offsets(self.session.group)
        for place, offset in known.items():
            if place in committed and committed[place] < offset:
                self.report(
                    Warned(
                        f"{place}: somebody set Kafka's committed offset back to {committed[place]}; positions are kept "
                        "in the target and go on from there; to apply the log again run `consumer replay`"
                    )
                )

    def _leave(self) -> None:
        if self._group is None:
            return
        group, self._group = self._group, None
        self._flow.forget()
        try:
            if self._writer is not None and not self._connection.closed:
                told = dict(self._writer.positions)
                group.commit(told, wait=True)
                ownership.note_committed(
                    self._connection, self.session.tenant, {(t, n): at for (t, n), at in told.items()}
                )
        except (psycopg.Error, LogError):
            pass  # a hint only
        finally:
            group.close()
            self._topics = frozenset()
            self._polled.clear()
            self._told_kafka.clear()

    def _open_and_close(self) -> None:
        if self._group is None:
            return
        opened: list[Partition] = []
        closed: list[Partition] = []
        for place in self._group.assigned:
            (opened if self._may_flow(place) else closed).append(place)
        self._group.pause(closed)
        self._group.resume(opened)
        if self._gate.progress.running is None:
            self._say_waiting("the next generation")

    def _open_after(self, table: str) -> None:
        """Let flow what waited for a table. Progress is read for it only when nothing else is left to do."""
        self._gate = self._gate.completed(table)
        running = self._gate.progress.running
        if running is None or self._gate.is_loaded(running):
            self._looked_at = 0.0
        elif self._group is not None:
            topics = {topic_name(self.session.prefix, name) for name in self._gate.opened_by(table)}
            self._group.resume(place for place in self._group.paused if place.topic in topics and self._may_flow(place))

    def _may_flow(self, place: Partition) -> bool:
        table = table_of_topic(self.session.prefix, place.topic)
        is_ours = self._writer is not None and place in self._writer.positions
        return table is not None and is_ours and self._gate.is_open(place.topic, place.number, table)

    def _tell_kafka(self) -> None:
        if self._group is None or self._writer is None or time.monotonic() - self._told_kafka_at < COMMIT_S:
            return
        news = {
            place: offset
            for place, offset in self._writer.positions.items()
            if offset and self._told_kafka.get(place) != offset and place in self._group.assigned
        }
        self._group.commit(news)
        self._told_kafka |= news
        self._told_kafka_at = time.monotonic()

    def _tell_totals(self, progress: Progress) -> None:
        if progress.running is None:
            return
        for table in progress.tables_of(progress.running.generation):
            fact = (table.generation, table.table_name, table.published)
            if fact not in self._totals:
                self._totals.add(fact)
                self.report(TableTotals(table.table_name, table.published, table.applied + table.quarantined))

    def _say_waiting(self, for_what: str) -> None:
        if for_what != self._waiting:
            self._waiting = for_what
            self.report(Waiting(for_what))

    # ------------------------------------------------------------ partitions come and go (inside poll)

    def _assigned(self, places: tuple[Partition, ...]) -> Mapping[Partition, int]:
        assert self._writer is not None
        assert self._group is not None
        writer = self._writer
        tables = {place: table_of_topic(self.session.prefix, place.topic) or "" for place in places}
        claimed = self._patiently(lambda: writer.claim(tables, self.member))
        self._gate = Gate(self._patiently(self._read))
        self._group.pause([place for place in places if not self._may_flow(place)])
        return {place: claimed[place].next_offset for place in places}

    def _revoked(self, places: tuple[Partition, ...]) -> None:
        self._gone(places)
        try:
            if self._writer is not None and not self._connection.closed:
                self._writer.give_back(places)
        except psycopg.Error:
            pass  # the backend is gone with its connection: an heir finds no owner that lives

    def _gone(self, places: tuple[Partition, ...]) -> None:
        """Another member may own them already: nothing of them is written any more."""
        self._flow.forget()
        if self._writer is not None:
            for place in places:
                self._writer.positions.pop(place, None)
        self._polled.difference_update(places)
        self._must_restart = True

    # ------------------------------------------------------------ the flow

    def _turn(self) -> None:
        """Take in records, hand groups to the second thread, write the oldest one that is ready."""
        polled = self._poll()
        if self._must_restart:
            return  # what was taken in may not follow what was dropped
        self._hand_on()
        if self._flow.is_busy and (not polled or self._flow.is_full or self._flow.is_ready):
            self._write()
            self._hand_on()

    def _poll(self) -> bool:
        if self._group is None:
            self.stop.wait(LOOK_S / 5)
            return False
        polled = False
        while self._flow.has_room and not self._must_restart:
            record = self._group.poll(0.0 if polled or not self._flow.is_idle else LOOK_S / 5)
            if record is None:
                break
            polled = True
            self._take_in(record)
        return polled

    def _take_in(self, record: LogRecord) -> None:
        writer = self._writer
        if writer is None or record.partition not in writer.positions:
            return
        if record.header.log != writer.log_id:
            raise foreign_log(record, writer.log_id)
        self._polled.add(record.partition)
        self._flow.take_in(record)

    def _hand_on(self) -> None:
        """Hand on what may flow; what may not is forgotten, and read again when it may."""
        for record in self._flow.hand_on(self._gate):
            assert self._group is not None
            self._group.pause([record.partition])
            self._group.seek(record.partition, record.position.offset)

    def _write(self) -> None:
        assert self._writer is not None
        completed = self._flow.write(self._writer, self._gate.progress)
        if completed is not None:
            self._open_after(completed)
        self._failing_since, self._failures = None, 0
        self._lost_at.clear()

    # ------------------------------------------------------------ when something was lost

    def _restart_if_needed(self) -> None:
        """Read again from the positions in the target whatever was in hand."""
        if not self._must_restart or self._group is None or self._writer is None:
            self._must_restart = False
            return
        self._must_restart = False
        self._flow.forget()
        for place in sorted(self._polled & self._group.assigned):
            if place in self._writer.positions:
                self._group.seek(place, self._writer.positions[place])
        self._polled.clear()

    def _lost(self, place: Partition) -> None:
        """A position is not where we believed: read it again, or leave the partition to who owns it now."""
        assert self._writer is not None
        found = ownership.reclaim(self._connection, self.session.tenant, [place], self.member)
        if place in found:
            if self._lost_at.get(place) == found[place]:
                raise ContractError(
                    f"{place}: the batches after offset {found[place]} are not those that must follow",
                    hint="records are missing in the log; `producer snapshot` takes the tables anew",
                )
            self._lost_at[place] = self._writer.positions[place] = found[place]
        else:
            self._writer.positions.pop(place, None)
            if self._group is not None:
                self._group.pause([place])
            self.report(Warned(f"{place}: another consumer owns it now"))
        self._must_restart = True
        self._restart_if_needed()

    def _recover(self, error: psycopg.Error) -> None:
        """After a transient failure of the target: connect again, own again what is ours, read again."""
        self._back_off(error)
        self._must_restart = True
        self._reconnect()
        self._restart_if_needed()

    def _back_off(self, error: psycopg.Error) -> None:
        if not is_transient(error):
            raise explain(error, f'tenant "{self.session.tenant}"') from None
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > GIVE_UP_S:
            raise explain(error, f"target: no success for {GIVE_UP_S:.0f} s") from None
        self._failures += 1
        self.report(Waiting(f"the target (SQLSTATE {error.sqlstate or 'none: connection lost'})"))
        self._waiting = ""
        self.stop.wait(min(0.1 * 2 ** min(self._failures, 7), 10.0) * random.uniform(0.5, 1.0))

    def _reconnect(self) -> None:
        """A new connection under which what we own is owned again."""
        try:
            if self._connection.closed:
                self._connection = self.session.connect()
            if self._writer is None:
                return
            held = list(self._writer.positions)
            self._writer.use(self._connection)
            found = ownership.reclaim(self._connection, self.session.tenant, held, self.member)
            self._writer.positions = {Partition(*place): offset for place, offset in found.items()}
        except psycopg.Error as again:
            self._recover(again)
        except TargetUnreachable:
            if self.stop.is_set:
                raise
            self._recover(psycopg.OperationalError())

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do something that must not fail for a passing reason, because it runs inside a callback of Kafka."""
        while True:
            try:
                return act()
            except psycopg.Error as error:
                if self.stop.is_set:
                    raise
                self._back_off(error)
                self._reconnect()
