"""What producers write: the plan of one, and the logs that all of them may leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

from producer import resume
from producer.half_read import after_parents
from producer.resume import TableFate
from producer.source import next_instant
from schemas import control as log_control
from schemas.catalogue import gates
from schemas.errors import ContractError
from tests.chaos.model.decisions import folded, instant_text, source_of
from tests.chaos.model.parts import sent
from tests.chaos.model.state import (
    CHILD,
    NAMES,
    PARENT,
    PARTITIONS,
    TABLES,
    Entry,
    Guards,
    Moment,
    Row,
    Rows,
    Said,
    Scenario,
    Send,
    Violation,
    World,
    Writing,
)
from tests.chaos.model.words import send_words


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
            yield f"the producer that was frozen commits {send_words(send)}", sent(writing, send)._replace(ghost=rest)
        if writing.plan is not None:
            send, rest = writing.plan[0], writing.plan[1:]
            yield f"the producer commits {send_words(send)}", sent(writing, send)._replace(plan=rest or None)
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
        instant = int(next_instant(instant_text(clock), last)[20:26])
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
            return len(rows) == found.rows and all(row[0] <= source_of(snapshot) for row in rows)

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
