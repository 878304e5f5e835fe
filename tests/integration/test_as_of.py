"""The log as a witness: `--as-of-snapshot`, changes since the snapshot told apart, and `validator explain`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runtime.keyring import init_keyring, load_kek, load_keyring, make_kek_file
from runtime.settings import KafkaSettings
from schemas.errors import ContractError, KeyringError
from schemas.migration import parse_migration
from tests.integration.test_reconcile import clone, url_of
from tests.report_schema import checked
from tests.tenant import QUIET, Tenant
from validator.as_of import AS_OF_LAYERS
from validator.cli import main
from validator.explain import RowLook
from validator.options import Options
from validator.published import TableLog
from validator.reconcile import Reconciliation
from validator.verdict import Layer

MIGRATION = """
tenant = "NAME"
schema = "tenant_shop"
tables = ["customers", "orders", "lines", "touches"]

[log]
prefix = "NAME"

[batch]
max_rows = 20

[table.customers]
encrypt = ["email", "photo"]
[table.orders]
encrypt = ["note"]
[table.orders.transform]
gross = "bigint"
share = "percent"
[table.orders.add]
tenant_id = { type = "text", value = "shop" }
[table.touches]
encrypt = ["ip"]
"""

SOURCE = r"""
CREATE TYPE order_state AS ENUM ('open', 'paid');
CREATE TABLE customers (id text PRIMARY KEY, email text, photo bytea, name text, born date);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id text REFERENCES customers(id), note text, gross numeric, share text,
  rate double precision, weight real, is_paid boolean, state order_state, tags text[], raw bytea,
  twice bigint GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE lines (order_id bigint, number smallint, text text, price numeric, PRIMARY KEY (order_id, number));
CREATE TABLE touches (url text, ip inet);
INSERT INTO customers SELECT 'c ' || n, CASE WHEN n % 5 = 0 THEN NULL WHEN n % 7 = 0 THEN '' ELSE 'u' || n || '@x.example' END,
  decode(lpad(to_hex(n), 8, '0'), 'hex'), CASE WHEN n % 3 = 0 THEN NULL ELSE E'Ann "The" \\Émile, (' || n || E')\t🙂' END, date '2000-01-01' + n
FROM generate_series(1, 60) n;
INSERT INTO orders (id, customer_id, note, gross, share, rate, weight, is_paid, state, tags, raw)
SELECT n, 'c ' || (1 + n % 60), CASE WHEN n % 4 = 0 THEN NULL ELSE 'note ' || n END, CASE WHEN n % 9 = 0 THEN NULL ELSE n + 0.5 END, n || ' %',
  n / 3.0, n / 7.0, n % 2 = 0, (ARRAY['open', 'paid'])[1 + n % 2]::order_state, ARRAY['a', NULL, 'b"' || n], decode(lpad(to_hex(n), 4, '0'), 'hex')
FROM generate_series(1, 200) n;
INSERT INTO lines SELECT n, m, 'line ' || m, (n || '.10')::numeric FROM generate_series(1, 200) n, generate_series(1, 2) m;
INSERT INTO lines VALUES (900, 1, 'an orphan', 1);
ALTER TABLE lines ADD CONSTRAINT lines_order FOREIGN KEY (order_id) REFERENCES orders(id) NOT VALID;
INSERT INTO touches SELECT 'https://x.example/' || n % 3, ('10.1.1.' || n % 2)::inet FROM generate_series(1, 30) n;
"""


@dataclass(frozen=True)
class Moved:
    """A source, the log of its first generation, and the target that holds it."""

    tenant: Tenant
    server_url: str
    folder: Path

    @property
    def source(self) -> str:
        return self.tenant.environment["POSTGRES_URL"]

    @property
    def target(self) -> str:
        return self.tenant.environment["NEW_POSTGRES_URL"]

    def change(self, script: str) -> None:
        """At the source, as its owner would."""
        run(self.source, "public", script)

    def corrupt(self, script: str) -> None:
        """In the target, as nobody should."""
        run(self.target, "tenant_shop", script)

    def reconcile(self, *layers: Layer, as_of: bool = False, with_log: bool = True, **options: Any) -> dict[str, Any]:
        every = AS_OF_LAYERS if as_of else tuple(Layer)
        chosen = Options(layers=(Layer.GENERATION, *layers) if layers else every, seed=1, as_of=as_of, **options)
        environment = self.tenant.environment
        facts: list[object] = []
        return checked(
            Reconciliation(
                migration=parse_migration(Path(environment["MIGRATION"]).read_text(), "shop.toml"),
                source_url="" if as_of else self.source,
                target_url=self.target,
                keyring=load_keyring(environment),
                environment=environment,
                options=chosen,
                report_fact=facts.append,
                program_version="test",
                kafka=KafkaSettings(environment["KAFKA_BOOTSTRAP_SERVERS"]) if with_log else None,
            )
            .run()
            .to_json()
        )


def run(url: str, schema: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={schema},public") as connection:
        connection.execute(script.encode())


def moved(server_url: str, bootstrap: str, folder: Path, name: str) -> Moved:
    init_keyring(folder / "keyring.json", name, make_kek_file(folder / "kek"))
    (folder / "shop.toml").write_text(MIGRATION.replace("NAME", name))
    environment = {
        "POSTGRES_URL": url_of(server_url, clone(server_url, None)),
        "NEW_POSTGRES_URL": url_of(server_url, clone(server_url, None)),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "MIGRATION": str(folder / "shop.toml"),
        "KEYRING": str(folder / "keyring.json"),
        "KEYRING_KEK_FILE": str(folder / "kek"),
    }
    found = Moved(Tenant(name, environment), server_url, folder)
    found.change(SOURCE)
    found.tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
    found.tenant.load()
    return found


def drop(server_url: str, *urls: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        for url in urls:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def template(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("moved")
    found = moved(server_url, bootstrap, folder, f"shop_{secrets.token_hex(4)}")
    yield found
    drop(server_url, found.source, found.target)


@pytest.fixture
def shop(template: Moved, server_url: str) -> Iterator[Moved]:
    """Copies of both databases; rows keep their xmin, and the log is the one they came from."""
    urls = [url_of(server_url, clone(server_url, url.rsplit("/", 1)[1])) for url in (template.source, template.target)]
    environment = {**template.tenant.environment, "POSTGRES_URL": urls[0], "NEW_POSTGRES_URL": urls[1]}
    yield replace(template, tenant=Tenant(template.tenant.name, environment))
    drop(server_url, *urls)


def places(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(item["layer"], item["table"], item["kind"]) for item in report["differences"]}


def test_what_was_published_is_what_arrived_whatever_becomes_of_the_source(shop: Moved) -> None:
    shop.change("DROP TABLE touches, lines; UPDATE orders SET note = 'later'; DELETE FROM orders WHERE id < 50")

    report = shop.reconcile(as_of=True)

    assert report["differences"] == []
    assert (report["verdict"], report["exit_code"], report["source"]) == ("equal", 0, None)
    assert report["request"]["as_of_snapshot"]
    assert {item["name"]: item["layers"]["checksums"]["looked_at"] for item in report["tables"]} == {
        "customers": 60,
        "orders": 200,
        "lines": 401,
        "touches": 30,
    }
    assert 'generated column "twice" is not in the log' in report["tables"][1]["layers"]["checksums"]["notes"]


CORRUPTIONS = [
    ("UPDATE orders SET gross = gross + 1 WHERE id = 7", ("checksums", "orders", "value_mismatch")),
    ("UPDATE orders SET share = share / 100 WHERE id = 1", ("checksums", "orders", "value_mismatch")),
    ("UPDATE lines SET price = price::numeric(10,1) WHERE order_id = 9 AND number = 2", ("checksums", "lines", "value_mismatch")),
    ("UPDATE customers SET name = name || ' ' WHERE id = 'c 1'", ("checksums", "customers", "value_mismatch")),
    ("DELETE FROM lines WHERE order_id = 3 AND number = 1", ("checksums", "lines", "missing_in_target")),
    ("INSERT INTO lines SELECT 3, 9, 'x', 1, now()", ("checksums", "lines", "extra_in_target")),
    ("UPDATE orders SET tenant_id = 'other' WHERE id = 200", ("checksums", "orders", "value_mismatch")),
    ("UPDATE customers SET email = set_byte(email, 20, 255 - get_byte(email, 20)) WHERE id = 'c 1'", ("cells", "customers", "undecryptable")),
    ("UPDATE orders a SET note = b.note FROM orders b WHERE a.id = 1 AND b.id = 2", ("cells", "orders", "undecryptable")),
    ("UPDATE touches SET url = 'https://x.example/9' WHERE ctid = '(0,1)'", ("checksums", "touches", "missing_in_target")),
]  # fmt: skip


def test_what_is_not_as_published_is_named(shop: Moved) -> None:
    for script, _ in CORRUPTIONS:
        shop.corrupt(script)

    report = shop.reconcile(as_of=True)

    assert {place for _, place in CORRUPTIONS} <= places(report)
    rows = [item for item in report["differences"] if item["layer"] in ("checksums", "cells") and item["key"]]
    assert len(rows) == len(CORRUPTIONS) - 1  # touches has no key
    assert (report["verdict"], report["exit_code"]) == ("different", 1)
    named = [item for item in report["differences"] if item["layer"] == "checksums" and item["table"] == "orders"]
    assert sorted(column for item in named for column in item["columns"]) == ["gross", "share", "tenant_id"]
    assert all(len(item["key"]) == 16 for item in named)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def say(shop: Moved, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the validator in this process."""
    for name, value in shop.tenant.environment.items():
        monkeypatch.setenv(name, value)

    def run_validator(*arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, said.out, said.err)

    return run_validator


