"""What can be wrong gets one message (what, where, why, what next) and its exit code, and loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from embedded.kafka import Kafka
from runtime.kafka import Admin, TopicSpec, read_all
from runtime.keyring import init_keyring, make_kek_file
from runtime.settings import KafkaSettings
from schemas.avro import control_topic
from schemas.records import FORMAT, Header, Kind
from tests.tenant import QUIET, Tenant, fresh_databases

pytestmark = pytest.mark.timeout(180)

SCHEMA = """
CREATE TABLE shops (id int PRIMARY KEY, name text);
CREATE TABLE sales (id int PRIMARY KEY, shop_id int REFERENCES shops, cents bigint, buyer text);
"""
ROWS = """
INSERT INTO shops SELECT i, 'shop ' || i FROM generate_series(1, 20) i;
INSERT INTO sales SELECT i, 1 + i % 20, i, 'buyer' || i FROM generate_series(1, 2500) i;
"""
MIGRATION = """tenant = "{name}"
tables = ["shops", "sales"]

[log]
max_message_bytes = {max_message_bytes}

[table.sales]
encrypt = ["buyer"]
"""
START_OVER = ("consumer rollback", "producer drop-log", "producer snapshot")

MakeShop = Callable[..., Tenant]


@contextmanager
def a_shop(
    server_url: str, bootstrap: str, folder: Path, name: str, *, rows: str = ROWS, max_message_bytes: int = 2_000_000
) -> Iterator[Tenant]:
    """A small tenant, nothing done with it yet."""
    migration = folder / f"{name}.toml"
    migration.write_text(MIGRATION.format(name=name, max_message_bytes=max_message_bytes))
    init_keyring(folder / f"{name}.keyring", name, make_kek_file(folder / f"{name}.kek"))
    with fresh_databases(server_url) as (source_url, target_url):
        shop = Tenant(
            name,
            {
                "POSTGRES_URL": source_url,
                "NEW_POSTGRES_URL": target_url,
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "MIGRATION": str(migration),
                "KEYRING": str(folder / f"{name}.keyring"),
                "KEYRING_KEK_FILE": str(folder / f"{name}.kek"),
            },
        )
        shop.source(SCHEMA + rows)
        with closing(shop):
            yield shop


@pytest.fixture
def shop(server_url: str, bootstrap: str, tmp_path: Path, prefix: str) -> Iterator[Tenant]:
    """A small tenant, nothing done with it yet."""
    with a_shop(server_url, bootstrap, tmp_path, prefix) as shop:
        yield shop


@pytest.fixture(scope="module")
def moved(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A small tenant that has been moved; no test changes it."""
    folder = tmp_path_factory.mktemp("moved")
    with a_shop(server_url, bootstrap, folder, f"moved{os.getpid()}") as shop:
        shop("producer", "snapshot", *QUIET)
        shop.load()
        yield shop


def refused(shop: Tenant, program: str, *arguments: str, code: int, without: str = "", **changed: str) -> str:
    """Run a program that must end with `code` and one clear message; returns the message."""
    done = shop(program, *arguments, code=code, without=without, **changed)
    return one_message(done)


