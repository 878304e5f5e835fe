import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Column, Constraint, ForeignKey, Index, Key, Table
from schemas.migration import Migration, MigrationError, check_migration, parse_migration
from schemas.toml_lines import key_lines

SECRET = "shpat_0123456789"

MIGRATION = """\
tenant = "rawdog"
tables = ["creators", "orders"]
[table.orders]
encrypt = ["email"]
keep = { client_ip = "fraud rules read it" }
sums = ["total_cents"]
[table.orders.transform]
gross_cents = "bigint"
"""


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(MigrationError) as caught:
        parse_migration(text, "m.toml")
    return caught.value.problems


def test_the_shipped_migration_reads() -> None:
    path = Path(__file__).parents[2] / "rawdog.toml"

    migration = parse_migration(path.read_text(encoding="utf-8"), str(path))

    assert (migration.tenant, migration.schema_, len(migration.tables)) == ("rawdog", "tenant_rawdog", 14)


def test_what_is_not_said_has_a_default() -> None:
    migration = parse_migration('tenant = "acme"\ntables = "*"', "m.toml")

    assert migration.schema_ == "tenant_acme"
    assert (migration.log.prefix, migration.log.partitions) == ("acme", 3)
    assert migration.source.schemas == ("public",)
    assert migration.rules("anything").migrated_at == "migrated_at"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('tenant = "a"\ntables = "*"\nschemas = "x"', 'm.toml:3: unknown key "schemas" (did you mean "schema"?)'),
        ('tables = "*"', 'm.toml:1: "tenant" is missing'),
        ('tenant = "a"\n\ntables = []', 'm.toml:3: tables: must be a list of table names, parents first, or "*" for every table'),
        ('tenant = "a"\ntables = [\n "x",\n "x",\n]', 'm.toml:4: table "x" is listed twice'),
        ('tenant = "a"\ntables = "*"\nschema = "public"', 'm.toml:3: schema: "public" cannot be a tenant\'s schema'),
        ('tenant = "a"\ntables = "*"\n[batch]\nmax_rows = 1001', "m.toml:4: batch.max_rows: must be at most 1000"),
        ('tenant = "a"\ntables = "*"\n[log]\npartitions = true', "m.toml:4: log.partitions: must be a whole number"),
        ('tenant = "a"\ntables = "*"\n[log]\nprefix = "a b"', "m.toml:4: log.prefix: a topic's name holds only"),
        ('tenant = "a"\ntables = ["orders"]\n[table.order]', 'm.toml:3: table "order" is not in tables (did you mean "orders"?)'),
        ('tenant = "a"\ntables = "*"\n[table.o]\nkeep = { x = " " }', "m.toml:4: table.o.keep.x: must not be empty"),
        ('tenant = "a"\ntables = "*"\n[table.o.transform]\nx = "precent"', 'm.toml:4: unknown transform "precent" (did you mean "percent"?)'),
        ('tenant = "a"\ntables = "*"\n[table.o]\nsums = ["x"]\nencrypt = ["x"]', 'm.toml:4: column "o"."x" is encrypted, so it has no sum'),
        ('tenant = "a"\ntables = "*"\n[table.o.add]\nn = { type = "text" }', 'm.toml:4: added column "n" needs either value or sql'),
        ('tenant = "a"\ntables = "*"\n[organization]\nvalues = { name = "A" }', 'm.toml:4: organization.values has no "slug"'),
        ('tenant = "a"\ntables = "*', "m.toml:2: not valid TOML:"),
        ('tenant = "a"\ntenant = "b"', "m.toml:2: not valid TOML: cannot overwrite a value"),
    ],
)  # fmt: skip
def test_a_problem_is_told_with_its_line_and_the_nearest_name(text: str, problem: str) -> None:
    (told,) = problems_of(text)

    assert told.startswith(problem)


def test_all_problems_are_told_at_once() -> None:
    told = problems_of(
        'tenant = "A"\ntables = ["o"]\n[log]\npartitons = 3\n[table.o]\nencrypt = ["x"]\nkeep = { x = "why" }'
    )

    assert [line.split(":")[1] for line in told] == ["1", "4", "7"]


@pytest.mark.parametrize(("one", "other"), [("encrypt", "keep"), ("encrypt", "transform"), ("keep", "transform")])
def test_a_column_has_one_treatment(one: str, other: str) -> None:
    ways = {"encrypt": 'encrypt = ["x"]', "keep": 'keep = { x = "why" }', "transform": 'transform = { x = "bigint" }'}

    (told,) = problems_of(f'tenant = "a"\ntables = "*"\n[table.o]\n{ways[one]}\n{ways[other]}')

    assert told == f'm.toml:5: column "o"."x" stands under {one} and under {other}; choose one'


