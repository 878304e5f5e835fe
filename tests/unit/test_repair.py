"""A repair plan survives its file, shows no key in it, and is refused when it is not for this use."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.plan_file import read_plan, write_plan
from schemas.errors import ConfigurationError, Unavailable
from schemas.repair import (
    FORMAT,
    NotThisPlan,
    PlannedRow,
    PlannedTable,
    RepairKey,
    RepairPlan,
    RowKind,
    format_plan,
    parse_plan,
    see_log,
    see_migration,
)
from validator.instants import NEVER_REPLACED
from validator.recheck import Rechecked, Still
from validator.repair import KeyBook, make_plan
from validator.verdict import Difference, Finding, Kind, Layer, Sample

SEALING = RepairKey(3, bytes(range(32)))
HEAD = RepairPlan(tenant="t", log="the log", generation=4, migration_digest="d", made_at="2026-01-01T00:00:00.000000Z")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
rows = st.builds(
    PlannedRow,
    kind=st.sampled_from(RowKind),
    digest=st.text("0123456789abcdef", min_size=16, max_size=16),
    key=st.lists(texts, min_size=1, max_size=3).map(tuple),
    columns=st.lists(texts, max_size=2).map(tuple),
    reason=texts.filter(bool),
)
tables = st.builds(PlannedTable, rows=st.lists(rows, max_size=4).map(tuple), whole=texts)
plans = st.builds(
    lambda found, other: replace(HEAD, tables=found, other=other),
    st.dictionaries(texts, tables, max_size=3),
    st.lists(texts, max_size=2).map(tuple),
)


def key_of(kid: int) -> bytes:
    assert kid == SEALING.kid
    return SEALING.material


def parsed(text: str) -> RepairPlan:
    return parse_plan(text, "plan.json", tenant="t", key_of=key_of)


@given(plans, st.booleans())
def test_a_plan_is_read_as_it_was_written(plan: RepairPlan, is_sealed: bool) -> None:
    assert parsed(format_plan(plan, SEALING if is_sealed else None)) == plan


ONE = replace(
    HEAD,
    tables={
        "orders": PlannedTable(
            rows=(
                PlannedRow(kind=RowKind.MISSING, digest="00ff", key=("ann@x.example", "1"), reason="r"),
                PlannedRow(kind=RowKind.EXTRA, digest="00fe", key=("bob@x.example", "2"), reason="r"),
            )
        )
    },
)


def test_no_key_stands_in_a_sealed_file_nor_in_what_a_plan_looks_like() -> None:
    assert "x.example" in format_plan(ONE, None)
    assert "x.example" not in format_plan(ONE, SEALING)
    assert "x.example" not in repr(ONE)
    assert bytes(range(32)).hex() not in repr(SEALING)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda plan: plan.update(tenant="other"), "another tenant"),
        (lambda plan: plan.update(format=FORMAT + 1), "another format"),
        (lambda plan: plan.update(kind="report"), "not a repair plan"),
        (lambda plan: plan.update(log="another"), "cannot be opened"),
        (lambda plan: plan["tables"].update(customers=plan["tables"].pop("orders")), "cannot be opened"),
        (lambda plan: plan["tables"]["orders"]["rows"][1].update(kind="missing"), "cannot be opened"),
        (lambda plan: plan["tables"]["orders"]["rows"][0].update(digest="0000"), "cannot be opened"),
        (lambda plan: plan["tables"]["orders"]["rows"][0].update(key="AAAA"), "cannot be opened"),
        (lambda plan: plan["tables"]["orders"]["rows"][0].update(key=["ann"]), "damaged"),
        (lambda plan: plan.pop("generation"), "damaged"),
        (lambda plan: plan.update(tables=[]), "damaged"),
    ],
)
def test_a_file_that_was_changed_or_is_for_something_else_is_refused(
    change: Callable[[dict[str, Any]], object], why: str
) -> None:
    plain = json.loads(format_plan(ONE, SEALING))
    change(plain)

    with pytest.raises(NotThisPlan, match=why) as caught:
        parsed(json.dumps(plain))

    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.hint
    assert "x.example" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 1}', "\0", '"plan"'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(NotThisPlan, match="not a repair plan"):
        parsed(text)


def test_a_sealed_plan_needs_the_keyring() -> None:
    with pytest.raises(NotThisPlan, match="no keyring"):
        parse_plan(format_plan(ONE, SEALING), "plan.json", tenant="t", key_of=None)


def test_a_plan_is_for_one_log_and_one_state_of_the_migration() -> None:
    see_log(ONE, "plan.json", "the log")
    see_migration(ONE, "plan.json", "d")
    with pytest.raises(NotThisPlan, match="another"):
        see_migration(ONE, "plan.json", "e")
    with pytest.raises(NotThisPlan, match="made for log"):
        see_log(ONE, "plan.json", "")


def test_the_digest_names_the_rows_that_are_published_and_nothing_else() -> None:
    assert parsed(format_plan(replace(ONE, made_at="later", generation=9), None)).digest == ONE.digest
    fewer = replace(ONE, tables={"orders": PlannedTable(rows=ONE.tables["orders"].rows[:1])})
    assert fewer.digest == ONE.digest  # the other one is too many in the target: never published
    assert replace(ONE, tables={}).digest != ONE.digest
    assert ONE.published == {"orders": (("ann@x.example", "1"),)}


def test_a_plan_file_is_for_its_owner_only_and_one_that_lists_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("older")
    path.chmod(0o644)

    write_plan(path, ONE, None)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_plan(path, tenant="t", keyring=None) == ONE
    assert list(tmp_path.iterdir()) == [path]
    write_plan(path, HEAD, None)
    with pytest.raises(NotThisPlan, match="lists no row"):
        read_plan(path, tenant="t", keyring=None)
    with pytest.raises(NotThisPlan, match="cannot be read"):
        read_plan(tmp_path / "none.json", tenant="t", keyring=None)
    with pytest.raises(Unavailable, match="cannot be written"):
        write_plan(tmp_path / "none" / "plan.json", ONE, None)


# ---------------------------------------------------------------- from findings to a plan


def difference(kind: Kind, key: str, *, layer: Layer = Layer.CHECKSUMS, **facts: Any) -> Difference:
    return Difference(layer=layer, table="orders", kind=kind, key=key and f"digest of {key}", **facts)


def finding(*found: Difference, layer: Layer = Layer.CHECKSUMS, different: int = 0, **facts: Any) -> Finding:
    return Finding(layer=layer, table="orders", differences=found, different=different, **facts)


def published(*found: Difference, **facts: Any) -> Finding:
    return finding(*found, layer=Layer.PUBLISHED, **facts)


def made(*findings: Finding) -> RepairPlan:
    book = KeyBook(lambda key: f"digest of {key[0]}")
    for key in "abc":
        book.of("orders")([key])
    return make_plan(HEAD, findings, ["customers", "orders"], book)


def kinds(plan: RepairPlan) -> dict[str, RowKind]:
    return {row.key[0]: row.kind for row in plan.tables["orders"].rows}


def test_each_row_is_planned_once_by_how_it_differs() -> None:
    plan = made(
        finding(difference(Kind.MISSING_IN_TARGET, "a"), difference(Kind.EXTRA_IN_TARGET, "b")),
        finding(
            difference(Kind.MISSING_IN_TARGET, "a", layer=Layer.CELLS),
            difference(Kind.UNDECRYPTABLE, "c", layer=Layer.CELLS, columns=("email",)),
            layer=Layer.CELLS,
        ),
        finding(difference(Kind.COUNT, "", layer=Layer.COUNTS), layer=Layer.COUNTS),
    )

    assert kinds(plan) == {"a": RowKind.MISSING, "b": RowKind.EXTRA, "c": RowKind.DIFFERENT}
    assert (plan.whole, plan.other) == ({}, ())
    assert plan.tables["orders"].rows[2].columns == ("email",)


def test_a_row_that_no_image_replaces_is_marked_whatever_else_differs() -> None:
    plan = made(
        finding(difference(Kind.EXTRA_IN_TARGET, "a"), difference(Kind.VALUE_MISMATCH, "b")),
        finding(
            difference(Kind.VALUE_MISMATCH, "a", layer=Layer.PUBLISHED, detail=NEVER_REPLACED),
            difference(Kind.VALUE_MISMATCH, "c", layer=Layer.PUBLISHED, detail=NEVER_REPLACED),
            layer=Layer.PUBLISHED,
        ),
    )

    assert kinds(plan) == {"a": RowKind.STUCK, "b": RowKind.DIFFERENT, "c": RowKind.STUCK}
    assert "delete it there" in plan.tables["orders"].rows[0].reason


def test_a_row_that_no_load_wrote_is_replaced_or_goes_as_any_other() -> None:
    strange = finding(
        difference(Kind.VALUE_MISMATCH, "a", layer=Layer.PUBLISHED),
        difference(Kind.VALUE_MISMATCH, "b", layer=Layer.PUBLISHED),
        layer=Layer.PUBLISHED,
    )
    rows = finding(difference(Kind.EXTRA_IN_TARGET, "a"))

    assert kinds(made(strange, rows)) == kinds(made(rows, strange)) == {"a": RowKind.EXTRA, "b": RowKind.DIFFERENT}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (finding(difference(Kind.EXTRA_IN_TARGET, "")), "no key names"),
        (finding(different=1), "no key names"),
        (finding(difference(Kind.EXTRA_IN_TARGET, "a"), different=2), "2 rows differ, 1 are listed"),
        (finding(difference(Kind.EXTRA_IN_TARGET, "a"), different=2), "too many go with the next complete generation"),
        (
            finding(difference(Kind.MISSING_IN_TARGET, "a"), different=2),
            "too many go with the next complete generation",
        ),
        (published(difference(Kind.VALUE_MISMATCH, "", layer=Layer.PUBLISHED)), "no key names"),
        (published(difference(Kind.VALUE_MISMATCH, "a", layer=Layer.PUBLISHED), different=2), "2 rows show an instant"),
        (
            published(difference(Kind.VALUE_MISMATCH, "a", layer=Layer.PUBLISHED, detail=NEVER_REPLACED), different=2),
            "deleted in the target first",
        ),
        (finding(difference(Kind.SCHEMA, "")), "not as it must be"),
        (
            finding(
                difference(Kind.VALUE_MISMATCH, "a", layer=Layer.CELLS),
                layer=Layer.CELLS,
                sample=Sample(rows=2, population=9, seed=1),
            ),
            "not decrypted",
        ),
    ],
)
def test_a_table_whose_rows_were_not_all_named_is_planned_whole(found: Finding, why: str) -> None:
    assert why in made(found).whole["orders"]


def test_numbers_of_progress_plan_no_table_whole() -> None:
    plan = made(published(difference(Kind.COUNT, "", layer=Layer.PUBLISHED, detail="published 2, but applied 1")))

    assert (plan.tables, plan.other) == ({}, ("published: orders: published 2, but applied 1",))


def test_what_no_row_mends_is_told() -> None:
    plan = made(
        finding(difference(Kind.SCHEMA, "", layer=Layer.SCHEMA), layer=Layer.SCHEMA),
        finding(layer=Layer.CELLS, unknown=("a column is missing",)),
        Finding(
            layer=Layer.GENERATION,
            differences=(Difference(layer=Layer.GENERATION, table="orders", kind=Kind.QUARANTINED, key="x"),),
        ),
    )

    assert plan.tables == {}
    assert set(plan.other) == {
        "schema: orders: 1 differ",
        "cells: orders: not decided: a column is missing",
        "1 rows stand in quarantine: consumer quarantine list",
    }


# ---------------------------------------------------------------- looked at again

LEFT = Still(table="orders", key="k", planned=RowKind.DIFFERENT, kind=Kind.VALUE_MISMATCH, detail="cells differ")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Rechecked(rows=3), 5),
        (Rechecked(rows=0, tables=("touches",)), 5),
        (Rechecked(rows=0), 3),  # nothing was looked at
        (Rechecked(rows=3, unknown=("generation 2 has not ended",)), 3),
        (Rechecked(rows=3, changed=(LEFT,)), 3),
        (Rechecked(rows=3, different=(LEFT,)), 1),
        (Rechecked(rows=3, different=(LEFT,), unknown=("a column",)), 1),
        (Rechecked(rows=0, tables=("touches",), different_tables=("touches",)), 1),
    ],
)
def test_repaired_is_said_only_when_every_row_was_looked_at_and_is_equal(found: Rechecked, code: int) -> None:
    assert found.exit_code == code
    assert found.sentence.startswith({5: "Repaired", 3: "Inconclusive", 1: "Different"}[code])
    assert found.next


EXTRA = replace(LEFT, kind=Kind.EXTRA_IN_TARGET)
STUCK = replace(
    EXTRA, detail="the target's row shows an instant that no generation has, so no image replaces it: delete it there"
)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (Rechecked(rows=3, different=(LEFT, EXTRA)), "producer snapshot --keys FILE"),
        (Rechecked(rows=3, different=(EXTRA,)), "producer snapshot, consumer run"),
        (Rechecked(rows=3, different=(EXTRA,), different_tables=("a",)), "producer snapshot, consumer run"),
        (Rechecked(rows=3, different=(EXTRA, STUCK)), "delete in the target"),  # no generation prunes it
        (Rechecked(rows=0, different_tables=("a", "b")), "producer snapshot --table a --table b"),
        (Rechecked(rows=0, different_tables=("a",), has_extra=True), "producer snapshot, consumer run"),
        (Rechecked(rows=3, changed=(LEFT,)), "validator reconcile --plan FILE"),
        (Rechecked(rows=3, different=(replace(STUCK, kind=Kind.QUARANTINED),)), "consumer quarantine list"),
    ],
)
def test_what_to_do_next_mends_what_is_left(found: Rechecked, what: str) -> None:
    assert found.next.startswith(what)
