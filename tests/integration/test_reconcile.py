"""`validator reconcile` against pairs of databases made by hand: equal is equal, and every corruption is named."""

from __future__ import annotations

import base64
import errno
import html
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from runtime.keyring import Keyring, init_keyring
from schemas.envelope import row_contexts
from schemas.migration import parse_migration
from tests.conftest import ROOT, Run, Spawn
from tests.report_schema import checked
from validator.cli import main
from validator.options import Options
from validator.reconcile import Reconciliation
from validator.verdict import Layer

MIGRATION = """
tenant = "shop"
tables = ["customers", "orders", "touches"]

[organization]
values = { slug = "shop", name = "The Shop" }
tokens = { access_token = "env:SHOP_TOKEN" }

[table.customers]
encrypt = ["email", "photo"]

[table.orders]
encrypt = ["note", "paid"]
sums = ["total_cents"]
[table.orders.transform]
gross = "bigint"
[table.orders.add]
tenant_id = { type = "text", value = "shop" }

[table.touches]
encrypt = ["ip"]
"""

SOURCE = """
CREATE TYPE order_state AS ENUM ('open', 'paid');
CREATE TABLE customers (id text PRIMARY KEY, email text, photo bytea, name text, code char(4), referred_by text REFERENCES customers(id),
  address inet, born date);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id text, note text, paid boolean, gross numeric, total_cents bigint NOT NULL,
  price numeric, rate double precision, state order_state DEFAULT 'open', document jsonb, tags text[], at timestamptz, left_side text, right_side text);
CREATE INDEX orders_at ON orders (at);
CREATE TABLE touches (visitor uuid, url text, ip inet, weight real);
INSERT INTO customers SELECT 'c' || n, CASE WHEN n % 5 = 0 THEN NULL WHEN n % 7 = 0 THEN '' ELSE 'u' || n || '@x.example' END,
  decode(lpad(to_hex(n), 8, '0'), 'hex'), CASE WHEN n % 3 = 0 THEN NULL ELSE 'Ann "The" \\Émile, ' || n || ' 🙂 ' END, 'a', CASE WHEN n > 1 THEN 'c' || n / 2 END,
  ('10.0.0.' || n % 250)::inet, CASE WHEN n = 9 THEN 'infinity'::date ELSE date '2000-01-01' + n END
FROM generate_series(1, 60) n;
INSERT INTO orders (customer_id, note, paid, gross, total_cents, price, rate, state, document, tags, at, left_side, right_side)
SELECT CASE WHEN n % 50 = 0 THEN 'gone' WHEN n % 11 = 0 THEN NULL ELSE 'c' || (1 + n % 60) END, 'note ' || n, n % 2 = 0, n + 0.5, n * 100,
  CASE WHEN n = 7 THEN 'NaN' ELSE (n || '.0')::numeric END, n / 3.0, (ARRAY['open', 'paid'])[1 + n % 2]::order_state,
  jsonb_build_object('n', n), ARRAY['a', NULL, 'b"' || n], timestamptz '2024-01-01' + n * interval '1 hour', 'left' || n, 'right' || n
FROM generate_series(1, 400) n;
INSERT INTO touches SELECT NULL, 'https://x.example/' || n % 3, ('10.1.1.' || n % 2)::inet, 0.1 FROM generate_series(1, 30) n;
"""

# It came late, so rows that break it stay: inherited orphans.
LATE_KEY = (
    "ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers(id) NOT VALID"
)

TARGET = """
CREATE SCHEMA tenant_shop;
SET search_path = tenant_shop, public;
CREATE TYPE order_state AS ENUM ('open', 'paid');
CREATE TABLE customers (id text PRIMARY KEY, email bytea, photo bytea, name text, code char(4), referred_by text REFERENCES customers(id),
  address inet, born date, migrated_at timestamptz NOT NULL,
  CONSTRAINT email_sealed CHECK (email IS NULL OR (octet_length(email) >= 34 AND get_byte(email, 0) = 254 AND get_byte(email, 1) = 1)),
  CONSTRAINT photo_sealed CHECK (photo IS NULL OR (octet_length(photo) >= 34 AND get_byte(photo, 0) = 254 AND get_byte(photo, 1) = 1)));
CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id text, note bytea, paid bytea, gross bigint, total_cents bigint NOT NULL,
  price numeric, rate double precision, state order_state DEFAULT 'open', document jsonb, tags text[], at timestamptz, left_side text, right_side text,
  tenant_id text, migrated_at timestamptz NOT NULL,
  CONSTRAINT note_sealed CHECK (note IS NULL OR (octet_length(note) >= 34 AND get_byte(note, 0) = 254 AND get_byte(note, 1) = 1)),
  CONSTRAINT paid_sealed CHECK (paid IS NULL OR (octet_length(paid) >= 34 AND get_byte(paid, 0) = 254 AND get_byte(paid, 1) = 1)));
CREATE INDEX orders_at ON orders (at);
CREATE TABLE touches (visitor uuid, url text, ip bytea, weight real, migrated_at timestamptz NOT NULL,
  CONSTRAINT ip_sealed CHECK (ip IS NULL OR (octet_length(ip) >= 34 AND get_byte(ip, 0) = 254 AND get_byte(ip, 1) = 1)));
CREATE TABLE public.organizations (slug text PRIMARY KEY, name text, access_token bytea);
"""

