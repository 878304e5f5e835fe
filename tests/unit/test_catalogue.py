"""Waves: every parent before its child, rings together, and the catalogue survives the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import (
    Catalogue,
    Column,
    Constraint,
    ForeignKey,
    ImpossibleOrder,
    Index,
    Key,
    Table,
    UserType,
    check_order,
    gates,
    load_waves,
    rings,
)


def table(name: str, *parents: str) -> Table:
    keys = tuple(
        ForeignKey(name=f"{name}_{parent}_fk", columns=(parent,), parent=parent, parent_columns=("id",), definition="")
        for parent in parents
    )
    return Table(name=name, foreign_keys=keys)


@st.composite
def schemas(draw: st.DrawFn) -> list[Table]:
    names = [f"t{number}" for number in range(draw(st.integers(0, 8)))]
    return [table(name, *draw(st.lists(st.sampled_from([*names, "outside"]), max_size=4))) for name in names]


@given(schemas())
def test_every_table_stands_in_exactly_one_wave(tables: list[Table]) -> None:
    placed = [member.name for wave in load_waves(tables) for member in wave]

    assert sorted(placed) == sorted(member.name for member in tables)


@given(schemas())
def test_parent_lies_in_an_earlier_wave_unless_both_are_in_one_ring(tables: list[Table]) -> None:
    wave_of = {member.name: number for number, wave in enumerate(load_waves(tables)) for member in wave}
    ring_of = {name: ring for ring in rings(tables) for name in ring}

    for child in tables:
        for parent in child.parents & wave_of.keys():
            if parent in ring_of[child.name]:
                assert wave_of[parent] == wave_of[child.name]
            else:
                assert wave_of[parent] < wave_of[child.name]


@given(schemas())
def test_order_of_waves_is_an_order_that_the_check_accepts(tables: list[Table]) -> None:
    check_order(member for wave in load_waves(tables) for member in wave)


@given(schemas())
def test_gate_never_waits_for_itself(tables: list[Table]) -> None:
    waits = gates(tables)

    reached = set[str]()
    while ready := {name for name, parents in waits.items() if name not in reached and parents <= reached}:
        reached |= ready

    assert reached == waits.keys()


def test_child_before_its_parent_is_refused_by_name() -> None:
    with pytest.raises(ImpossibleOrder, match='"orders" stands before its parent "customers"'):
        check_order([table("orders", "customers"), table("customers")])


def test_key_is_the_primary_key_or_else_the_shortest_required_unique_key() -> None:
    columns = (Column(name="a", type="text", not_null=True), Column(name="b", type="text", not_null=True))
    wide = Key(name="w", columns=("a", "b"), definition="UNIQUE (a, b)")
    narrow = Key(name="n", columns=("b",), definition="UNIQUE (b)")
    nullable = Key(name="x", columns=("c",), definition="UNIQUE (c)")
    late = Key(name="l", columns=("a",), definition="UNIQUE (a) DEFERRABLE", deferrable=True)
    primary = Key(name="p", columns=("a", "b"), definition="PRIMARY KEY (a, b)")

    assert Table(name="t", columns=columns, uniques=(wide, narrow, nullable, late)).key == ("b",)
    assert Table(name="t", columns=columns, uniques=(narrow,), primary_key=primary).key == ("a", "b")
    assert Table(name="t", columns=columns, uniques=(nullable,)).key == ()


def test_catalogue_survives_the_log_without_its_estimates() -> None:
    full = Table(
        name='or"der 🙂',
        schema="shop",
        columns=(
            Column(name="id", type="bigint", not_null=True, identity="always", sequence="order_id_seq"),
            Column(name="state", type="order_state", default="'pending'::order_state", collation="C"),
            Column(name="twice", type="bigint", generated="(id * 2)"),
        ),
        primary_key=Key(name="pk", columns=("id",), definition="PRIMARY KEY (id)"),
        uniques=(Key(name="u", columns=("state",), definition="UNIQUE (state)", deferrable=True),),
        foreign_keys=table("x", "y").foreign_keys,
        checks=(Constraint(name="c", definition="CHECK (id > 0)", validated=False),),
        exclusions=(Constraint(name="e", definition="EXCLUDE USING gist (id WITH =)"),),
        indexes=(Index(name="i", definition="CREATE INDEX i ON shop.t (lower(state))", columns=("state",)),),
        rows=7,
        bytes=8192,
    )
    catalogue = Catalogue(
        tables=(full,),
        types=(UserType(name="order_state", kind="enum", definition="ENUM ('pending')", labels=("pending",)),),
        extensions=("citext",),
    )

    again = Catalogue.from_json(catalogue.to_json())

    assert again.to_json() == catalogue.to_json()
    assert again.table(full.name).columns == full.columns
    assert again.table(full.name).rows == 0


def test_chain_of_thousands_of_tables_does_not_exhaust_the_stack() -> None:
    chain = [table("t0"), *(table(f"t{number}", f"t{number - 1}") for number in range(1, 3000))]

    assert len(load_waves(chain)) == 3000
