"""`producer init` on schemas that nobody has described, and what a snapshot says of columns nobody decided about."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from click.testing import CliRunner

from producer.cli import main
from producer.suspects import UnclassifiedColumns, refuse_unclassified, unclassified
from runtime.introspect import read_checked_catalogue, read_source
from runtime.postgres import open_source
from schemas.migration import Migration, parse_migration
from schemas.suspicion import Suspicion

MakeDatabase = Callable[..., str]

ODD = """
CREATE DOMAIN "E-Mail" AS varchar(80) CHECK (VALUE <> '');
CREATE TABLE "Cust""omers" (id int PRIMARY KEY, "e-Mail 🦆" "E-Mail", "pass.word" text, "tele
phone" text, login_email text UNIQUE, "from" text, migrated_at timestamptz);
CREATE TABLE "my.orders 🧾" (id int PRIMARY KEY, "cust ""omer" int REFERENCES "Cust""omers", "next" int, contact text, photo bytea);
CREATE TABLE a_ring (id int PRIMARY KEY, other int);
CREATE TABLE b_ring (id int PRIMARY KEY, other int REFERENCES a_ring);
ALTER TABLE a_ring ADD FOREIGN KEY (other) REFERENCES b_ring;
CREATE TABLE "de\x7flete" (n int);
CREATE TABLE nothing ();
CREATE VIEW seen AS SELECT 1 AS one;
INSERT INTO "my.orders 🧾" SELECT n, NULL, NULL, CASE WHEN n > 5000 THEN 'ann' || n || '@example.com' END, NULL FROM generate_series(1, 20000) n;
"""


def init(url: str, *options: str) -> str:
    done = CliRunner().invoke(main, ["init", url, *options], standalone_mode=False, catch_exceptions=False)
    return done.stdout


def initialised(url: str, *options: str) -> tuple[str, Migration]:
    text = init(url, *options)
    return text, parse_migration(text, "init.toml")


def left(url: str, migration: Migration) -> list[tuple[str, str, str]]:
    with open_source(url, schema=migration.source.schemas) as source:
        catalogue = read_checked_catalogue(source, migration)
        found: tuple[Suspicion, ...] = unclassified(source, catalogue.tables, catalogue, migration)
    return [(one.table, one.column, one.kind) for one in found]


def test_what_init_prints_fits_the_source_whatever_its_names_are(make_database: MakeDatabase) -> None:
    url = make_database(ODD)

    text, migration = initialised(url, "--tenant", "odd")

    with open_source(url) as source:
        tables = [table.name for table in read_checked_catalogue(source, migration).tables]
    assert tables == ['Cust"omers', "a_ring", "b_ring", "de\x7flete", "my.orders 🧾"]
    assert migration.tenant == "odd"
    assert migration.rules('Cust"omers').encrypt == ("e-Mail 🦆", "pass.word", "tele\nphone")
    assert migration.rules('Cust"omers').migrated_at == "replicated_at"
    assert migration.rules("my.orders 🧾").encrypt == ("contact",)  # filled so, far behind its first rows
    assert '"a_ring", # about' in text
    assert "in a ring with b_ring" in text
    assert "1 table of no column: nothing" in text
    assert "1 view: seen" in text


def test_what_cannot_be_encrypted_waits_for_a_reason(make_database: MakeDatabase) -> None:
    url = make_database(ODD)
    text, migration = initialised(url, "--tenant", "odd")

    assert '# keep.login_email = "…"' in text
    assert 'part of the unique constraint "Cust""omers_login_email_key"'.replace('""', '"') in text
    assert left(url, migration) == [('Cust"omers', "login_email", "e-mail")]
    assert left(url, parse_migration(text.replace("# keep.login_email", "keep.login_email"), "init.toml")) == []


def test_undecided_columns_are_refused_with_the_lines_to_add_and_no_value(make_database: MakeDatabase) -> None:
    url = make_database(ODD)
    migration = parse_migration('tenant = "odd"\ntables = ["my.orders 🧾", "a_ring", "b_ring"]\n', "odd.toml")

    with open_source(url) as source:
        catalogue = read_source(source, migration).catalogue(migration)
        with pytest.raises(UnclassifiedColumns) as refused:
            refuse_unclassified(source, catalogue.tables, catalogue, migration)

    assert "my.orders 🧾.contact: e-mail, by its values" in str(refused.value)
    assert '[table."my.orders 🧾"]\nencrypt = ["contact"]' in refused.value.hint
    assert "@example.com" not in str(refused.value) + refused.value.hint


def test_init_looks_into_the_schemas_it_is_told_and_says_when_there_is_nothing(make_database: MakeDatabase) -> None:
    url = make_database('CREATE SCHEMA "Sales Dept"; CREATE TABLE "Sales Dept".t (id int PRIMARY KEY)')

    _, migration = initialised(url, "--schema", "Sales Dept")
    nothing = CliRunner().invoke(main, ["init", url], standalone_mode=False)

    assert migration.source.schemas == ("Sales Dept",)
    assert left(url, migration) == []
    assert nothing.exit_code == 2


def test_init_writes_nothing_and_reads_no_table_it_may_not(make_database: MakeDatabase) -> None:
    url = make_database("CREATE TABLE t (id int PRIMARY KEY, email text); CREATE TABLE closed (id int, note text)")
    role = f"reader_{url.rpartition('_')[2]}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON t TO {role}".encode())
    try:
        text = init(psycopg.conninfo.make_conninfo(url, user=role, password="x"), "--tenant", "acme")
    finally:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())

    assert parse_migration(text, "init.toml").rules("t").encrypt == ("email",)
    assert "error: closed: this role may not read it" in text


def test_init_gives_other_names_to_what_stands_in_two_schemas(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE TYPE m AS ENUM ('a'); CREATE TABLE t (id serial PRIMARY KEY, m m);"
        "CREATE SCHEMA b; CREATE TYPE b.m AS ENUM ('b'); CREATE TABLE b.t (id serial PRIMARY KEY, m b.m DEFAULT 'b')"
    )

    text, migration = initialised(url, "--schema", "public", "--schema", "b")

    with open_source(url, schema=("public", "b")) as source:
        catalogue = read_checked_catalogue(source, migration)
    assert migration.rename == {"b": {"t": "b_t", "t_pkey": "b_t_pkey", "t_id_seq": "b_t_id_seq", "m": "b_m"}}
    assert "# The tenant has one schema" in text
    assert [(table.name, table.column("m").type) for table in catalogue.tables] == [("b_t", "b_m"), ("t", "m")]
    assert catalogue.table("b_t").column("id").default == "nextval('b_t_id_seq'::regclass)"
    assert catalogue.table("b_t").column("m").default == "'b'::b_m"
