"""`consumer run` and `consumer status` as people run them: what they print, and how they end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runtime.settings import KafkaSettings
from schemas.migration import parse_migration
from tests.made_log import MadeLog, table
from tests.tenant import QUIET

CUSTOMERS = table("customers", "id bigint", "born date")


@pytest.fixture
def shop(environment: dict[str, str], prefix: str, tmp_path: Path) -> tuple[dict[str, str], MadeLog]:
    text = f'tenant = "{prefix}"\nschema = "tenant"\ntables = "*"\n[table.customers]\npartitions = 4\n'
    (tmp_path / "shop.toml").write_text(text)
    kafka = KafkaSettings(environment["KAFKA_BOOTSTRAP_SERVERS"])
    log = MadeLog(kafka, parse_migration(text, "shop.toml"), [CUSTOMERS])
    return {**environment, "MIGRATION": str(tmp_path / "shop.toml")}, log


def born(*days: str) -> list[dict[str, Any]]:
    return [{"id": n, "born": day} for n, day in enumerate(days)]


def test_until_complete_ends_with_what_was_applied_and_1_while_rows_stand_in_quarantine(
    shop: tuple[dict[str, str], MadeLog], run: Callable[..., Any]
) -> None:
    environment, log = shop
    log.begin()
    log.whole("customers", born("2001-02-03", "secret birthday", "2004-05-06"))
    log.end()

    done = run("consumer", "run", "--until-complete", "--json", "--progress", "plain", env=environment)

    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert [(t["table"], t["published"], t["applied"], t["quarantined"]) for t in summary["tables"]] == [
        ("customers", 3, 2, 1)
    ]
    assert summary["whole"] is False
    assert "customers: 2 rows migrated" in done.stderr
    assert "secret" not in done.stdout + done.stderr

    status = run("consumer", "status", env=environment, check=True)
    assert "customers  applied          3        2            1" in status.stdout
    assert "0 offsets behind" in status.stdout


def test_a_signal_ends_a_service_with_0_and_a_job_that_is_not_done_with_143(
    shop: tuple[dict[str, str], MadeLog], spawn: Callable[..., Any]
) -> None:
    environment, log = shop
    log.begin()
    log.start("customers")
    log.batch("customers", born("2001-02-03"))
    log.settle()

    for arguments, code in (([], 0), (["--until-complete"], 143)):
        process = spawn("consumer", "run", *arguments, env=environment)
        wait_for(environment, "SELECT 1 FROM replicator.positions WHERE applied = 1 AND owner_pid IS NOT NULL")
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == code
        assert query(environment, "SELECT count(*) FROM replicator.positions WHERE owner_pid IS NOT NULL") == [(0,)]


def test_what_a_killed_member_gave_up_for_another_is_consumed_though_its_identity_comes_back_at_once(
    shop: tuple[dict[str, str], MadeLog], spawn: Callable[..., Any]
) -> None:
    """The broker gives out nothing anew: to it the identity was never away."""
    environment, log = shop
    first, second = ({**environment, "KAFKA_GROUP_INSTANCE_ID": name} for name in ("first", "second"))
    log.begin()
    log.start("customers")
    log.batch("customers", born("2001-02-03"))
    log.settle()
    dying = spawn("tests.dying_member", "run", env=first)
    wait_for(environment, "SELECT 1 FROM replicator.positions HAVING count(owner_pid) = 4")

    processes = [spawn("consumer", "run", *QUIET, env=second)]
    assert dying.wait(timeout=60) == -signal.SIGKILL
    processes.append(spawn("consumer", "run", *QUIET, env=first))
    log.finish("customers")
    log.end()

    wait_for(environment, "SELECT 1 FROM replicator.generations WHERE state = 'ended'")
    for process in processes:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=30)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "has settled and left" in "".join(said)
    assert "customers-" in "".join(said)


def test_status_of_a_tenant_that_was_never_loaded_says_what_begins(
    shop: tuple[dict[str, str], MadeLog], run: Callable[..., Any]
) -> None:
    environment, _ = shop

    done = run("consumer", "status", env=environment)

    assert done.returncode == 4
    assert "knows no tenant" in done.stderr
    assert "consumer run" in done.stderr


def query(environment: dict[str, str], statement: str) -> list[Any]:
    with psycopg.connect(environment["NEW_POSTGRES_URL"], autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def wait_for(environment: dict[str, str], statement: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if query(environment, statement):
                return
        except psycopg.errors.UndefinedTable:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
