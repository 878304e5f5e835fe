"""Repair, by the programs as processes: rows that differ are planned, published again, applied and looked at again."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import ROOT, MakeDatabase
from tests.proof.pair import original
from tests.report_schema import checked_recheck
from tests.tenant import QUIET, Tenant

# `producer`, killed as by a machine when it has committed so many transactions.
KILLED_AFTER = """
import os, signal, sys
from producer import publish, tables
tables._TRANSACTION_RECORDS = 1
left = int(sys.argv.pop(1))
plain = publish.Publisher.publish
def dying(self, parcels):
    global left
    facts, left = plain(self, parcels), left - 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return facts
publish.Publisher.publish = dying
from producer.cli import main
sys.exit(main())
"""
LENIENT = ("--accept-unclassified", *QUIET)
CHANGES = (
    "DELETE FROM customers WHERE id = 20",
    "UPDATE customers SET address = 'Elsewhere' WHERE id = 21",
    "UPDATE customers SET email = set_byte(email, 30, get_byte(email, 30) # 1) WHERE id = 22",
    "UPDATE customers SET phone = NULL WHERE id = 23",
    "UPDATE orders SET cents = cents + 1 WHERE customer_id = 24 AND number = '1-24'",
    "DELETE FROM orders WHERE customer_id = 20 AND number = '2-20'",
    "UPDATE customers SET label = 'swapped' WHERE id = 30",  # the row's unique value goes to another one
    "UPDATE customers SET label = 'label 30' WHERE id = 31",
    "UPDATE customers SET migrated_at = migrated_at - interval '1 microsecond' WHERE id = 32",  # no load wrote it
)
SECRETS = ("@x.example", "Elsewhere", "Moved since", "Way ", "2-20", "label 30")


@pytest.fixture(scope="module")
def tenant(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with original(server_url, bootstrap, tmp_path_factory.mktemp("repair")) as made:
        yield made.tenant


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "repair.json"


def corrupt(tenant: Tenant, *statements: str) -> None:
    """Behind everybody's back: no trigger fires, no key is looked at."""
    options = "-c search_path=tenant_proof,public -c session_replication_role=replica"
    with psycopg.connect(tenant.environment["NEW_POSTGRES_URL"], autocommit=True, options=options) as target:
        for statement in statements:
            assert target.execute(statement.encode()).rowcount == 1, statement


def planned(tenant: Tenant, plan: Path) -> dict[str, Any]:
    """The plan of a target that differs."""
    tenant("validator", "reconcile", "--plan", str(plan), *QUIET, code=1)
    found: dict[str, Any] = json.loads(plan.read_text())
    return found


def kinds(found: dict[str, Any]) -> dict[str, list[str]]:
    return {name: sorted(row["kind"] for row in table["rows"]) for name, table in found["tables"].items()}


def rechecked(tenant: Tenant, plan: Path, code: int) -> dict[str, Any]:
    said = tenant("validator", "reconcile", "--keys", str(plan), "--json", *QUIET, code=code)
    found: dict[str, Any] = checked_recheck(json.loads(said.stdout))
    return found