INSTANT = "2026-01-02T03:04:05.000006Z"


@dataclass(frozen=True)
class Pair:
    """A source and a target that are equal until a test changes the target."""

    source: str
    target: str
    keyring: Keyring
    environment: dict[str, str]
    migration: Path

    def corrupt(self, script: str) -> None:
        with psycopg.connect(self.target, autocommit=True) as connection:
            connection.execute(("SET search_path = tenant_shop, public;" + script).encode())

    def reconcile(self, *layers: Layer, **options: Any) -> dict[str, Any]:
        chosen = Options(
            layers=(Layer.GENERATION, *layers) if layers else tuple(Layer), seed=1, **{"jobs": 2, **options}
        )
        facts: list[object] = []
        run = Reconciliation(
            migration=parse_migration(MIGRATION, "shop.toml"),
            source_url=self.source,
            target_url=self.target,
            keyring=self.keyring,
            environment=self.environment,
            options=chosen,
            report_fact=facts.append,
            program_version="test",
        )
        return checked(run.run().to_json())


def clone(server_url: str, template: str | None) -> str:
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{' TEMPLATE ' + template if template else ''}".encode())
    return name


def url_of(server_url: str, name: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@pytest.fixture(scope="module")
def made(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, Keyring, dict[str, str], Path]]:
    folder = tmp_path_factory.mktemp("shop")
    kek = secrets.token_bytes(32)
    init_keyring(folder / "keyring.json", "shop", kek)
    keyring = Keyring.open(folder / "keyring.json", kek)
    names = [clone(server_url, None), clone(server_url, None)]
    source, target = (url_of(server_url, name) for name in names)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(SOURCE.encode())
        connection.execute(LATE_KEY)
    fill(source, target, keyring)
    (folder / "shop.toml").write_text(MIGRATION)
    (folder / "kek").write_text(base64.b64encode(kek).decode())
    (folder / "kek").chmod(0o600)
    environment = {
        "KEYRING": str(folder / "keyring.json"),
        "KEYRING_KEK_FILE": str(folder / "kek"),
        "SHOP_TOKEN": "t0ken",
    }
    yield names[0], names[1], keyring, environment, folder / "shop.toml"
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def fill(source: str, target: str, keyring: Keyring) -> None:
    """Copy the rows by hand, and say in `replicator` what a consumer would have said."""
    with psycopg.connect(source) as there, psycopg.connect(target) as here:
        for connection in (there, here):
            connection.execute("SET TimeZone = 'UTC'; SET extra_float_digits = 1")
        here.execute(TARGET.encode())
        here.execute("SET search_path = tenant_shop, public")
        copy(there, here, keyring, "customers", "id", {"email": "email", "photo": "photo"}, {})
        copy(
            there,
            here,
            keyring,
            "orders",
            "id::text",
            {"note": "note", "paid": "paid::text"},
            {"gross": "round(gross)::bigint", "tenant_id": "'shop'"},
        )
        copy(there, here, keyring, "touches", "", {"ip": "host(ip)"}, {})
        here.execute(LATE_KEY)
        token = keyring.cell_cipher("shop", "organizations", "access_token").encrypt(
            ["t0ken"], row_contexts([("shop",)])
        )[0]
        here.execute("INSERT INTO organizations VALUES ('shop', 'The Shop', %s)", (token,))
        here.execute("SELECT setval('orders_id_seq', (SELECT max(id) FROM orders))")
        here.execute((Path(__file__).parents[2] / "runtime/sql/replicator.sql").read_bytes())
        say_applied(here)


def copy(
    there: psycopg.Connection[Any],
    here: psycopg.Connection[Any],
    keyring: Keyring,
    table: str,
    key: str,
    encrypted: dict[str, str],
    computed: dict[str, str],
) -> None:
    found = here.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
        (table,),
    ).fetchall()
    columns = [(name, type_) for name, type_ in found if name != "migrated_at"]
    expressions = [encrypted.get(name) or f"({computed.get(name, name)})::text" for name, _ in columns]
    ciphers = {name: keyring.cell_cipher("shop", table, name) for name in encrypted}
    rows = there.execute(f"SELECT {key or 'NULL'}, {', '.join(expressions)} FROM {table}".encode()).fetchall()
    for row_key, *cells in rows:
        values = [
            ciphers[name].encrypt([cell], row_contexts([(row_key,) if key else ()]))[0] if name in ciphers else cell
            for (name, _), cell in zip(columns, cells, strict=True)
        ]
        typed = ", ".join(f"%s::{type_}" for _, type_ in columns)
        here.execute(f"INSERT INTO {table} VALUES ({typed}, %s)".encode(), [*values, INSTANT])


