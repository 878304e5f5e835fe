"""A log that lost records, by retention, by hand, or because a topic was made anew; and a group whose offsets are gone.

What is lost is named and refused; whatever Kafka forgot of the group costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from consumer import stall
from runtime.kafka import Admin, TopicSpec
from runtime.progress import GenerationState
from runtime.reporting import BatchesApplied
from schemas.avro import control_topic, topic_name
from schemas.errors import LogError, ReplicatorError
from tests.world import CLICKS, CUSTOMERS, ORDERS, World, clicks, customers, orders

WAITS_S = 60.0


@pytest.fixture
def world(bootstrap: str, target_url: str, prefix: str) -> Iterator[World]:
    made = World(bootstrap, target_url, prefix)
    yield made
    for log in made.logs:
        log.close()


def delete_records(world: World, topic: str) -> None:
    """Everything that the topic has, as retention would, or somebody by hand."""
    kafka = world.session.kafka
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    ends = Admin(kafka).ends([topic])[topic]
    asked = [TopicPartition(topic, number, end) for number, end in ends.items()]
    for future in client.delete_records(asked).values():
        future.result()


def make_anew(world: World, topic: str) -> None:
    admin = Admin(world.session.kafka)
    partitions = len(admin.ends([topic])[topic])
    admin.delete_topics([topic])
    admin.ensure_topics([TopicSpec(name=topic, partitions=partitions, replication_factor=1)])


def test_a_group_that_was_deleted_goes_on_where_the_target_is(world: World) -> None:
    log = world.log(CLICKS)  # a table without a key would show a batch applied twice
    log.begin()
    log.start("clicks")
    for _ in range(6):
        log.batch("clicks", clicks(5))
    log.settle()
    worker = world.worker(groups_of=1)
    worker.report = lambda fact: worker.stop.set() if isinstance(fact, BatchesApplied) else None
    worker._flow._report = worker.report
    worker.run()
    assert 5 <= world.rows("SELECT count(*) FROM tenant.clicks")[0] <= 30
    client = AdminClient({"bootstrap.servers": world.session.kafka.bootstrap})
    client.delete_consumer_groups([world.session.group])[world.session.group].result()
    log.batch("clicks", clicks(5))
    log.finish("clicks")
    log.end()

    progress = world.run()

    assert world.rows("SELECT count(*) FROM tenant.clicks") == [35]
    assert progress.tables[1, "clicks"].applied == 35


@pytest.mark.parametrize("which", ["table", "control"])
@pytest.mark.parametrize("harm", [delete_records, make_anew])
def test_what_a_topic_lost_before_it_was_read_is_named_and_nothing_is_skipped(
    world: World, which: str, harm: Callable[[World, str], None]
) -> None:
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.whole("customers", customers(1, 2))
    log.whole("orders", orders(1, 2))
    log.end()
    topic = topic_name(world.session.prefix, "orders") if which == "table" else control_topic(world.session.prefix)
    world.run()
    log.begin(2, second=2)
    log.whole("customers", customers(1, 2))
    log.whole("orders", orders(2, 3))
    log.end()
    harm(world, topic)

    with pytest.raises(ReplicatorError, match=f"topic {topic}|{topic}-") as refused:
        world.run()

    assert refused.value.hint
    assert world.rows("SELECT id FROM tenant.orders ORDER BY id") == [1, 2]
    progress = world.progress()
    assert progress.running is None or progress.running.generation == 2


@pytest.mark.parametrize("harm", [delete_records, make_anew])
def test_what_a_topic_loses_while_its_partitions_wait_is_named_and_the_generation_does_not_end(
    world: World, harm: Callable[[World, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "STALL_S", 2.0)  # a topic made anew is only noticed when nothing moves
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.start("customers")
    log.batch("customers", customers(1, 2))
    log.whole("orders", orders(1, 2), orders(3, 4))
    log.settle()
    topic = topic_name(world.session.prefix, "orders")
    has_applied, errors = threading.Event(), []

    def run() -> None:
        def report(fact: object) -> None:
            if isinstance(fact, BatchesApplied):
                has_applied.set()

        try:
            world.run(report=report, groups_of=1)
        except ReplicatorError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert has_applied.wait(WAITS_S)
    harm(world, topic)
    log.finish("customers")
    log.end()
    thread.join(WAITS_S)

    assert not thread.is_alive()
    (error,) = errors
    assert topic in str(error)
    assert world.rows("SELECT count(*) FROM tenant.orders") == [0]
    assert world.progress().generations[1].state is GenerationState.RUNNING
    with pytest.raises(LogError, match=f"topic {topic}"):
        world.run()
