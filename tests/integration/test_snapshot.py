"""Snapshots of a small schema on real servers, read back by fastavro and compared with the source."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from producer.publish import RowTooLarge
from producer.snapshot import Outcome, Places, Wish, run_snapshot
from runtime.control import read_control
from runtime.kafka import Admin, TopicSpec, Transactions
from runtime.keyring import Keyring, init_keyring
from runtime.reporting import BatchesPublished, Warned
from runtime.settings import KafkaSettings, SourceSettings
from schemas.avro import control_topic, topic_name
from schemas.errors import ConfigurationError, Fenced, KeyringError, LogError, Refused
from schemas.migration import Migration, parse_migration
from schemas.records import Kind
from tests.published import published, said, source_rows

ROOT = Path(__file__).parent.parent.parent

SCHEMA = """
CREATE TABLE shops (id int PRIMARY KEY, name text, opened timestamptz, logo bytea, is_open boolean);
CREATE TABLE sales (
    shop_id int NOT NULL REFERENCES shops, code text COLLATE "C" NOT NULL, weight numeric NOT NULL,
    note text, cents bigint, PRIMARY KEY (code, weight)
);
CREATE TABLE visits (shop_id int REFERENCES shops, at timestamptz);
INSERT INTO shops SELECT i, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'line\\nbreak, "quoted"' ELSE '\\.' END,
    CASE i % 5 WHEN 0 THEN 'infinity'::timestamptz ELSE '2024-02-29 12:00+00'::timestamptz + i * interval '1 h' END,
    decode(lpad(to_hex(i), 8, '0'), 'hex'), i % 3 = 0