def say_applied(here: psycopg.Connection[Any]) -> None:
    here.execute(
        "INSERT INTO replicator.tenants (tenant, schema_name, log_id, prefix, made_schema) VALUES ('shop', 'tenant_shop', 'log', 'shop', true)"
    )
    here.execute(
        "INSERT INTO replicator.generations (tenant, generation, instant, state, is_partial, is_published, is_prepared, whole, catalogue,"
        " table_order, migration_digest, prepared_at, loaded_at, ended_at)"
        " VALUES ('shop', 1, %s, 'ended', false, true, true, true, '', ARRAY['customers', 'orders', 'touches'], %s, now(), now(), now())",
        (INSTANT, parse_migration(MIGRATION, "").digest()),
    )
    for table in ("customers", "orders", "touches"):
        here.execute(
            "INSERT INTO replicator.tables (tenant, generation, table_name, attempt, instant, topic, published, applied, state, started_at, finished_at)"
            f" SELECT 'shop', 1, %s, 1, %s, 'shop.' || %s, count(*), count(*), 'applied', now(), now() FROM {table}".encode(),
            (table, INSTANT, table),
        )


@pytest.fixture
def pair(made: tuple[str, str, Keyring, dict[str, str], Path], server_url: str) -> Iterator[Pair]:
    source, template, keyring, environment, migration = made
    target = clone(server_url, template)
    yield Pair(
        source=url_of(server_url, source),
        target=url_of(server_url, target),
        keyring=keyring,
        environment={
            **environment,
            "POSTGRES_URL": url_of(server_url, source),
            "NEW_POSTGRES_URL": url_of(server_url, target),
            "MIGRATION": str(migration),
        },
        migration=migration,
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)".encode())


def verdicts(report: dict[str, Any], table: str) -> dict[str, str]:
    found = next(item for item in report["tables"] if item["name"] == table)
    return {layer: finding["verdict"] for layer, finding in found["layers"].items()}


