"""What programs rest on in the broker: transactions, fencing, positions that come from us, gates."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from runtime.kafka import Admin, Group, LogRecord, Partition, TailReader, TopicSpec, Transactions, read_all
from runtime.kafka.client import explain
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, ContractError, Fenced, LogError
from schemas.records import Header, Kind, UnknownFormat

HEADER = Header(kind=Kind.BATCH, log="l", generation=1)


@pytest.fixture
def kafka(bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap)


@pytest.fixture
def topic(kafka: KafkaSettings, prefix: str) -> str:
    Admin(kafka).ensure_topics([TopicSpec(name=f"{prefix}.t", partitions=2)])
    return f"{prefix}.t"


@pytest.fixture
def transactions(kafka: KafkaSettings, prefix: str) -> Transactions:
    made = Transactions(kafka, prefix, max_message_bytes=1 << 20)
    made.init()
    return made


def write(transactions: Transactions, topic: str, count: int) -> None:
    with transactions.transaction():
        for number in range(count):
            transactions.send(topic, number % 2, HEADER, b"%d" % number)
    transactions.settle()


def abort(transactions: Transactions, topic: str) -> None:
    with suppress(RuntimeError), transactions.transaction():
        transactions.send(topic, 0, HEADER, b"never")
        raise RuntimeError


def poll(group: Group, count: int) -> list[LogRecord]:
    found: list[LogRecord] = []
    for _ in range(200):
        if (record := group.poll(0.1)) is not None:
            found.append(record)
        if len(found) == count:
            break
    return found


def test_an_aborted_transaction_is_never_read(kafka: KafkaSettings, topic: str, transactions: Transactions) -> None:
    write(transactions, topic, 4)

    abort(transactions, topic)

    write(transactions, topic, 2)
    assert sorted(record.value for record in read_all(kafka, topic, log="l")) == [b"0", b"0", b"1", b"1", b"2", b"3"]
    assert list(read_all(kafka, f"{topic}.none")) == []


def test_who_is_fenced_is_told_so_also_by_the_next_record_that_it_sends(
    kafka: KafkaSettings, topic: str, transactions: Transactions, prefix: str
) -> None:
    def sends_behind_our_back() -> None:
        while True:
            transactions._producer.produce(topic, value=b"late", partition=0)
            time.sleep(0.05)

    def sends() -> None:
        with transactions.transaction():
            transactions.send(topic, 0, HEADER, b"of the first")
            Transactions(kafka, prefix, max_message_bytes=1 << 20).init()
            with pytest.raises(KafkaException, match="_FATAL"):  # so that nothing but `send` can tell of it
                sends_behind_our_back()
            transactions.send(topic, 0, HEADER, b"too late")

    with pytest.raises(Fenced, match="another producer of this tenant"):
        sends()


def test_positions_come_from_the_answer_and_gated_partitions_wait(
    kafka: KafkaSettings, topic: str, transactions: Transactions, prefix: str
) -> None:
    write(transactions, topic, 6)
    group = Group(kafka, prefix, session_timeout_s=6)
    gated = Partition(topic, 1)
    revoked: list[Partition] = []

    def assigned(partitions: tuple[Partition, ...]) -> Mapping[Partition, int]:
        group.pause([gated])
        return dict.fromkeys(partitions, 1)

    group.subscribe([topic], assigned, revoked.extend, revoked.extend)
    before = poll(group, 2)
    assert [record.value for record in before] == [b"2", b"4"]
    assert group.poll(0.3) is None
    assert group.paused == {gated}
    group.resume([gated])
    assert [record.value for record in poll(group, 2)] == [b"3", b"5"]

    group.commit({gated: 3}, wait=True)
    assert Admin(kafka).committed_offsets(prefix) == {gated: 3}
    assert Admin(kafka).group_members(prefix) == 1
    group.close()
    assert sorted(revoked) == [Partition(topic, 0), gated]
    assert Admin(kafka).group_members(prefix) == 0


def test_partitions_that_come_while_a_member_leaves_are_never_claimed(
    kafka: KafkaSettings, topic: str, prefix: str, bootstrap: str
) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    group = Group(kafka, prefix, session_timeout_s=6)
    claimed: list[Partition] = []

    def assigned(places: tuple[Partition, ...]) -> Mapping[Partition, int]:
        claimed.extend(places)
        return dict.fromkeys(places, 0)

    group.subscribe([topic], assigned, lambda _: None, lambda _: None)
    group.poll(0)
    deadline = time.monotonic() + 60
    while not _has_assignment(admin, prefix):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    group.close()

    assert claimed == []
    assert Admin(kafka).group_members(prefix) == 0


def _has_assignment(admin: AdminClient, group: str) -> bool:
    try:
        members = admin.describe_consumer_groups([group])[group].result().members
    except KafkaException:
        return False  # not there yet
    return any(member.assignment.topic_partitions for member in members)


def test_an_offset_that_the_log_does_not_have_is_an_error_and_never_skipped(
    kafka: KafkaSettings, topic: str, transactions: Transactions, prefix: str
) -> None:
    write(transactions, topic, 2)
    group = Group(kafka, prefix, session_timeout_s=6)
    group.subscribe([topic], lambda places: dict.fromkeys(places, 1000), lambda _: None, lambda _: None)

    with pytest.raises(LogError, match="does not have the offset") as refused:
        poll(group, 1)

    assert "consumer rollback" in refused.value.hint
    group.close()


def test_the_tail_reader_sees_the_end_and_what_comes_after(
    kafka: KafkaSettings, topic: str, transactions: Transactions
) -> None:
    write(transactions, topic, 2)
    reader = TailReader(kafka, topic)
    found: list[bytes] = []
    while not reader.is_at_end:
        if (record := reader.poll(1)) is not None:
            found.append(record.value)
    assert found == [b"0"]

    write(transactions, topic, 1)

    for _ in range(100):
        if (record := reader.poll(0.1)) is not None:
            break
    assert record is not None
    assert record.value == b"0"
    assert reader.position.offset > record.position.offset
    reader.close()


def test_records_of_others_and_of_other_formats_are_refused_by_position(
    kafka: KafkaSettings, topic: str, transactions: Transactions
) -> None:
    newer = Header(kind=Kind.BATCH, log="l", generation=1, format=2)
    with transactions.transaction():
        transactions.send(topic, 0, newer, b"")
        transactions.send(topic, 1, HEADER, b"")
    transactions.settle()

    with pytest.raises(UnknownFormat, match=f"{topic}-0@0: record of format 2"):
        list(read_all(kafka, topic, partitions=[0]))
    with pytest.raises(LogError, match="belongs to another log, not to m"):
        list(read_all(kafka, topic, partitions=[1], log="m"))
    assert issubclass(UnknownFormat, ContractError)


def test_a_broker_that_is_not_there_is_named_with_the_reason() -> None:
    with pytest.raises(LogError, match=r"127\.0\.0\.1:1: the brokers do not answer") as refused:
        Admin(KafkaSettings("127.0.0.1:1"), timeout_s=1).ping()

    assert "KAFKA_BOOTSTRAP_SERVERS" in refused.value.hint


def test_a_broker_that_does_not_answer_is_told_while_it_is_waited_for() -> None:
    told: list[str] = []

    with pytest.raises(LogError, match="the brokers do not answer"):
        Admin(KafkaSettings("127.0.0.1:1"), timeout_s=3.0).ping(told.append)

    (waiting,) = told
    assert "127.0.0.1:1" in waiting


@pytest.mark.parametrize(("name", "value"), [("bogus.key", "s3cret"), ("security.protocol", "s3cret")])
def test_a_wrong_client_property_is_named_and_its_value_is_not(bootstrap: str, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as refused:
        Admin(KafkaSettings(bootstrap, {name: value}))

    assert value not in str(refused.value)


def test_the_users_properties_cannot_undo_what_correctness_rests_on(
    kafka: KafkaSettings, topic: str, transactions: Transactions
) -> None:
    careless = KafkaSettings(kafka.bootstrap, {"isolation.level": "read_uncommitted", "auto.offset.reset": "latest"})
    abort(transactions, topic)
    write(transactions, topic, 1)

    assert [record.value for record in read_all(careless, topic)] == [b"0"]


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]
)
def test_a_missing_right_is_told_with_the_rights_that_are_needed(code: int) -> None:
    told = explain(KafkaError(code), "topic shop.orders")

    assert isinstance(told, LogError)
    assert "topic shop.orders: not authorized" in str(told)
    assert "Write" in told.hint
