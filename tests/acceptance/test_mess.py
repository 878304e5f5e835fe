"""RAWDOG with rows that cannot be converted: named, kept aside, counted; and whole again when the source is put right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from embedded.rawdog.mess import MESS, WAITING, expected_quarantine
from runtime.keyring import load_keyring
from tests.tenant import QUIET, Tenant, rawdog_tenant

pytestmark = pytest.mark.timeout(240)

# What a report may say of a table only because some of its rows stand in quarantine.
EXPLAINED = {"quarantined", "count", "sum", "envelope", "not_validated", "orphan_waiting"}


@pytest.fixture(scope="module")
def tenant(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A messy RAWDOG that has been applied, not whole; its tests follow one another."""
    with rawdog_tenant(server_url, bootstrap, tmp_path_factory.mktemp("mess"), mess=True) as tenant:
        yield tenant


def expected(tenant: Tenant) -> list[tuple[str, str, str]]:
    """Table, digest of the key, reason of every row that must stand in quarantine."""
    keyring = load_keyring(tenant.environment)
    assert keyring is not None
    return sorted((table, keyring.digest_of(tenant.name, key), reason) for table, key, reason in expected_quarantine())


def listed(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((row["table_name"], row["key_digest"], row["reason"].rpartition(": ")[2]) for row in rows)


def test_a_dry_run_names_the_rows_that_a_run_will_keep_aside(tenant: Tenant) -> None:
    tenant("producer", "snapshot", *QUIET)

    told = tenant.json("consumer", "run", "--dry-run", *QUIET, code=1)

    named = sorted(
        (row["table"], row["key_digest"], row["reason"].rpartition(": ")[2]) for row in told["would_quarantine"]
    )
    assert named == expected(tenant)
    assert (
        tenant.target("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%' OR nspname = 'replicator'") == []
    )


def test_the_rest_is_applied_and_the_run_says_that_it_is_not_whole(tenant: Tenant) -> None:
    done = tenant.json("consumer", "run", "--until-complete", *QUIET, code=1)

    assert done["state"] == "ended"
    assert done["whole"] is False
    assert done["published"] == done["applied"] + done["quarantined"]
    assert done["quarantined"] == len(MESS)
    waiting = sorted((key["table"], key["parent"]) for key in done["foreign_keys"] if key["state"] == "waiting")
    assert waiting == sorted((key.table, key.parent) for key in WAITING)
    assert [key["name"] for key in done["foreign_keys"] if key["state"] == "inherited"] == ["line_items_order_fk"]


def test_the_quarantine_holds_exactly_the_rows_that_cannot_be_converted_each_with_its_reason(tenant: Tenant) -> None:
    rows = tenant.json("consumer", "quarantine", "list")

    assert listed(rows) == expected(tenant)
    assert {row["column_name"] for row in rows} == {row.column for row in MESS}
    text = tenant("consumer", "quarantine", "list").stdout
    assert all(digest in text for _, digest, _ in expected(tenant))
    assert not any(key in text for row in MESS for key in row.key)


def test_reconcile_names_each_quarantined_row_and_finds_nothing_else_that_differs(tenant: Tenant) -> None:
    report = tenant.json("validator", "reconcile", code=1)

    assert report["verdict"] == "different"
    differences = report["differences"]
    quarantined = {(item["table"], item["key"]) for item in differences if item["kind"] == "quarantined"}
    assert quarantined == {(table, digest) for table, digest, _ in expected(tenant)}
    reasons = {
        (d["table"], d["key"], reason)
        for d in differences
        for _, _, reason in expected(tenant)
        if reason in d["detail"]
    }
    assert reasons == set(expected(tenant))
    assert {item["kind"] for item in differences} <= EXPLAINED
    touched = {table for table, _, _ in expected(tenant)}
    for kind in ("count", "sum", "envelope"):
        assert {item["table"] for item in differences if item["kind"] == kind} <= touched
    waiting = {(item["table"], item["columns"][0]) for item in differences if item["kind"] == "orphan_waiting"}
    assert waiting == {(key.table, key.columns[0]) for key in WAITING} | {("line_items", "order_id")}
    assert "nothing else differs" in report["sentence"]
    assert report["next"] == "consumer quarantine list"


def test_a_discarded_row_is_forgotten_but_the_load_is_not_called_whole(tenant: Tenant) -> None:
    first = tenant.json("consumer", "quarantine", "list")[0]

    tenant("consumer", "quarantine", "discard", "--id", str(first["id"]), "--yes")

    states = {row["id"]: row["state"] for row in tenant.json("consumer", "quarantine", "list")}
    assert states.pop(first["id"]) == "discarded"
    assert set(states.values()) == {"open"}
    assert tenant.target(f"SELECT sealed_row FROM replicator.quarantine WHERE id = {first['id']}") == [(None,)]
    report = tenant.json("validator", "reconcile", code=1)
    assert (first["table_name"], first["key_digest"]) in {
        (item["table"], item["key"]) for item in report["differences"] if item["kind"] == "discarded"
    }


def test_when_the_source_is_put_right_the_next_generation_makes_the_target_whole_and_equal(tenant: Tenant) -> None:
    orders = ", ".join(f"'{row.key[0]}'" for row in MESS if row.table == "orders")
    tenant.source(f"UPDATE orders SET gross_sales_cents = 100.5 WHERE id IN ({orders})")
    tenant.source("UPDATE creators SET commission_percent = '12,5 %' WHERE id IN ('mess_not_available', 'mess_word')")
    tenant.source("DELETE FROM balance_transactions WHERE creator_id = 'mess_version'")
    tenant.source("DELETE FROM creators WHERE id = 'mess_version'")

    tenant("producer", "snapshot", *QUIET)
    done = tenant.json("consumer", "run", "--until-complete", *QUIET)

    assert (done["generation"], done["whole"], done["quarantined"]) == (2, True, 0)
    assert [key["name"] for key in done["foreign_keys"]] == ["line_items_order_fk"]
    assert tenant.json("consumer", "quarantine", "list") == []
    assert tenant.target("SELECT DISTINCT gross_sales_cents FROM orders WHERE id LIKE 'mess%'") == [(101,)]
    assert tenant.target("SELECT id FROM creators WHERE id = 'mess_version'") == []
    assert tenant.json("validator", "reconcile")["verdict"] == "equal"
