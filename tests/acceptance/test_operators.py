"""What an operator does after a load: look, try again, go back, rebuild; through the programs as they are run."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from consumer.cli import main

SOURCE = """
CREATE TABLE customers (id int PRIMARY KEY, email text);
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, total int NOT NULL, percent text);
CREATE TABLE visits (at timestamptz, page text);
INSERT INTO customers SELECT n, 'c' || n || '@example.com' FROM generate_series(1, 2500) n;
INSERT INTO orders SELECT n, 1 + n % 2500, n, CASE WHEN n IN (7, 8) THEN 'nonsense' ELSE '12,5 %' END
FROM generate_series(1, 5000) n;
INSERT INTO visits SELECT '2026-01-01', 'p' || n % 3 FROM generate_series(1, 30) n;
"""
MIGRATION = """
tenant = "{prefix}"
tables = ["customers", "orders", "visits"]
[organization]
values = {{ slug = "{prefix}", name = "Shop" }}
tokens = {{ stripe_key = "env:SHOP_STRIPE_KEY" }}
[table.customers]
encrypt = ["email"]
[table.orders.transform]
percent = "percent"
"""


@dataclass(frozen=True)
class Shop:
    """A tenant that has been moved, and the programs that were used for it."""

    tenant: str
    environment: dict[str, str]
    run_program: Callable[..., subprocess.CompletedProcess[str]]

    def __call__(self, program: str, *arguments: str, code: int = 0, without: str = "") -> str:
        environment = {name: value for name, value in self.environment.items() if name != without}
        if program == "consumer" and arguments[0] != "run":  # in this process: a new one takes a second to begin
            unset = dict.fromkeys(name for name in os.environ if name.startswith(("KAFKA_", "KEYRING")))
            told = CliRunner().invoke(main, arguments, env={**unset, **environment})
            ended, out, err = told.exit_code, told.stdout, told.stderr
        else:
            done = self.run_program(program, *arguments, env=environment)
            ended, out, err = done.returncode, done.stdout, done.stderr
        assert ended == code, f"{program} {arguments}: {ended}\n{out}\n{err}"
        assert "@example.com" not in err
        return out if code == 0 and out else err

    def load(self, code: int = 0, **options: str) -> str:
        return self("consumer", "run", "--until-complete", "--progress", "none", code=code, **options)

    def query(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.environment["NEW_POSTGRES_URL"], autocommit=True) as connection:
            cursor = connection.execute(query.replace("SHOP", f"tenant_{self.tenant}").encode())
            return cursor.fetchall() if cursor.description else []

    def versions(self) -> list[tuple[object, ...]]:
        """Rows and the transactions that wrote them."""
        return self.query(
            "SELECT 'customers', id, xmin::text FROM SHOP.customers UNION ALL SELECT 'orders', id, xmin::text FROM SHOP.orders ORDER BY 1, 2"
        )


@pytest.fixture
def shop(
    make_database: Callable[..., str],
    target_url: str,
    bootstrap: str,
    prefix: str,
    run: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> Shop:
    migration = tmp_path / "shop.toml"
    migration.write_text(MIGRATION.format(prefix=prefix))
    environment = {
        "POSTGRES_URL": make_database(SOURCE),
        "NEW_POSTGRES_URL": target_url,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "MIGRATION": str(migration),
        "KEYRING": str(tmp_path / "keyring.json"),
        "KEYRING_KEK_FILE": str(tmp_path / "kek"),
        "SHOP_STRIPE_KEY": "sk_live_0123456789",
    }
    shop = Shop(prefix, environment, run)
    shop("consumer", "keys", "init", "--kek-file", environment["KEYRING_KEK_FILE"])
    shop("producer", "snapshot", "--progress", "none")
    shop.load(code=1)  # two rows of nonsense stand in quarantine
    return shop


def test_an_operator_looks_into_the_log_into_one_cell_and_into_the_quarantine(shop: Shop) -> None:
    control = shop("consumer", "inspect")
    sealed = shop("consumer", "inspect", "--table", "customers", "--limit", "4", without="KEYRING")
    opened = shop("consumer", "inspect", "--table", "customers", "--limit", "4")
    values = [
        json.loads(line)
        for line in shop("consumer", "inspect", "--table", "customers", "--values", "--json").splitlines()
    ]

    assert "snapshot-started" in control
    assert "snapshot-finished" in control
    assert "was not opened" in sealed
    assert "rows of 2 columns" in opened
    assert "email null or string" in opened
    assert "@example.com" not in control + sealed + opened
    rows = [row for record in values for row in record.get("values", ())]
    assert {"id": 1, "email": "c1@example.com"} in rows
    assert len(rows) == 2500
    first = values[0]["position"].rpartition("-")
    shop("consumer", "inspect", first[0], *first[2].split("@"))
    assert "no record there" in shop("consumer", "inspect", f"{shop.tenant}.customers", "0", "99999", code=2)

    assert shop("consumer", "keys", "decrypt", "customers", "email", "17") == "c17@example.com\n"
    assert shop("consumer", "keys", "decrypt", "organizations", "stripe_key", shop.tenant) == "sk_live_0123456789\n"
    assert "no row" in shop("consumer", "keys", "decrypt", "customers", "email", "99999", code=2)
    assert f"{shop.tenant}  primary" in shop("consumer", "keys", "list")

    listed = json.loads(shop("consumer", "quarantine", "list", "--json"))

    assert [(row["table_name"], row["column_name"], row["state"]) for row in listed] == [
        ("orders", "percent", "open")
    ] * 2
    assert all(len(row["key_digest"]) == 16 for row in listed)
    assert "nonsense" not in json.dumps(listed)

    refused = shop("consumer", "quarantine", "retry", code=1)
    assert "0 rows applied, 2 refused again" in refused

    assert "nothing was done" in shop("consumer", "quarantine", "discard", code=2)
    shop("consumer", "quarantine", "discard", "--id", str(listed[0]["id"]), "--yes")
    after = json.loads(shop("consumer", "quarantine", "list", "--json"))
    assert sorted(row["state"] for row in after) == ["discarded", "open"]
    assert shop.query("SELECT count(*) FROM replicator.quarantine WHERE sealed_row IS NULL") == [(1,)]


def test_a_row_that_the_target_refused_is_applied_when_the_target_lets_it(shop: Shop) -> None:
    shop("consumer", "rollback", "--yes")
    shop.query(
        "CREATE SCHEMA SHOP;"
        "CREATE TABLE SHOP.customers (id int PRIMARY KEY, email bytea, migrated_at timestamptz, CHECK (id <> 17));"
        "CREATE TABLE SHOP.orders (id int PRIMARY KEY, customer int REFERENCES SHOP.customers, total int,"
        " percent double precision, migrated_at timestamptz);"
        "CREATE TABLE SHOP.visits (at timestamptz, page text, migrated_at timestamptz)"
    )
    refused = shop.load(code=4)
    shop.query(refused.partition("with these statements:\n")[2].partition("\nhint:")[0])
    shop.load(code=1)
    reasons = {row["sqlstate"] for row in json.loads(shop("consumer", "quarantine", "list", "--json"))}
    assert reasons == {"", "23514", "23503"}
    before = shop.query("SELECT applied, quarantined FROM replicator.tables WHERE table_name = 'customers'")

    shop.query("ALTER TABLE SHOP.customers DROP CONSTRAINT customers_id_check")
    # A row that is not kept in quarantine (there was no keyring) is read again from its place in the log.
    shop.query("UPDATE replicator.quarantine SET sealed_row = NULL, kid = '' WHERE table_name = 'customers'")
    done = shop("consumer", "quarantine", "retry", code=1)

    assert "3 rows applied, 2 refused again" in done  # the customer, and then its two orders
    assert before == [(2499, 1)]
    assert shop.query("SELECT applied, quarantined FROM replicator.tables ORDER BY 1") == [
        (30, 0),
        (2500, 0),
        (4998, 2),
    ]
    assert shop("consumer", "keys", "decrypt", "customers", "email", "17") == "c17@example.com\n"
    assert "made by somebody else" in shop("consumer", "rollback", "--yes", code=4)
    shop("consumer", "rollback", "--delete-rows", "--yes")
    assert shop.query("SELECT count(*) FROM SHOP.customers") == [(0,)]


def test_a_second_generation_becomes_whole_is_replayed_for_nothing_and_rebuilt_from_the_log(shop: Shop) -> None:
    with psycopg.connect(shop.environment["POSTGRES_URL"], autocommit=True) as source:
        source.execute(
            "UPDATE orders SET percent = '15' WHERE id IN (7, 8); UPDATE customers SET email = 'new' WHERE id = 17;"
            "DELETE FROM orders WHERE customer = 5; DELETE FROM customers WHERE id = 5"
        )
    shop("producer", "snapshot", "--progress", "none")
    shop.query("ALTER TABLE SHOP.customers ADD CONSTRAINT h7 CHECK (id <> 17) NOT VALID")
    shop.load(code=1)
    assert shop.query("SELECT count(*) FROM SHOP.customers") == [(2500,)]  # not pruned while one is in quarantine

    shop.query("ALTER TABLE SHOP.customers DROP CONSTRAINT h7")
    assert "1 row applied, 0 refused" in shop("consumer", "quarantine", "retry")

    assert shop.query("SELECT count(*) FROM SHOP.customers") == [(2499,)]
    assert shop.query("SELECT whole FROM replicator.generations ORDER BY generation") == [(False,), (True,)]
    assert shop.query("SELECT DISTINCT state FROM replicator.foreign_keys") == [("valid",)]
    shop("validator", "reconcile")

    before = shop.versions()
    assert "generation 2\n" in shop("consumer", "replay", "--yes")  # the first is not applied again
    shop.load()
    assert shop.versions() == before

    content = shop.query("SELECT id, customer, total, percent::text FROM SHOP.orders ORDER BY id")
    assert "nothing was done" in shop("consumer", "rollback", code=2)
    shop("consumer", "rollback", "--yes")
    assert shop.query("SELECT to_regnamespace('SHOP')::text, (SELECT count(*) FROM public.organizations)") == [
        (None, 0)
    ]
    assert "is not in this target" in shop("consumer", "rollback", "--yes", code=2)

    shop.load(without="POSTGRES_URL")  # both generations, one after the other, from the log alone
    assert shop.query("SELECT id, customer, total, percent::text FROM SHOP.orders ORDER BY id") == content
    shop("validator", "reconcile")


def test_a_replay_waits_for_consumers_to_stop_and_writes_rows_again_only_when_told_to(
    shop: Shop, spawn: Callable[..., "subprocess.Popen[str]"]
) -> None:
    consumer = spawn("consumer", "run", env=shop.environment)
    wait_for(lambda: shop.query("SELECT 1 FROM replicator.positions WHERE owner_pid IS NOT NULL"))

    assert "stop them first" in shop("consumer", "replay", "--yes", code=4)
    assert "stop them first" in shop("consumer", "rollback", "--yes", code=4)

    consumer.terminate()
    assert consumer.wait(timeout=30) == 0

    before = shop.versions()
    shown = shop("consumer", "replay", "--table", "customers", "--reapply", "--yes")
    assert "every row is written again" in shown
    shop.load(code=1)
    changed = [one for one, other in zip(before, shop.versions(), strict=True) if one != other]
    assert len(changed) == 2500


def wait_for(condition: Callable[[], object]) -> None:

    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