def test_a_token_in_the_file_is_refused_and_not_repeated() -> None:
    text = f'tenant = "a"\ntables = "*"\n[organization]\nvalues = {{ slug = "a" }}\ntokens = {{ t = "{SECRET}" }}'

    (told,) = problems_of(text)

    assert told.startswith("m.toml:5: organization.tokens.t: must say where the token is")
    assert SECRET not in told


def test_the_digest_changes_with_what_shapes_the_data_only() -> None:
    digest = parse_migration(MIGRATION, "m.toml").digest()

    same = [
        MIGRATION.replace("fraud rules read it", "another reason"),
        MIGRATION + "[batch]\nmax_rows = 10\n",
        MIGRATION + "[apply]\nmax_quarantined = 1\n",
        MIGRATION + "[table.creators]\n",
    ]
    other = [
        MIGRATION.replace('["email"]', '["email", "phone"]'),
        MIGRATION.replace('"bigint"', '"own:rule"'),
        MIGRATION.replace('["creators", "orders"]', '["orders", "creators"]').replace("keep", "keep"),
        MIGRATION + "[log]\npartitions = 4\n",
        MIGRATION + '[table.creators]\nmigrated_at = "moved_at"\n',
        MIGRATION + '[organization]\nvalues = { slug = "a" }\n',
    ]
    assert {parse_migration(text, "n.toml").digest() for text in same} == {digest}
    assert len({parse_migration(text, "n.toml").digest() for text in other} | {digest}) == 1 + len(other)


# ---------------------------------------------------------------- against the source

CREATORS = Table(
    name="creators",
    columns=(Column(name="id", type="text", not_null=True), Column(name="email", type="citext")),
    primary_key=Key(name="creators_pkey", columns=("id",), definition="PRIMARY KEY (id)"),
)
ORDERS = Table(
    name="orders",
    columns=(
        Column(name="id", type="text", not_null=True),
        Column(name="creator_id", type="text"),
        Column(name="email", type="text"),
        Column(name="phone", type="text"),
        Column(name="coupon", type="text"),
        Column(name="title", type="text"),
        Column(name="search", type="tsvector", generated="to_tsvector('english'::regconfig, title)"),
        Column(name="gross_cents", type="numeric(12,2)"),
        Column(name="weight", type="real"),
    ),
    primary_key=Key(name="orders_pkey", columns=("id",), definition="PRIMARY KEY (id)"),
    uniques=(Key(name="orders_coupon_key", columns=("coupon",), definition="UNIQUE (coupon)"),),
    foreign_keys=(
        ForeignKey(name="orders_creator", columns=("creator_id",), parent="creators", parent_columns=("id",), definition=""),
    ),
    checks=(Constraint(name="phone_check", definition="CHECK ((phone ~ '^[0-9]+$'::text))"),),
    indexes=(
        Index(name="by_email", definition="CREATE INDEX by_email ON orders USING btree (lower(email))"),
        Index(
            name="one_gross",
            definition="CREATE UNIQUE INDEX one_gross ON orders USING btree (title) WHERE weight > 0",
            unique=True,
            columns=("title",),
        ),
    ),
)  # fmt: skip
KEYLESS = Table(name="touches", columns=(Column(name="migrated_at", type="text"),))
SOURCE = Catalogue(tables=(CREATORS, ORDERS, KEYLESS))


def checked(rules: str, tables: str = '"*"') -> list[str]:
    text = f'tenant = "a"\ntables = {tables}\n[table.touches]\nmigrated_at = "moved_at"\n[table.orders]\n{rules}'
    if "touches" not in tables and "*" not in tables:
        text = f'tenant = "a"\ntables = {tables}\n\n\n[table.orders]\n{rules}'
    return check_migration(parse_migration(text, "m.toml"), SOURCE)


