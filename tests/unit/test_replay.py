from datetime import UTC, datetime

import pytest

from consumer.replay import plan_replay
from runtime.progress import GenerationProgress, GenerationState, PositionProgress, Progress, TenantProgress
from schemas.errors import ConfigurationError, Refused

THEN = datetime(2026, 11, 1, tzinfo=UTC)


def generation(
    number: int, *tables: str, state: str = "ended", is_partial: bool = False, is_published: bool = True
) -> GenerationProgress:
    return GenerationProgress(
        generation=number,
        instant=THEN,
        state=GenerationState(state),
        is_partial=is_partial,
        is_published=is_published,
        is_prepared=True,
        whole=True if state == "ended" else None,
        catalogue_json="",
        table_order=tables,
        migration_digest="d1",
        known_at=THEN,
        prepared_at=THEN,
        loaded_at=THEN,
        ended_at=THEN,
    )


def position(table: str, partition: int, next_offset: int) -> PositionProgress:
    return PositionProgress(
        topic=f"t.{table}",
        partition=partition,
        next_offset=next_offset,
        table_name=table,
        generation=1,
        attempt=1,
        applied=0,
        quarantined=0,
        batches=0,
        finished_generation=1,
        finished_attempt=1,
        committed_offset=None,
        owner_pid=None,
        owner_backend_start=None,
        owner_member=None,
    )


def progress(*generations: GenerationProgress, accepted: str | None = None) -> Progress:
    tenant = TenantProgress(
        tenant="t",
        schema_name="tenant_t",
        log_id="l",
        prefix="t",
        accepted_digest=accepted,
        reapply=False,
        made_schema=True,
        made_organization=False,
    )
    positions = [position("customers", 0, 7), position("customers", 1, 9), position("orders", 0, 5)]
    return Progress(
        tenant=tenant,
        generations={item.generation: item for item in generations},
        tables={},
        positions={(item.topic, item.partition): item for item in positions},
        open_quarantine={(1, "orders"): 2, (2, "orders"): 1},
        foreign_keys=(),
    )


def test_the_newest_complete_generation_is_replayed_and_what_came_after_it() -> None:
    known = progress(
        generation(1, "customers", "orders"),
        generation(2, "customers", "orders"),
        generation(3, "orders", is_partial=True),
        generation(4, "customers", "orders", state="abandoned"),
        generation(5, "customers", "orders", state="running", is_published=False),
    )

    plan = plan_replay(known, {}, digest="d1", reapply=False)

    assert list(plan.generations) == [2, 3, 5]
    assert plan.generations[3] == ("orders",)
    assert plan.quarantined == 1
    assert plan.moves == {("t.customers", 0): (7, 0), ("t.customers", 1): (9, 0), ("t.orders", 0): (5, 0)}


def test_a_replay_begun_again_never_goes_back_to_an_older_generation() -> None:
    known = progress(
        generation(1, "customers", "orders"),
        generation(2, "customers", "orders", state="running"),
        generation(3, "orders", is_partial=True, state="running"),
    )

    assert list(plan_replay(known, {}, digest="d1", reapply=False).generations) == [2, 3]


def test_a_generation_behind_one_that_is_loading_does_not_overtake_it() -> None:
    known = progress(
        generation(1, "customers", "orders"),
        generation(2, "orders", is_partial=True, state="running"),
        generation(3, "customers", "orders", state="running"),
    )

    assert list(plan_replay(known, {}, digest="d1", reapply=False).generations) == [1, 2, 3]


def test_a_table_or_a_generation_can_be_chosen() -> None:
    known = progress(generation(1, "customers", "orders"), generation(2, "customers"))

    plan = plan_replay(known, {("t.orders", 0): 2}, tables=["orders"], generation=1, digest="d1", reapply=False)

    assert plan.generations == {1: ("orders",)}
    assert plan.moves == {("t.orders", 0): (5, 2)}
    assert any("3 offsets again (partition 0: 5 → 2)" in line for line in plan.lines())


def test_what_is_not_there_is_named_with_what_is() -> None:
    known = progress(generation(1, "customers", "orders"))

    with pytest.raises(ConfigurationError, match=r"generation 7 is not in this target \(known: 1\)"):
        plan_replay(known, {}, generation=7, digest="d1", reapply=False)
    with pytest.raises(ConfigurationError, match='did you mean "orders"'):
        plan_replay(known, {}, tables=["order"], digest="d1", reapply=False)
    with pytest.raises(Refused, match="nothing to replay"):
        plan_replay(progress(), {}, digest="d1", reapply=False)


def test_another_migration_is_refused_unless_rows_are_reapplied_or_it_was_accepted() -> None:
    known = progress(generation(1, "customers"))

    with pytest.raises(Refused, match="another") as refused:
        plan_replay(known, {}, digest="d2", reapply=False)

    assert "--reapply" in refused.value.hint
    assert plan_replay(known, {}, digest="d2", reapply=True).accepted_digest == "d2"
    accepted = progress(generation(1, "customers"), accepted="d2")
    assert plan_replay(accepted, {}, digest="d2", reapply=False).accepted_digest is None
