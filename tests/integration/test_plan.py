"""`producer plan` on a real source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from click.testing import CliRunner, Result

from producer.commands_plan import plan
from producer.oddities import Rehearsed
from producer.plan import Plan, make_plan
from producer.plan_view import plan_json
from runtime.command import program
from runtime.introspect import read_source
from runtime.postgres import open_source
from runtime.rehearsal import Lacking
from schemas.migration import Migration, parse_migration
from schemas.oddity import Severity

MakeDatabase = Callable[..., str]

PASSWORD = "hunter2"

SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, email text, phone text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, before int REFERENCES orders, total numeric);
CREATE TABLE hits (at timestamptz, url text);
CREATE TABLE left_behind (id int PRIMARY KEY);
ALTER TABLE customers ADD left_id int REFERENCES left_behind;
CREATE INDEX customers_email ON customers (lower(email));
CREATE VIEW totals AS SELECT sum(total) FROM orders;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();
COMMENT ON TABLE orders IS 'what they bought';
INSERT INTO customers SELECT n, 'ann@example.com' FROM generate_series(1, 1000) n;
ANALYZE;
"""

MIGRATION = """\
tenant = "shop"
tables = ["customers", "orders", "hits"]
[table.customers]
encrypt = ["email"]
keep = { phone = "support calls back" }
[table.orders.transform]
total = "bigint"
"""