FROM generate_series(1, 900) i;
INSERT INTO sales SELECT 1 + i % 900, chr(65 + i % 50) || E'\\\\''' || i / 50, i % 7 + 0.10, md5(i::text), 9223372036854770000 + i
FROM generate_series(1, 2000) i;
INSERT INTO visits SELECT 1 + i % 900, '2024-01-01' FROM generate_series(1, 50) i;
"""

COLUMNS = {
    "shops": {"id": "id", "name": "name", "opened": "opened::text", "logo": "logo", "is_open": "is_open"},
    "sales": {"shop_id": "shop_id", "code": "code", "weight": "weight::text", "note": "note", "cents": "cents"},
    "visits": {"shop_id": "shop_id", "at": "at::text"},
}

Snapshot = Callable[..., Outcome | None]


@pytest.fixture
def shop_url(make_database: Callable[..., str]) -> str:
    return make_database(SCHEMA)


@pytest.fixture
def migration(prefix: str) -> Migration:
    return migration_of(prefix)


def migration_of(prefix: str, *, more: str = "", tables: str = '["shops", "sales", "visits"]') -> Migration:
    # Ten rows a batch: a transaction takes 64 batches, so a few hundred rows make several.
    text = f'tenant = "{prefix}"\ntables = {tables}\n[batch]\nmax_rows = 10\n{more}'
    return parse_migration(text, "test.toml")


@pytest.fixture
def snapshot(shop_url: str, bootstrap: str, migration: Migration) -> Snapshot:
    def take(
        *,
        url: str = shop_url,
        by: Migration = migration,
        keyring: Keyring | None = None,
        report: Callable[[object], None] = lambda fact: None,
        **wish: object,
    ) -> Outcome | None:
        places = Places(source=SourceSettings(url), kafka=KafkaSettings(bootstrap), migration=by, keyring=keyring)
        return run_snapshot(places, Wish(**wish), report)  # type: ignore[arg-type]

    return take


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def killed(tmp_path: Path, url: str, bootstrap: str, prefix: str, fact: str, count: int) -> None:
    """Run a snapshot in a process of its own that dies at that fact."""
    file = tmp_path / "killed.toml"
    file.write_text(f'tenant = "{prefix}"\ntables = ["shops", "sales", "visits"]\n[batch]\nmax_rows = 10\n')
    command = [sys.executable, "-m", "tests.snapshot_child", url, bootstrap, str(file), fact, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_equals_source(url: str, bootstrap: str, prefix: str) -> None:
    for table, columns in COLUMNS.items():
        assert published(bootstrap, prefix, table).rows == source_rows(url, table, columns), table


# ---------------------------------------------------------------- whole


def test_a_sealed_snapshot_holds_every_row_once_and_every_marker(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    kek = bytes(32)
    init_keyring(tmp_path / "keyring.json", prefix, kek)
    keyring = Keyring.open(tmp_path / "keyring.json", kek)

    outcome = snapshot(keyring=keyring)

    assert outcome is not None
    assert outcome.rows == 2950
    for table, columns in COLUMNS.items():
        found = published(bootstrap, prefix, table, tenant=prefix, keyring=keyring)
        assert found.rows == source_rows(shop_url, table, columns)
        assert len(found.started) == len(found.finished) == (1 if table == "visits" else 3)
    sales = published(bootstrap, prefix, "sales", tenant=prefix, keyring=keyring)
    assert sales.finished[0]["sums"]["cents"] == str(sum(9223372036854770000 + i for i in range(1, 2001)))
    assert sales.started[0]["parents"] == ["shops"]
    with pytest.raises(KeyringError, match="there is no keyring"):
        read_control(KafkaSettings(bootstrap), prefix, prefix, None)


def test_the_second_snapshot_is_the_next_generation(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str
) -> None:
    first = snapshot()
    change(shop_url, "UPDATE shops SET name = 'renamed' WHERE id = 7")

    second = snapshot()

    assert first is not None
    assert second is not None
    assert (first.opening.generation, second.opening.generation) == (1, 2)
    assert first.opening.log == second.opening.log
    assert first.opening.instant < second.opening.instant
    assert_equals_source(shop_url, bootstrap, prefix)


def test_a_role_that_may_only_read_is_enough(snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str) -> None:
    role = f"reader_{prefix}"
    change(
        shop_url, f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    try:
        snapshot(url=psycopg.conninfo.make_conninfo(shop_url, user=role, password="secret"))
    finally:
        change(shop_url, f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert_equals_source(shop_url, bootstrap, prefix)


def test_a_rehearsal_reads_everything_and_publishes_nothing(snapshot: Snapshot, bootstrap: str, prefix: str) -> None:
    outcome = snapshot(is_rehearsal=True)

    assert outcome is not None
    assert outcome.rows == 2950
    assert outcome.tables[0].largest_row_bytes > 20
    assert not [topic for topic in Admin(KafkaSettings(bootstrap)).topics() if topic.startswith(prefix)]


def test_a_partial_generation_waits_only_for_parents_that_are_in_it(
    snapshot: Snapshot, bootstrap: str, prefix: str
) -> None:
    snapshot(tables=("sales",))

    assert published(bootstrap, prefix, "sales").started[0]["parents"] == []
    latest = read_control(KafkaSettings(bootstrap), prefix, prefix, None).latest
    assert latest is not None
    assert latest.started.is_partial
    assert latest.started.tables == ("sales",)
    with pytest.raises(ConfigurationError, match=r'no table "sale" \(did you mean "sales"\?\)'):
        snapshot(tables=("sale",))


def test_a_source_without_rows_is_a_warning(snapshot: Snapshot, shop_url: str) -> None:
    change(shop_url, "TRUNCATE shops, sales, visits")
    facts: list[object] = []

    outcome = snapshot(report=facts.append)

    assert outcome is not None
    assert outcome.rows == 0
    assert any(isinstance(fact, Warned) and "empty" in fact.text for fact in facts)


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize(("fact", "count"), [("GenerationStarted", 1), ("BatchesPublished", 1), ("TableDone", 3)])
def test_a_killed_snapshot_resumed_equals_an_unbroken_one(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str, tmp_path: Path, fact: str, count: int
) -> None:
    killed(tmp_path, shop_url, bootstrap, prefix, fact, count)

    outcome = snapshot()

    assert outcome is not None
    assert outcome.opening.generation == 1
    assert_equals_source(shop_url, bootstrap, prefix)
    assert said(bootstrap, prefix)[-1] is Kind.SNAPSHOT_FINISHED


@pytest.mark.parametrize(
    ("statement", "fates"),
    [
        (
            "UPDATE shops SET name = name WHERE id = 3; DELETE FROM sales WHERE code = (SELECT min(code) FROM sales)",
            ("again", "again"),
        ),
        (
            "UPDATE shops SET name = name WHERE id = 3",
            ("again", "again"),
        ),  # sales half read: not before its new parents
        ("INSERT INTO sales VALUES (1, '!', 0, '', 0)", ("kept", "again")),
        ("UPDATE sales SET code = 'zz' WHERE code = (SELECT min(code) FROM sales)", ("kept", "again")),
        ("INSERT INTO sales VALUES (1, 'zzz', 0, '', 0); DELETE FROM visits", ("kept", "continue")),
    ],
)
def test_resume_reads_again_exactly_what_changed(
    snapshot: Snapshot,
    shop_url: str,
    bootstrap: str,
    prefix: str,
    tmp_path: Path,
    statement: str,
    fates: tuple[str, str],
) -> None:
    killed(tmp_path, shop_url, bootstrap, prefix, "BatchesPublished", 4)  # shops is finished, sales is under way
    change(shop_url, statement)

    outcome = snapshot()

    assert outcome is not None
    assert tuple(table.fate for table in outcome.tables[:2]) == fates
    assert_equals_source(shop_url, bootstrap, prefix)


def test_a_row_of_a_transaction_that_was_open_during_the_snapshot_is_noticed(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with psycopg.connect(shop_url) as writer:
        writer.execute("UPDATE shops SET name = 'late' WHERE id = 1")  # its transaction is older than the snapshot
        killed(tmp_path, shop_url, bootstrap, prefix, "BatchesPublished", 4)
        writer.commit()

    outcome = snapshot()

    assert outcome is not None
    assert outcome.tables[0].fate == "again"
    assert_equals_source(shop_url, bootstrap, prefix)


def test_resume_is_refused_when_what_it_rests_on_changed(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str, tmp_path: Path, make_database: Callable[..., str]
) -> None:
    killed(tmp_path, shop_url, bootstrap, prefix, "BatchesPublished", 1)
    change(shop_url, "ALTER TABLE sales ADD COLUMN extra int")

    with pytest.raises(Refused, match='changed the tables "sales"') as refused:
        snapshot()
    assert "--restart" in refused.value.hint
    with pytest.raises(Refused, match="another source"):
        snapshot(url=make_database(SCHEMA))
    with pytest.raises(Refused, match="the migration was changed"):
        snapshot(by=migration_of(prefix, more='[table.shops]\nencrypt = ["name"]'))
    with pytest.raises(Refused, match="reads other tables"):
        snapshot(tables=("shops",))

    outcome = snapshot(is_restart=True)

    assert outcome is not None
    assert (outcome.opening.generation, outcome.opening.abandoned) == (2, 1)
    assert said(bootstrap, prefix).count(Kind.SNAPSHOT_ABANDONED) == 1
    assert published(bootstrap, prefix, "shops").rows == source_rows(shop_url, "shops", COLUMNS["shops"])


# ---------------------------------------------------------------- the log refuses


def test_a_second_producer_fences_the_first(snapshot: Snapshot, bootstrap: str, prefix: str) -> None:
    second = Transactions(KafkaSettings(bootstrap), f"{prefix}-producer", max_message_bytes=1 << 20)
    is_over = False

    def take_over(fact: object) -> None:
        nonlocal is_over
        if isinstance(fact, BatchesPublished) and not is_over:
            second.init()
            is_over = True

    with pytest.raises(Fenced, match="another producer of this tenant has started") as fenced:
        snapshot(report=take_over)

    assert fenced.value.exit_code == 6
    second.close()


def test_a_topic_with_other_settings_is_refused_with_the_difference(
    snapshot: Snapshot, bootstrap: str, prefix: str
) -> None:
    topic = topic_name(prefix, "sales")
    Admin(KafkaSettings(bootstrap)).ensure_topics([TopicSpec(name=topic, partitions=5, max_message_bytes=2_000_000)])

    with pytest.raises(LogError) as refused:
        snapshot()

    assert f"topic {topic}: max.message.bytes is 2000000, must be 67108864; partitions are 5, must be 3" in str(
        refused.value
    )
    assert not Admin(KafkaSettings(bootstrap)).exists(topic_name(prefix, "shops"))


def test_topics_that_were_deleted_or_made_anew_are_refused_with_what_to_run(
    snapshot: Snapshot, bootstrap: str, prefix: str
) -> None:
    snapshot()
    admin = Admin(KafkaSettings(bootstrap))
    topic = topic_name(prefix, "sales")

    admin.delete_topics([topic])
    with pytest.raises(LogError, match="was deleted") as deleted:
        snapshot()
    assert "producer drop-log" in deleted.value.hint
    admin.ensure_topics([TopicSpec(name=topic, partitions=3)])
    with pytest.raises(LogError, match="made anew"):
        snapshot()
    admin.delete_topics([control_topic(prefix)])
    with pytest.raises(LogError, match="the control topic has none"):
        snapshot()


def test_a_row_over_the_limit_stops_its_table_and_goes_on_when_the_limit_is_raised(
    snapshot: Snapshot, shop_url: str, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    kek = bytes(32)
    init_keyring(tmp_path / "keyring.json", prefix, kek)
    keyring = Keyring.open(tmp_path / "keyring.json", kek)
    change(
        shop_url,
        "UPDATE shops SET logo = (SELECT decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 150000) i) WHERE id = 800",
    )
    small = migration_of(prefix, more="[log]\nmax_message_bytes = 1048576")

    with pytest.raises(RowTooLarge) as refused:
        snapshot(by=small, keyring=keyring)

    assert 'table "shops": the row with key digest' in str(refused.value)
    assert keyring.digest_of(prefix, ("800",)) in str(refused.value)
    assert "max.message.bytes=4194304" in refused.value.hint
    raise_limit(bootstrap, [control_topic(prefix), *(topic_name(prefix, table) for table in COLUMNS)], 4194304)
    raised = migration_of(prefix, more="[log]\nmax_message_bytes = 4194304")
    outcome = snapshot(by=raised, keyring=keyring)
    assert outcome is not None
    assert outcome.tables[0].fate == "continue"
    found = published(bootstrap, prefix, "shops", tenant=prefix, keyring=keyring)
    assert found.rows == source_rows(shop_url, "shops", COLUMNS["shops"])


def raise_limit(bootstrap: str, topics: list[str], max_message_bytes: int) -> None:
    from confluent_kafka.admin import (  # noqa: PLC0415 - what an operator's tool does
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entry = ConfigEntry("max.message.bytes", str(max_message_bytes), incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry]) for topic in topics]
    client = AdminClient({"bootstrap.servers": bootstrap})
    for future in client.incremental_alter_configs(resources).values():
        future.result()