def killed_snapshot(tenant: Tenant, transactions: int, *arguments: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER, str(transactions), "snapshot", *arguments],
        env={**os.environ, **tenant.environment, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL


def test_rows_that_differ_are_published_again_though_the_producer_dies_and_are_equal_then(
    tenant: Tenant, plan: Path
) -> None:
    corrupt(tenant, *CHANGES)

    found = planned(tenant, plan)

    assert kinds(found) == {"customers": [*["different"] * 6, "missing"], "orders": ["different", "missing"]}
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    assert '"1-24"' not in plan.read_text()  # no key stands there in clear

    # before they are published: still different; the target has no load that goes on
    assert len(rechecked(tenant, plan, 1)["different"]) == 9
    tenant.source("UPDATE customers SET address = 'Moved since' WHERE id = 21")

    # killed between two tables; another command does not go on with it
    killed_snapshot(tenant, 3, "--keys", str(plan), *LENIENT)
    refused = tenant("producer", "snapshot", *LENIENT, code=4)
    assert "rows of a repair plan" in refused.stderr
    assert "--restart" in refused.stderr
    tenant("producer", "snapshot", "--keys", str(plan), *LENIENT)
    rechecked(tenant, plan, 3)  # it is in the log and has not been applied
    tenant.load()

    repaired = rechecked(tenant, plan, 5)

    assert (repaired["verdict"], repaired["rows"], repaired["different"]) == ("repaired", 9, [])
    assert tenant.json("validator", "reconcile", *QUIET)["verdict"] == "equal"
    # the log owes the whole tables, with these rows over them
    assert tenant.json("validator", "reconcile", "--as-of-snapshot", *QUIET)["verdict"] == "equal"
    assert not [secret for secret in SECRETS if secret in "".join(tenant.said)]


def test_what_no_row_mends_is_named_and_goes_by_the_way_the_plan_says(tenant: Tenant, plan: Path) -> None:
    corrupt(
        tenant,
        "INSERT INTO parked (id, what, migrated_at) VALUES (gen_random_uuid(), 'too much', '2024-01-01')",
        "UPDATE customers SET migrated_at = '2999-01-01' WHERE id = 25",
        "DELETE FROM touches WHERE ctid = (SELECT min(ctid) FROM touches)",
        *CHANGES[1:2],
    )

    found = planned(tenant, plan)

    assert kinds(found) == {"customers": ["different", "stuck"], "parked": ["extra"], "touches": []}
    assert found["tables"]["touches"]["whole"]
    assert "next complete generation" in found["tables"]["parked"]["rows"][0]["reason"]

    tenant("producer", "snapshot", "--keys", str(plan), *LENIENT)
    tenant.load()
    left = rechecked(tenant, plan, 1)
    assert {(item["table"], item["planned"]) for item in left["different"]} == {
        ("customers", "stuck"),
        ("parked", "extra"),
    }
    assert left["different_tables"] == ["touches"]

    corrupt(tenant, "DELETE FROM customers WHERE id = 25")
    tenant("producer", "snapshot", *LENIENT)
    tenant.load()

    rechecked(tenant, plan, 5)
    assert tenant.json("validator", "reconcile", *QUIET)["verdict"] == "equal"


def test_a_plan_that_is_too_large_or_of_another_tenant_or_log_is_refused_before_anything_is_sent(
    tenant: Tenant, plan: Path, tmp_path: Path
) -> None:
    corrupt(tenant, *CHANGES[1:4])
    found = planned(tenant, plan)
    generations = len(tenant.json("producer", "status")["generations"])

    def refused(changes: dict[str, Any], *options: str) -> str:
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**found, **changes}))
        first = tenant("producer", "snapshot", "--keys", str(other), *options, *LENIENT, code=2).stderr
        if not options:
            tenant("validator", "reconcile", "--keys", str(other), *QUIET, code=2)
        return first

    assert "--max-rows is 2" in refused({}, "--max-rows", "2")
    assert "another tenant" in refused({"tenant": "other"})
    assert "another format" in refused({"format": 9})
    assert "cannot be opened" in refused({"log": "00000000-0000-0000-0000-000000000000"})  # keys are bound to the log
    assert "not a repair plan" in refused({"kind": "something"})
    assert "another state of the migration" in refused({"migration_digest": "0" * 64})
    assert "exclude" in refused({}, "--table", "orders")
    assert len(tenant.json("producer", "status")["generations"]) == generations

    tenant("producer", "snapshot", "--keys", str(plan), *LENIENT)
    tenant.load()
    rechecked(tenant, plan, 5)


PRICES = """
CREATE TABLE prices (amount numeric, place text, said text, PRIMARY KEY (amount, place));
INSERT INTO prices VALUES (1.0, 'a', 'one'), (2.50, E'b\\n"''', 'two'), (3, 'c', 'three'), ('NaN', '', 'four');
"""
RENAMED = """
tenant = "{name}"
schema = "tenant_proof"
tables = "*"
[rename.public]
prices = "rates"
"""


def test_keys_that_are_equal_and_written_otherwise_under_another_name_and_without_a_keyring(
    make_database: MakeDatabase, environment: dict[str, str], prefix: str, plan: Path, tmp_path: Path
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(RENAMED.format(name=prefix))
    environment |= {"POSTGRES_URL": make_database(PRICES), "MIGRATION": str(file)}
    with closing(Tenant(prefix, environment)) as tenant:
        tenant("producer", "snapshot", *LENIENT)
        tenant.load()
        corrupt(
            tenant,
            "UPDATE rates SET amount = 1.00 WHERE amount = 1",
            "UPDATE rates SET said = 'other' WHERE amount = 2.5",
            "UPDATE rates SET said = NULL WHERE amount = 3",
            "UPDATE rates SET said = '' WHERE amount = 'NaN'",
        )

        found = planned(tenant, plan)

        assert kinds(found) == {"rates": ["different"] * 3 + ["extra", "missing"]}
        assert "in clear" in "".join(tenant.said)
        rehearsed = tenant("producer", "snapshot", "--keys", str(plan), "--dry-run", *LENIENT)
        assert "4 rows would be published" in rehearsed.stdout
        tenant.source("DELETE FROM prices WHERE amount = 3")
        assert (
            "of 4 rows of the plan 1 are no longer at the source"
            in tenant("producer", "snapshot", "--keys", str(plan), *LENIENT).stderr
        )
        tenant.load()

        (left,) = rechecked(tenant, plan, 1)["different"]
        assert (left["planned"], left["kind"]) == ("different", "extra_in_target")
        tenant("producer", "snapshot", *LENIENT)
        tenant.load()
        rechecked(tenant, plan, 5)
        assert tenant.json("validator", "reconcile", *QUIET)["verdict"] == "equal"
