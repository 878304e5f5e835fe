"""Records that cannot be understood: each stops its partition by name, the others go on, and there is a way out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consumer.stops import PartitionsStopped
from runtime.progress import StoppedPartition
from runtime.reporting import BatchesApplied, PartitionStopped
from schemas.catalogue import Table
from schemas.errors import ContractError, LogError
from schemas.records import Checkpoint, Header, Kind, TableFinished, TableStarted
from tests.conftest import Run
from tests.made_log import MadeLog, table
from tests.world import World

SECRET = "ann@example.org"


@pytest.fixture
def world(bootstrap: str, target_url: str, prefix: str) -> Iterator[World]:
    made = World(bootstrap, target_url, prefix)
    yield made
    for log in made.logs:
        log.close()


def rows(*ids: int) -> list[dict[str, object]]:
    return [{"id": n, "mail": SECRET} for n in ids]


def damaged(header: Header, value: bytes) -> tuple[Header, bytes]:
    return header, value[:-20] + bytes(20)


def truncated(header: Header, value: bytes) -> tuple[Header, bytes]:
    return header, value[: len(value) // 2]


def of_other_columns(header: Header, value: bytes) -> tuple[Header, bytes]:
    return replace(header, schema="0" * 16), value


def of_more_rows(header: Header, value: bytes) -> tuple[Header, bytes]:
    return replace(header, rows=header.rows + 1), value


def sealed_by_nobody(header: Header, value: bytes) -> tuple[Header, bytes]:
    return replace(header, kid="7"), value


def of_another_log(header: Header, value: bytes) -> tuple[Header, bytes]:
    return replace(header, log=SECRET), value


def said(header: Header) -> list[tuple[str, bytes]]:
    return header.to_kafka()


def without_headers(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, [], SECRET.encode())


def without_a_value(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, said(log.header(name, Kind.BATCH)), None)


def empty(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, said(log.header(name, Kind.BATCH, sequence=2, rows=1)), b"")


def of_a_newer_format(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, said(log.header(name, Kind.BATCH, format=2)), b"?")


def of_an_impossible_number(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, said(log.header(name, Kind.BATCH, rows=2**40)), b"?")


def of_an_unknown_generation(log: MadeLog, name: str) -> None:
    log.foreign(name, 0, said(log.header(name, Kind.BATCH, generation=99)), b"?")


def of_the_control_topic(log: MadeLog, name: str) -> None:
    log.marker(
        name, 0, Checkpoint(table=name, generation=1, attempt=1, sequence=1, rows=1, bytes=1, last_key=(SECRET,))
    )


def begun_twice(log: MadeLog, name: str) -> None:
    marker = TableStarted(
        table=name,
        generation=1,
        attempt=1,
        instant="2026-01-01T00:00:01.000000Z",
        topic="",
        partitions=2,
        columns=(),
        schema="",
        key=("id",),
        parents=(),
    )
    log.marker(name, 0, marker)


def ended_early(log: MadeLog, name: str, of: str = "") -> None:
    marker = TableFinished(
        table=of or name,
        generation=1,
        attempt=1,
        rows=1,
        batches=1,
        partition_rows=5,
        partition_batches=5,
        sums={},
    )
    log.marker(name, 0, marker)


def ended_for_another(log: MadeLog, name: str) -> None:
    ended_early(log, name, of="unknown")


FOREIGN: dict[Callable[[MadeLog, str], None], str] = {
    without_headers: "without a format",
    without_a_value: "without a value",
    of_a_newer_format: "upgrade",
    of_an_impossible_number: "without the headers",
    of_the_control_topic: "checkpoint record out of place",
    begun_twice: "table-started record out of place",
    ended_early: "5 rows in 5 batches here, 1 rows in 1 batches were applied",
    ended_for_another: "table-finished record out of place",
}
SPOILT: dict[Callable[[Header, bytes], tuple[Header, bytes]], str] = {
    damaged: "cannot be decoded",
    truncated: "cannot be decoded",
    of_other_columns: "batch of other columns",
    of_more_rows: "its header says 2",
    sealed_by_nobody: "there is no keyring",
    of_another_log: "belongs to another log",
}


def named(things: object) -> dict[str, Table]:
    return {item.__name__: table(item.__name__, "id bigint", "mail text") for item in things}  # type: ignore[attr-defined]


CHILD = table("child", "id bigint", "parent_id bigint", parent="damaged")
CALM = table("calm", "id bigint", "mail text")


def poisoned(world: World) -> MadeLog:
    """A generation in which each table but two has another poison, in partition 0 after the first batch there."""
    foreign, spoilt = named(FOREIGN), named(SPOILT)
    log = world.log(*foreign.values(), *spoilt.values(), CHILD, CALM)
    log.begin()
    for act in FOREIGN:
        name = act.__name__
        log.start(name)
        log.batch(name, rows(1))
        act(log, name)
        log.batch(name, rows(2))
        log.batch(name, rows(3))
        log.finish(name)
    for spoil in SPOILT:
        name = spoil.__name__
        log.start(name)
        log.batch(name, rows(1))
        log.batch(name, rows(2))
        log.batch(name, rows(3), spoil)
        log.batch(name, rows(4))
        log.batch(name, rows(5))
        log.finish(name)
    log.whole("child", [{"id": 1, "parent_id": 3}])
    log.whole("calm", rows(1), rows(2), rows(3))
    log.end()
    return log


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.membership.UNKNOWN_S", 1.0)


@pytest.fixture
def consumer(world: World, run: Run, tmp_path: Path) -> Callable[..., str]:
    """Runs the consumer's command, to the end it should have; returns what it said."""
    migration = tmp_path / "migration.toml"
    migration.write_text(world.text)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": world.session.kafka.bootstrap,
        "NEW_POSTGRES_URL": world.url,
        "MIGRATION": str(migration),
    }

    def consumer(*arguments: str, code: int = 0) -> str:
        done = run("consumer", *arguments, env=environment)
        assert done.returncode == code, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout + done.stderr

    return consumer


def test_each_kind_of_poison_stops_its_partition_by_name_and_everything_else_is_applied(
    world: World, consumer: Callable[..., str]
) -> None:
    poisoned(world)

    with pytest.raises(PartitionsStopped) as ended:
        world.run()

    reasons = {stop.table_name: f"{stop.reason} {stop.hint}" for stop in world.progress().stops}
    assert reasons.keys() == {item.__name__ for item in (*FOREIGN, *SPOILT)}
    for item, words in {**FOREIGN, **SPOILT}.items():
        assert words in reasons[item.__name__]
        assert reasons[item.__name__].split(" ")[0] in str(ended.value).replace(" (", ": ")
    assert SECRET not in str(ended.value) + str(world.facts)
    # what stands before the poison and in the other partition is there; behind the gate nothing is
    assert {name: world.rows(f"SELECT id FROM tenant.{name} ORDER BY id") for name in reasons} == {
        **{item.__name__: [1, 2] for item in FOREIGN},
        **{item.__name__: [1, 2, 4] for item in SPOILT},
    }
    assert world.rows("SELECT count(*) FROM tenant.calm") == [3]
    assert world.rows("SELECT count(*) FROM tenant.child") == [0]
    assert len([fact for fact in world.facts if isinstance(fact, PartitionStopped)]) == len(reasons)

    status = json.loads(consumer("status", "--json"))
    assert {stop["table"]: stop["offset"] for stop in status["stopped"]} == {
        stop.table_name: stop.offset for stop in world.progress().stops
    }
    since = {stop.table_name: stop.since for stop in world.progress().stops}
    said = consumer("run", "--until-complete", "--progress", "none", code=4)
    assert all(f"{item.__name__}-0@" in said for item in (*FOREIGN, *SPOILT))
    assert {stop.table_name: stop.since for stop in world.progress().stops} == since


def test_skipping_gets_the_operator_out_and_counts_what_is_lost(world: World, consumer: Callable[..., str]) -> None:
    poisoned(world)
    with pytest.raises(PartitionsStopped):
        world.run()

    while stops := world.progress().stops:
        consumer("quarantine", "skip", *map(position, stops), "--yes")
        try:
            world.run()
        except PartitionsStopped:
            assert {position(stop) for stop in world.progress().stops} != {position(stop) for stop in stops}

    progress = world.progress()
    assert progress.newest is not None
    assert progress.newest.state == "ended"
    assert progress.newest.whole is False
    for item in FOREIGN:  # nothing of the log was lost
        assert world.rows(f"SELECT id FROM tenant.{item.__name__} ORDER BY id") == [1, 2, 3]
        assert progress.tables[1, item.__name__].quarantined == 0
    for spoil in SPOILT:
        found = progress.tables[1, spoil.__name__]
        assert world.rows(f"SELECT id FROM tenant.{spoil.__name__} ORDER BY id") == [1, 2, 4, 5]
        assert (found.published, found.applied, found.quarantined) == (5, 4, 1), spoil.__name__
    assert world.rows("SELECT table_name FROM replicator.quarantine ORDER BY 1") == sorted(
        spoil.__name__ for spoil in SPOILT
    )
    (key,) = progress.foreign_keys
    assert key.state == "waiting"
    assert "refused again" in consumer("quarantine", "retry", code=1)


def position(stop: StoppedPartition) -> str:
    return f"{stop.topic}-{stop.partition}@{stop.offset}"


SHOPS = table("shops", "id bigint", "mail text")
SALES = table("sales", "id bigint", "parent_id bigint", parent="shops")


def test_a_record_of_a_generation_that_the_control_topic_does_not_know_stops_its_partition(world: World) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.start("shops")
    log.batch("shops", rows(1))
    of_an_unknown_generation(log, "shops")
    log.batch("shops", rows(2))
    log.finish("shops")
    log.end()

    with pytest.raises(PartitionsStopped, match="generation 99, attempt 1 of shops, which the control topic does not"):
        world.run()

    assert world.rows("SELECT id FROM tenant.shops ORDER BY id") == [1, 2]


def test_an_heir_meets_the_same_record_says_it_once_and_goes_on_with_the_rest(world: World) -> None:
    log = world.log(SHOPS, CALM)
    log.begin()
    log.start("shops")
    log.batch("shops", rows(1), damaged)
    log.finish("shops")
    log.settle()
    facts: list[object] = []

    def stop_when_stopped(fact: object) -> None:
        facts.append(fact)
        if isinstance(fact, PartitionStopped):
            former.stop.set()

    former = world.worker(report=stop_when_stopped)
    former.run()
    log.whole("calm", rows(1), rows(2))
    log.end()

    with pytest.raises(PartitionsStopped):
        world.run()

    assert [type(fact) for fact in (*facts, *world.facts)].count(PartitionStopped) == 2
    assert world.rows("SELECT count(*) FROM tenant.calm") == [2]
    (stop,) = world.progress().stops
    assert (stop.table_name, stop.is_held) == ("shops", False)


def test_a_partition_goes_on_by_itself_when_the_record_can_be_read_after_a_restart(world: World) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.whole("shops", rows(1), rows(2), rows(3))
    log.end()
    reading = pytest.MonkeyPatch()
    reading.setattr("consumer.prepare.open_value", lambda *_: b"as with the wrong key")
    with pytest.raises(PartitionsStopped):
        world.run()
    assert len(world.progress().stops) == 2
    reading.undo()

    progress = world.run()

    assert progress.stops == ()
    assert progress.tables[1, "shops"].applied == 3


def test_a_poisoned_control_topic_ends_the_consumer_by_name(world: World) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.whole("shops", rows(1))
    log.foreign_control([("format", b"1")], SECRET.encode())
    log.end()

    with pytest.raises(ContractError, match=r"@\d+: record without the headers of a replicator's log"):
        world.run()


