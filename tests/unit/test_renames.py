"""Names of several schemas in one: texts that follow, what collides, what is proposed."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Column, OwnPart, Partition, Table
from schemas.renames import Names, Thing, collisions, proposals, rename_lines

NAMES = Names(
    schemas=frozenset({"public", "Sales Dept"}),
    renamed={("Sales Dept", "orders"): "user", ("public", "it's"): "its", ("Sales Dept", "span_m"): "B m"},
    printed={"user": '"user"', "its": "its", "B m": '"B m"'},
)


def thing(schema: str, name: str, new: str | None = None, kind: str = "table") -> Thing:
    spaces = ("relation", "type") if kind == "table" else ("relation",)
    return Thing(kind=kind, schema=schema, source_name=name, name=new or name, spaces=spaces)  # type: ignore[arg-type]


def test_names_lose_their_schema_and_follow_the_migration_wherever_they_stand() -> None:
    assert NAMES.text('FOREIGN KEY (a) REFERENCES "Sales Dept".orders(id)') == 'FOREIGN KEY (a) REFERENCES "user"(id)'
    assert NAMES.text("nextval('public.\"it''s\"'::regclass)") == "nextval('its'::regclass)"
    assert NAMES.text("(c COLLATE public.\"x y\") OPERATOR(public.=) 'public.orders'::public.citext") == (
        "(c COLLATE \"x y\") = 'public.orders'::citext"
    )
    assert NAMES.text("CHECK ((orders.* IS NOT NULL))", ("Sales Dept", "orders")) == 'CHECK (("user".* IS NOT NULL))'
    assert NAMES.index("Sales Dept", "x", 'CREATE UNIQUE INDEX orders ON "Sales Dept".x USING btree (orders)') == (
        'CREATE UNIQUE INDEX "user" ON x USING btree (orders)'
    )
    assert NAMES.type("Sales Dept", "RANGE (SUBTYPE = integer, MULTIRANGE_TYPE_NAME = span_m)").endswith('= "B m")')


def test_columns_fields_strings_and_other_schemas_stay_as_they_are() -> None:
    for text in (
        "(orders).public > 1.5",
        "'Sales Dept.orders'::text",
        "'public.orders'",
        "other.orders",
        "orders",
        "e'x''public.orders'",
        "pg_catalog.int4(1)",
    ):
        assert NAMES.text(text, ("Sales Dept", "x")) == text


def test_a_type_and_an_index_may_share_a_name_but_a_table_with_neither() -> None:
    index = thing("a", "x", kind="index")
    type_ = Thing(kind="type", schema="b", source_name="x", name="x", spaces=("type",))

    assert collisions([index, type_]) == []
    assert collisions([index, type_, thing("c", "x")]) == [(index, thing("c", "x")), (type_, thing("c", "x"))]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "a_b", "é" * 30]), st.text("ab_é", min_size=1, max_size=31)), max_size=20
    )
)
def test_after_what_is_proposed_nothing_collides_and_every_name_is_one(places: list[tuple[str, str]]) -> None:
    things = [thing(schema, name) for schema, name in dict.fromkeys(places)]

    new = tomllib.loads("\n".join(rename_lines(proposals(things)))).get("rename", {})

    renamed = [thing(one.schema, one.name, new.get(one.schema, {}).get(one.name)) for one in things]
    assert collisions(renamed) == []
    assert all(len(one.name.encode()) <= 63 for one in renamed)


def test_what_partitions_have_of_their_own_and_names_at_the_source_travel_in_the_catalogue() -> None:
    own = OwnPart(kind="foreign key", name="f", definition="FOREIGN KEY (a) REFERENCES p(id)", parent="p")
    table = Table(
        name="b_t",
        schema="b",
        source_name="t",
        columns=(Column(name="a", type="b_mood", source_type="b.mood"),),
        partitions=(Partition(name="t_1", parent="b_t", bound="DEFAULT", own=(own,)),),
    )

    catalogue = Catalogue(tables=(table, Table(name="p")))

    assert Catalogue.from_json(catalogue.to_json()) == catalogue
    assert table.at_source == '"b"."t"'
    assert table.parents == {"p"}


def test_what_postgresql_has_of_its_own_keeps_its_name() -> None:
    own = Thing(kind="PostgreSQL's own", schema="pg_catalog", source_name="path", name="path", spaces=("type in SQL",))
    enum = Thing(kind="type", schema="a", source_name="path", name="path", spaces=("type", "type in SQL"))

    assert collisions([own, thing("a", "path")]) == []  # nothing means a table's type by its bare name
    assert proposals([own, enum]) == {"a": {"path": "a_path"}}
