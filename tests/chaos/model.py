"""The protocol as a small machine, explored in every state it can reach: `python -m tests.chaos.model`.

Two tables (child references parent), two keys, two partitions of the parent and one of the child, two
consumers, a producer that dies and resumes, a source that changes in between. Decisions are made by the
product's own pure code (the control topic's reducer, the gate, the fate of a table at a resume, what
prune holds back, the next instant); what is SQL or Kafka in the product is written out here, a
transaction a step.

A consumer judges by the progress as it saw it at some earlier moment, a frozen one writes late. Time is
left out: whatever may happen at all may happen next. The producer sees nothing of the consumers, so every
log that it may leave is made first, and consumers read any beginning of it: that loses no course of events.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, cast
from unittest.mock import patch

from consumer.gate import Gate, Verdict
from consumer.prune import held_back
from producer import resume
from producer.half_read import after_parents
from producer.resume import TableFate
from producer.source import next_instant
from runtime.progress import GenerationProgress, GenerationState, Progress, TableProgress, TableState
from schemas import control as log_control
from schemas.catalogue import Catalogue, gates
from schemas.control import ControlState
from schemas.errors import ContractError
from schemas.records import (
    Checkpoint,
    ControlRecord,
    Header,
    Position,
    SnapshotAbandoned,
    SnapshotFinished,
    SnapshotResumed,
    SnapshotStarted,
    TableFinished,
    TableStarted,
)
from tests.made_log import LOG, table

PARENT, CHILD = 0, 1
NAMES = ("parent", "child")
PARTITIONS = ((0, 1), (2,))  # of each table
TABLE_OF = (PARENT, PARENT, CHILD)
TABLES = table("parent", "id int"), table("child", "id int", "parent_id int", parent="parent")
CATALOGUE = Catalogue(tables=TABLES)
ORPHANS = Catalogue(tables=(TABLES[0], table("child", "id int", "parent_id int")))  # nobody waits for anybody

Row = tuple[int, int]  # the state of the source that wrote it, and the parent's key (0 in the parent)
Rows = Mapping[int, Row]
Moment = tuple[Rows, Rows]  # parent, child: by key


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps the promises; each can be taken away."""

    compare_and_set: bool = True
    rows_with_position: bool = True
    waits_for_parents: bool = True
    waits_for_generation: bool = True
    same_attempt_everywhere: bool = True
    every_partition: bool = True
    only_older_rows: bool = True
    ends_when_published: bool = True
    prune_by_attempt: bool = True
    prune_children_first: bool = True
    prune_waits_for_quarantine: bool = True
    prune_holds_parents: bool = True
    batch_before_checkpoint: bool = True  # False: the batch's transaction comes after its checkpoint's
    checkpoint_with_batch: bool = True  # False: the checkpoint's transaction comes after its batch's
    fencing: bool = True
    looks_for_changes: bool = True
    again_with_parent: bool = True
    instants_never_back: bool = True
    abandonment: bool = True