def test_the_command_needs_no_source(say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_URL")

    said = say("reconcile", "--as-of-snapshot", *QUIET)

    assert said.code == 0
    assert "What was published is what arrived; the source was not asked." in " ".join(said.out.split())
    assert "compared with the log" in said.out
    refused = say("reconcile", "--as-of-snapshot", "--layers", "sums", *QUIET)
    assert (refused.code, "need the source" in refused.err) == (2, True)


def since(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return sorted((item["table"], item["layer"], item["detail"]) for item in report["changed_since"])


def test_rows_changed_since_the_snapshot_are_no_differences(shop: Moved) -> None:
    shop.change(
        """
        UPDATE orders SET gross = 99, note = 'later' WHERE id = 4;
        INSERT INTO orders (id, customer_id) VALUES (999, 'c 1');
        DELETE FROM lines WHERE order_id = 8;
        UPDATE customers SET email = 'new@x.example' WHERE id = 'c 2';
        DELETE FROM touches WHERE ctid = '(0,1)';
        """
    )

    report = shop.reconcile()

    assert report["differences"] == []
    assert (report["verdict"], report["exit_code"]) == ("equal", 0)
    assert "rows were changed at the source since the snapshot" in report["sentence"]
    assert since(report) == [
        ("customers", "cells", "changed"),
        ("lines", "checksums", "deleted"),
        ("lines", "checksums", "deleted"),
        ("orders", "cells", "changed"),
        ("orders", "checksums", "changed"),
        ("orders", "checksums", "inserted"),
        ("touches", "cells", "deleted"),
        ("touches", "checksums", "deleted"),
    ]


def test_a_difference_is_found_among_rows_that_changed_since(shop: Moved) -> None:
    shop.change("UPDATE orders SET gross = 99 WHERE id < 50; UPDATE lines SET text = 'x' WHERE order_id = 1")
    shop.corrupt("UPDATE orders SET gross = 1 WHERE id = 7")  # changed at the source too: its log says what it must be
    shop.corrupt("UPDATE orders SET gross = 1 WHERE id = 100")

    report = shop.reconcile()

    assert report["exit_code"] == 1
    rows = [item for item in report["differences"] if item["layer"] == "checksums"]
    assert {(item["table"], tuple(item["columns"])) for item in rows} == {("orders", ("gross",))}
    assert len(rows) == 2
    counted = {item["name"]: item["layers"]["checksums"]["changed_since"] for item in report["tables"]}
    assert counted == {"customers": 0, "orders": 48, "lines": 2, "touches": 0}


def test_a_row_that_somebody_wrote_into_the_target_is_no_row_that_was_deleted(shop: Moved) -> None:
    shop.change("DELETE FROM lines WHERE order_id = 8")
    shop.corrupt("INSERT INTO lines SELECT 8, 9, 'x', 1, now()")

    report = shop.reconcile(Layer.CHECKSUMS, Layer.COUNTS)

    assert report["exit_code"] == 1
    assert [item["kind"] for item in report["differences"] if item["layer"] == "checksums"] == ["extra_in_target"]


def test_an_orphan_that_the_snapshot_had_is_no_difference_and_another_one_is(shop: Moved) -> None:
    shop.change("UPDATE lines SET order_id = 8, number = 9 WHERE order_id = 900; DELETE FROM lines WHERE order_id = 3")

    report = shop.reconcile()
    assert (report["exit_code"], report["differences"]) == (0, [])

    shop.corrupt("ALTER TABLE lines DROP CONSTRAINT lines_order; DELETE FROM orders WHERE id = 3")
    found = shop.reconcile(Layer.FOREIGN_KEYS)
    assert (found["exit_code"], found["differences_total"] > 0) == (1, True)


def test_what_the_log_can_no_longer_prove_is_undecided(shop: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.change("UPDATE orders SET gross = 99 WHERE id = 4; DELETE FROM lines WHERE order_id = 8")
    assert shop.reconcile(with_log=False)["exit_code"] == 1  # without a log nothing can be told apart
    whole = TableLog.records
    monkeypatch.setattr(
        TableLog, "records", lambda self, topic: (r for r in whole(self, topic) if r.header.sequence != 3)
    )

    undecided = shop.reconcile()
    assert (undecided["exit_code"], undecided["differences"]) == (3, [])
    assert "cannot be decided for 1 rows" in undecided["sentence"]
    assert shop.reconcile(as_of=True)["exit_code"] == 3

    shop.corrupt("UPDATE orders SET gross = 1 WHERE id = 100")
    assert shop.reconcile()["exit_code"] == 1  # of this row the snapshot itself is the proof


def test_a_partial_generation_counts_over_the_complete_one(server_url: str, bootstrap: str, tmp_path: Path) -> None:
    shop = moved(server_url, bootstrap, tmp_path, f"shop_{secrets.token_hex(4)}")
    try:
        shop.change("UPDATE orders SET gross = 77 WHERE id < 9; DELETE FROM lines WHERE order_id = 200")
        shop.change("DELETE FROM orders WHERE id = 200; INSERT INTO orders (id, note) VALUES (201, 'n')")
        shop.tenant("producer", "snapshot", "--accept-unclassified", "--table", "orders", *QUIET)
        published = explained(shop, "orders", "3")
        assert (published["exit_code"], len(published["log"])) == (3, 2)
        assert published["reason"].endswith("not applied yet")
        shop.tenant.load()
        shop.change("UPDATE orders SET gross = 5 WHERE id = 3")

        assert shop.reconcile(as_of=True)["differences"] == []
        live = shop.reconcile()
        assert (live["exit_code"], live["differences"]) == (0, [])
        assert ("orders", "checksums", "deleted") in since(live)  # it goes with the next complete generation

        shop.corrupt("UPDATE orders SET gross = 5 WHERE id = 5")
        assert shop.reconcile(Layer.CHECKSUMS, as_of=True)["differences_total"] == 1
        assert shop.reconcile(Layer.CHECKSUMS)["differences_total"] == 1

        shop.corrupt("UPDATE orders SET gross = 77 WHERE id = 5")
        with psycopg.connect(shop.source) as writing:  # a subtransaction, which no snapshot names
            writing.execute("SELECT pg_current_xact_id()")
            with writing.transaction():
                writing.execute("UPDATE lines SET text = 'x' WHERE order_id = 7 AND number = 1")
            with psycopg.connect(shop.source) as other:
                other.execute(
                    "SELECT pg_current_xact_id()"
                )  # a later one that has ended: the snapshot's bounds lie apart
            shop.tenant("producer", "snapshot", "--accept-unclassified", "--table", "lines", *QUIET)
        shop.tenant.load()

        undecided = shop.reconcile(Layer.CHECKSUMS, Layer.COUNTS)
        assert (undecided["exit_code"], undecided["differences"]) == (3, [])
        assert "cannot be decided for 1 rows" in undecided["sentence"]
        assert explained(shop, "lines", "7", "1")["exit_code"] == 3
    finally:
        drop(server_url, shop.source, shop.target)


def test_another_keyring_is_told_from_cells_that_were_written_wrongly(
    shop: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.corrupt("UPDATE orders SET note = set_byte(note, 20, get_byte(note, 20) # 1)")
    named = shop.reconcile(Layer.CELLS, tables=("orders",))
    assert {item["kind"] for item in named["differences"]} == {
        "undecryptable"
    }  # the log says that the keyring is right

    environment = shop.tenant.environment
    other = tmp_path / "other.json"
    init_keyring(other, parse_migration(Path(environment["MIGRATION"]).read_text(), "").tenant, load_kek(environment))
    monkeypatch.setitem(environment, "KEYRING", str(other))
    with pytest.raises(KeyringError, match="opens neither the target's cells nor the log"):
        shop.reconcile()
    with pytest.raises(ContractError, match="cannot be opened: wrong key"):
        shop.reconcile(as_of=True)


def explained(shop: Moved, table: str, *key: str, show_values: bool = False) -> dict[str, Any]:
    environment = shop.tenant.environment
    look = RowLook(
        migration=parse_migration(Path(environment["MIGRATION"]).read_text(), "shop.toml"),
        source_url=shop.source,
        target_url=shop.target,
        kafka=KafkaSettings(environment["KAFKA_BOOTSTRAP_SERVERS"]),
        keyring=load_keyring(environment),
    )
    return look.look_at(table, key, show_values=show_values).to_json()


def test_one_row_is_explained_column_by_column(shop: Moved) -> None:
    shop.corrupt("UPDATE orders a SET share = 3, note = b.note FROM orders b WHERE a.id = 1 AND b.id = 2")
    shop.corrupt("UPDATE customers SET name = name || ' ' WHERE id = 'c 1'")
    shop.change("UPDATE lines SET price = 2 WHERE order_id = 3 AND number = 2; DELETE FROM lines WHERE order_id = 4")

    equal = explained(shop, "orders", " 7 ")
    assert (equal["exit_code"], equal["source"], len(equal["log"])) == (0, {"found": True, "written": "before"}, 1)
    assert {item["source"] for item in equal["columns"]} == {"equal"}

    moved_cell = explained(shop, "orders", "1", show_values=True)
    assert (moved_cell["exit_code"], "note in the target does not decrypt" in moved_cell["reason"]) == (1, True)
    says = {item["column"]: (item["treatment"], item["source"], item["values"]) for item in moved_cell["columns"]}
    assert says["note"] == ("encrypt", "does not decrypt", None)
    assert says["share"] == ("transform", "differs", {"source": "1", "log": "1", "target": "3"})

    spaced = explained(shop, "customers", "c 1")
    assert "changed after it was applied" in spaced["reason"]
    named = next(item for item in spaced["columns"] if item["column"] == "name")
    assert (named["source"], named["log"], named["why"], named["values"]) == (
        "differs",
        "differs",
        "only in trailing space",
        None,
    )
    assert "Ann" not in str(spaced)

    assert explained(shop, "lines", "3", "2")["reason"].startswith("changed at the source since the snapshot")
    assert explained(shop, "lines", "4", "1")["reason"].startswith("deleted at the source since the snapshot")
    assert explained(shop, "lines", "999", "1")["exit_code"] == 3


def test_explaining_says_what_waits_and_why(shop: Moved, say: Callable[..., Said]) -> None:
    digest = explained(shop, "lines", "5", "1")["key"]
    shop.corrupt(
        f"""
        DELETE FROM lines WHERE order_id = 5 AND number = 1;
        INSERT INTO replicator.quarantine (tenant, topic, partition, "offset", row_index, generation, attempt, table_name, key_digest,
          sqlstate, reason, constraint_name) SELECT tenant, tenant || '.lines', 0, 4, 2, 1, 1, 'lines', '{digest}', '23514', 'check violation', 'positive'
        FROM replicator.tenants
        """
    )

    said = say("explain", "lines", "5", "1")
    report = shop.reconcile(Layer.CHECKSUMS, as_of=True)

    assert [item["kind"] for item in report["differences"]] == ["quarantined", "quarantined"]  # generation, checksums
    assert said.code == 1
    assert "quarantined at" in said.out
    assert 'SQLSTATE 23514, constraint "positive"' in said.out
    assert "next: consumer quarantine list" in said.out


def test_a_key_that_cannot_be_is_wrong_use_and_is_not_repeated(say: Callable[..., Said]) -> None:
    for arguments, words in (
        (("orders", "fifty"), 'the key of "orders" is of type bigint; this is no value of it'),
        (("lines", "fifty"), 'the key of "lines" has 2 columns (order_id, number), 1 were given'),
        (("touches", "fifty"), "has no key"),
        (("order", "fifty"), 'the migration has no table "order"'),
    ):
        said = say("explain", *arguments)
        assert (said.code, words in said.err, "fifty" in said.err) == (2, True, False)
    dashed = say("explain", "orders", "-17")
    assert (dashed.code, "write -- before" in dashed.err) == (2, True)
    assert say("explain", "customers", "c\udcff").code == 2  # bytes that are no UTF-8


def test_a_row_with_a_fault_that_no_cell_shows_is_not_called_equal(shop: Moved) -> None:
    shop.corrupt(
        "ALTER TABLE lines DROP CONSTRAINT lines_pkey; INSERT INTO lines SELECT * FROM lines WHERE order_id = 5"
    )
    shop.corrupt("ALTER TABLE orders DROP COLUMN tags")
    shop.corrupt("UPDATE customers SET migrated_at = migrated_at + interval '1 day' WHERE id = 'c 1'")

    for key, says in (
        (("lines", "5", "1"), "the target has 2 rows with this key; otherwise equal"),
        (("orders", "7"), 'column "tags" is missing in the target; otherwise equal'),
        (("customers", "c 1"), "the target's row shows an instant that no generation has"),
    ):
        found = explained(shop, *key)
        assert (found["exit_code"], says in found["reason"], len(found["faults"])) == (1, True, 1)


def test_nothing_that_a_terminal_obeys_is_shown_as_it_is(shop: Moved, say: Callable[..., Said]) -> None:
    for change in (shop.change, shop.corrupt):
        change(
            "UPDATE lines SET text = E'\\x1b[31m\\nequal: forged' || repeat('x', 2000) WHERE order_id = 5 AND number = 1"
        )

    said = say("explain", "lines", "5", "1", "--show-values")

    assert "source: \\x1b[31m\\nequal: forgedxxx" in said.out
    assert "(2,019 characters; --json shows all)" in said.out