def planned(url: str, migration: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    file = folder / "shop.toml"
    file.write_text(migration)
    parts = urlsplit(url)
    with_password = urlunsplit(
        parts._replace(netloc=parts.netloc.replace("@", f":{PASSWORD}@") if not parts.password else parts.netloc)
    )
    monkeypatch.setenv("POSTGRES_URL", with_password)
    main = program("producer", "Reads the source.")
    main.add_command(plan)
    return CliRunner().invoke(main, ["plan", "--migration", str(file), *options])


def plan_of(url: str, text: str) -> Plan:
    migration: Migration = parse_migration(text, "shop.toml")
    with open_source(url) as connection:
        return make_plan(read_source(connection, migration), migration, "here")


def odd_texts(url: str, text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for oddity in plan_of(url, text).odd:
        found.setdefault(oddity.severity.value, set()).add(f"{oddity.table}: {oddity.text}")
    return found


def test_a_plan_tells_order_sizes_and_treatments(make_database: MakeDatabase) -> None:
    plan_ = plan_of(make_database(SHOP), MIGRATION)

    assert [(table.name, table.wave, table.key, table.partitions) for table in plan_.tables] == [
        ("customers", 1, ("id",), 3),
        ("orders", 2, ("id",), 3),
        ("hits", 1, (), 1),
    ]
    customers = plan_.tables[0]
    assert (customers.rows, customers.clear, customers.encrypted) == (1000, 3, 1)
    assert plan_.tables[1].transformed == 1
    assert not plan_.is_blocked
    assert json.loads(plan_json(plan_))["tables"][0]["topic"] == "shop.customers"


def test_a_plan_tells_what_is_odd_and_what_stays(make_database: MakeDatabase) -> None:
    plan_ = plan_of(make_database(SHOP), MIGRATION)

    assert [(oddity.severity.value, oddity.table) for oddity in plan_.odd] == [
        ("warning", "customers"),  # its foreign key leads out of the migration
        ("warning", "hits"),  # no key
        ("notice", "customers"),  # an index over ciphertext
        ("notice", "orders"),  # points at itself
    ]
    assert {left.kind: left.names for left in plan_.not_moved} == {
        "table": ("left_behind",),
        "view": ("totals",),
        "function": ("f",),
        "trigger": ("orders.stamp",),
        "comment": ("orders",),
    }


def test_the_command_shows_it_to_a_stranger(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = planned(make_database(SHOP), MIGRATION, tmp_path, monkeypatch)

    assert result.exit_code == 0, result.stderr
    for part in (
        "Plan for shop",
        "3 tables in 2 waves, about 1,000 rows",
        "Not moved",
        "1 view: totals",
        "Next: producer snapshot",
    ):
        assert part in result.stdout
    assert PASSWORD not in result.output


def test_json_is_one_object(make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = planned(make_database(SHOP), MIGRATION, tmp_path, monkeypatch, "--json")

    answer = json.loads(result.stdout)
    assert (answer["tenant"], answer["waves"], answer["is_blocked"]) == ("shop", 2, False)
    assert PASSWORD not in result.output


def test_a_migration_that_does_not_fit_ends_with_2_and_every_problem(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = MIGRATION.replace('["email"]', '["emial", "id"]')

    result = planned(make_database(SHOP), wrong, tmp_path, monkeypatch)

    assert result.exit_code == 2
    assert 'shop.toml:4: table "customers" has no column "emial" (did you mean "email"?)' in " ".join(
        result.stdout.split()
    )
    assert '"customers"."id" cannot be encrypted, it is part of the primary key' in " ".join(result.stdout.split())


def test_an_empty_source_is_a_warning(source_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = planned(source_url, 'tenant = "shop"\ntables = "*"', tmp_path, monkeypatch)

    assert result.exit_code == 0, result.stderr
    assert "there is nothing to move" in result.stdout


def test_rows_that_this_role_cannot_see_are_an_error(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE TABLE hidden (id int PRIMARY KEY); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE TABLE locked (id int PRIMARY KEY)"
    )
    with psycopg.connect(url, autocommit=True) as owner:
        role = f"{owner.info.dbname}_reader"
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())
        owner.execute(f"GRANT SELECT ON hidden TO {role}".encode())
        try:
            parts = urlsplit(url)
            reader = parts._replace(netloc=f"{role}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}")
            found = odd_texts(urlunsplit(reader), 'tenant = "shop"\ntables = "*"')
        finally:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())

    assert found["error"] == {
        "hidden: row security hides rows from this role, so nobody could say that all were read",
        "locked: this role may not read it (SELECT on the whole table)",
    }


def test_shapes_that_cannot_be_moved_are_errors_and_others_are_told(make_database: MakeDatabase) -> None:
    url = make_database(
        """
        CREATE TYPE span AS RANGE (subtype = float8); CREATE TABLE ranged (id int PRIMARY KEY, v span);
        CREATE TABLE nothing ();
        CREATE SCHEMA far; CREATE TYPE far.t AS ENUM ('a'); CREATE TABLE typed (id int PRIMARY KEY, v far.t);
        CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE heir () INHERITS (base);
        CREATE UNLOGGED TABLE brief (id int PRIMARY KEY);
        CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
        ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; ALTER TABLE b ADD CHECK (a > 0) NOT VALID;
        CREATE TABLE named (id int PRIMARY KEY, what regclass);
        CREATE TABLE steps (id int GENERATED ALWAYS AS IDENTITY (INCREMENT BY 10) PRIMARY KEY);
        """
    )

    found = odd_texts(url, 'tenant = "shop"\ntables = "*"')

    assert {text.split(":")[0] for text in found["error"]} == {"typed"}
    assert {text.split(":")[0] for text in found["warning"]} == {"nothing", "heir", "named"}
    assert {text.split(":")[0] for text in found["notice"]} == {"", "brief", "part", "b", "base"}


def test_a_plan_names_beforehand_what_cannot_travel(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE EXTENSION citext; CREATE TABLE known (id citext PRIMARY KEY); CREATE TABLE nothing ();"
        f"CREATE TABLE wide (id int PRIMARY KEY, {', '.join(f'c{n} bool' for n in range(1599))});"
        f'CREATE TABLE "{"🦆" * 15}" (id int PRIMARY KEY);'
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (n int) SERVER s"
    )
    migration = parse_migration(f'tenant = "shop"\ntables = "*"\n[log]\nprefix = "{"p" * 90}"', "shop.toml")

    with open_source(url) as connection:
        found = make_plan(
            read_source(connection, migration),
            migration,
            "here",
            rehearsed=Rehearsed((Lacking(table="", what="an extension", why="none"),)),
        )

    assert [
        (oddity.severity.value, oddity.table) for oddity in found.odd if oddity.severity is not Severity.NOTICE
    ] == [
        ("error", ""),  # what the target lacks
        ("error", "wide"),  # no room for migrated_at
        ("error", "🦆" * 15),  # no topic can have its name
        ("warning", ""),  # a foreign table
        ("warning", "nothing"),  # no columns
    ]
    assert all(oddity.hint for oddity in found.odd)


def test_a_plan_asks_the_target_for_its_extensions_and_says_when_it_cannot(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database("CREATE EXTENSION citext; CREATE TABLE known (id citext PRIMARY KEY)")
    migration = 'tenant = "shop"\ntables = "*"\n'

    unasked = planned(url, migration, tmp_path, monkeypatch)
    monkeypatch.setenv("NEW_POSTGRES_URL", url)
    asked = planned(url, migration, tmp_path, monkeypatch)
    monkeypatch.setenv("NEW_POSTGRES_URL", f"postgresql://ann:{PASSWORD}@127.0.0.1:1/shop")
    away = planned(url, migration, tmp_path, monkeypatch)

    assert "citext in the target (not looked" in unasked.stdout
    assert "needs   extensions citext in the target\n" in asked.stdout
    assert "could not be seen" in away.stdout
    assert [unasked.exit_code, asked.exit_code, away.exit_code] == [0, 0, 0]
    assert PASSWORD not in away.output


def test_a_plan_shows_columns_that_nobody_decided_about(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided = MIGRATION.replace('keep = { phone = "support calls back" }\n', "")

    stopped = planned(make_database(SHOP), undecided, tmp_path, monkeypatch)
    lenient = planned(make_database(SHOP), undecided, tmp_path, monkeypatch, "--accept-unclassified")

    assert "customers.phone: phone, by its name" in stopped.stdout
    assert [stopped.exit_code, lenient.exit_code] == [2, 0]


def test_a_parent_that_is_not_moved_and_keys_of_partitions_are_named(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE TABLE above (id int PRIMARY KEY); CREATE TABLE below (n int) INHERITS (above);"
        "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF parts (CONSTRAINT out FOREIGN KEY (id) REFERENCES above) DEFAULT"
    )

    warnings = odd_texts(url, 'tenant = "odd"\ntables = ["below", "parts"]')["warning"]

    assert 'below: inherits from "above", which is not moved: it stands alone in the target' in warnings
    assert any(
        text.startswith('parts: the foreign key "out" of its partition "part" points at "above"') for text in warnings
    )
