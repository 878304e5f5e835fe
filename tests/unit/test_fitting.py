"""What a schema that somebody else made lacks, as statements."""

from __future__ import annotations

from dataclasses import replace

from consumer.fitting import missing_statements
from consumer.standing import Found
from schemas import definitions
from schemas.catalogue import Catalogue, Column, Index, Key, Partition, Table, UserType
from schemas.mapping import TableMapping, table_mapping
from schemas.migration import parse_migration
from tests.made_log import table

MOVED = Column(name="migrated_at", type="timestamp with time zone", not_null=True)
CUSTOMERS = table("customers", "id bigint", "code text")
CATALOGUE = Catalogue(
    tables=(CUSTOMERS,), types=(UserType(name="mood", kind="enum", definition="ENUM ('a', 'b')", labels=("a", "b")),)
)
MOOD = {"mood": UserType(name="mood", kind="enum", definition="", labels=("a", "b"))}


def mapping(text: str = "") -> TableMapping:
    return table_mapping(CUSTOMERS, parse_migration(f'tenant = "t"\ntables = "*"\n{text}', "t.toml"))


def missing(*there: Table, types: dict[str, UserType] | None = None, text: str = "") -> list[str]:
    found = Found(
        tables={item.name: item for item in there},
        types=MOOD if types is None else types,
        relations=[item.name for item in there],
        schema="tenant_t",
        with_rows=frozenset({"full"}),
    )
    return missing_statements(CATALOGUE, {"customers": mapping(text)}, found)


def made(*columns: Column, **more: object) -> Table:
    return replace(CUSTOMERS, columns=columns, **more)  # type: ignore[arg-type]


def test_other_order_more_columns_and_other_names_of_keys_are_fine() -> None:
    identifier, code = CUSTOMERS.columns
    more = Column(name="rank", type="integer", not_null=True, default="7")
    key = Key(name="pk_customers", columns=("id",), definition="PRIMARY KEY (id)")

    assert missing(made(more, MOVED, code, identifier, primary_key=key)) == []


def test_a_table_that_is_missing_is_made_as_we_would_make_it() -> None:
    assert missing() == [f"{definitions.create_table(mapping())};"]


def test_labels_are_added_in_their_place_and_more_labels_are_fine() -> None:
    fitting = made(*CUSTOMERS.columns, MOVED)
    of = UserType(name="mood", kind="enum", definition="", labels=("b", "z"))

    assert missing(fitting, types={"mood": of}) == ["ALTER TYPE \"mood\" ADD VALUE IF NOT EXISTS 'a' BEFORE 'b';"]


def test_an_encrypted_column_must_be_bytea_with_a_check_on_its_envelope() -> None:
    fitting = made(*CUSTOMERS.columns, MOVED)

    statements = missing(fitting, text='[table.customers]\nencrypt = ["code"]\n')

    assert statements[0] == (
        'ALTER TABLE "customers" ALTER COLUMN "code" TYPE bytea USING convert_to("code"::text, \'UTF8\');'
    )
    assert statements[1].startswith('ALTER TABLE "customers" ADD CONSTRAINT "code_sealed" CHECK (')


def test_a_unique_key_of_their_own_must_be_deferrable_unless_a_foreign_key_points_at_it() -> None:
    unique = Key(name="u", columns=("code",), definition="UNIQUE (code)")
    theirs = made(*CUSTOMERS.columns, MOVED, uniques=(unique,))
    child = table("child", "id bigint", "parent_id text", parent="customers")
    pointing = replace(child, foreign_keys=(replace(child.foreign_keys[0], parent_columns=("code",)),))

    assert missing(theirs) == [
        'ALTER TABLE "customers" DROP CONSTRAINT "u", ADD CONSTRAINT "u" UNIQUE (code) DEFERRABLE;'
    ]
    assert missing(theirs, pointing) == []


def test_a_key_that_is_replaced_goes_after_what_points_at_it() -> None:
    other = Key(name="old", columns=("code",), definition="PRIMARY KEY (code)")
    child = table("child", "id bigint", "parent_id text", parent="customers")
    pointing = replace(child, foreign_keys=(replace(child.foreign_keys[0], parent_columns=("code",)),))
    there = made(*CUSTOMERS.columns, MOVED, primary_key=other)

    assert missing(there, pointing) == [
        'ALTER TABLE "child" DROP CONSTRAINT "child_parent_fkey";',
        'ALTER TABLE "customers" DROP CONSTRAINT "old";',
        'ALTER TABLE "customers" ADD CONSTRAINT "old" PRIMARY KEY (id);',
    ]


def test_a_unique_index_becomes_a_constraint_that_can_wait() -> None:
    plain = Index(
        name="i", definition="CREATE UNIQUE INDEX i ON customers USING btree (code)", unique=True, columns=("code",)
    )
    some = Index(
        name="s",
        definition="CREATE UNIQUE INDEX s ON customers USING btree (lower(code)) WHERE code <> ')'::text",
        unique=True,
        partial=True,
    )

    assert missing(made(*CUSTOMERS.columns, MOVED, indexes=(plain, some))) == [
        'DROP INDEX "i";',
        'DROP INDEX "s";',
        'ALTER TABLE "customers" ADD CONSTRAINT "i" UNIQUE (code) DEFERRABLE;',
        (
            'ALTER TABLE "customers" ADD CONSTRAINT "s" EXCLUDE USING btree (lower(code) WITH =) '
            "WHERE (code <> ')'::text) DEFERRABLE;"
        ),
    ]


def test_a_table_that_is_partitioned_otherwise_moves_beside_with_its_partitions() -> None:
    part = Partition(name="some", parent="customers", bound="DEFAULT")
    there = made(*CUSTOMERS.columns, MOVED, partition_by="LIST (code)", partitions=(part,))

    assert missing(there) == [
        'CREATE SCHEMA IF NOT EXISTS "tenant_t_before";',
        'ALTER TABLE "some" SET SCHEMA "tenant_t_before";',
        'ALTER TABLE "customers" SET SCHEMA "tenant_t_before";',
        f"{definitions.create_table(mapping())};",
    ]


def test_the_key_that_upserts_go_by_is_the_sources_and_never_waits() -> None:
    waiting = "PRIMARY KEY (id) INCLUDE (code) DEFERRABLE INITIALLY DEFERRED"
    waits = replace(CUSTOMERS, primary_key=Key(name="k", columns=("id",), definition=waiting, deferrable=True))

    key = definitions.key_constraint(waits)

    assert key is not None
    assert key.definition == "PRIMARY KEY (id) INCLUDE (code)"
