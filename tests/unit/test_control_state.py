"""The control topic as a fold: what can follow what, and what a resume supersedes."""

from __future__ import annotations

import pytest

from schemas.control import ControlState
from schemas.errors import ContractError, LogError
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


def begun(generation: int = 1) -> SnapshotStarted:
    return SnapshotStarted(
        log="l", tenant="shop", generation=generation, instant=f"2026-01-0{generation}T00:00:00.000000Z",
        migration_digest="", system_identifier="", database="", server_version=150000, wal_position="0/1",
        snapshot="1:1:", tables=("orders",), is_partial=False, catalogue="",
    )  # fmt: skip


def table(attempt: int = 1, generation: int = 1, name: str = "orders") -> TableStarted:
    return TableStarted(
        table=name, generation=generation, attempt=attempt, instant="2026-01-01T00:00:00.000000Z", topic="shop.orders",
        partitions=2, columns=(), schema="", key=("id",), parents=(),
    )  # fmt: skip


def checkpoint(sequence: int, rows: int, attempt: int = 1) -> Checkpoint:
    return Checkpoint(
        table="orders", generation=1, attempt=attempt, sequence=sequence, rows=rows, bytes=rows * 10,
        last_key=(str(rows),), partition_rows=(rows, 0),
    )  # fmt: skip


def ended(attempt: int = 1) -> TableFinished:
    return TableFinished(
        table="orders", generation=1, attempt=attempt, rows=7, batches=2, partition_rows=7, partition_batches=2, sums={}
    )


def resumed(again: tuple[str, ...] = ()) -> SnapshotResumed:
    return SnapshotResumed(
        generation=1, instant="2026-01-01T01:00:00.000000Z", wal_position="0/2", snapshot="5:5:", kept=(), again=again
    )


def folded(*records: ControlRecord, log: str = "l") -> ControlState:
    state = ControlState()
    for offset, record in enumerate(records):
        header = Header(kind=record.kind, log=log, generation=record.generation)
        state = state.applied(Position("shop.-control", 0, offset), header, record)
    return state


FINISHED = SnapshotFinished(generation=1, instant="2026-01-01T02:00:00.000000Z", rows={}, attempts={})
ABANDONED = SnapshotAbandoned(generation=1, instant="2026-01-01T03:00:00.000000Z", reason="")


def test_a_table_is_as_far_as_its_newest_checkpoint_and_complete_with_its_end() -> None:
    under_way = folded(begun(), table(), checkpoint(1, 4)).generations[1].tables["orders"]
    whole = folded(begun(), table(), checkpoint(1, 4), ended()).generations[1].tables["orders"]

    assert (under_way.rows, under_way.batches, under_way.last_key, under_way.is_finished) == (4, 1, ("4",), False)
    assert (whole.rows, whole.batches, whole.is_finished) == (7, 2, True)


def test_a_table_that_a_resume_reads_again_stays_superseded_until_its_next_attempt() -> None:
    # Else a producer that dies between the two would compare it with the newer snapshot, and keep it.
    before = folded(begun(), table(), ended(), resumed(("orders",)), resumed())
    after = folded(begun(), table(), ended(), resumed(("orders",)), table(2))

    assert before.generations[1].tables["orders"].is_superseded
    assert not after.generations[1].tables["orders"].is_superseded
    assert before.generations[1].snapshot.snapshot == "5:5:"


def test_instants_of_the_log_are_known_for_the_next_to_be_later() -> None:
    assert folded(begun(), FINISHED).last_instant == FINISHED.instant
    assert folded(begun(), resumed()).last_instant == resumed().instant


@pytest.mark.parametrize(
    "records",
    [
        (table(),),
        (begun(2),),
        (begun(), begun(2)),
        (begun(), FINISHED, table()),
        (begun(), ABANDONED, FINISHED),
        (begun(), table(2)),
        (begun(), table(name="others")),
        (begun(), checkpoint(1, 4)),
        (begun(), table(), checkpoint(2, 8), checkpoint(1, 9)),
        (begun(), table(), ended(), checkpoint(3, 9)),
        (begun(), table(), checkpoint(1, 4, attempt=2)),
    ],
)
def test_what_cannot_follow_is_refused(records: tuple[ControlRecord, ...]) -> None:
    with pytest.raises(ContractError, match=r"shop.-control-0@\d+: record that cannot stand here"):
        folded(*records)


def test_a_second_log_in_the_topic_is_refused() -> None:
    state = folded(begun(), FINISHED)

    with pytest.raises(LogError, match="belongs to log other"):
        state.applied(Position("c", 0, 9), Header(kind=begun(2).kind, log="other", generation=2), begun(2))


def test_a_generation_after_an_abandoned_one_is_the_next() -> None:
    state = folded(begun(), ABANDONED, begun(2))

    assert [generation.state for generation in state.generations.values()] == ["abandoned", "running"]