def one_message(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1, done.stderr
    assert sum(line.startswith("hint: ") for line in lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    return done.stderr[done.stderr.index("error: ") :]


def state(shop: Tenant) -> list[object]:
    """What must not change when something is refused: every row's version in the target, and the log's ends."""
    admin = Admin(KafkaSettings(shop.environment["KAFKA_BOOTSTRAP_SERVERS"]))
    ends = {topic: admin.end_offsets(topic) for topic in sorted(admin.topics()) if topic.startswith(f"{shop.name}.")}
    tables = shop.target(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE c.relkind = 'r' AND n.nspname = '{shop.schema}' ORDER BY 2"
    )
    rows = [shop.target(f"SELECT count(*), sum(xmin::text::bigint)::text FROM {s}.{t}") for s, t in tables]
    return [ends, tables, rows]


def alter_topics(bootstrap: str, topics: list[str], **settings: str) -> None:
    """What an operator does with kafka-configs.sh."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries) for topic in topics]
    for future in client.incremental_alter_configs(resources).values():
        future.result()


# ---------------------------------------------------------------- where things are


@pytest.mark.parametrize(
    ("program", "variable", "value", "code", "said"),
    [
        ("producer snapshot", "POSTGRES_URL", "postgres:/ann:s3cret@there", 2, "POSTGRES_URL is no PostgreSQL URL"),
        ("producer snapshot", "POSTGRES_URL", "postgresql://ann:s3cret@127.0.0.1:1/shop", 4, "nothing listens there"),
        (
            "producer plan",
            "POSTGRES_URL",
            "postgresql://ann:s3cret@no-such-host.invalid/shop",
            4,
            "host name is not known",
        ),
        ("consumer run", "NEW_POSTGRES_URL", "", 2, "NEW_POSTGRES_URL is not set"),
        ("consumer run", "NEW_POSTGRES_URL", "postgresql://ann:s3cret@127.0.0.1:1/new", 4, "nothing listens there"),
        ("validator reconcile", "POSTGRES_URL", "postgresql://ann:s3cret@127.0.0.1:1/shop", 4, "nothing listens there"),
        (
            "validator reconcile",
            "NEW_POSTGRES_URL",
            "postgresql://ann:s3cret@127.0.0.1:1/new",
            4,
            "nothing listens there",
        ),
        ("consumer run", "KAFKA_BOOTSTRAP_SERVERS", "", 2, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ("producer snapshot", "KAFKA_SSL_KEY_PASSWORDS", "s3cret", 2, "ssl.key.passwords"),
    ],
)
def test_a_wrong_or_unreachable_address_is_named_by_its_variable(
    moved: Tenant, program: str, variable: str, value: str, code: int, said: str
) -> None:
    message = refused(moved, *program.split(), code=code, **{variable: value})

    assert said in message
    assert variable in message or "KAFKA_…" in message


def test_a_database_that_is_not_there_is_named(moved: Tenant) -> None:
    url = moved.environment["POSTGRES_URL"].rpartition("/")[0] + "/no_such_database"

    message = refused(moved, "producer", "snapshot", code=4, POSTGRES_URL=url)

    assert "no_such_database" in message
    assert "there is no such database" in message


def test_brokers_that_do_not_answer_end_every_program_that_needs_them(moved: Tenant) -> None:
    before = state(moved)
    nobody = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    commands = (("producer", "snapshot"), ("consumer", "run"), ("producer", "status"))

    started = [moved.start(*command, **nobody) for command in commands]

    for process in started:
        done = moved.end(process, 4)
        message = one_message(done)
        assert len(done.stderr.splitlines()) < 10  # the client tries ten times a second
        assert "127.0.0.1:1" in message
        assert "the brokers do not answer" in message
        assert "KAFKA_BOOTSTRAP_SERVERS" in message
    assert state(moved) == before


# ---------------------------------------------------------------- Kafka


@pytest.fixture(scope="module")
def strict_broker() -> Iterator[Kafka]:
    """A broker that knows rights."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with Kafka(settings=settings) as broker:
        yield broker


def deny(broker: Kafka, kind: ResourceType, name: str, operation: AclOperation) -> None:
    bindings = [
        AclBinding(kind, name, ResourcePatternType.PREFIXED, "User:ANONYMOUS", "*", what, permission)
        for what, permission in ((AclOperation.ALL, AclPermissionType.ALLOW), (operation, AclPermissionType.DENY))
    ]
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in client.create_acls(bindings).values():
        future.result()


def allow_again(broker: Kafka) -> None:
    every = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type] # whatever name
        ResourcePatternType.ANY,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in client.delete_acls([every]).values():
        future.result()


def test_missing_rights_are_named_with_their_topic_or_group_and_nothing_is_lost(
    server_url: str, strict_broker: Kafka, tmp_path: Path, prefix: str
) -> None:
    with a_shop(server_url, strict_broker.bootstrap, tmp_path, prefix) as shop:
        deny(strict_broker, ResourceType.TOPIC, prefix, AclOperation.WRITE)
        write = refused(shop, "producer", "snapshot", *QUIET, code=4)
        allow_again(strict_broker)
        shop("producer", "snapshot", *QUIET)
        deny(strict_broker, ResourceType.TOPIC, f"{prefix}.sales", AclOperation.READ)
        read = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=4)
        allow_again(strict_broker)
        deny(strict_broker, ResourceType.GROUP, "tenant-replicator", AclOperation.READ)
        group = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=4)
        allow_again(strict_broker)
        shop.load()
        report = shop.json("validator", "reconcile")

    for message in (write, read, group):
        assert "not authorized" in message
        assert "the producer needs Create, Describe" in message
    assert prefix in write
    assert f"{prefix}.sales" in read
    assert f"group tenant-replicator.{prefix}" in group
    assert report["verdict"] == "equal"


