"""The producer as its users run it: exit codes, what stands on stdout, what a mistake is answered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.kafka import Admin, TopicSpec
from runtime.keyring import init_keyring, make_kek_file
from runtime.settings import KafkaSettings
from tests.conftest import Run

SCHEMA = """
CREATE TABLE shops (id int PRIMARY KEY, name text);
CREATE TABLE sales (id int PRIMARY KEY, shop_id int REFERENCES shops, cents bigint);
INSERT INTO shops SELECT i, 'shop ' || i FROM generate_series(1, 20) i;
INSERT INTO sales SELECT i, 1 + i % 20, i FROM generate_series(1, 2500) i;
"""


@pytest.fixture
def migration_file(tmp_path: Path, prefix: str) -> Path:
    file = tmp_path / "shop.toml"
    file.write_text(f'tenant = "{prefix}"\ntables = ["shops", "sales"]\n')
    return file


@pytest.fixture
def environment(make_database: Callable[..., str], bootstrap: str, tmp_path: Path, prefix: str) -> dict[str, str]:
    kek = make_kek_file(tmp_path / "kek")
    init_keyring(tmp_path / "keyring.json", prefix, kek)
    return {
        "POSTGRES_URL": make_database(SCHEMA),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KEYRING": str(tmp_path / "keyring.json"),
        "KEYRING_KEK_FILE": str(tmp_path / "kek"),
    }


def test_a_log_is_rehearsed_written_shown_and_dropped(
    run: Run, environment: dict[str, str], migration_file: Path, bootstrap: str, prefix: str
) -> None:
    def producer(*args: str) -> str:
        return run("producer", *args, "--migration", str(migration_file), env=environment, check=True).stdout

    rehearsed = json.loads(producer("snapshot", "--dry-run", "--json"))
    none_yet = producer("status")
    taken = json.loads(producer("snapshot", "--json"))
    shown = json.loads(producer("status", "--json"))

    assert rehearsed["is_dry_run"]
    assert len(rehearsed["topics_made"]) == 3
    assert "There is no log yet" in none_yet
    assert [(table["table"], table["rows"], table["batches"]) for table in taken["tables"]] == [
        ("shops", 20, 1),
        ("sales", 2500, 3),
    ]
    assert [table["state"] for table in shown["generations"][0]["tables"]] == ["finished", "finished"]
    assert shown["generations"][0]["rows"] == 2520

    assert "deleted 3 topics" in producer("drop-log", "--yes")
    assert not [topic for topic in Admin(KafkaSettings(bootstrap)).topics() if topic.startswith(prefix)]


def test_a_missing_keyring_is_named_and_nothing_is_written_in_clear(
    run: Run, environment: dict[str, str], migration_file: Path
) -> None:
    args = ("--migration", str(migration_file), "--progress", "none")
    run("producer", "snapshot", *args, env=environment, check=True)
    bare = {name: value for name, value in environment.items() if not name.startswith("KEYRING")}

    done = run("producer", "snapshot", *args, env=bare)

    assert done.returncode == 2
    assert "there is no keyring" in done.stderr
    assert "KEYRING_KEK_FILE" in done.stderr


def test_drop_log_asks_and_leaves_what_others_wrote(
    run: Run, environment: dict[str, str], migration_file: Path, bootstrap: str, prefix: str
) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415 - another program's

    Admin(KafkaSettings(bootstrap)).ensure_topics([TopicSpec(name=f"{prefix}.events")])
    run("producer", "snapshot", "--migration", str(migration_file), env=environment, check=True)
    other = Producer({"bootstrap.servers": bootstrap})
    other.produce(f"{prefix}.events", b"theirs")
    other.flush(30)

    asked = run("producer", "drop-log", "--migration", str(migration_file), env=environment)
    told = run("producer", "drop-log", "--yes", "--migration", str(migration_file), env=environment, check=True)

    assert asked.returncode == 2
    assert "nothing was done" in asked.stderr
    assert f"leave  {prefix}.events" in told.stderr
    assert [topic for topic in Admin(KafkaSettings(bootstrap)).topics() if topic.startswith(prefix)] == [
        f"{prefix}.events"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "code", "said"),
    [
        ("POSTGRES_URL", "postgresql://ann:s3cret@127.0.0.1:1/shop", 4, "nothing listens there"),
        ("POSTGRES_URL", "", 2, "POSTGRES_URL is not set"),
        ("KAFKA_SECURITY_PROTOCOL", "s3cret", 2, "security.protocol"),
    ],
)
def test_a_wrong_setting_is_one_clear_message(
    run: Run, environment: dict[str, str], migration_file: Path, variable: str, value: str, code: int, said: str
) -> None:
    done = run("producer", "snapshot", "--migration", str(migration_file), env={**environment, variable: value})

    assert done.returncode == code
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr
