"""Records that the broker's disk has damaged: their checksum is wrong, and nothing can be known of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from consumer.skip import plan_skip, skip_record
from consumer.stops import PartitionsStopped
from embedded.kafka import Kafka
from schemas.errors import LogError
from schemas.records import Position
from tests.made_log import table
from tests.world import World

HURT = table("hurt", "id bigint")
ENDING = table("ending", "id bigint")
CALM = table("calm", "id bigint")


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """One of its own, because its files are written to."""
    with Kafka() as started:
        yield started


@pytest.fixture
def world(broker: Kafka, target_url: str, prefix: str) -> Iterator[World]:
    made = World(broker.bootstrap, target_url, prefix)
    yield made
    for log in made.logs:
        log.close()


def damage(broker: Kafka, topic: str, partition: int, offset: int) -> None:
    """Write over the end of what the broker has stored at an offset."""
    segment = broker.directory / "data" / f"{topic}-{partition}" / f"{0:020}.log"
    stored = bytearray(segment.read_bytes())
    place = 0
    while place < len(stored):
        base, length = struct.unpack_from(">qi", stored, place)
        end = place + 12 + length
        if base == offset:
            stored[end - 1] ^= 0xFF
            segment.write_bytes(stored)
            return
        place = end
    raise LookupError(f"nothing is stored at {topic}-{partition}@{offset}")


def rows(*ids: int) -> list[dict[str, object]]:
    return [{"id": n} for n in ids]


def test_records_that_the_disk_damaged_stop_their_partition_and_can_be_skipped(world: World, broker: Kafka) -> None:
    log = world.log(HURT, ENDING, CALM)
    log.begin()
    log.whole("hurt", *[rows(n) for n in range(1, 7)])
    log.whole("ending", rows(1), rows(2))
    log.whole("calm", rows(1), rows(2))
    log.end()
    prefix = world.session.prefix
    damage(broker, f"{prefix}.hurt", 0, 4)  # between are the markers of transactions
    damage(broker, f"{prefix}.ending", 0, 4)

    with pytest.raises(PartitionsStopped, match="damaged where the broker keeps it") as ended:
        world.run()

    assert f"{prefix}.hurt-0@4 " in str(ended.value)
    assert f"{prefix}.ending-0@4 " in str(ended.value)
    assert world.rows("SELECT id FROM tenant.hurt ORDER BY 1") == [1, 2, 4, 6]
    assert world.rows("SELECT id FROM tenant.ending ORDER BY 1") == [1, 2]
    assert world.rows("SELECT id FROM tenant.calm ORDER BY 1") == [1, 2]

    while stops := world.progress().stops:
        for stop in stops:
            with world.session.connect() as connection:
                at = Position(stop.topic, stop.partition, stop.offset)
                skip = plan_skip(world.session.kafka, world.progress(), at, None)
                skip_record(connection, world.session.tenant, skip)
        try:
            world.run()
        except PartitionsStopped:
            assert {stop.offset for stop in world.progress().stops} != {stop.offset for stop in stops}

    progress = world.progress()
    assert progress.newest is not None
    assert progress.newest.state == "ended"
    assert progress.newest.whole is False
    assert world.rows("SELECT id FROM tenant.hurt ORDER BY 1") == [1, 2, 4, 5, 6]
    hurt = progress.tables[1, "hurt"]
    assert (hurt.published, hurt.applied, hurt.quarantined) == (6, 5, 1)
    assert progress.tables[1, "ending"].applied == 2


def test_a_control_topic_that_the_disk_damaged_ends_the_consumer_by_name(world: World, broker: Kafka) -> None:
    log = world.log(CALM)
    log.begin()
    log.whole("calm", rows(1))
    log.end()
    control = next(broker.directory.glob(f"data/{world.session.prefix}*control*-0")).name.removesuffix("-0")
    damage(broker, control, 0, 2)

    with pytest.raises(LogError, match="damaged where the broker keeps it"):
        world.run()
