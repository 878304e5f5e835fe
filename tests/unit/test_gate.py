"""The gate and the backlog: what may flow, and in which pieces."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consumer.backlog import Backlog
from consumer.gate import Gate, Verdict
from runtime.kafka import LogRecord
from runtime.progress import (
    GenerationProgress,
    GenerationState,
    Progress,
    TableProgress,
    TableState,
    TenantProgress,
)
from schemas.catalogue import Catalogue, ForeignKey, Table
from schemas.records import Header, Kind, Position

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def child(name: str, parent: str) -> Table:
    key = ForeignKey(name="f", columns=("p",), parent=parent, parent_columns=("id",), definition="")
    return Table(name=name, foreign_keys=(key,))


CATALOGUE = Catalogue(tables=(Table(name="customers"), child("orders", "customers"), child("items", "orders")))


def generation(number: int, state: GenerationState = GenerationState.RUNNING) -> GenerationProgress:
    return GenerationProgress(
        generation=number,
        instant=NOW,
        state=state,
        is_partial=False,
        is_published=True,
        is_prepared=True,
        whole=None,
        catalogue_json=CATALOGUE.to_json(),
        table_order=("customers", "orders", "items"),
        migration_digest="d",
        known_at=NOW,
        prepared_at=None,
        loaded_at=None,
        ended_at=None,
    )


def progress(*generations: GenerationProgress, **states: TableState) -> Progress:
    tables = {
        (item.generation, name): TableProgress(
            generation=item.generation,
            table_name=name,
            attempt=1,
            instant=NOW,
            topic=f"p.{name}",
            partitions=1,
            published=0,
            applied=0,
            quarantined=0,
            pruned=0,
            state=states.get(f"{name}_{item.generation}", TableState.WAITING),
            was_empty=True,
            started_at=None,
            finished_at=None,
        )
        for item in generations
        for name in item.table_order
    }
    tenant = TenantProgress(
        tenant="t",
        schema_name="s",
        log_id="l",
        prefix="p",
        accepted_digest=None,
        reapply=False,
        made_schema=True,
        made_organization=False,
    )
    return Progress(
        tenant=tenant,
        generations={item.generation: item for item in generations},
        tables=tables,
        positions={},
        open_quarantine={},
        foreign_keys=(),
    )


def test_a_child_waits_until_its_parent_is_complete() -> None:
    waiting = Gate(progress(generation(1), customers_1=TableState.LOADING))
    open_ = Gate(progress(generation(1), customers_1=TableState.COMPLETE))

    assert waiting.verdict("orders", 1, 1) is Verdict.WAIT
    assert waiting.waits_for() == {"orders": ("customers",), "items": ("orders",)}
    assert open_.verdict("orders", 1, 1) is Verdict.APPLY
    assert open_.verdict("items", 1, 1) is Verdict.WAIT


def test_a_generation_waits_for_the_end_of_the_one_before() -> None:
    first_runs = Gate(progress(generation(1), generation(2)))
    first_ended = Gate(progress(generation(1, GenerationState.ENDED), generation(2), customers_1=TableState.APPLIED))

    assert first_runs.verdict("customers", 2, 1) is Verdict.WAIT
    assert first_ended.verdict("customers", 2, 1) is Verdict.APPLY


@pytest.mark.parametrize("over", [GenerationState.ENDED, GenerationState.ABANDONED])
def test_records_of_a_generation_that_is_over_are_passed_over(over: GenerationState) -> None:
    assert Gate(progress(generation(1, over), generation(2))).verdict("items", 1, 1) is Verdict.PASS


def test_records_of_an_older_attempt_are_passed_over_and_of_an_unknown_one_wait() -> None:
    state = progress(generation(1))
    tables = {**state.tables, (1, "customers"): replace(state.tables[1, "customers"], attempt=2)}
    gate = Gate(replace(state, tables=tables))

    assert gate.verdict("customers", 1, 1) is Verdict.PASS
    assert gate.verdict("customers", 1, 2) is Verdict.APPLY
    assert gate.verdict("customers", 1, 3) is Verdict.WAIT
    assert gate.verdict("customers", 7, 1) is Verdict.WAIT


def record(partition: int, offset: int, kind: Kind = Kind.BATCH, *, attempt: int = 1, size: int = 10) -> LogRecord:
    header = Header(kind=kind, log="l", generation=1, attempt=attempt, rows=1)
    return LogRecord(Position("p.orders", partition, offset), header, bytes(size), 0)


def test_batches_of_several_partitions_go_together_and_never_cross_a_marker() -> None:
    backlog = Backlog()
    for item in (record(0, 5), record(1, 7), record(0, 6, Kind.TABLE_FINISHED), record(1, 8), record(1, 9, attempt=2)):
        backlog.add(item)

    first = backlog.take(backlog.heads()[0])
    rest = [backlog.take(head) for head in backlog.heads()]

    assert {str(place): ends for place, ends in first.ends.items()} == {"p.orders-0": (5, 6), "p.orders-1": (7, 9)}
    assert [work.is_marker for work in rest] == [True, False]
    assert backlog.records == backlog.bytes == 0


def test_a_group_is_bounded_but_takes_one_batch_of_any_size() -> None:
    backlog = Backlog(max_batches=2, max_bytes=100)
    for item in (record(0, 1, size=1000), record(0, 2), record(0, 3), record(0, 4)):
        backlog.add(item)

    sizes = []
    while heads := backlog.heads():
        sizes.append(len(backlog.take(heads[0]).records))

    assert sizes == [1, 2, 1]