def test_a_topic_with_other_settings_is_refused_with_the_difference(shop: Tenant, bootstrap: str) -> None:
    admin = Admin(KafkaSettings(bootstrap))
    admin.ensure_topics([TopicSpec(name=f"{shop.name}.sales", partitions=2, max_message_bytes=2_000_000)])
    alter_topics(bootstrap, [f"{shop.name}.sales"], retention_ms="60000")

    message = refused(shop, "producer", "snapshot", *QUIET, code=4)

    assert f"topic {shop.name}.sales" in message
    assert "retention.ms is 60000, must be -1" in message
    assert "partitions are 2, must be 3" in message
    assert "kafka-configs.sh" in message
    assert not admin.exists(f"{shop.name}.shops")


@pytest.mark.parametrize(("their_format", "advice"), [("0", "older"), ("99", "upgrade")])
def test_a_record_of_another_format_is_refused_by_every_reader(
    shop: Tenant, bootstrap: str, their_format: str, advice: str
) -> None:
    topic = control_topic(shop.name)
    Admin(KafkaSettings(bootstrap)).ensure_topics([TopicSpec(name=topic, max_message_bytes=2_000_000)])
    header = Header(kind=Kind.SNAPSHOT_STARTED, log="a-log", generation=1)
    send(bootstrap, topic, header, their_format)
    before = state(shop)

    for command in (("producer", "snapshot"), ("consumer", "run", "--until-complete")):
        message = refused(shop, *command, *QUIET, code=4)
        assert f"{topic}-0@0" in message
        assert f"format {their_format}," in message
        assert advice in message
    assert state(shop) == before


def test_a_record_of_another_format_in_a_table_stops_that_table_and_what_was_applied_stays(
    shop: Tenant, bootstrap: str
) -> None:
    shop("producer", "snapshot", *QUIET)
    topic = f"{shop.name}.shops"
    first = next(iter(read_all(KafkaSettings(bootstrap), topic)))
    send(bootstrap, topic, first.header, "99", partition=first.position.partition)
    shop("producer", "snapshot", *QUIET)

    message = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=4)

    assert f"{topic}-{first.position.partition}@" in message
    assert "format 99" in message
    assert "upgrade" in message
    assert shop.target("SELECT count(*) FROM shops")[0][0] == 20


def send(bootstrap: str, topic: str, header: Header, format_: str, partition: int = 0) -> None:
    headers = [(name, value) for name, value in header.to_kafka() if name != "format"]
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"what another build wrote", partition=partition, headers=[("format", format_), *headers])
    assert producer.flush(30) == 0
    assert format_ != str(FORMAT)


def test_a_second_producer_takes_over_and_the_first_ends_fenced(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    admin = Admin(KafkaSettings(bootstrap))
    many = ROWS + "INSERT INTO sales SELECT i, 1, i, 'b' FROM generate_series(3000, 200000) i"
    with a_shop(server_url, bootstrap, tmp_path, prefix, rows=many) as shop:
        first = shop.start("producer", "snapshot", *QUIET)
        wait_for(lambda: admin.exists(f"{prefix}.sales") and any(admin.end_offsets(f"{prefix}.sales").values()))
        first.send_signal(signal.SIGSTOP)
        second = shop("producer", "snapshot", *QUIET)
        first.send_signal(signal.SIGCONT)
        message = one_message(shop.end(first, 6))
        shop.load()
        sums = "SELECT count(*), sum(id), sum(cents) FROM sales"
        source, target = shop.source(sums), shop.target(sums)

    assert "published" in second.stdout
    assert "another producer of this tenant" in message
    assert "producer status" in message
    assert source == target


def test_a_deleted_topic_is_named_with_what_to_run_by_producer_and_consumer(shop: Tenant, bootstrap: str) -> None:
    shop("producer", "snapshot", *QUIET)
    Admin(KafkaSettings(bootstrap)).delete_topics([f"{shop.name}.sales"])

    for command in (("producer", "snapshot"), ("consumer", "run", "--until-complete")):
        message = refused(shop, *command, *QUIET, code=4)
        assert f"topic {shop.name}.sales" in message
        assert all(step in message for step in START_OVER)


def test_topics_made_anew_are_refused_and_the_advice_leads_to_an_equal_target(shop: Tenant, bootstrap: str) -> None:
    admin = Admin(KafkaSettings(bootstrap))
    shop("producer", "snapshot", *QUIET)
    shop.load()
    before = state(shop)[1:]
    admin.delete_topics([topic for topic in admin.topics() if topic.startswith(f"{shop.name}.")])
    shop("producer", "snapshot", *QUIET)  # another log under the same names

    message = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=4)
    replayed = refused(shop, "consumer", "replay", "--yes", code=4)

    assert state(shop)[1:] == before
    assert "the topics now hold log" in message
    assert "the topics now hold log" in replayed
    assert "`consumer rollback`, then `consumer run` starts over" in message
    shop("consumer", "rollback", "--yes")
    shop.load()
    assert shop.json("validator", "reconcile")["verdict"] == "equal"