def test_a_migration_that_fits_has_no_problem() -> None:
    assert checked('encrypt = ["email"]\nsums = ["gross_cents"]\ntransform = { gross_cents = "bigint" }') == []


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("id", "part of the primary key"),
        ("creator_id", 'part of the foreign key "orders_creator"'),
        ("coupon", 'part of the unique constraint "orders_coupon_key"'),
        ("phone", 'in the constraint "phone_check"'),
        ("search", "a generated column, which the target computes itself"),
        ("weight", 'part of the unique index "one_gross"'),
    ],
)
def test_a_column_that_the_database_relies_on_cannot_be_encrypted(column: str, why: str) -> None:
    (told,) = checked(f'encrypt = ["{column}"]')

    assert told.startswith(f'm.toml:6: "orders"."{column}" cannot be encrypted, it is {why}; ')


def test_the_input_of_a_generated_column_cannot_be_encrypted() -> None:
    generated_only = Table(name="orders", columns=ORDERS.columns, primary_key=ORDERS.primary_key)
    migration = parse_migration('tenant = "a"\ntables = "*"\n[table.orders]\nencrypt = ["title"]', "m.toml")

    (told,) = check_migration(migration, Catalogue(tables=(generated_only,)))

    assert 'it is what the generated column "search" is computed from' in told


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ('encrypt = ["emial"]', 'm.toml:6: table "orders" has no column "emial" (did you mean "email"?)'),
        ('sums = ["weight"]', 'm.toml:6: "orders"."weight" is real; exact sums need'),
        ('[table.orders.transform]\nemail = "bigint"', 'm.toml:7: transform "bigint" takes numbers'),
        ('[table.orders.transform]\nid = "own:rule"', 'm.toml:7: "orders"."id" cannot be transformed, it is part of the primary key'),
        ('add = { email = { type = "text", value = "" } }', 'm.toml:6: "orders" has a column "email" already'),
        ('migrated_at = "phone"', 'm.toml:6: "orders" has a column "phone" of its own'),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_table_is_told_with_its_line(rules: str, problem: str) -> None:
    (told,) = checked(rules)

    assert told.startswith(problem)


def test_unknown_tables_and_an_impossible_order_are_told() -> None:
    told = checked("", '["orders",\n"creators", "creatrs"]')

    assert told[0].startswith('m.toml:3: the source has no table "creatrs" in public (did you mean "creators"?)')
    assert told[1].startswith('m.toml:2: table "orders" stands before its parent "creators"; ')


def test_a_table_without_a_key_has_one_partition() -> None:
    migration = Migration.model_validate({"tenant": "a", "tables": "*", "table": {"touches": {"partitions": 4}}})

    told = check_migration(migration, Catalogue(tables=(KEYLESS,)))

    assert migration.partitions_of(KEYLESS) == 1
    assert any("has no key and is replaced whole" in problem for problem in told)
    assert any('"touches" has a column "migrated_at" of its own' in problem for problem in told)


# ---------------------------------------------------------------- lines

names = st.text(st.sampled_from("ab.\"'# =]}\\\té€"), min_size=1, max_size=6)
values = st.one_of(
    st.integers(),
    st.booleans(),
    names,
    st.lists(names, max_size=3),
    st.dictionaries(names, names, max_size=2),
)


def toml_of(value: object, gap: str) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {toml_of(item, ' ')}" for key, item in value.items()) + " }"
        case list():
            return "[" + gap + "".join(f"{json.dumps(item)}, # it's ]\n" for item in value) + "]"
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case _:
            return f"{value} # 'a\" [b"


@given(
    st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4),
    st.sampled_from(["", "\n", " # x\n\n"]),
)
def test_every_key_is_found_on_its_line(plain: dict[str, dict[str, object]], gap: str) -> None:
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for table, keys in plain.items():
        lines.append(f"[t.{json.dumps(table)}] # [not.this]")
        expected["t", table] = len("\n".join(lines).split("\n"))
        for key, value in keys.items():
            expected["t", table, key] = len("\n".join(lines).split("\n")) + 1
            lines.append(f"  {json.dumps(key)} = {toml_of(value, gap)}")
    text = "\n".join(lines)
    assert tomllib.loads(text).get("t", {}) == plain

    found = key_lines(text)

    assert {path: found[path] for path in expected} == expected


def test_elements_and_keys_of_inline_tables_have_lines() -> None:
    text = 'a.b = [\n  """x\ny""",\n  \'z\'\n]\nc = { d = 1, e.f = 2 }\n[[g]]\nh = 1\n[[g]]\nh = 2\n'

    found = key_lines(text)

    assert [found[path] for path in (("a", "b", 0), ("a", "b", 1), ("c", "e", "f"), ("g", 0, "h"), ("g", 1, "h"))] == [
        2,
        4,
        6,
        8,
        10,
    ]
