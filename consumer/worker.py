"""The consumer's loop: poll, hand over, COPY, move on; and twice a second look at gate and control topic.

One thread polls Kafka and writes to the target, a second one prepares the next group of batches
beside it. Whatever goes wrong, the target says where to go on: after a lost connection or
partition everything in hand is dropped and read again from the positions there.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

import psycopg

from consumer import generation
from consumer.arrival import await_log, see_again
from consumer.flow import Flow
from consumer.gate import Gate
from consumer.lag import offsets_behind
from consumer.last_chance import LastChance
from consumer.link import Link
from consumer.membership import Membership
from consumer.session import Session
from consumer.stall import Patience
from consumer.stops import PartitionsStopped, nothing_moves
from consumer.writer import Limits, Writer
from runtime import ownership
from runtime.advance import PositionLost
from runtime.health import Heartbeat
from runtime.kafka import Partition
from runtime.postgres import use_schema
from runtime.progress import GenerationState, Progress, read_progress
from runtime.reporting import Report, TableTotals, Waiting, Warned
from runtime.shutdown import StopFlag
from schemas.errors import TargetError
from schemas.records import Poisoned

LOOK_S = 0.5
ORPHANS_S = 20.0  # some time-outs of a session; what Kafka knows is a hint, and not worth more
LOOK_SHARE = 5  # looking takes no more than a fifth of the time, however many tables there are


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
        self._link = Link(self.session, self.member, self.report, self.stop, self.heartbeat)
        self._membership = Membership(self.session, self._link, self._flow, self._read, self.report)
        self._looked_at = 0.0
        self._look_s = 0.0  # what reading the progress took last
        self._complete_since = 0.0  # of all there is, when running until completion
        self._loading = 0  # the generation that this process knows to be loading
        self._totals: set[tuple[int, str, int | None]] = set()
        self._waiting = ""
        self._patience = Patience()

    def run(self) -> Progress | None:
        """Apply the log until stopped, or until complete; returns the progress at the end.

        Raises:
            PartitionsStopped: it shall end, and nothing moves any more.
        """
        control = await_log(self.session, self.stop, self._say_waiting)
        if control is None:
            return None
        self._control = self._flow.control = control
        self._link.open()
        try:
            with self._flow:
                try:
                    return self._loop()
                finally:
                    self._flow.forget()
                    self._membership.leave()
        finally:
            self._control.close()
            self._link.close()

    def _loop(self) -> Progress | None:
        progress: Progress | None = None
        while not self.stop.is_set:
            self.heartbeat.beat()
            try:
                if time.monotonic() - self._looked_at >= max(LOOK_S, LOOK_SHARE * self._look_s):
                    progress = self._look()
                    if self._is_done(progress):
                        return progress
                self._turn()
                self._membership.restart_if_needed()
            except psycopg.Error as error:
                self._recover(error)
        return progress

    def _recover(self, error: psycopg.Error) -> None:
        """After a transient failure of the target: connect again, own again what is ours, read again."""
        self._waiting = ""
        self._membership.must_restart = True
        self._link.recover(error)
        self._membership.restart_if_needed()

    # ------------------------------------------------------------ looking around

    def _look(self) -> Progress:
        """Read the control topic and the progress, do what is due, and let flow what may."""
        connection = self._link.connection
        if self._link.writer is None:
            generation.register(self.session, connection, self._control.state.log)
        self._control.read()
        self._control.note(connection)
        self._membership.note_stops()
        progress = self._read()
        running = progress.running
        if running is not None and not running.is_prepared:
            with self.heartbeat.during():
                generation.begin(self.session, connection, self.report)
            progress = self._read()
        self._see_loading(progress)  # before anything is done about it
        running = progress.running
        if running is not None and Gate(progress).is_loaded(running) and not self._flow.is_busy:
            is_ended = self._finish(running.generation)
            progress = self._read()
            if not is_ended:
                self._membership.gate = Gate(progress)  # a consumer that has just come has none yet
                self._looked_at = time.monotonic()
                return progress
        if self.options.until_complete and nothing_moves(progress):
            raise PartitionsStopped(progress)
        self._membership.gate = Gate(progress)
        self._see_loading(progress)
        if self._link.writer is None:
            self._membership.warn_of_offsets(progress)
            self._link.writer = self._make_writer(progress)
        self._link.writer.reapply = progress.tenant.reapply
        self._tell_totals(progress)
        if not self._is_done(progress):
            self._membership.join(progress)
            if progress.running is None and self._complete_since:
                self._say_waiting("the group to hand over what a dead consumer owned")
            elif progress.running is None:
                self._say_waiting("the next generation")
        self._membership.open_and_close()
        self._membership.adopt(progress)
        self._membership.tell_kafka()
        if told := self._patience.look(progress, lambda: offsets_behind(self.session.admin(), progress)):
            self.report(Warned(told))
            see_again(self.session.admin(), self._control.state)
        self._looked_at = time.monotonic()
        return progress

    def _see_loading(self, progress: Progress) -> None:
        """Once a generation is prepared, by whomever, see that it is read with our migration, and find its types.

        Raises:
            Refused: rows of two migrations would mix.
        """
        running = progress.running
        if running is None or not running.is_prepared or running.generation == self._loading:
            return
        accepted = progress.tenant.accepted_digest
        self.session.see_digest(running.generation, running.migration_digest, accepted, running.migration_parts)
        self._loading = running.generation
        use_schema(self._link.connection, self.session.migration.schema_)  # the schemas of extensions may be new

    def _read(self) -> Progress:
        began = time.monotonic()
        progress = read_progress(self._link.connection, self.session.tenant)
        self._look_s = time.monotonic() - began
        if progress is None:
            raise TargetError(
                f'tenant "{self.session.tenant}" vanished from the target while it was loaded',
                hint="somebody ran `consumer rollback`; start again",
            )
        return progress

    def _make_writer(self, progress: Progress) -> Writer:
        return Writer(
            connection=self._link.connection,
            tenant=self.session.tenant,
            log_id=progress.tenant.log_id,
            keyring=self.session.keyring,
            limits=self._limits(tries_again=not progress.tenant.made_schema),
            is_ours=progress.tenant.made_schema,
            report=self.report,
        )

    def _limits(self, *, tries_again: bool) -> Limits:
        most = self.session.migration.apply.max_quarantined
        return Limits(most, aborts=self.options.aborts, tries_again=tries_again)

    def _is_done(self, progress: Progress) -> bool:
        """Whether a run until completion may end: nobody else will tell Kafka of positions whose owner has died."""
        if not self.options.until_complete or not self._is_complete(progress):
            self._complete_since = 0.0
            return False
        self._complete_since = self._complete_since or time.monotonic()
        is_patient = time.monotonic() - self._complete_since < ORPHANS_S
        return not (is_patient and ownership.are_orphaned(self._link.connection, self.session.tenant))

    def _is_complete(self, progress: Progress) -> bool:
        latest = self._control.state.latest
        if latest is None or latest.finished is None or progress.running is not None:
            return False
        found = progress.generations.get(latest.number)
        return found is not None and found.state is GenerationState.ENDED

    def _finish(self, number: int) -> bool:
        """End a generation. It may take longer than the group waits for a member, so the group is left before."""
        self._membership.leave()
        last_chance = LastChance(self._limits(tries_again=False))
        with self.heartbeat.during():  # an index may take longer than a heartbeat may be old
            is_done = generation.end(self.session, self._link.connection, self.report, last_chance)
        if not is_done:
            self._say_waiting(f"generation {number} to be ended by another process")
        return is_done

    def _tell_totals(self, progress: Progress) -> None:
        if progress.running is None:
            return
        for table in progress.tables_of(progress.running.generation):
            fact = (table.generation, table.table_name, table.published)
            if fact not in self._totals:
                self._totals.add(fact)
                self.report(TableTotals(table.table_name, table.published, table.applied + table.quarantined))

    def _say_waiting(self, for_what: str) -> None:
        self.heartbeat.beat()
        if for_what != self._waiting:
            self._waiting = for_what
            self.report(Waiting(for_what))

    # ------------------------------------------------------------ the flow

    def _turn(self) -> None:
        """Take what flows a step further; what is not as we believed stops its partition only."""
        try:
            self._step()
        except PositionLost as lost:
            self._membership.lost(Partition(*lost.partition))
        except Poisoned as poison:
            self._membership.stop_at(poison)

    def _step(self) -> None:
        """Take in records, hand groups to the second thread, write the oldest one that is ready."""
        polled = self._poll()
        if self._membership.must_restart:
            return  # what was taken in may not follow what was dropped
        self._hand_on()
        if self._flow.is_busy and (not polled or self._flow.is_full or self._flow.is_ready):
            self._write()
            self._hand_on()

    def _poll(self) -> bool:
        if not self._membership.is_joined:
            self.stop.wait(LOOK_S / 5)
            return False
        polled = False
        while self._flow.has_room and not self._membership.must_restart:
            record = self._membership.poll(0.0 if polled or not self._flow.is_idle else LOOK_S / 5)
            if record is None:
                break
            polled = True
            self._membership.take_in(record)
        return polled

    def _hand_on(self) -> None:
        """Hand on what may flow; what may not is forgotten, and read again when it may."""
        for record in self._flow.hand_on(self._membership.gate):
            self._membership.hold(record)

    def _write(self) -> None:
        assert self._link.writer is not None
        completed = self._flow.write(self._link.writer, self._membership.gate.progress)
        if completed is not None:
            self._open_after(completed)
        self._link.succeeded()
        self._membership.wrote()

    def _open_after(self, table: str) -> None:
        """Let flow what waited for a table. Progress is read for it only when nothing else is left to do."""
        membership = self._membership
        membership.gate = membership.gate.completed(table)
        running = membership.gate.progress.running
        if running is None or membership.gate.is_loaded(running):
            self._looked_at = 0.0
        else:
            membership.open_after(table)