# ---------------------------------------------------------------- source and migration


def test_a_row_over_the_limit_is_named_and_a_changed_source_or_migration_cannot_be_mixed_in(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with a_shop(server_url, bootstrap, tmp_path, prefix, max_message_bytes=1_048_576) as shop:
        shop.source(
            "UPDATE sales SET buyer = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 50000) i) WHERE id = 2400"
        )
        too_large = refused(shop, "producer", "snapshot", *QUIET, code=4)
        published = {table["table"]: table for table in shop.json("producer", "status")["generations"][0]["tables"]}
        shop.source("ALTER TABLE shops ADD COLUMN city text")
        schema_changed = refused(shop, "producer", "snapshot", *QUIET, code=4)
        shop.source("ALTER TABLE shops DROP COLUMN city")
        migration = Path(shop.environment["MIGRATION"])
        text = migration.read_text()
        migration.write_text(text + '\n[table.shops]\nencrypt = ["name"]\n')
        migration_changed = refused(shop, "producer", "snapshot", *QUIET, code=4)
        migration.write_text(text.replace("1048576", "4000000"))
        topics_too_small = refused(shop, "producer", "snapshot", *QUIET, code=4)
        alter_topics(
            bootstrap, [control_topic(prefix), f"{prefix}.shops", f"{prefix}.sales"], max_message_bytes="4000000"
        )
        done = shop.json("producer", "snapshot", *QUIET)
        shop.load()
        report = shop.json("validator", "reconcile")

    assert 'table "sales"' in too_large
    assert "max_message_bytes" in too_large
    assert "1048576" in too_large
    assert "buyer" not in too_large.replace("buyers", "")
    assert published["shops"]["state"] == "finished"
    assert "shops" in schema_changed
    assert "--restart" in schema_changed
    assert "the migration was changed" in migration_changed
    assert "--restart" in migration_changed
    assert "max.message.bytes is 1048576, must be 4000000" in topics_too_small
    assert done["generation"] == 1
    # its definition was touched, though it is again what it was: that alone proves nothing about the rows
    assert next(table["fate"] for table in done["tables"]) == "again"
    assert report["verdict"] == "equal"


def test_a_source_without_rows_or_tables_is_a_warning_and_no_error(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with a_shop(server_url, bootstrap, tmp_path, prefix, rows="") as shop:
        no_rows = shop("producer", "snapshot", *QUIET)
        shop.load()
        report = shop.json("validator", "reconcile")
        shop.source("DROP TABLE sales, shops")
        Path(shop.environment["MIGRATION"]).write_text(f'tenant = "{prefix}x"\ntables = "*"\n')
        no_tables = shop("producer", "snapshot", *QUIET, without="KEYRING")

    assert "warning: the source is empty" in no_rows.stderr
    assert report["verdict"] == "equal"
    assert "warning: the source has no table to move" in no_tables.stderr


def test_a_table_that_the_migration_has_not_is_answered_with_the_nearest_name(moved: Tenant) -> None:
    message = refused(moved, "producer", "snapshot", "--table", "sale", code=2)

    assert 'no table "sale"' in message
    assert '"sales"' in message


def test_every_fault_of_a_migration_is_told_at_once_with_its_line(moved: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        f'tenant = "{moved.name}"\ntables = ["shops", "sales"]\npartitons = 3\n[table.sales]\nencript = ["buyer"]\n'
    )
    unknown_keys = refused(moved, "producer", "plan", "--migration", str(file), code=2)
    file.write_text(
        f'tenant = "{moved.name}"\ntables = ["sales", "shops", "shoes"]\n[table.sales]\nencrypt = ["byer"]\n'
    )
    not_the_source = refused(moved, "producer", "snapshot", "--migration", str(file), code=2)
    absent = refused(moved, "consumer", "status", "--migration", str(tmp_path / "none.toml"), code=2)

    assert f"{file}:3:" in unknown_keys
    assert f"{file}:5:" in unknown_keys
    assert "encrypt" in unknown_keys
    assert f"{file}:2:" in not_the_source
    assert "shoes" in not_the_source
    assert f"{file}:4:" in not_the_source
    assert "buyer" in not_the_source
    assert "none.toml" in absent


@pytest.mark.parametrize("program", ["producer snapshot", "consumer run", "validator reconcile"])
def test_an_unknown_option_is_wrong_use(moved: Tenant, program: str) -> None:
    done = moved(*program.split(), "--tabel", "sales", code=2)

    assert "--tabel" in done.stderr
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("program", ["producer snapshot", "consumer run", "validator reconcile"])
def test_a_missing_wrong_or_foreign_key_is_named_and_nothing_is_written(
    moved: Tenant, tmp_path: Path, program: str
) -> None:
    kek = make_kek_file(tmp_path / "kek")
    init_keyring(tmp_path / "foreign.keyring", "another_tenant", kek)
    init_keyring(tmp_path / "other.keyring", moved.name, kek)
    ours = {"KEYRING_KEK_FILE": str(tmp_path / "kek")}
    before = state(moved)
    command = (*program.split(), *(("--until-complete",) if program == "consumer run" else ()))

    none = refused(moved, *command, code=2, without="KEYRING")
    no_file = refused(moved, *command, code=2, KEYRING=str(tmp_path / "absent"))
    wrong_kek = refused(moved, *command, code=2, **ours)
    foreign = refused(moved, *command, code=2, KEYRING=str(tmp_path / "foreign.keyring"), **ours)
    opens_nothing = {"KEYRING": str(tmp_path / "other.keyring"), **ours}
    other = refused(moved, *command, code=2 if program == "validator reconcile" else 4, **opens_nothing)

    assert "there is no keyring" in none
    assert "KEYRING" in none
    assert "absent" in no_file
    assert "does not open with this KEK" in wrong_kek
    assert "KEYRING_KEK_FILE" in wrong_kek
    assert moved.name in foreign
    assert "KEYRING" in other
    assert "wrong key" in other or "it is not the keyring that they were written with" in other
    assert state(moved) == before


def test_without_a_keyring_columns_that_must_be_encrypted_are_never_written_in_clear(shop: Tenant) -> None:
    warned = shop("producer", "snapshot", *QUIET, without="KEYRING").stderr

    message = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=2, without="KEYRING")

    assert "not sealed" in warned
    assert "sales.buyer is to be encrypted, and there is no keyring" in message
    assert "consumer keys init" in message
    assert shop.target("SELECT to_regclass('sales')") == [(None,)]
    shop.load()
    assert shop.json("validator", "reconcile")["verdict"] == "equal"


# ---------------------------------------------------------------- target


def test_an_unknown_tenant_is_not_rolled_back_and_the_known_ones_are_named(moved: Tenant, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('tenant = "nobody"\ntables = ["shops"]\n')
    before = state(moved)

    message = refused(moved, "consumer", "rollback", "--yes", "--migration", str(other), code=2)

    assert 'tenant "nobody" is not in this target' in message
    assert moved.name in message
    assert state(moved) == before


def test_a_target_that_may_only_be_read_is_refused_before_anything_and_goes_on_when_it_may_be_written(
    shop: Tenant,
) -> None:
    shop("producer", "snapshot", *QUIET)
    database = shop.environment["NEW_POSTGRES_URL"].rpartition("/")[2]
    set_read_only(shop, database, "on")

    message = refused(shop, "consumer", "run", "--until-complete", *QUIET, code=4)

    assert "read-only" in message
    assert "default_transaction_read_only" in message
    set_read_only(shop, database, "off")
    shop.load()
    assert shop.json("validator", "reconcile")["verdict"] == "equal"


def set_read_only(shop: Tenant, database: str, value: str) -> None:
    with psycopg.connect(shop.environment["POSTGRES_URL"], autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = {value}".encode())


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