def seen(report: dict[str, Any]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {(item["layer"], item["table"], item["kind"], tuple(item["columns"])) for item in report["differences"]}


def test_equal_pair_is_equal_in_every_layer(pair: Pair) -> None:
    report = pair.reconcile()

    assert report["differences"] == []
    assert (report["verdict"], report["exit_code"], report["complete"]) == ("equal", 0, True)
    assert {layer["verdict"] for layer in report["layers"]} == {"equal"}
    assert all(set(verdicts(report, table).values()) == {"equal"} for table in ("customers", "orders", "touches"))
    orders = next(item for item in report["tables"] if item["name"] == "orders")
    assert (orders["rows_source"], orders["rows_target"], orders["sums"]) == (400, 400, {"total_cents": "8020000"})
    assert orders["layers"]["cells"]["looked_at"] == 800
    assert "8 inherited orphans" in " ".join(orders["layers"]["foreign-keys"]["notes"])


def named(report: dict[str, Any], layer: str) -> set[tuple[str, str, tuple[str, ...], str]]:
    return {
        (item["table"], item["kind"], tuple(item["columns"]), item["key"])
        for item in report["differences"]
        if item["layer"] == layer
    }


VALUES: list[tuple[str, str, str, str, tuple[str, ...]]] = [  # table, key, SQL over that row, kind, columns
    ("orders", "400", "total_cents = total_cents + 1", "value_mismatch", ("total_cents",)),
    ("orders", "1", "total_cents = total_cents - 1", "value_mismatch", ("total_cents",)),  # offsets the one before
    ("orders", "3", "price = 3.00", "value_mismatch", ("price",)),  # was 3.0
    ("orders", "7", "price = 7", "value_mismatch", ("price",)),  # was NaN
    ("orders", "5", "left_side = left_side || ' '", "value_mismatch", ("left_side",)),
    ("orders", "6", "left_side = right_side, right_side = left_side", "value_mismatch", ("left_side", "right_side")),
    (
        "orders",
        "10",  # the same characters, one of them beyond the column's border
        "left_side = left_side || left(right_side, 1), right_side = substr(right_side, 2)",
        "value_mismatch",
        ("left_side", "right_side"),
    ),
    ("orders", "8", "gross = gross + 1", "value_mismatch", ("gross",)),  # transformed
    ("orders", "9", "tenant_id = 'other'", "value_mismatch", ("tenant_id",)),  # an added constant
    ("orders", "11", "rate = '-0'", "value_mismatch", ("rate",)),
    ("orders", "12", "document = '{\"n\": 12.0}'", "value_mismatch", ("document",)),
    ("orders", "13", "at = at + interval '1 microsecond'", "value_mismatch", ("at",)),
    ("orders", "14", "tags = ARRAY['a', 'NULL', tags[3]]", "value_mismatch", ("tags",)),
    ("customers", "c3", "name = ''", "value_mismatch", ("name",)),  # was NULL
    ("customers", "c6", "name = 'NULL'", "value_mismatch", ("name",)),  # was NULL
    ("customers", "c4", "name = replace(name, 'É', E'E\\u0301')", "value_mismatch", ("name",)),  # another normal form
    ("customers", "c60", "code = 'A'", "value_mismatch", ("code",)),  # the case only
]


def test_every_changed_value_is_named_by_table_key_and_column_and_nothing_else_is(pair: Pair) -> None:
    digest = {key: pair.keyring.digest_of("shop", (key,)) for _, key, *_ in VALUES}
    pair.corrupt(
        ";".join(f"UPDATE {table} SET {change} WHERE id = '{key}'" for table, key, change, *_ in VALUES)
        + "; SET session_replication_role = replica; DELETE FROM orders WHERE id = 17; DELETE FROM customers WHERE id = 'c1';"
        "INSERT INTO orders SELECT 100000, customer_id, NULL, NULL, 0, 0, price, rate, state, document, tags, at,"
        " left_side, right_side, tenant_id, migrated_at FROM orders WHERE id = 2"
    )

    report = pair.reconcile(Layer.SUMS, Layer.CHECKSUMS, Layer.ROWS)

    expected = {(table, kind, columns, digest[key]) for table, key, _, kind, columns in VALUES}
    expected |= {
        (table, kind, (), pair.keyring.digest_of("shop", (key,)))
        for table, key, kind in (
            ("orders", "17", "missing_in_target"),
            ("customers", "c1", "missing_in_target"),
            ("orders", "100000", "extra_in_target"),
        )
    }
    assert named(report, "checksums") == expected
    assert report["exit_code"] == 1
    assert "left" not in json.dumps(report["differences"]).replace("left_side", "")


def test_two_cents_that_offset_each_other_leave_the_sum_and_are_named_all_the_same(pair: Pair) -> None:
    pair.corrupt("UPDATE orders SET total_cents = total_cents + CASE id WHEN 1 THEN 1 ELSE -1 END WHERE id IN (1, 2)")

    report = pair.reconcile(Layer.SUMS, Layer.CHECKSUMS)

    assert (verdicts(report, "orders")["sums"], len(named(report, "checksums"))) == ("equal", 2)


def test_sums_that_differ_are_named_with_their_totals_only_when_declared(pair: Pair) -> None:
    pair.corrupt("UPDATE orders SET total_cents = total_cents + 1, price = price + 1 WHERE id = 400")

    report = pair.reconcile(Layer.SUMS)

    details = {item["columns"][0]: item["detail"] for item in report["differences"]}
    assert details == {"total_cents": "sum: source 8020000, target 8020001", "price": "sums differ"}


def test_every_broken_ciphertext_is_named(pair: Pair) -> None:
    pair.corrupt(
        """
        UPDATE customers SET email = set_byte(email, 20, get_byte(email, 20) # 1) WHERE id = 'c8';
        UPDATE customers a SET email = b.email FROM customers b
          WHERE a.id IN ('c1', 'c2') AND b.id IN ('c1', 'c2') AND a.id <> b.id;
        UPDATE customers SET email = photo WHERE id = 'c9';
        UPDATE customers SET email = overlay(email placing '\\x000000ff' from 3) WHERE id = 'c11';
        UPDATE customers SET email = NULL WHERE id = 'c12';
        UPDATE customers SET photo = NULL, email = NULL WHERE id = 'c13';
        UPDATE customers SET email = (SELECT email FROM customers WHERE id = 'c16') WHERE id = 'c5';
        ALTER TABLE customers DROP CONSTRAINT email_sealed;
        UPDATE customers SET email = 'u17@x.example' WHERE id = 'c17';
        UPDATE customers SET email = substr(email, 1, 40) WHERE id = 'c18';
        """
    )

    report = pair.reconcile(Layer.ENVELOPES, Layer.CELLS)

    broken = dict.fromkeys(("c8", "c1", "c2", "c9", "c11", "c5", "c17", "c18"), ("undecryptable", ("email",)))
    broken |= {"c12": ("value_mismatch", ("email",)), "c13": ("value_mismatch", ("email", "photo"))}
    assert named(report, "cells") == {
        ("customers", kind, columns, pair.keyring.digest_of("shop", (key,))) for key, (kind, columns) in broken.items()
    }
    details = {item["detail"]: item["rows"] for item in report["differences"] if item["layer"] == "envelopes"}
    assert details["cells that are no envelope"] == 1
    assert details["cells under a key that the keyring does not have"] == 2
    assert "@x.example" not in json.dumps(report)


def test_table_without_a_key_is_compared_as_a_multiset_of_whole_rows(pair: Pair) -> None:
    pair.corrupt("DELETE FROM touches WHERE ctid = (SELECT ctid FROM touches LIMIT 1)")

    report = pair.reconcile(Layer.CHECKSUMS, Layer.CELLS)

    assert named(report, "checksums") == {("touches", "missing_in_target", (), "")}
    assert named(report, "cells") == {("touches", "missing_in_target", (), "")}


def test_ciphertexts_swapped_between_rows_without_a_key_are_found(pair: Pair) -> None:
    pair.corrupt(
        "UPDATE touches a SET ip = b.ip FROM touches b WHERE a.ctid = (SELECT ctid FROM touches ORDER BY ctid LIMIT 1)"
        " AND b.ctid = (SELECT ctid FROM touches ORDER BY ctid OFFSET 1 LIMIT 1)"
    )

    report = pair.reconcile(Layer.CHECKSUMS, Layer.CELLS)

    assert verdicts(report, "touches")["checksums"] == "equal"
    assert named(report, "cells") == {
        ("touches", "missing_in_target", (), ""),
        ("touches", "extra_in_target", (), ""),
    }


def test_orphans_are_lost_new_or_inherited(pair: Pair) -> None:
    pair.corrupt(
        "SET session_replication_role = replica; DELETE FROM customers WHERE id = 'c20';"
        "UPDATE orders SET customer_id = 'nobody' WHERE id = 9"
    )

    report = pair.reconcile(Layer.FOREIGN_KEYS)

    lost = pair.keyring.digest_of("shop", ("c20",))
    assert named(report, "foreign-keys") == {
        ("customers", "orphan_lost_parent", ("referred_by",), lost),
        ("orders", "orphan_lost_parent", ("customer_id",), lost),
        ("orders", "orphan_not_at_source", ("customer_id",), pair.keyring.digest_of("shop", ("nobody",))),
    }


def test_every_changed_definition_is_named(pair: Pair) -> None:
    pair.corrupt(
        """
        DROP INDEX orders_at;
        SELECT setval('orders_id_seq', 399);
        ALTER TABLE orders ALTER total_cents DROP NOT NULL;
        ALTER TABLE orders ALTER left_side TYPE varchar(50);
        ALTER TABLE orders ALTER state DROP DEFAULT;
        ALTER TYPE order_state ADD VALUE 'lost';
        ALTER TABLE orders DROP CONSTRAINT note_sealed;
        ALTER TABLE orders DROP CONSTRAINT orders_customer;
        ALTER TABLE orders ADD COLUMN surplus int;
        ALTER TABLE customers DROP CONSTRAINT customers_pkey CASCADE;
        ALTER TABLE customers ALTER migrated_at DROP NOT NULL;
        """
    )

    report = pair.reconcile(Layer.SCHEMA)

    details = [f"{item['table']}.{','.join(item['columns'])}: {item['detail']}" for item in report["differences"]]
    for expected in (
        'index "orders_at" is missing',
        "orders.id: the sequence is behind: next value 400, last value of a row 400",
        "orders.total_cents: is not NOT NULL",
        "orders.left_side: type is character varying(50), must be text",
        "orders.state: the default is missing",
        'type "order_state" is defined otherwise',
        "orders.note: no check keeps plaintext out",
        'foreign key "orders_customer" is missing',
        "orders.surplus: a column that neither",
        "the primary key is (none), must be (id)",
        'foreign key "customers_referred_by_fkey" is missing',
        "customers.migrated_at: the column that shows the instant",
    ):
        assert sum(expected in detail for detail in details) == 1, (expected, details)
    assert len(details) == 12


def test_missing_table_is_different_in_every_layer(pair: Pair) -> None:
    pair.corrupt("DROP TABLE touches")

    report = pair.reconcile()

    assert set(verdicts(report, "touches").values()) == {"different"}
    assert set(verdicts(report, "orders").values()) == {"equal"}


def test_missing_column_is_never_equal_in_the_layers_that_cannot_see_it(pair: Pair) -> None:
    pair.corrupt("ALTER TABLE orders DROP COLUMN right_side, DROP COLUMN note")

    report = pair.reconcile(Layer.CHECKSUMS, Layer.CELLS)

    assert (verdicts(report, "orders")["checksums"], verdicts(report, "orders")["cells"]) == ("inconclusive",) * 2
    assert report["exit_code"] == 3


def test_organization_is_compared_with_its_tokens_decrypted(pair: Pair) -> None:
    pair.corrupt(
        "UPDATE organizations SET name = 'Other', access_token = set_byte(access_token, 30, get_byte(access_token, 30) # 1)"
    )

    report = pair.reconcile(Layer.ORGANIZATION)

    assert {item[2] for item in named(report, "organization")} == {("name",), ("access_token",)}


def test_rows_that_differ_are_named_by_the_digest_of_their_key(pair: Pair) -> None:
    pair.corrupt("UPDATE customers SET name = 'x' WHERE id = 'c42'")

    (difference,) = pair.reconcile(Layer.CHECKSUMS)["differences"]

    assert difference["key"] == pair.keyring.digest_of("shop", ("c42",))


def test_row_in_quarantine_is_quarantined_and_not_lost(pair: Pair) -> None:
    digest = pair.keyring.digest_of("shop", ("c20",))
    pair.corrupt(
        "SET session_replication_role = replica; DELETE FROM customers WHERE id = 'c20';"
        "UPDATE replicator.tables SET applied = applied - 1, quarantined = 1 WHERE table_name = 'customers';"
        'INSERT INTO replicator.quarantine (tenant, topic, partition, "offset", row_index, generation, attempt, table_name, key_digest, sqlstate, reason)'
        f" VALUES ('shop', 'shop.customers', 0, 5, 1, 1, 1, 'customers', '{digest}', '', '\"x\" cannot become bigint')"
    )

    report = pair.reconcile()

    assert report["exit_code"] == 1
    assert report["next"].startswith("consumer quarantine list")
    named = {(item["layer"], item["kind"]) for item in report["differences"] if item["key"] == digest}
    assert {("generation", "quarantined"), ("checksums", "quarantined"), ("foreign-keys", "orphan_waiting")} <= named
    assert verdicts(report, "customers")["published"] == "equal"


def test_load_that_has_not_ended_is_inconclusive(pair: Pair) -> None:
    pair.corrupt("UPDATE replicator.generations SET state = 'running', ended_at = NULL")

    report = pair.reconcile()

    assert report["exit_code"] == 3
    assert "generation 1 has not ended" in report["sentence"]
    assert report["next"].startswith("consumer run")


def test_target_that_knows_no_such_tenant_is_inconclusive(pair: Pair) -> None:
    pair.corrupt("DROP SCHEMA replicator CASCADE")

    assert pair.reconcile()["exit_code"] == 3


def test_published_that_does_not_add_up_is_different(pair: Pair) -> None:
    pair.corrupt("UPDATE replicator.tables SET applied = applied - 1 WHERE table_name = 'orders'")

    assert seen(pair.reconcile(Layer.PUBLISHED)) == {("published", "orders", "count", ())}


def test_sample_states_its_bound_and_never_claims_more(pair: Pair) -> None:
    report = pair.reconcile(sample=20)

    assert report["exit_code"] == 0
    orders = next(item for item in report["tables"] if item["name"] == "orders")["layers"]["cells"]
    assert 20 <= orders["sample"]["rows"] <= 40
    assert "fewer than" in orders["sample"]["says"]
    assert "sampled" in report["sentence"]


def test_sample_as_large_as_the_table_finds_what_is_there(pair: Pair) -> None:
    pair.corrupt("UPDATE customers SET email = set_byte(email, 20, get_byte(email, 20) # 1) WHERE id = 'c8'")

    report = pair.reconcile(Layer.CELLS, sample=1000)

    assert seen(report) == {("cells", "customers", "undecryptable", ("email",))}


def test_everything_different_is_counted_whole_and_listed_in_part(pair: Pair) -> None:
    pair.corrupt("UPDATE orders SET left_side = left_side || '!'")

    report = pair.reconcile(Layer.CHECKSUMS, most=10)

    found = next(item for item in report["tables"] if item["name"] == "orders")["layers"]["checksums"]
    assert (found["different"], found["listed"]) == (400, 10)


def test_one_table_and_one_layer_say_what_was_not_looked_at(pair: Pair) -> None:
    report = pair.reconcile(Layer.COUNTS, tables=("orders",))

    assert report["exit_code"] == 0
    assert "Not looked at" in report["sentence"]
    assert [item["name"] for item in report["tables"]] == ["orders"]
    assert verdicts(report, "orders")["checksums"] == "skipped"


def test_large_tables_are_decrypted_in_parts_by_processes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validator.cells._PART_BLOCKS", 2)
    pair.corrupt("UPDATE customers SET email = set_byte(email, 20, get_byte(email, 20) # 1) WHERE id = 'c8'")

    report = pair.reconcile(Layer.CELLS)

    assert seen(report) == {("cells", "customers", "undecryptable", ("email",))}
    assert verdicts(report, "orders")["cells"] == "equal"


# ---------------------------------------------------------------- the program


def test_program_ends_with_its_verdict_and_writes_both_reports(pair: Pair, run: Run, tmp_path: Path) -> None:
    page, saved = tmp_path / "r.html", tmp_path / "r.json"

    done = run("validator", "reconcile", "--report", str(page), "--json-report", str(saved), env=pair.environment)

    assert done.returncode == 0, done.stderr
    assert "Equal: 3 tables, 490 rows, in 11 layers." in done.stdout
    assert checked(json.loads(saved.read_text()))["verdict"] == "equal"
    assert "<!doctype html>" in page.read_text()
    again = run(
        "validator",
        "report",
        "--from",
        str(saved),
        "--html",
        str(tmp_path / "again.html"),
        "--json",
        env=pair.environment,
    )
    assert (again.returncode, checked(json.loads(again.stdout))["version"]) == (0, 2)
    assert (tmp_path / "again.html").read_text() == page.read_text()


def test_what_a_reader_should_know_stands_on_the_terminal_and_on_the_page(pair: Pair, run: Run, tmp_path: Path) -> None:
    migration, page = tmp_path / "shop.toml", tmp_path / "r.html"
    left_out = '[table.orders.leave_out]\norders_at = "nobody asks by time"\n[table.touches]'
    migration.write_text(MIGRATION.replace("[table.touches]", left_out))
    pair.corrupt("DROP INDEX orders_at")

    done = run("validator", "reconcile", "--report", str(page), env={**pair.environment, "MIGRATION": str(migration)})

    assert done.returncode == 0, done.stdout
    for says in (
        'left out by the migration: "orders_at" (nobody asks by time)',
        'foreign key "orders_customer": 8 inherited orphans, the source has them too',
    ):
        assert f"orders: {says}" in done.stdout
        assert html.escape(says) in page.read_text().replace("&#34;", "&quot;")
    assert "no encrypted column" not in done.stdout


def test_program_ends_with_1_when_rows_differ_and_shows_no_value(pair: Pair, run: Run, tmp_path: Path) -> None:
    pair.corrupt("UPDATE customers SET name = 'Secret Name' WHERE id = 'c42'")

    done = run("validator", "reconcile", "--report", str(tmp_path / "r.html"), env=pair.environment)

    assert done.returncode == 1
    assert "value mismatch" in done.stdout
    assert pair.keyring.digest_of("shop", ("c42",)) in done.stdout
    for text in (done.stdout, done.stderr, (tmp_path / "r.html").read_text()):
        assert "Secret" not in text
        assert "Ann" not in text


@pytest.mark.parametrize(
    ("arguments", "changed", "code", "says"),
    [
        (["--layers", "count"], {}, 2, "no layer"),
        (["--table", "order"], {}, 2, 'did you mean "orders"'),
        (["--sample", "0"], {}, 2, "--sample"),
        (["--report", "/no/such/folder/r.html"], {}, 2, "no folder"),
        ([], {"KEYRING": ""}, 2, "there is no keyring"),
        ([], {"POSTGRES_URL": "postgresql://postgres@127.0.0.1:9/none"}, 4, "source"),
        ([], {"NEW_POSTGRES_URL": "postgresql://postgres@127.0.0.1:9/none"}, 4, "target"),
    ],
    ids=["unknown layer", "unknown table", "empty sample", "no folder", "no keyring", "source down", "target down"],
)
def test_wrong_use_is_2_and_a_side_that_cannot_be_read_is_4(
    pair: Pair,
    arguments: list[str],
    changed: dict[str, str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**pair.environment, **changed}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as end:
        main.main(["reconcile", *arguments])

    assert end.value.code == code
    assert says in capsys.readouterr().err


def test_run_cut_short_by_an_error_leaves_a_report_that_is_not_complete(pair: Pair, run: Run, tmp_path: Path) -> None:
    saved = tmp_path / "r.json"

    done = run(
        "validator",
        "reconcile",
        "--json-report",
        str(saved),
        env={**pair.environment, "NEW_POSTGRES_URL": "postgresql://postgres@127.0.0.1:9/none"},
    )

    report = checked(json.loads(saved.read_text()))
    assert done.returncode == 4
    assert (report["complete"], report["verdict"]) == (False, "inconclusive")


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_interrupted_run_leaves_a_report_that_is_not_complete_and_never_equal(
    pair: Pair, spawn: Spawn, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    saved, page = tmp_path / "r.json", tmp_path / "r.html"
    saved.write_text('{"verdict": "equal"}')  # of yesterday; nobody shall take it for today's
    with psycopg.connect(pair.target) as blocker, psycopg.connect(pair.target, autocommit=True) as observer:
        blocker.execute("LOCK TABLE tenant_shop.orders IN ACCESS EXCLUSIVE MODE")
        process = spawn(
            "validator", "reconcile", "--json-report", str(saved), "--report", str(page), env=pair.environment
        )
        while not observer.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'validator' AND wait_event_type = 'Lock'"
        ).fetchone():
            assert process.poll() is None

        process.send_signal(sent)
        process.communicate(timeout=60)

    report = checked(json.loads(saved.read_text()))
    assert process.returncode == code
    assert (report["complete"], report["verdict"]) == (False, "inconclusive")
    assert "interrupted" in report["sentence"]
    assert "This run did not complete." in page.read_text()


LAME = "UPDATE replicator.generations SET state = 'running', ended_at = NULL"
LESS = "DELETE FROM orders WHERE id = 5"


@pytest.mark.parametrize(
    ("script", "arguments", "changed", "code", "says"),
    [
        ("", [], {}, 0, "Equal: 3 tables, 490 rows, in 11 layers."),
        (LESS, [], {}, 1, "Different in orders"),
        (LESS, ["--fail-on", "fk,missing"], {}, 1, "Different in orders"),
        (LESS, ["--fail-on", "fk,organization"], {}, 0, "Different in orders"),
        ("", ["--fail-on", "values"], {}, 2, "there are any, missing"),
        ("", ["--layers", "counts", "--fail-on", "fk"], {}, 2, "found by foreign-keys"),
        (LAME, [], {}, 3, "has not ended"),
        (LAME, ["--fail-on", "fk"], {}, 3, "has not ended"),
        ("", [], {"POSTGRES_URL": "postgresql://postgres@127.0.0.1:9/none"}, 4, "source"),
    ],
    ids=["0", "1", "1 asked for", "0 not asked for", "2", "2 not looked for", "3", "3 all the same", "4"],
)
def test_each_exit_code_says_what_is_true_of_the_data(
    pair: Pair, run: Run, script: str, arguments: list[str], changed: dict[str, str], code: int, says: str
) -> None:
    pair.corrupt(script)

    done = run("validator", "reconcile", *arguments, env={**pair.environment, **changed})

    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
    assert ("does not ask for what differs (count, missing, sum, value)" in " ".join(done.stdout.split())) == (
        script == LESS and code == 0
    )


def test_report_that_is_killed_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    saved = tmp_path / "r.json"
    saved.write_text("before")
    script = (
        "import os, pathlib, signal; from validator import report;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        f"report.save(pathlib.Path({str(saved)!r}), 'x' * 10_000_000)"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)

    assert (done.returncode, saved.read_text()) == (-signal.SIGKILL, "before")


def test_verdict_is_shown_also_when_the_report_cannot_be_written_at_the_end(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in pair.environment.items():
        monkeypatch.setenv(name, value)
    saved = tmp_path / "r.json"
    looked = Reconciliation.run

    def run_on_a_full_disk(run: Reconciliation) -> Any:
        found = looked(run)
        monkeypatch.setattr(os, "fsync", full)
        return found

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Reconciliation, "run", run_on_a_full_disk)
    with pytest.raises(SystemExit) as end:
        main.main(["reconcile", "--layers", "counts", "--json-report", str(saved)])

    said = capsys.readouterr()
    assert end.value.code == 4
    assert "Equal in what was looked at" in said.out
    assert "cannot be written: No space left" in said.err
    assert not json.loads(saved.read_text())["complete"]


def test_another_keyring_of_the_tenant_is_said_before_any_row_is_named(pair: Pair, run: Run, tmp_path: Path) -> None:
    kek = base64.b64decode(Path(pair.environment["KEYRING_KEK_FILE"]).read_text())
    other = tmp_path / "other.json"
    init_keyring(other, "shop", kek)
    of_others = tmp_path / "of others.json"
    init_keyring(of_others, "elsewhere", kek)
    init_keyring(of_others, "shop", kek)  # its kid is 2

    wrong = run("validator", "reconcile", env={**pair.environment, "KEYRING": str(other)})
    lacking = run("validator", "reconcile", env={**pair.environment, "KEYRING": str(of_others)})
    clear = run("validator", "reconcile", "--layers", "counts,sums", env={**pair.environment, "KEYRING": str(other)})

    assert (wrong.returncode, lacking.returncode, clear.returncode) == (2, 2, 0)
    assert "not the keyring that they were written with" in " ".join(wrong.stderr.split())
    assert "encrypted with keys that it lacks (1)" in " ".join(lacking.stderr.split())
    assert "undecryptable" not in wrong.stdout + lacking.stdout


def test_report_of_another_version_or_with_parts_cut_out_is_refused(pair: Pair, run: Run, tmp_path: Path) -> None:
    saved = tmp_path / "r.json"
    report = pair.reconcile(Layer.COUNTS)
    for spoiled, says in (({**report, "version": 1}, "another version"), ({**report, "load": None}, "")):
        if not says:
            del spoiled["load"]
        saved.write_text(json.dumps(spoiled))

        done = run("validator", "report", "--from", str(saved), "--html", str(tmp_path / "r.html"))

        assert done.returncode == 2
        assert (says or "lacks load") in done.stderr


def test_schema_of_the_report_is_printed_without_any_server(run: Run) -> None:
    done = run("validator", "report", "--schema")

    assert (done.returncode, json.loads(done.stdout)["$id"]) == (0, "urn:tenant-replicator:validator:report:2")
