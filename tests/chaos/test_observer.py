"""The observer can fail: each of its rules is broken once, in a look and in a target."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from runtime.advance import install
from tests.chaos.observer import Loading, Look, Rows, violations
from tests.chaos.shop import Watched
from tests.chaos.watching import look_at

NOON, LATER = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=UTC)
PUBLISHED = {"parent": {b"1", b"2"}, "child": {b"7"}}
LOOK = Look(
    server_started=NOON,
    tables={
        "parent": Rows(2, {b"1": b"12:00", b"2": b"12:00"}),
        "child": Rows(1, {b"7": b"12:00"}, {"parent": {b"2"}}),
    },
    loading={"parent": Loading(1, 1, 2, 0, 2), "child": Loading(1, 1, 1, 0, None)},
    positions={("t.parent", 0): 9},
    is_first=True,
)


def with_table(name: str, rows: Rows) -> Look:
    return replace(LOOK, tables={**LOOK.tables, name: rows})


def with_loading(name: str, item: Loading) -> Look:
    return replace(LOOK, loading={**LOOK.loading, name: item})


def test_a_sound_look_breaks_no_rule() -> None:
    assert violations(LOOK, LOOK, PUBLISHED) == []


@pytest.mark.parametrize(
    ("look", "rule"),
    [
        (with_table("child", Rows(1, {b"7": b"12:00"}, {"parent": {b"3"}})), "parent that is not there: 3"),
        (with_table("parent", Rows(3, {b"1": b"12:00", b"2": b"12:00", b"8": b"12:00"})), "no snapshot published: 8"),
        (with_table("parent", Rows(3, {b"1": b"12:00", b"2": b"12:00"})), "3 rows, 2 keys"),
        (with_loading("child", Loading(1, 1, 0, 0, None)), "1 rows, 0 applied"),
        (with_loading("parent", Loading(1, 1, 2, 1, 2)), "3 applied, 2 published"),
        (with_table("parent", Rows(2, {b"1": b"11:00", b"2": b"12:00"})), "migrated_at went back in 1 rows: 1"),
        (replace(LOOK, positions={("t.parent", 0): 8}), "position went back from 9 to 8"),
        (replace(LOOK, positions={}), "position went back from 9 to None"),
        (with_loading("parent", Loading(1, 0, 2, 0, 2)), "attempt went back"),
    ],
)
def test_each_rule_is_seen_broken(look: Look, rule: str) -> None:
    assert any(rule in found for found in violations(look, LOOK, PUBLISHED))


def test_a_number_applied_that_goes_back_is_seen_broken() -> None:
    before = replace(LOOK, is_first=False, loading={"parent": Loading(2, 1, 5, 0, 9)})
    after = replace(before, loading={"parent": Loading(2, 1, 4, 0, 9)})

    assert violations(after, before, PUBLISHED) == ["parent: applied went back from 5 to 4"]


def test_a_server_that_crashed_may_forget_but_not_break_order() -> None:
    forgot = replace(LOOK, server_started=LATER, positions={})
    orphan = replace(forgot, tables={**LOOK.tables, "parent": Rows(0)})

    assert violations(forgot, LOOK, PUBLISHED) == []
    assert len(violations(orphan, LOOK, PUBLISHED)) == 1


def test_rows_whose_parent_may_be_in_quarantine_are_excused() -> None:
    orphan = with_table("child", Rows(1, {b"7": b"12:00"}, {"parent": {b"3"}}))

    assert violations(replace(orphan, quarantined=1), LOOK, PUBLISHED) == []


def test_a_broken_rule_is_seen_in_a_real_target(target_url: str) -> None:
    tables = (Watched("parent", ("id",)), Watched("child", ("id",), {"parent": ("parent_id",)}))
    with psycopg.connect(target_url, autocommit=True) as connection:
        install(connection)
        connection.execute("CREATE SCHEMA tenant_t")
        connection.execute("CREATE TABLE tenant_t.parent (id int, migrated_at timestamptz)")
        connection.execute("CREATE TABLE tenant_t.child (id int, parent_id int, migrated_at timestamptz)")
        connection.execute("INSERT INTO tenant_t.parent VALUES (1, now()), (2, now())")
        connection.execute("INSERT INTO tenant_t.child VALUES (7, 2, now())")
        before = look_at(connection, "t", tables)
        connection.execute("DELETE FROM tenant_t.parent WHERE id = 2")
        connection.execute("UPDATE tenant_t.parent SET migrated_at = '2020-01-01'")
        connection.execute("INSERT INTO tenant_t.child VALUES (8, 1, now()), (7, 1, now())")

        after = look_at(connection, "t", tables)

    assert before is not None
    assert after is not None
    assert violations(before, None, PUBLISHED) == []
    found = "\n".join(violations(after, before, PUBLISHED))
    assert "child: 1 keys of parent that is not there: 2" in found
    assert "child: 1 keys of no snapshot published: 8" in found
    assert "child: 3 rows, 2 keys" in found
    assert "parent: migrated_at went back in 1 rows: 1" in found