def test_a_target_that_an_older_build_made_learns_of_stops(world: World) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.start("shops")
    log.batch("shops", rows(1), damaged)
    log.finish("shops")
    log.end()
    with pytest.raises(PartitionsStopped):
        world.run()
    world.make("DROP TABLE replicator.stops; UPDATE replicator.version SET version = 1")
    assert world.progress().stops == ()

    with pytest.raises(PartitionsStopped):
        world.run()

    assert world.rows("SELECT version FROM replicator.version") == [2]
    assert len(world.progress().stops) == 1


def test_records_deleted_below_a_position_are_refused_by_name(world: World) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.start("shops")
    log.batch("shops", rows(1))
    log.settle()

    def stop_when_applied(fact: object) -> None:
        if isinstance(fact, BatchesApplied):
            former.stop.set()

    former = world.worker(report=stop_when_applied)
    former.run()
    for number in range(2, 6):
        log.batch("shops", rows(number))
    log.settle()
    log.delete_records("shops", 0)

    with pytest.raises(LogError, match=r"shops has lost its first records \(retention, delete-records\)"):
        world.run()

    assert world.rows("SELECT id FROM tenant.shops") == [1]


def test_records_deleted_while_a_consumer_runs_end_it_by_name(world: World) -> None:
    log = world.log(SHOPS, SALES)
    log.begin()
    log.whole("sales", [{"id": 1, "parent_id": 1}], [{"id": 2, "parent_id": 1}])
    log.start("shops")
    log.batch("shops", rows(1))
    log.settle()
    deleted: list[int] = []

    def delete_what_waits(fact: object) -> None:
        if isinstance(fact, BatchesApplied) and not deleted:
            deleted.append(1)
            log.delete_records("sales", 0)
            log.finish("shops")
            log.end()

    with pytest.raises(LogError, match="sales-0: the log does not have the offset that the target expects"):
        world.run(report=delete_what_waits)

    assert world.rows("SELECT id FROM tenant.sales") != [1, 2]


def test_rows_that_were_set_aside_come_back_by_retry_once_their_record_can_be_read(
    world: World, consumer: Callable[..., str]
) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.whole("shops", rows(1, 2), rows(3))
    log.end()
    with pytest.MonkeyPatch.context() as reading:
        reading.setattr("consumer.prepare.open_value", lambda *_: b"as with the wrong key")
        with pytest.raises(PartitionsStopped):
            world.run()
    stops = world.progress().stops
    consumer("quarantine", "skip", *map(position, stops), "--yes")
    progress = world.run()
    assert progress.newest is not None
    assert (progress.newest.whole, progress.tables[1, "shops"].quarantined) == (False, 3)

    consumer("quarantine", "retry")

    progress = world.progress()
    assert world.rows("SELECT id FROM tenant.shops ORDER BY id") == [1, 2, 3]
    assert progress.newest is not None
    assert (progress.newest.whole, progress.tables[1, "shops"].applied) == (True, 3)


def test_replay_gets_a_table_out_whose_count_in_the_target_is_at_fault(
    world: World, consumer: Callable[..., str]
) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.start("shops")
    log.batch("shops", rows(1))
    log.settle()

    def stop_when_applied(fact: object) -> None:
        if isinstance(fact, BatchesApplied):
            former.stop.set()

    former = world.worker(report=stop_when_applied)
    former.run()
    world.make("UPDATE replicator.positions SET applied = applied + 1, batches = batches + 1 WHERE partition = 0")
    log.finish("shops")
    log.end()
    with pytest.raises(PartitionsStopped, match="1 rows in 1 batches here, 2 rows in 2 batches were applied"):
        world.run()

    consumer("replay", "--table", "shops", "--yes")

    assert world.progress().stops == ()
    progress = world.run()
    assert (progress.tables[1, "shops"].published, progress.tables[1, "shops"].applied) == (1, 1)


def test_only_what_has_stopped_can_be_skipped(world: World, consumer: Callable[..., str]) -> None:
    log = world.log(SHOPS)
    log.begin()
    log.whole("shops", rows(1))
    log.end()
    world.run()

    assert "no partition has stopped there" in consumer("quarantine", "skip", f"{log._prefix}.shops-0@1", code=2)
    assert "no position" in consumer("quarantine", "skip", "shops", code=2)
