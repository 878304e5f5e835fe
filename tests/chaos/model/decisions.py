"""The product's own decisions, asked about a state of the model: the control topic's reducer, and the gate."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from consumer.gate import Gate, Verdict
from runtime.progress import GenerationProgress, GenerationState, Progress, TableProgress, TableState
from schemas.control import ControlState
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
from tests.chaos.model.state import CATALOGUE, NAMES, ORPHANS, PARTITIONS, Course, Guards, Said
from tests.made_log import LOG


@cache
def folded(control: tuple[Said, ...]) -> ControlState:
    """What the control topic says, by the reducer that producer and consumer share."""
    if not control:
        return ControlState()
    before, said = folded(control[:-1]), control[-1]
    header = Header(kind=_record(said).kind, log=LOG, generation=said.generation, attempt=said.attempt)
    return before.applied(Position("control", 0, len(control)), header, _record(said))


def _record(said: Said) -> ControlRecord:  # noqa: PLR0911 - one return a kind of record
    name, instant = NAMES[said.which], instant_text(said.instant)
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


def instant_text(instant: int) -> str:
    return f"2026-01-01T00:00:00.{instant:06d}Z"


def _snapshot(source: int) -> str:
    return f"{source + 1}:{source + 1}:"


def source_of(snapshot: str) -> int:
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
