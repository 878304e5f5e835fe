"""RAWDOG, clean, from the old database to a proven tenant schema; its tests follow one another."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded.rawdog import TABLES
from tests.tenant import QUIET, TOKENS, Tenant, rawdog_tenant

pytestmark = pytest.mark.timeout(240)

# What transformed columns must have become, in SQL that is not the product's.
CHANGED = {
    "orders": ("id, gross_sales_cents::bigint", "id, gross_sales_cents"),
    "creators": (
        "id, nullif(replace(trim(commission_percent, ' %'), ',', '.'), '')::float8",
        "id, commission_percent",
    ),
}


@pytest.fixture(scope="module")
def tenant(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with rawdog_tenant(server_url, bootstrap, tmp_path_factory.mktemp("rawdog"), mess=False) as tenant:
        tenant("producer", "snapshot", *QUIET)
        yield tenant


def versions(tenant: Tenant) -> dict[str, tuple[int, int]]:
    """Of each table: rows, and the sum of the transactions that wrote them; a rewritten row changes it."""
    query = "SELECT count(*), coalesce(sum(xmin::text::bigint), 0)::bigint FROM {}"
    return {table: tenant.target(query.format(table))[0] for table in TABLES}


def see_equal_by_other_means(tenant: Tenant) -> None:
    """Compare as text, row by row with their multiplicity, with nothing of the product in between."""
    rules = tomllib.loads(Path(tenant.environment["MIGRATION"]).read_text())["table"]
    for table in TABLES:
        rule = rules.get(table, {})
        treated = [*rule.get("encrypt", ()), *rule.get("transform", {})]
        names = tenant.source(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            f" WHERE attrelid = '{table}'::regclass AND attnum > 0 AND attname <> ALL ('{{{','.join(treated)}}}')"
        )[0][0]
        see_equal(tenant, table, names, names)
    for table, (there, here) in CHANGED.items():
        see_equal(tenant, table, there, here)


def see_equal(tenant: Tenant, table: str, there: str, here: str) -> None:
    old = sorted(tenant.source(f"SELECT ROW({there})::text FROM {table}"))
    new = sorted(tenant.target(f"SELECT ROW({here})::text FROM {table}"))
    assert old, table
    assert new == old, table


def test_two_consumers_together_make_a_target_that_is_proven_equal(tenant: Tenant) -> None:
    arguments = ("consumer", "run", "--until-complete", *QUIET)
    both = [tenant.start(*arguments) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(tenant.end, both))

    assert all("ended, whole" in end.stdout for end in ends)
    report = tenant.json("validator", "reconcile")
    assert (report["verdict"], report["differences"]) == ("equal", [])
    assert {item["name"] for item in report["tables"]} == set(TABLES)
    see_equal_by_other_means(tenant)
    owners = tenant.target("SELECT count(*) FROM replicator.positions WHERE owner_member IS NOT NULL")
    assert owners == [(0,)]


def test_secret_columns_are_ciphertext_and_one_of_them_opens_for_who_has_the_key(tenant: Tenant) -> None:
    key, email = tenant.source("SELECT id, email::text FROM customers WHERE email IS NOT NULL ORDER BY id LIMIT 1")[0]

    stored = tenant.target(f"SELECT pg_typeof(email)::text, get_byte(email, 0) FROM customers WHERE id = '{key}'")
    opened = tenant("consumer", "keys", "decrypt", "customers", "email", key)
    tokens = tenant("consumer", "keys", "decrypt", "organizations", "stripe_secret_key", "rawdog")

    assert stored == [("bytea", 0xFE)]
    assert opened.stdout == f"{email}\n"
    assert tokens.stdout == f"{TOKENS['RAWDOG_STRIPE_SECRET_KEY']}\n"


def test_what_lies_apart_in_the_source_lies_apart_in_the_target(tenant: Tenant) -> None:
    orphans = "SELECT count(*) FROM line_items l WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = l.order_id) AND l.order_id IS NOT NULL"
    twice = "SELECT count(*) FROM (SELECT visitor_id FROM attribution_touchpoints GROUP BY visitor_id, session_id, touched_at HAVING count(*) > 1) d"

    assert tenant.source(orphans)[0][0] > 0
    assert tenant.target(orphans) == tenant.source(orphans)
    assert tenant.source(twice)[0][0] > 0
    assert tenant.target(twice) == tenant.source(twice)


def test_a_replay_of_the_whole_log_rewrites_no_row(tenant: Tenant) -> None:
    before = versions(tenant)

    tenant("consumer", "replay", "--yes")
    tenant.load()

    after = versions(tenant)
    keyless = {"attribution_touchpoints"}  # replaced whole: it has no key to find its rows by
    assert {name: seen for name, seen in after.items() if name not in keyless} == {
        name: seen for name, seen in before.items() if name not in keyless
    }
    see_equal_by_other_means(tenant)


def test_after_a_rollback_the_log_alone_rebuilds_everything(tenant: Tenant) -> None:
    tenant("consumer", "rollback", "--yes")
    assert tenant.target(f"SELECT to_regnamespace('{tenant.schema}')::text, count(*) FROM organizations") == [(None, 0)]

    tenant.load(without="POSTGRES_URL")

    assert tenant.json("validator", "reconcile")["verdict"] == "equal"
    see_equal_by_other_means(tenant)
    assert tenant.target("SELECT slug, name FROM organizations") == [("rawdog", "RAWDOG")]
