"""The check that all of the chaos rests on can fail: it names each thing that is not as it must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from runtime.kafka import Transactions
from runtime.settings import KafkaSettings
from schemas.avro import control_topic
from schemas.records import Header, Kind
from tests.chaos.converged import Expected, converged
from tests.chaos.tiny import SECOND, change, publish, tiny_tenant
from tests.tenant import Tenant

DAMAGE = {
    "DELETE FROM visits WHERE ctid = (SELECT min(ctid) FROM visits)": "visits: 1 rows are only in the source",
    "INSERT INTO visits SELECT * FROM visits LIMIT 1": "visits: 1 rows are only in the target",
    "UPDATE sales SET weight = 7.10 WHERE id = 2001": "sales: 1 rows are only in the source",
    "UPDATE sales SET note = (SELECT note FROM sales WHERE id = 2002) WHERE id = 2001": "reconcile ended with 1",
    "UPDATE shops SET migrated_at = migrated_at - interval '1 s' WHERE id = 1": "shops: 1 rows are not of the newest",
    "UPDATE replicator.tables SET applied = applied + 1 WHERE table_name = 'sales'": "rows in the log",
    "UPDATE replicator.generations SET state = 'running' WHERE generation = 2": "generation 2 has not ended",
    "UPDATE replicator.positions SET next_offset = next_offset - 2 WHERE table_name = 'visits'": "before the end",
    "UPDATE replicator.positions SET next_offset = next_offset + 1 WHERE table_name = 'shops'": "Kafka was told",
    "UPDATE replicator.positions SET owner_pid = 1 WHERE table_name = 'visits'": "still owned by backend 1",
}


@pytest.fixture(scope="module")
def tenant(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tiny_tenant(server_url, bootstrap, tmp_path_factory.mktemp("tiny")) as environment:
        tenant = Tenant(Path(environment["MIGRATION"]).stem, environment)
        publish(environment)
        change(environment["POSTGRES_URL"], SECOND)
        publish(environment)
        tenant.load()
        yield tenant
        tenant.close()


@pytest.fixture
def copy(tenant: Tenant, server_url: str) -> Iterator[dict[str, str]]:
    """The tenant with a copy of its target, for a test to damage."""
    place = urlsplit(tenant.environment["NEW_POSTGRES_URL"])
    name, copied = place.path[1:], f"{place.path[1:]}_copy"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copied), sql.Identifier(name))
        )
        yield {**tenant.environment, "NEW_POSTGRES_URL": urlunsplit(place._replace(path=f"/{copied}"))}
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copied)))


def test_it_says_nothing_of_a_tenant_that_is_whole(tenant: Tenant) -> None:
    assert converged(tenant.environment) == []


@pytest.mark.parametrize(("damage", "said"), DAMAGE.items(), ids=DAMAGE.values())
def test_each_damage_is_named(tenant: Tenant, copy: dict[str, str], damage: str, said: str) -> None:
    with psycopg.connect(copy["NEW_POSTGRES_URL"], options=f"-c search_path={tenant.schema}") as connection:
        connection.execute(damage.encode())

    found = converged(copy)

    assert any(said in problem for problem in found), found


def test_what_a_dead_process_leaves_is_named(copy: dict[str, str]) -> None:
    url = psycopg.conninfo.make_conninfo(copy["NEW_POSTGRES_URL"], application_name="consumer")
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_lock(1); CREATE TEMPORARY TABLE left_over (id int)")
        connection.commit()

        found = converged(copy, settles_s=0.0)

    assert any("advisory lock of backend" in problem for problem in found)
    assert any("session" in problem for problem in found)
    assert any("temporary table left_over" in problem for problem in found)


def test_a_transaction_open_in_the_log_is_named(tenant: Tenant, bootstrap: str) -> None:
    transactions = Transactions(KafkaSettings(bootstrap), f"{tenant.name}-left-open", max_message_bytes=1 << 20)
    transactions.init()
    found: list[str] = []

    def look_inside() -> None:
        with transactions.transaction():
            header = Header(kind=Kind.CHECKPOINT, log="l", generation=1)
            transactions.send(control_topic(tenant.name), 0, header, b"")
            transactions._producer.flush()
            found.extend(converged(tenant.environment))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        look_inside()
    assert any("a transaction is open from offset" in problem for problem in found), found


def test_rows_in_quarantine_must_be_expected(tenant: Tenant, copy: dict[str, str]) -> None:
    with psycopg.connect(copy["NEW_POSTGRES_URL"], options=f"-c search_path={tenant.schema}") as connection:
        connection.execute(
            """
            INSERT INTO replicator.quarantine (tenant, topic, partition, "offset", row_index, generation, attempt,
              table_name, key_digest, sqlstate, reason)
            VALUES (%s, 't', 0, 0, 0, 2, 1, 'visits', '', '', 'test')
            """,
            (tenant.name,),
        )

    assert any("quarantine holds {'visits': 1}" in problem for problem in converged(copy))
    expected = Expected(quarantined={"visits": 1}, exit_code=1)
    assert not any("quarantine" in problem for problem in converged(copy, expected))
