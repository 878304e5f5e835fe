"""Size: many small tables, cells of megabytes, and servers whose time-outs are short."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from producer import snapshot
from producer.snapshot import Places, Wish, run_snapshot
from runtime.kafka import Transactions
from runtime.keyring import init_keyring, make_kek_file
from runtime.postgres import open_source, open_target
from runtime.settings import KafkaSettings, SourceSettings
from schemas.migration import parse_migration
from tests.conftest import Run
from tests.oracle import differences

TABLES = 60
CELL_BYTES = 6_000_000
SHORT_S = 0.2


def test_dozens_of_small_tables_and_cells_of_megabytes_arrive_exactly(
    environment: dict[str, str], prefix: str, tmp_path: Path, run: Run
) -> None:
    init_keyring(tmp_path / "keyring.json", prefix, make_kek_file(tmp_path / "kek"))
    (tmp_path / "migration.toml").write_text(
        f'tenant = "{prefix}"\nschema = "tenant"\ntables = "*"\n'
        '[log]\nmax_message_bytes = 16777216\n[table.secrets]\nencrypt = ["private"]\n'
    )
    programs = {
        **environment,
        "MIGRATION": str(tmp_path / "migration.toml"),
        "KEYRING": str(tmp_path / "keyring.json"),
        "KEYRING_KEK_FILE": str(tmp_path / "kek"),
    }
    small = make_small_tables(environment["POSTGRES_URL"])
    make_large_cells(environment["POSTGRES_URL"])

    run("producer", "snapshot", "--progress", "none", env=programs, check=True)
    run("consumer", "run", "--until-complete", "--progress", "none", env=programs, check=True)
    found = differences(
        environment["POSTGRES_URL"],
        environment["NEW_POSTGRES_URL"],
        schemas={"public": "tenant"},
        tables={*small, "documents"},
    )

    assert found == []
    run("validator", "reconcile", "--progress", "none", env=programs, check=True)  # decrypts, too


def make_small_tables(url: str) -> list[str]:
    """The first half is one chain of parents and children, each of the others hangs on one of it."""
    with psycopg.connect(url) as source:
        for number in range(TABLES):
            parent = number - 1 if number < TABLES // 2 else number - TABLES // 2
            above = f", parent integer NOT NULL REFERENCES t{parent}" if number else ""
            source.execute(f"CREATE TABLE t{number} (id integer PRIMARY KEY, name text UNIQUE{above})".encode())
            columns = "n, 'name ' || n, n" if number else "n, 'name ' || n"
            source.execute(f"INSERT INTO t{number} SELECT {columns} FROM generate_series(1, 10) AS n".encode())
    return [f"t{number}" for number in range(TABLES)]


def make_large_cells(url: str) -> None:
    """Cells of every kind that can be large, of noise: nothing makes it smaller on its way."""
    noise = secrets.token_bytes(CELL_BYTES)
    text = noise.hex()[:CELL_BYTES]
    with psycopg.connect(url) as source, source.cursor() as cursor:
        cursor.execute("CREATE TABLE documents (id integer PRIMARY KEY, small text, long text, raw bytea, tree jsonb)")
        cursor.execute("CREATE TABLE secrets (id integer PRIMARY KEY, private text)")
        cursor.executemany(
            "INSERT INTO documents VALUES (%s, %s, %s, %s, %s)",
            [
                (1, "a", text, None, None),
                (2, "b", None, noise, None),
                (3, "c", "", b"", f'{{"text": ["{text}"]}}'),
                (4, None, "x", b"\\0", "{}"),
            ],
        )
        cursor.executemany("INSERT INTO secrets VALUES (%s, %s)", [(1, text), (2, ""), (3, None)])


def test_a_snapshot_outlives_the_databases_own_timeouts_while_the_log_is_slow(
    environment: dict[str, str], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = environment["POSTGRES_URL"]
    with psycopg.connect(url, autocommit=True) as source:
        source.execute("CREATE TABLE readings AS SELECT n AS id, n * 7 AS value FROM generate_series(1, 200000) AS n")
        source.execute("ALTER TABLE readings ADD PRIMARY KEY (id)")
        (database,) = source.execute("SELECT quote_ident(current_database())").fetchone() or ("",)
        timeouts = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
        if source.info.server_version >= 170000:
            timeouts.append("transaction_timeout")
        for name in timeouts:
            source.execute(f"ALTER DATABASE {database} SET {name} = '{int(SHORT_S * 1000)}ms'".encode())
    _see_that_sessions_are_ended(url)

    class SlowLog(Transactions):
        """Takes nothing before the source has waited for twice as long as its time-outs allow."""

        @contextmanager
        def transaction(self) -> Iterator[None]:
            _wait_until_idle(url, 2 * SHORT_S)
            with super().transaction():
                yield

    monkeypatch.setattr(snapshot, "Transactions", SlowLog)
    places = Places(
        source=SourceSettings(url),
        kafka=KafkaSettings(environment["KAFKA_BOOTSTRAP_SERVERS"]),
        migration=parse_migration(f'tenant = "{prefix}"\ntables = "*"\n', "migration.toml"),
        keyring=None,
    )

    outcome = run_snapshot(places, Wish(), lambda _: None)

    assert outcome is not None
    assert outcome.rows == 200_000


def test_connections_notice_when_the_other_side_is_gone(environment: dict[str, str]) -> None:
    connections: list[Any] = [open_source(environment["POSTGRES_URL"]), open_target(environment["NEW_POSTGRES_URL"])]
    for connection in connections:
        with connection:
            said = connection.info.get_parameters()
            assert said["keepalives"] == "1"
            assert int(said["keepalives_idle"]) + int(said["keepalives_interval"]) * int(said["keepalives_count"]) <= 60


def _see_that_sessions_are_ended(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other, pytest.raises(psycopg.errors.QueryCanceled):
        other.execute("SELECT pg_sleep(30)")


def _wait_until_idle(url: str, seconds: float) -> None:
    """Wait until the producer's session has been idle in its transaction for so long, or has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with psycopg.connect(url) as other:
            row = other.execute(
                "SELECT state, clock_timestamp() - state_change > %s * interval '1 s' FROM pg_stat_activity"
                " WHERE application_name = 'producer' AND datname = current_database()",
                (seconds,),
            ).fetchone()
        if row is None or (row[0].startswith("idle in transaction") and row[1]):
            return
        time.sleep(0.02)
    raise AssertionError("the producer's session never waited")
