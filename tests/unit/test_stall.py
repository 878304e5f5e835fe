"""A load that stands still: told once, with what waits for what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from consumer.stall import STALL_S, Patience, still_s, waits
from consumer.summary import status_json, status_lines
from runtime.kafka import Partition
from runtime.progress import (
    GenerationProgress,
    GenerationState,
    PositionProgress,
    Progress,
    StoppedPartition,
    TableProgress,
    TableState,
    TenantProgress,
)
from schemas.catalogue import Catalogue
from tests.made_log import table

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = BEGAN + timedelta(seconds=STALL_S)
CATALOGUE = Catalogue(
    tables=(table("customers", "id int"), table("orders", "id int", "parent_id int", parent="customers"))
)
GENERATION = GenerationProgress(
    generation=1,
    instant=BEGAN,
    state=GenerationState.RUNNING,
    is_partial=False,
    is_published=False,
    is_prepared=True,
    whole=None,
    catalogue_json=CATALOGUE.to_json(),
    table_order=("customers", "orders"),
    migration_digest="",
    known_at=BEGAN,
    prepared_at=BEGAN,
    loaded_at=None,
    ended_at=None,
)


def of_table(name: str, state: TableState, *, has_begun: bool = True) -> TableProgress:
    return TableProgress(
        generation=1,
        table_name=name,
        attempt=1 if has_begun else 0,
        instant=BEGAN if has_begun else None,
        topic=f"t.{name}",
        partitions=2 if has_begun else None,
        published=None,
        applied=0,
        quarantined=0,
        pruned=0,
        state=state,
        was_empty=True,
        started_at=None,
        finished_at=None,
    )


def position(name: str, number: int, *, owner: str | None = "member", is_finished: bool = False) -> PositionProgress:
    return PositionProgress(
        topic=f"t.{name}",
        partition=number,
        next_offset=7,
        table_name=name,
        generation=1,
        attempt=1,
        applied=0,
        quarantined=0,
        batches=0,
        finished_generation=int(is_finished),
        finished_attempt=int(is_finished),
        committed_offset=None,
        owner_pid=None,
        owner_backend_start=None,
        owner_member=owner,
        moved_at=BEGAN,
    )


def progress(*tables: TableProgress, positions: tuple[PositionProgress, ...] = (), at: datetime = LATER) -> Progress:
    return Progress(
        tenant=TenantProgress(
            tenant="t",
            schema_name="t",
            log_id="l",
            prefix="t",
            accepted_digest=None,
            reapply=False,
            made_schema=True,
            made_organization=False,
        ),
        generations={1: GENERATION},
        tables={(1, item.table_name): item for item in tables},
        positions={(item.topic, item.partition): item for item in positions},
        open_quarantine={},
        foreign_keys=(),
        read_at=at,
    )


LOADING = of_table("customers", TableState.LOADING)
WAITING = of_table("orders", TableState.WAITING)
COMPLETE = of_table("customers", TableState.COMPLETE)


def said(found: Progress, **lag: int) -> list[str]:
    return [str(wait) for wait in waits(found, {Partition("t.customers", int(n[1:])): much for n, much in lag.items()})]


def test_each_closed_gate_and_each_partition_says_what_it_waits_for() -> None:
    found = progress(LOADING, WAITING, positions=(position("customers", 0), position("customers", 1, owner=None)))

    assert said(found, p0=1_200) == [
        "t.customers-0 waits for consumer member, which owns it at offset 7, 1,200 offsets behind the log's end",
        "t.customers-1 waits for a consumer that owns it",
        "orders waits for customers to be complete (gate)",
    ]


def test_what_is_applied_as_far_as_the_log_goes_waits_for_the_producer() -> None:
    found = progress(LOADING, WAITING, positions=(position("customers", 0), position("customers", 1, is_finished=True)))

    assert said(found, p0=0)[0] == "t.customers-0 waits for the producer: all that is in the log is applied"


def test_a_table_that_the_log_has_not_begun_waits_for_the_producer() -> None:
    found = progress(COMPLETE, of_table("orders", TableState.WAITING, has_begun=False))

    assert said(found) == ["orders waits for the producer, which has not begun with it"]


def test_complete_tables_wait_for_the_end_of_the_snapshot_then_of_the_generation() -> None:
    found = progress(COMPLETE, of_table("orders", TableState.COMPLETE))
    published = replace(found, generations={1: replace(GENERATION, is_published=True)})

    assert said(found) == ["generation 1 waits for the producer, which has not ended the snapshot"]
    assert said(published) == ["generation 1 waits for a consumer that ends it: vanished rows, indexes, constraints"]


def test_a_stopped_partition_waits_for_a_person() -> None:
    stop = StoppedPartition(
        topic="t.customers",
        partition=0,
        offset=7,
        table_name="customers",
        reason="r",
        hint="",
        since=BEGAN,
        is_held=True,
    )
    found = replace(progress(LOADING, WAITING, positions=(position("customers", 0),)), stops=(stop,))

    assert said(found)[0] == "t.customers-0 waits for somebody to put right what stopped it at offset 7"


def test_time_counts_from_the_last_move_of_anything() -> None:
    moved = replace(position("customers", 0), moved_at=BEGAN + timedelta(seconds=10))

    assert still_s(progress(LOADING, WAITING, positions=(moved,))) == STALL_S - 10
    assert still_s(replace(progress(), generations={})) is None


def test_a_stall_is_told_once_and_again_after_something_moved() -> None:
    patience = Patience()
    stalled = progress(LOADING, WAITING, positions=(position("customers", 0),))
    moving = replace(stalled, read_at=BEGAN + timedelta(seconds=1))

    told = [patience.look(found, dict) for found in (moving, stalled, stalled, moving, stalled)]

    assert [bool(text) for text in told] == [False, True, False, False, True]
    assert "orders waits for customers to be complete (gate)" in told[1]


def test_status_tells_a_stall_and_json_always_what_waits() -> None:
    stalled = progress(LOADING, WAITING, positions=(position("customers", 0),))

    assert "nothing has moved for 30 s:" in list(status_lines(stalled, {}))
    assert "nothing has moved" not in "".join(status_lines(replace(stalled, read_at=BEGAN), {}))
    assert '"for": "customers to be complete (gate)"' in status_json(replace(stalled, read_at=BEGAN), {})
