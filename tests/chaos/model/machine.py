"""The machine: every step that consumers may take over a log, and what must hold in each state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from consumer.gate import Verdict
from consumer.prune import held_back
from tests.chaos.model.decisions import folded, gate_of, running_of, source_of, verdict
from tests.chaos.model.parts import (
    batches_below,
    believe,
    broken_rows,
    completed,
    disbelieve,
    handed_over,
    is_in_use,
    killed,
    put_gate,
    put_place,
    put_rows,
    seen_by_gate,
    told_by,
)
from tests.chaos.model.pen import Pen
from tests.chaos.model.state import (
    CATALOGUE,
    CHILD,
    NAMES,
    PARENT,
    PARTITIONS,
    TABLE_OF,
    Entry,
    Guards,
    Place,
    Scenario,
    State,
    Step,
    World,
)
from tests.chaos.model.words import attempt_name, consumer_name, entry_words, partition_name


@dataclass(frozen=True)
class Machine:
    """The protocol in one scenario, under some guards."""

    scenario: Scenario
    guards: Guards = field(default_factory=Guards)
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
            if state.gates[me] != (seen := seen_by_gate(state.course)) and is_in_use(state, me):
                yield f"{consumer_name(me)} looks at the progress", put_gate(state, me, seen)
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
        course = told_by(control[: end + 1], state.course, abandons=self.guards.abandonment)
        return f"the target is told: {control[end].kind} {attempt_name(control[end])}", state._replace(
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
        label = f"{consumer_name(me)} {'passes over' if judged is Verdict.PASS else 'applies'} {entry_words(partition, entry)}"
        if late is not None:
            if self.guards.compare_and_set:
                yield f"{label}, late: it owns the partition no more", disbelieve(state, me, partition)
                return
            label += ", late"
        after = state if late is None else believe(state, me, partition, offset + 1)
        if judged is Verdict.PASS:
            yield label, put_place(after, partition, place._replace(offset=offset + 1))
        elif entry.kind == "S":
            yield label, self._started(after, partition, entry, offset)
        elif entry.kind == "B":
            yield label, self._batch(after, partition, entry, offset)
            if state.refusals:
                yield f"{label}: refused", self._refused(after._replace(refusals=0), partition, entry, offset)
            if not self.guards.rows_with_position and state.freezes:
                moved = self._batch(after, partition, entry, offset)._replace(rows=state.rows)
                yield f"{label}: dies between position and rows", killed(moved._replace(freezes=state.freezes - 1), me)
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
        return put_place(state._replace(course=course), partition, place)

    def _batch(self, state: State, partition: int, entry: Entry, offset: int) -> State:
        which, place = TABLE_OF[partition], state.places[partition]
        follows = (entry.generation, entry.attempt, entry.sequence // len(PARTITIONS[which]))
        if (place.generation, place.attempt, place.batches) != follows or place.finished == follows[:2]:
            return state._replace(stopped=f"{entry_words(partition, entry)}: not the batch that must follow")
        rows = {key: (row, instant) for key, row, instant in state.rows[which]}
        there = rows.get(entry.key)
        if there is None or there[1] < entry.instant or not self.guards.only_older_rows:
            rows[entry.key] = (entry.row, entry.instant)
        return put_place(
            put_rows(state, which, rows), partition, place._replace(offset=offset + 1, batches=place.batches + 1)
        )

    def _refused(self, state: State, partition: int, entry: Entry, offset: int) -> State:
        moved = self._batch(state, partition, entry, offset)
        kept = (*state.quarantine, (TABLE_OF[partition], entry.key, entry.generation))
        return moved._replace(rows=state.rows, quarantine=kept)

    def _finished(self, state: State, me: int, partition: int, entry: Entry, offset: int, label: str) -> Iterator[Step]:
        which, place = TABLE_OF[partition], state.places[partition]
        said = (entry.generation, entry.attempt)
        if (place.generation, place.attempt, place.batches) != (*said, entry.sequence):
            yield label, state._replace(stopped=f"{entry_words(partition, entry)}: rows are missing, or twice")
            return
        after = put_place(state, partition, place._replace(offset=offset + 1, finished=said))
        number = entry.generation - 1
        gen = after.course[number]
        tab = gen.tab(which)
        is_same = tab.attempt == entry.attempt or not self.guards.same_attempt_everywhere
        if tab.state == "loading" and is_same and self._has_all(after, which, said):
            gen = gen.put(which, tab._replace(state="complete"))
            after = after._replace(course=(*after.course[:number], gen, *after.course[number + 1 :]))
            after = put_gate(after, me, completed(after.gates[me], which))
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
        return put_rows(state, which, rows)

    # -------------------------------------------------------- partitions change hands

    def _rebalance(self, state: State) -> Iterator[Step]:
        if state.freezes:
            for me in (0, 1):
                owned = [number for number, place in enumerate(state.places) if place.owner == me]
                if owned:
                    late = tuple((number, state.places[number].offset) for number in owned)
                    after = handed_over(state._replace(freezes=state.freezes - 1), owned, 1 - me)
                    beliefs = tuple(late if n == me else () for n in (0, 1))
                    yield (
                        f"{consumer_name(me)} freezes, {consumer_name(1 - me)} gets its partitions",
                        after._replace(beliefs=beliefs),
                    )
        if state.moves:
            for number, place in enumerate(state.places):
                after = handed_over(state._replace(moves=state.moves - 1), [number], 1 - place.owner)
                yield (
                    f"{consumer_name(place.owner)} gives {partition_name(number)} to {consumer_name(1 - place.owner)}",
                    after,
                )

    # -------------------------------------------------------- promises

    def broken(self, state: State) -> str:
        """The promise that does not hold in this state, or ''."""
        if state.stopped:
            return state.stopped
        world = self.worlds[state.world]
        if what := broken_rows(state.rows, state.quarantine, world.shown):
            return what
        for number, place in enumerate(state.places):
            if place.batches > batches_below(world.log[number], place.offset, place.generation, place.attempt):
                return f"{partition_name(number)}: {place.batches} batches counted, not each once"
        return ""

    def broken_between(self, before: State, after: State) -> str:
        """The promise that a step breaks, or ''."""
        for number in range(3):
            if after.places[number].offset < before.places[number].offset:
                return f"the position of {partition_name(number)} goes back"
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
        shown = self.scenario.history[source_of(latest.snapshot.snapshot)]
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