TOGETHER = ((0, 0, 0),)
APART = ((0, 0, 1), (0, 1, 0), (0, 1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What may go wrong, and how often. `history` are the source's states, one after the other."""

    history: tuple[Moment, ...]
    generations: int = 1
    crashes: int = 0  # of a producer
    abandons: int = 0
    freezes: int = 0  # a consumer loses everything, and may write late
    moves: int = 0  # a partition changes hands in order
    refusals: int = 0  # a row that cannot be applied
    clock_goes_back: bool = False
    shares: tuple[tuple[int, int, int], ...] = TOGETHER  # who owns which partition at first


class Tab(NamedTuple):
    """A table of a generation in the target."""

    attempt: int = 0
    instant: int = 0
    state: str = "waiting"


class Gen(NamedTuple):
    """A generation in the target."""

    state: str = "running"
    is_published: bool = False
    parent: Tab = Tab()
    child: Tab = Tab()

    def tab(self, which: int) -> Tab:
        return self.child if which else self.parent

    def put(self, which: int, tab: Tab) -> Gen:
        return self._replace(child=tab) if which else self._replace(parent=tab)


class Place(NamedTuple):
    """A partition's position in the target."""

    offset: int = 0
    generation: int = 0
    attempt: int = 0
    batches: int = 0
    finished: tuple[int, int] = (0, 0)
    owner: int = 0


class Entry(NamedTuple):
    """A record on a table's partition: S started, B batch (of one row), F finished (`sequence`: its batches here)."""

    kind: str
    generation: int
    attempt: int
    instant: int
    sequence: int = 0
    key: int = 0
    row: Row = (0, 0)


class Said(NamedTuple):
    """A record on the control topic."""

    kind: str
    generation: int
    which: int = 0
    attempt: int = 0
    instant: int = 0
    number: int = 0  # batches so far; or the source's state
    key: int = 0
    tables: tuple[str, ...] = ()


class Send(NamedTuple):
    """One transaction of a producer."""

    said: tuple[Said, ...] = ()
    entries: tuple[tuple[int, Entry], ...] = ()


Course = tuple[Gen, ...]
Target = tuple[tuple[tuple[int, Row, int], ...], ...]  # by table: key, row, migrated_at
Shown = tuple[frozenset[tuple[int, Row]], ...]  # by table: keys and rows of all its snapshots


class Writing(NamedTuple):
    """The log while producers write it."""

    opens: int = 0
    source: int = 0  # the moment of it that was read last
    control: tuple[Said, ...] = ()
    log: tuple[tuple[Entry, ...], ...] = ((), (), ())
    plan: tuple[Send, ...] | None = None  # what the producer will send; None: there is none
    ghost: tuple[Send, ...] = ()  # what a producer that was replaced still would send
    crashes: int = 0
    abandons: int = 0
    is_over: bool = False


@dataclass(frozen=True)
class World:
    """A log as producers may leave it, and how they came there."""

    control: tuple[Said, ...]
    log: tuple[tuple[Entry, ...], ...]
    story: tuple[str, ...]
    shown: Shown


class State(NamedTuple):
    """The target and its consumers, at one moment. `world`: the log they read."""

    world: int = 0
    noted: int = 0  # control records that the target knows of
    course: Course = ()
    places: tuple[Place, ...] = (Place(), Place(), Place())
    rows: Target = ((), ())
    quarantine: tuple[tuple[int, int, int], ...] = ()  # table, key, generation
    pruned: int = 0  # tables, of the generation that is ending
    gates: tuple[Course, Course] = ((), ())  # the progress as each consumer saw it last
    beliefs: tuple[tuple[tuple[int, int], ...], ...] = ((), ())  # of partitions that it lost: where it would go on
    freezes: int = 0
    moves: int = 0
    refusals: int = 0
    stopped: str = ""


class Violation(Exception):
    """A promise is broken."""

    def __init__(self, what: str, trace: tuple[str, ...]) -> None:
        super().__init__("\n".join((what, *(f"  {number:2} {step}" for number, step in enumerate(trace, 1)))))
        self.what = what
        self.trace = trace


Step = tuple[str, State]


# ------------------------------------------------------------ the product's own decisions


@cache
def folded(control: tuple[Said, ...]) -> ControlState:
    """What the control topic says, by the reducer that producer and consumer share."""
    if not control:
        return ControlState()
    before, said = folded(control[:-1]), control[-1]
    header = Header(kind=_record(said).kind, log=LOG, generation=said.generation, attempt=said.attempt)
    return before.applied(Position("control", 0, len(control)), header, _record(said))


def _record(said: Said) -> ControlRecord:  # noqa: PLR0911 - one return a kind of record
    name, instant = NAMES[said.which], _text(said.instant)
    match said.kind:
        case "begin":
            return SnapshotStarted(
                log=LOG,
                tenant="t",
                generation=said.generation,
                instant=instant,
                migration_digest="",
                system_identifier="",
                database="",
                server_version=0,
                wal_position="0/0",
                snapshot=_snapshot(said.number),
                tables=NAMES,
                is_partial=False,
                catalogue="",
            )
        case "resume":
            return SnapshotResumed(
                generation=said.generation,
                instant=instant,
                wal_position="0/0",
                snapshot=_snapshot(said.number),
                kept=(),
                again=said.tables,
            )
        case "start":
            return TableStarted(
                table=name,
                generation=said.generation,
                attempt=said.attempt,
                instant=instant,
                topic=name,
                partitions=len(PARTITIONS[said.which]),
                columns=(),
                schema="",
                key=("id",),
                parents=(),
            )
        case "checkpoint":
            return Checkpoint(
                table=name,
                generation=said.generation,
                attempt=said.attempt,
                sequence=said.number,
                rows=said.number,
                bytes=0,
                last_key=(str(said.key),),
            )
        case "finish":
            return TableFinished(
                table=name,
                generation=said.generation,
                attempt=said.attempt,
                rows=said.number,
                batches=said.number,
                partition_rows=said.number,
                partition_batches=said.number,
                sums={},
            )
        case "end":
            return SnapshotFinished(generation=said.generation, instant=instant, rows={}, attempts={})
    return SnapshotAbandoned(generation=said.generation, instant=instant, reason="")


def _text(instant: int) -> str:
    return f"2026-01-01T00:00:00.{instant:06d}Z"


def _snapshot(source: int) -> str:
    return f"{source + 1}:{source + 1}:"


def _seen(snapshot: str) -> int:
    return int(snapshot.split(":", maxsplit=1)[0]) - 1


@cache
def gate_of(course: Course, *, waits: bool = True, only: int = 0) -> Gate:
    """The product's gate over progress like this; `only` one generation, when each is looked at by itself."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    generations, tables = {}, {}
    for number, gen in enumerate(course, 1):
        if only and number != only:
            continue
        generations[number] = GenerationProgress(
            generation=number,
            instant=now,
            state=GenerationState(gen.state),
            is_partial=False,
            is_published=gen.is_published,
            is_prepared=True,
            whole=None,
            catalogue_json=(CATALOGUE if waits else ORPHANS).to_json(),
            table_order=NAMES,
            migration_digest="",
            known_at=now,
            prepared_at=None,
            loaded_at=None,
            ended_at=None,
        )
        for which, name in enumerate(NAMES):
            tables[number, name] = TableProgress(
                generation=number,
                table_name=name,
                attempt=gen.tab(which).attempt,
                instant=None,
                topic=name,
                partitions=len(PARTITIONS[which]),
                published=None,
                applied=0,
                quarantined=0,
                pruned=0,
                state=TableState(gen.tab(which).state),
                was_empty=False,
                started_at=None,
                finished_at=None,
            )
    return Gate(
        Progress(
            tenant=cast("Any", None),
            generations=generations,
            tables=tables,
            positions={},
            open_quarantine={},
            foreign_keys=(),
        )
    )


@cache
def verdict(course: Course, guards: Guards, which: int, generation: int, attempt: int) -> Verdict:
    """What a consumer that knows this progress does with a record."""
    only = 0 if guards.waits_for_generation else generation
    judged = gate_of(course, waits=guards.waits_for_parents, only=only).verdict(NAMES[which], generation, attempt)
    if judged is Verdict.APPLY and not course[generation - 1].tab(which).instant:
        return Verdict.WAIT  # the consumer's own reader of the control topic has no table-started record
    return judged


def running_of(course: Course) -> int:
    """The generation that is applied now, 0 when there is none."""
    return next((number for number, gen in enumerate(course, 1) if gen.state == "running"), 0)


# ------------------------------------------------------------ the machine


@dataclass(frozen=True)
class Pen:
    """The producers: every log that they may leave."""

    scenario: Scenario
    guards: Guards

    def worlds(self) -> Iterator[World]:
        """Each log once, with a shortest story."""
        begin = Writing(crashes=self.scenario.crashes, abandons=self.scenario.abandons)
        came: dict[Writing, tuple[str, ...]] = {begin: ()}
        queue = deque(came)
        while queue:
            writing = queue.popleft()
            story = came[writing]
            try:
                found = tuple(self.steps(writing))
            except ContractError as error:
                raise Violation(f"the control topic cannot be read: {error}", story) from None
            for label, after in found:
                if after not in came:
                    came[after] = (*story, label)
                    queue.append(after)
        logs: dict[object, tuple[str, ...]] = {}
        for writing, story in came.items():
            if writing.is_over:
                logs.setdefault((writing.control, writing.log), story)
        for (control, log), story in cast("Any", logs).items():
            yield World(control, log, story, tuple(self._shown(control, which) for which in (PARENT, CHILD)))

    def _shown(self, control: tuple[Said, ...], which: int) -> frozenset[tuple[int, Row]]:
        moments = [self.scenario.history[said.number] for said in control if said.kind in ("begin", "resume")]
        return frozenset(item for moment in moments for item in moment[which].items())

    def steps(self, writing: Writing) -> Iterator[tuple[str, Writing]]:
        """What producers may do next."""
        if writing.ghost and writing.plan:
            send, rest = writing.ghost[0], writing.ghost[1:]
            yield f"the producer that was frozen commits {_words(send)}", _sent(writing, send)._replace(ghost=rest)
        if writing.plan is not None:
            send, rest = writing.plan[0], writing.plan[1:]
            yield f"the producer commits {_words(send)}", _sent(writing, send)._replace(plan=rest or None)
            if writing.crashes:
                ghost = () if self.guards.fencing else writing.plan
                left = writing._replace(crashes=writing.crashes - 1, plan=None, ghost=ghost)
                yield "the producer freezes" if ghost else "the producer dies", left
            return
        latest = folded(writing.control).latest
        is_open = latest is not None and not latest.is_over
        if not is_open and (0 if latest is None else latest.number) == self.scenario.generations:
            if not writing.is_over:
                yield "nothing more is written", writing._replace(is_over=True)
            return
        for source in range(writing.source, len(self.scenario.history)):
            at = writing._replace(source=source)
            yield f"a producer opens the source at moment {source}", self._opened(at, restart=False)
            if is_open and writing.abandons and latest is not None and latest.number < self.scenario.generations:
                left = at._replace(abandons=writing.abandons - 1)
                yield f"a producer begins anew at moment {source}", self._opened(left, restart=True)

    def _opened(self, writing: Writing, *, restart: bool) -> Writing:
        control = folded(writing.control)
        latest = control.latest
        opens = writing.opens + 1
        clock = 500 - opens if self.scenario.clock_goes_back else 100 * opens
        last = control.last_instant if self.guards.instants_never_back else ""
        instant = int(next_instant(_text(clock), last)[20:26])
        now = self.scenario.history[writing.source]
        fates = [TableFate(item, "begin") for item in TABLES]
        sends: list[Send] = []
        if latest is not None and not latest.is_over and not restart:
            generation = latest.number
            fates = self._fates(latest, now)
            again = tuple(fate.table.name for fate in fates if fate.fate == "again")
            sends.append(Send((Said("resume", generation, instant=instant, number=writing.source, tables=again),)))
        else:
            generation = (0 if latest is None else latest.number) + 1
            begins = Said("begin", generation, instant=instant, number=writing.source)
            gone = (Said("abandon", generation - 1, instant=instant),) if restart else ()
            sends.append(Send((*gone, begins)))
        for which, fate in enumerate(fates):
            sends += self._table(which, fate, generation, instant, now[which])
        sends.append(Send((Said("end", generation, instant=instant),)))
        return writing._replace(plan=tuple(sends), opens=opens)

    def _fates(self, latest: log_control.GenerationState, now: Moment) -> list[TableFate]:
        """The product's own choice; only the question to the source is answered from here."""

        def is_unchanged(_: object, item: Any, __: str, found: log_control.TableState, snapshot: str) -> bool:
            if not self.guards.looks_for_changes:
                return True
            last = int(found.last_key[0]) if found.last_key and not found.is_finished else 9
            rows = [row for key, row in now[NAMES.index(item.name)].items() if key <= last]
            return len(rows) == found.rows and all(row[0] <= _seen(snapshot) for row in rows)

        with patch.object(resume, "is_unchanged", is_unchanged):
            fates = [resume.fate_of(cast("Any", None), item, "", latest) for item in TABLES]
        return after_parents(fates, gates(TABLES)) if self.guards.again_with_parent else fates

    def _table(self, which: int, fate: TableFate, generation: int, instant: int, rows: Rows) -> Iterator[Send]:
        partitions, found = PARTITIONS[which], fate.state
        if fate.fate == "kept":
            return
        sequence, last, attempt = 0, 0, fate.next_attempt
        if fate.fate == "continue":
            assert found is not None
            sequence, last, attempt = found.batches, int(found.last_key[0]), found.attempt
            instant = int(found.started.instant[20:26])
        else:
            entry = Entry("S", generation, attempt, instant)
            said = Said("start", generation, which, attempt, instant)
            yield Send((said,), tuple((number, entry) for number in partitions))
        for key in sorted(rows):
            if key <= last:
                continue
            entry = Entry("B", generation, attempt, instant, sequence, key, rows[key])
            place = partitions[sequence % len(partitions)]
            sequence += 1
            said = Said("checkpoint", generation, which, attempt, number=sequence, key=key)
            if not self.guards.batch_before_checkpoint:
                yield Send((said,))
                yield Send((), ((place, entry),))
            elif not self.guards.checkpoint_with_batch:
                yield Send((), ((place, entry),))
                yield Send((said,))
            else:
                yield Send((said,), ((place, entry),))
        shares = [len(range(number, sequence, len(partitions))) for number in range(len(partitions))]
        ends = tuple(
            (place, Entry("F", generation, attempt, instant, share))
            for place, share in zip(partitions, shares, strict=True)
        )
        yield Send((Said("finish", generation, which, attempt, number=sequence),), ends)


@dataclass(frozen=True)
class Machine:
    """The protocol in one scenario, under some guards."""

    scenario: Scenario
    guards: Guards = Guards()
    worlds: list[World] = field(default_factory=list)

    def begin(self) -> Iterator[State]:
        """Where consumers may begin: before any log, the partitions shared out between them in any way."""
        self.worlds.extend(Pen(self.scenario, self.guards).worlds())
        scenario = self.scenario
        for world in range(len(self.worlds)):
            for owners in scenario.shares:
                yield State(
                    world=world,
                    places=(Place(owner=owners[0]), Place(owner=owners[1]), Place(owner=owners[2])),
                    freezes=scenario.freezes,
                    moves=scenario.moves,
                    refusals=scenario.refusals,
                )

    def steps(self, state: State) -> Iterator[Step]:
        """What may happen next."""
        if (note := self._note(state)) is not None:
            yield note
        yield from self._end(state)
        yield from self._rebalance(state)
        for me in (0, 1):
            if state.gates[me] != (seen := _seen_by_gate(state.course)) and _is_in_use(state, me):
                yield f"{_who(me)} looks at the progress", _put_gate(state, me, seen)
            for partition, place in enumerate(state.places):
                if place.owner == me or state.beliefs[me]:
                    yield from self._apply(state, me, partition)

    # -------------------------------------------------------- what the target is told of the control topic

    def _note(self, state: State) -> Step | None:
        control = self.worlds[state.world].control
        end = state.noted
        while end < len(control) and control[end].kind in ("checkpoint", "finish"):
            end += 1
        if end == len(control):
            return None
        course = _told(control[: end + 1], state.course, abandons=self.guards.abandonment)
        return f"the target is told: {control[end].kind} {_of(control[end])}", state._replace(
            course=course, noted=end + 1
        )

    # -------------------------------------------------------- consumers

    def _apply(self, state: State, me: int, partition: int) -> Iterator[Step]:
        place = state.places[partition]
        late = dict(state.beliefs[me]).get(partition)
        if late is None and place.owner != me:
            return
        offset = place.offset if late is None else late
        if offset >= len(self.worlds[state.world].log[partition]):
            return
        which, entry = TABLE_OF[partition], self.worlds[state.world].log[partition][offset]
        judged = verdict(state.gates[me], self.guards, which, entry.generation, entry.attempt)
        if judged is Verdict.WAIT:
            return
        label = f"{_who(me)} {'passes over' if judged is Verdict.PASS else 'applies'} {_entry(partition, entry)}"
        if late is not None:
            if self.guards.compare_and_set:
                yield f"{label}, late: it owns the partition no more", _disbelieve(state, me, partition)
                return
            label += ", late"
        after = state if late is None else _believe(state, me, partition, offset + 1)
        if judged is Verdict.PASS:
            yield label, _put(after, partition, place._replace(offset=offset + 1))
        elif entry.kind == "S":
            yield label, self._started(after, partition, entry, offset)
        elif entry.kind == "B":
            yield label, self._batch(after, partition, entry, offset)
            if state.refusals:
                yield f"{label}: refused", self._refused(after._replace(refusals=0), partition, entry, offset)
            if not self.guards.rows_with_position and state.freezes:
                moved = self._batch(after, partition, entry, offset)._replace(rows=state.rows)
                yield f"{label}: dies between position and rows", _killed(moved._replace(freezes=state.freezes - 1), me)
        else:
            yield from self._finished(after, me, partition, entry, offset, label)

    def _started(self, state: State, partition: int, entry: Entry, offset: int) -> State:
        which, number = TABLE_OF[partition], entry.generation - 1
        place = state.places[partition]._replace(
            offset=offset + 1, generation=entry.generation, attempt=entry.attempt, batches=0
        )
        gen = state.course[number]
        tab = gen.tab(which)
        if tab.attempt == entry.attempt and tab.state == "waiting":
            gen = gen.put(which, tab._replace(state="loading"))
        course = (*state.course[:number], gen, *state.course[number + 1 :])
        return _put(state._replace(course=course), partition, place)

    def _batch(self, state: State, partition: int, entry: Entry, offset: int) -> State:
        which, place = TABLE_OF[partition], state.places[partition]
        follows = (entry.generation, entry.attempt, entry.sequence // len(PARTITIONS[which]))
        if (place.generation, place.attempt, place.batches) != follows or place.finished == follows[:2]:
            return state._replace(stopped=f"{_entry(partition, entry)}: not the batch that must follow")
        rows = {key: (row, instant) for key, row, instant in state.rows[which]}
        there = rows.get(entry.key)
        if there is None or there[1] < entry.instant or not self.guards.only_older_rows:
            rows[entry.key] = (entry.row, entry.instant)
        return _put(
            _put_rows(state, which, rows), partition, place._replace(offset=offset + 1, batches=place.batches + 1)
        )

    def _refused(self, state: State, partition: int, entry: Entry, offset: int) -> State:
        moved = self._batch(state, partition, entry, offset)
        kept = (*state.quarantine, (TABLE_OF[partition], entry.key, entry.generation))
        return moved._replace(rows=state.rows, quarantine=kept)

    def _finished(self, state: State, me: int, partition: int, entry: Entry, offset: int, label: str) -> Iterator[Step]:
        which, place = TABLE_OF[partition], state.places[partition]
        said = (entry.generation, entry.attempt)
        if (place.generation, place.attempt, place.batches) != (*said, entry.sequence):
            yield label, state._replace(stopped=f"{_entry(partition, entry)}: rows are missing, or twice")
            return
        after = _put(state, partition, place._replace(offset=offset + 1, finished=said))
        number = entry.generation - 1
        gen = after.course[number]
        tab = gen.tab(which)
        is_same = tab.attempt == entry.attempt or not self.guards.same_attempt_everywhere
        if tab.state == "loading" and is_same and self._has_all(after, which, said):
            gen = gen.put(which, tab._replace(state="complete"))
            after = after._replace(course=(*after.course[:number], gen, *after.course[number + 1 :]))
            after = _put_gate(after, me, _completed(after.gates[me], which))
            label += f": {NAMES[which]} is complete"
        yield label, after

    def _has_all(self, state: State, which: int, said: tuple[int, int]) -> bool:
        found = [state.places[number].finished for number in PARTITIONS[which]]
        if not self.guards.same_attempt_everywhere:
            return all(finished[0] == said[0] for finished in found)
        return all(finished == said for finished in found) or not self.guards.every_partition

    # -------------------------------------------------------- the end of a generation

    def _end(self, state: State) -> Iterator[Step]:
        number = running_of(state.course)
        if not number:
            return
        gen = state.course[number - 1]
        if not self.guards.ends_when_published:
            gen = gen._replace(is_published=True)
        gate = gate_of((*state.course[: number - 1], gen))
        if not gate.is_loaded(gate.progress.generations[number]):
            return
        if state.pruned < 2:
            order = (CHILD, PARENT) if self.guards.prune_children_first else (PARENT, CHILD)
            which = order[state.pruned]
            after = self._prune(state, number, which)
            yield f"generation {number}: vanished rows of {NAMES[which]} go", after._replace(pruned=state.pruned + 1)
            return
        applied = gen._replace(
            state="ended", parent=gen.parent._replace(state="applied"), child=gen.child._replace(state="applied")
        )
        course = (*state.course[: number - 1], applied, *state.course[number:])
        kept = tuple(item for item in state.quarantine if item[2] >= number)
        yield f"generation {number} ends", state._replace(course=course, pruned=0, quarantine=kept)

    def _prune(self, state: State, number: int, which: int) -> State:
        quarantined = {NAMES[item[0]]: 1 for item in state.quarantine if item[2] == number}
        held = held_back(CATALOGUE, quarantined) if self.guards.prune_holds_parents else frozenset(quarantined)
        if NAMES[which] in held and self.guards.prune_waits_for_quarantine:
            return state
        bound = state.course[number - 1].tab(which).instant
        if not self.guards.prune_by_attempt:
            bound = int(folded(self.worlds[state.world].control).generations[number].snapshot.instant[20:26])
        rows = {key: (row, instant) for key, row, instant in state.rows[which] if instant >= bound}
        return _put_rows(state, which, rows)

    # -------------------------------------------------------- partitions change hands

    def _rebalance(self, state: State) -> Iterator[Step]:
        if state.freezes:
            for me in (0, 1):
                owned = [number for number, place in enumerate(state.places) if place.owner == me]
                if owned:
                    late = tuple((number, state.places[number].offset) for number in owned)
                    after = _handed_over(state._replace(freezes=state.freezes - 1), owned, 1 - me)
                    beliefs = tuple(late if n == me else () for n in (0, 1))
                    yield f"{_who(me)} freezes, {_who(1 - me)} gets its partitions", after._replace(beliefs=beliefs)
        if state.moves:
            for number, place in enumerate(state.places):
                after = _handed_over(state._replace(moves=state.moves - 1), [number], 1 - place.owner)
                yield f"{_who(place.owner)} gives {_place(number)} to {_who(1 - place.owner)}", after

    # -------------------------------------------------------- promises

    def broken(self, state: State) -> str:
        """The promise that does not hold in this state, or ''."""
        if state.stopped:
            return state.stopped
        world = self.worlds[state.world]
        if what := _broken_rows(state.rows, state.quarantine, world.shown):
            return what
        for number, place in enumerate(state.places):
            if place.batches > _batches_below(world.log[number], place.offset, place.generation, place.attempt):
                return f"{_place(number)}: {place.batches} batches counted, not each once"
        return ""

    def broken_between(self, before: State, after: State) -> str:
        """The promise that a step breaks, or ''."""
        for number in range(3):
            if after.places[number].offset < before.places[number].offset:
                return f"the position of {_place(number)} goes back"
        for which in (PARENT, CHILD):
            if before.rows[which] is after.rows[which]:
                continue
            old = {key: instant for key, _, instant in before.rows[which]}
            for key, _, instant in after.rows[which]:
                if instant < old.get(key, 0):
                    return f"migrated_at of {NAMES[which]} {key} goes back"
        return ""

    def broken_at_rest(self, state: State) -> str:
        """What is wrong when nothing more can happen but faults, or ''."""
        control = folded(self.worlds[state.world].control)
        latest = control.latest
        if latest is None or not latest.is_over or len(state.course) < self.scenario.generations:
            return "nothing moves, and the log is not whole"
        if state.course[-1].state != "ended":
            return f"nothing moves, and generation {len(state.course)} has not ended"
        shown = self.scenario.history[_seen(latest.snapshot.snapshot)]
        aside = {(which, key) for which, key, _ in state.quarantine}
        for which in (PARENT, CHILD):
            found = {key: row for key, row, _ in state.rows[which] if (which, key) not in aside}
            wanted = {key: row for key, row in shown[which].items() if (which, key) not in aside}
            if aside:  # vanished rows may stay then
                found = {key: row for key, row in found.items() if key in wanted}
            if found != wanted:
                return f"at rest {NAMES[which]} is not as the last snapshot shows it: {found}, not {wanted}"
        before = {
            which: {key for which_, key, _ in self._before(state) if which_ == which} for which in (PARENT, CHILD)
        }
        for which, key in aside:
            if key in before[which] and key not in {k for k, _, _ in state.rows[which]}:
                return f"the old image of {NAMES[which]} {key}, which is in quarantine, is gone"
        return ""

    def _before(self, state: State) -> Iterator[tuple[int, int, int]]:
        """Rows that earlier generations have put into the target: table, key, generation."""
        aside = set(state.quarantine)
        for number, entries in enumerate(self.worlds[state.world].log):
            for entry in entries:
                item = (TABLE_OF[number], entry.key, entry.generation)
                if entry.kind == "B" and entry.generation < len(state.course) and item not in aside:
                    yield item


# ------------------------------------------------------------ parts of a state


@cache
def _told(control: tuple[Said, ...], course: Course, *, abandons: bool) -> Course:
    """What the target knows of the generations when it has read the control topic so far."""
    told = list(course)
    for number, found in folded(control).generations.items():
        if number > len(told):
            told.append(Gen())
        gen = told[number - 1]
        for which, name in enumerate(NAMES):
            if (item := found.tables.get(name)) is not None:
                gen = gen.put(which, _noted(gen.tab(which), item))
        gen = gen._replace(is_published=found.finished is not None)
        if found.abandoned is not None and gen.state == "running" and abandons:
            gen = gen._replace(state="abandoned")
        told[number - 1] = gen
    return tuple(told)


@cache
def _broken_rows(rows: Target, quarantine: tuple[tuple[int, int, int], ...], shown: Shown) -> str:
    parents = {key for key, _, _ in rows[PARENT]}
    aside = {key for which, key, _ in quarantine if which == PARENT}
    for key, row, _ in rows[CHILD]:
        if row[1] not in parents | aside:
            return f"child {key} has no parent {row[1]}"
    for which in (PARENT, CHILD):
        for key, row, _ in rows[which]:
            if (key, row) not in shown[which]:
                return f"{NAMES[which]} {key} is as no published snapshot shows it"
    return ""


@cache
def _batches_below(log: tuple[Entry, ...], offset: int, generation: int, attempt: int) -> int:
    return sum((e.kind, e.generation, e.attempt) == ("B", generation, attempt) for e in log[:offset])


def _noted(tab: Tab, item: log_control.TableState) -> Tab:
    """`note_attempt`, then `note_superseded`, of runtime.generations."""
    kept = "waiting" if tab.state == "waiting" else "loading"
    instant = int(item.started.instant[20:26])
    if tab.attempt < item.attempt or (tab.attempt == item.attempt and not tab.instant):
        tab = Tab(item.attempt, instant, kept)
    if item.is_superseded and tab.attempt <= item.attempt:
        tab = Tab(item.attempt + 1, 0, kept)
    return tab


@cache
def _seen_by_gate(course: Course) -> Course:
    """Of the progress what a consumer judges by; of an instant only whether the attempt has begun."""
    return tuple(
        Gen(gen.state, is_published=False, parent=_seen_of(gen.parent), child=_seen_of(gen.child)) for gen in course
    )


def _seen_of(tab: Tab) -> Tab:
    return tab._replace(instant=min(tab.instant, 1))


@cache
def _completed(course: Course, which: int) -> Course:
    number = running_of(course)
    if not number:
        return course
    gen = course[number - 1]
    gen = gen.put(which, gen.tab(which)._replace(state="complete"))
    return (*course[: number - 1], gen, *course[number:])


def _sent(writing: Writing, send: Send) -> Writing:
    log = list(writing.log)
    for number, entry in send.entries:
        log[number] = (*log[number], entry)
    return writing._replace(control=writing.control + send.said, log=tuple(log))


def _put(state: State, partition: int, place: Place) -> State:
    places = state.places
    return state._replace(places=(*places[:partition], place, *places[partition + 1 :]))


def _put_rows(state: State, which: int, rows: Mapping[int, tuple[Row, int]]) -> State:
    flat = tuple((key, *rows[key]) for key in sorted(rows))
    return state._replace(rows=(state.rows[0], flat) if which else (flat, state.rows[1]))


def _put_gate(state: State, me: int, gate: Course) -> State:
    return state._replace(gates=(state.gates[0], gate) if me else (gate, state.gates[1]))


def _believe(state: State, me: int, partition: int, offset: int) -> State:
    mine = tuple((number, offset if number == partition else at) for number, at in state.beliefs[me])
    return state._replace(beliefs=tuple(mine if n == me else state.beliefs[n] for n in (0, 1)))


def _disbelieve(state: State, me: int, partition: int) -> State:
    mine = tuple(item for item in state.beliefs[me] if item[0] != partition)
    return _settled(state._replace(beliefs=tuple(mine if n == me else state.beliefs[n] for n in (0, 1))))


def _handed_over(state: State, partitions: Iterable[int], heir: int) -> State:
    """The heir claims the partitions and reads the progress."""
    for number in partitions:
        state = _put(state, number, state.places[number]._replace(owner=heir))
        if state.beliefs[heir]:
            state = _disbelieve(state, heir, number)
    return _settled(_put_gate(state, heir, _seen_by_gate(state.course)))


def _killed(state: State, me: int) -> State:
    owned = [number for number, place in enumerate(state.places) if place.owner == me]
    return _settled(_handed_over(state, owned, 1 - me)._replace(beliefs=((), ())))


def _is_in_use(state: State, me: int) -> bool:
    return bool(state.beliefs[me]) or any(place.owner == me for place in state.places)


def _settled(state: State) -> State:
    """What a consumer without a partition knows does not matter."""
    for me in (0, 1):
        if state.gates[me] and not _is_in_use(state, me):
            state = _put_gate(state, me, ())
    return state


# ------------------------------------------------------------ words for a trace


def _who(me: int) -> str:
    return f"consumer {'AB'[me]}"


def _place(number: int) -> str:
    return f"{NAMES[TABLE_OF[number]]}-{PARTITIONS[TABLE_OF[number]].index(number)}"


def _of(said: Said) -> str:
    return (
        f"{NAMES[said.which]} {said.generation}.{said.attempt}" if said.attempt else f"of generation {said.generation}"
    )


def _entry(number: int, entry: Entry) -> str:
    what = {"S": "table-started", "B": f"the batch with row {entry.key}", "F": "table-finished"}[entry.kind]
    return f"{what} of {entry.generation}.{entry.attempt} on {_place(number)}"


def _words(send: Send) -> str:
    parts = [_entry(number, entry) for number, entry in send.entries if entry.kind == "B"]
    parts += [f"{said.kind} {_of(said)}" for said in send.said]
    return " with ".join(parts)


# ------------------------------------------------------------ exploring

ENVIRONMENT = ("freezes", "dies", " gives ", "refused")


@dataclass(frozen=True, slots=True)
class Explored:
    """How much was looked at."""

    logs: int
    states: int
    steps: int
    at_rest: int
    seconds: float


def explore(machine: Machine) -> Explored:
    """Look at every state that can be reached, the nearest first.

    Raises:
        Violation: a promise is broken, with a shortest way there.
    """
    began = time.monotonic()
    with _without_collector():
        came, steps, at_rest = _explore(machine)
    return Explored(len(machine.worlds), len(came), steps, at_rest, time.monotonic() - began)


def _explore(machine: Machine) -> tuple[dict[State, tuple[State, str] | None], int, int]:
    came: dict[State, tuple[State, str] | None] = dict.fromkeys(machine.begin())
    queue = deque(came)
    steps = at_rest = 0
    while queue:
        state = queue.popleft()
        is_resting = True
        for label, after in machine.steps(state):
            steps += 1
            is_resting = is_resting and any(word in label for word in ENVIRONMENT)
            if after in came:
                continue
            came[after] = (state, label)
            if what := machine.broken_between(state, after) or machine.broken(after):
                raise Violation(what, _trace(machine, came, after))
            queue.append(after)
        if is_resting:
            at_rest += 1
            if what := machine.broken_at_rest(state):
                raise Violation(what, _trace(machine, came, state))
    return came, steps, at_rest


@contextmanager
def _without_collector() -> Iterator[None]:
    """No states go in rings; walking a million of them over and over would find none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _trace(machine: Machine, came: Mapping[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    while (before := came[state]) is not None:
        state, label = before
        labels.append(label)
    return (*machine.worlds[state.world].story, *reversed(labels))


# What the source shows, one moment after the other. A row is (the moment that wrote it, its parent's key).
GROWS: tuple[Moment, ...] = (
    ({1: (0, 0)}, {1: (0, 1)}),
    ({1: (0, 0), 2: (1, 0)}, {1: (0, 1), 2: (1, 2)}),
)
SHRINKS: tuple[Moment, ...] = (
    ({1: (0, 0), 2: (0, 0)}, {1: (0, 1)}),
    ({2: (1, 0)}, {1: (1, 2)}),
)
MOVES: tuple[Moment, ...] = (
    ({1: (0, 0)}, {1: (0, 1), 2: (0, 1)}),
    ({2: (1, 0)}, {1: (1, 2)}),
)
SMALL: tuple[Moment, ...] = (({1: (0, 0)}, {1: (0, 1)}),)
STAYS: tuple[Moment, ...] = (({1: (0, 0), 2: (0, 0)}, {1: (0, 1), 2: (0, 2)}),)

SCENARIOS: Mapping[str, Scenario] = {
    "a consumer freezes": Scenario(history=STAYS, freezes=1, shares=(*TOGETHER, (0, 1, 1))),
    "partitions change hands": Scenario(history=STAYS, moves=2),
    "a producer dies, rows come": Scenario(history=GROWS, crashes=1),
    "a producer dies, rows go": Scenario(history=SHRINKS, crashes=1, shares=((0, 1, 1),)),
    "two generations": Scenario(history=MOVES, generations=2, shares=APART),
    "two generations, a consumer freezes": Scenario(history=SMALL, generations=2, freezes=1),
    "two generations, a row is refused": Scenario(history=MOVES, generations=2, refusals=1),
    "two generations, the clock goes back": Scenario(history=MOVES, generations=2, clock_goes_back=True),
    "a generation is abandoned": Scenario(history=SMALL, generations=2, crashes=1, abandons=1),
}

# For each guard the scenario in which its absence shows.
SHOWN_BY: Mapping[str, str] = {
    "compare_and_set": "a consumer freezes",
    "rows_with_position": "a consumer freezes",
    "waits_for_parents": "partitions change hands",
    "every_partition": "partitions change hands",
    "waits_for_generation": "two generations",
    "prune_children_first": "two generations",
    "prune_waits_for_quarantine": "two generations, a row is refused",
    "prune_holds_parents": "two generations, a row is refused",
    "instants_never_back": "two generations, the clock goes back",
    "abandonment": "a generation is abandoned",
    "batch_before_checkpoint": "a producer dies, rows come",
    "checkpoint_with_batch": "a producer dies, rows come",
    "fencing": "a producer dies, rows come",
    "again_with_parent": "a producer dies, rows come",
    "ends_when_published": "a producer dies, rows come",
    "prune_by_attempt": "a producer dies, rows come",
    "looks_for_changes": "a producer dies, rows go",
    "same_attempt_everywhere": "a producer dies, rows go",
    "only_older_rows": "a producer dies, rows go",
}


def without(guard: str) -> Machine:
    """The protocol without one of its guards, where that shows."""
    return Machine(SCENARIOS[SHOWN_BY[guard]], replace(Guards(), **{guard: False}))


def _holds(name: str) -> tuple[bool, str]:
    try:
        found = explore(Machine(SCENARIOS[name]))
    except Violation as broken:
        return False, f"BROKEN  {name}: {broken}"
    seen = f"{found.logs} logs, {found.states:,} states, {found.steps:,} steps, {found.seconds:.1f} s"
    return True, f"holds   {name}: {seen}"


def _fails(guard: str) -> tuple[bool, str]:
    try:
        explore(without(guard))
    except Violation as broken:
        return True, f"fails without {guard} ({SHOWN_BY[guard]}): {broken}"
    return False, f"BROKEN  {SHOWN_BY[guard]} holds without {guard}: the check cannot fail there"


def main() -> int:
    """Look at every state of every scenario, then at the protocol without each guard; 1 when that is not as it must be."""
    is_as_it_must_be = True
    with ProcessPoolExecutor() as pool:
        looks = [
            *(pool.submit(_holds, name) for name in SCENARIOS),
            *(pool.submit(_fails, guard) for guard in SHOWN_BY),
        ]
        for look in looks:
            is_right, line = look.result()
            print(line, flush=True)
            is_as_it_must_be &= is_right
    return 0 if is_as_it_must_be else 1


if __name__ == "__main__":
    sys.exit(main())
