"""The consumer against a real Kafka and a real PostgreSQL: exactly once, in order, whatever dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from consumer.dry_run import dry_run
from consumer.retry import Work, retry
from embedded.server import wait_until
from runtime import advance, generations, ownership
from runtime.advance import Step
from runtime.postgres import Connection
from runtime.progress import read_quarantine
from runtime.reporting import BatchesApplied, Notice, TableDone, Waiting, Warned
from runtime.shutdown import StopFlag
from runtime.steps import RowsCopied, TableAnalyzed
from schemas.catalogue import Constraint, ForeignKey, Table
from schemas.errors import ContractError, LogError, NotWhole, Refused, TargetError
from schemas.migration import parse_migration
from tests.made_log import table
from tests.world import CLICKS, CUSTOMERS, ORDERS, World, clicks, customers, orders

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def world(bootstrap: str, target_url: str, prefix: str) -> Iterator[World]:
    made = World(bootstrap, target_url, prefix)
    yield made
    for log in made.logs:
        log.close()


CHILD = """
import os, signal, sys
from consumer.session import Session
from consumer.worker import Options, Worker
from consumer.backlog import Backlog
from runtime.reporting import BatchesApplied
from runtime.settings import KafkaSettings, TargetSettings
from runtime.shutdown import StopFlag
from schemas.migration import parse_migration

seen = []
def report(fact):
    seen.append(isinstance(fact, BatchesApplied))
    if sum(seen) == 3:  # committed in the target, Kafka not told
        os.kill(os.getpid(), signal.SIGKILL)

text, bootstrap, url = sys.argv[1:]
session = Session(migration=parse_migration(text, "test.toml"), keyring=None,
                  kafka=KafkaSettings(bootstrap), target=TargetSettings(url))
worker = Worker(session, Options(until_complete=True), report, StopFlag())
worker._flow.backlog = Backlog(max_batches=1)
worker.run()
"""


def test_killed_between_commit_and_offset_nothing_is_lost_and_nothing_twice(world: World) -> None:
    log = world.log(CLICKS)  # a table without a key would show a batch applied twice
    log.begin()
    log.whole("clicks", *[clicks(5)] * 8)
    log.end()
    tenant = world.session.tenant
    text = f'tenant = "{tenant}"\nschema = "tenant"\ntables = "*"\n[log]\npartitions = 2\n'
    killed = subprocess.run(
        [sys.executable, "-c", CHILD, text, world.session.kafka.bootstrap, world.url],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert world.rows("SELECT count(*) FROM tenant.clicks") == [15]

    progress = world.run()

    assert world.rows("SELECT count(*) FROM tenant.clicks") == [40]
    assert (progress.tables[1, "clicks"].published, progress.tables[1, "clicks"].applied) == (40, 40)


def test_a_lost_connection_to_the_target_costs_nothing(world: World) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.whole("clicks", *[clicks(5)] * 8)
    log.end()
    ended: list[bool] = []

    def end_backend_once(fact: object) -> None:
        if isinstance(fact, BatchesApplied) and not ended:
            ended.append(True)
            world.rows("SELECT pg_terminate_backend(owner_pid) FROM replicator.positions WHERE owner_pid IS NOT NULL")

    progress = world.run(report=end_backend_once, groups_of=1)

    assert ended
    assert world.rows("SELECT count(*) FROM tenant.clicks") == [40]
    assert progress.newest is not None
    assert progress.newest.whole


@pytest.mark.parametrize("moment", [RowsCopied, TableAnalyzed])
def test_a_backend_that_has_not_noticed_that_its_connection_was_lost_holds_nobody_up(
    world: World, moment: type
) -> None:
    """As behind a network that swallows everything: the server waits for a client that is long gone."""
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1, 2))
    log.end()
    kept: list[int] = []

    def lose_once(fact: object) -> None:
        world.facts.append(fact)
        if isinstance(fact, moment) and not kept:
            descriptor = worker._link.connection.fileno()
            kept.append(os.dup(descriptor))  # the server sees an open connection
            with socket.socket() as broken:
                os.dup2(broken.fileno(), descriptor)

    worker = world.worker(report=lose_once, until_complete=True)
    try:
        progress = worker.run()
    finally:
        os.close(kept.pop())

    assert progress is not None
    assert progress.newest is not None
    assert progress.newest.whole
    assert [fact for fact in world.facts if isinstance(fact, Waiting)] == [
        Waiting("the target (SQLSTATE none: connection lost)")
    ]


def test_a_connection_that_is_lost_while_a_position_is_looked_up_again_costs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.whole("clicks", *[clicks(5)] * 4)
    log.end()
    reclaim, done = ownership.reclaim, set[str]()

    def disown_once(fact: object) -> None:
        if isinstance(fact, RowsCopied) and "disowned" not in done:
            done.add("disowned")
            world.rows("UPDATE replicator.positions SET owner_pid = 0 RETURNING 1")

    def end_once(connection: Connection, *rest: Any) -> Any:
        if "ended" not in done:
            done.add("ended")
            world.rows(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 10000)")
        return reclaim(connection, *rest)

    monkeypatch.setattr(ownership, "reclaim", end_once)
    world.run(report=disown_once, groups_of=1)

    assert done == {"disowned", "ended"}
    assert world.rows("SELECT count(*) FROM tenant.clicks") == [20]


def test_processes_that_write_down_and_finish_a_table_at_once_do_not_block_each_other(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.start("customers")
    log.batch("customers", customers(1))
    log.settle()
    worker = world.worker(report=lambda fact: worker.stop.set() if isinstance(fact, BatchesApplied) else None)
    worker.run()
    tenant, topic = world.session.tenant, f"{world.session.prefix}.customers"
    place = {"generation": 1, "table": "customers"}
    with world.session.connect() as one, world.session.connect() as other, ThreadPoolExecutor() as pool:
        places = ownership.claim(other, tenant, {(topic, 0): "customers", (topic, 1): "customers"}, "other")
        steps = [
            Step(partition=at, believed=item.next_offset, next_offset=item.next_offset + 1, generation=1, attempt=1)
            for at, item in sorted(places.items())
        ]
        pid = other.info.backend_pid

        def finish() -> bool:
            with other.transaction():
                return advance.finish_partitions(other, tenant, "customers", steps)

        with one.transaction():
            one.execute("SELECT FROM replicator.generations FOR UPDATE")  # as everybody who writes down a generation
            finishing = pool.submit(finish)
            blocked = f"SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
            assert wait_until(lambda: bool(one.execute(blocked.encode()).rowcount), 20)
            generations.note_published(one, tenant, attempt=1, rows=1, **place)

        finishing.result()  # raises the deadlock, if there was one; whether the other partition has begun is chance


def test_an_heir_ends_an_owner_that_is_frozen_in_its_transaction(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1, 2))
    log.end()
    session, topic = world.session, f"{world.session.prefix}.customers"
    with session.connect() as frozen:
        advance.install(frozen)
        frozen.execute("SET search_path TO replicator")
        generations.register_tenant(
            frozen,
            tenant=session.tenant,
            schema_name="tenant",
            log_id=log._log,
            prefix=session.prefix,
            made_schema=True,
        )
        ownership.claim(frozen, session.tenant, {(topic, 0): "customers", (topic, 1): "customers"}, "frozen")
        frozen.execute("BEGIN")
        frozen.execute("UPDATE positions SET updated_at = now()")  # holds the rows, and never goes on

        progress = world.run()

        with pytest.raises(psycopg.OperationalError):
            frozen.execute("COMMIT")
    assert progress.tables[1, "customers"].applied == 2


def test_no_row_comes_before_its_parent_table_is_complete_whichever_process_has_it(world: World) -> None:
    bills = table("bills", "id bigint", "parent_id bigint", parent="customers")  # its topic comes before its parent's
    log = world.log(CUSTOMERS, bills)
    log.begin()
    log.whole("customers", *[customers(*range(n * 10, n * 10 + 10)) for n in range(1, 21)])
    log.whole("bills", *[orders(*range(n * 10, n * 10 + 10), parent=10 + n) for n in range(20)])
    log.end()
    both = [world.worker(until_complete=True, groups_of=1) for _ in range(2)]
    threads = [threading.Thread(target=worker.run) for worker in both]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    parent_done = world.facts.index(TableDone("customers", 200))
    child_begun = next(
        n for n, fact in enumerate(world.facts) if isinstance(fact, BatchesApplied) and fact.table == "bills"
    )
    assert parent_done < child_begun
    assert world.rows("SELECT count(*) FROM tenant.bills") == [200]
    assert world.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'bills_parent_fkey'") == [True]


def test_a_next_generation_replaces_swaps_and_prunes(world: World) -> None:
    log = world.log(CUSTOMERS, CLICKS)
    log.begin(1, second=1)
    log.whole("customers", customers(1, 2, 3))
    log.whole("clicks", clicks(4))
    log.end()
    log.begin(2, second=2)
    log.whole("customers", [{"id": 1, "email": "c2"}, {"id": 2, "email": "c1"}])
    log.whole("clicks", clicks(1))
    log.end()

    progress = world.run()

    assert world.rows("SELECT id, email FROM tenant.customers ORDER BY id") == [(1, "c2"), (2, "c1")]
    assert world.rows("SELECT count(*) FROM tenant.clicks") == [1]
    assert progress.tables[2, "customers"].pruned == 1
    assert progress.newest is not None
    assert progress.newest.whole
    assert world.rows("SELECT conname FROM pg_constraint WHERE conname = 'customers_email_key'") == [
        "customers_email_key"
    ]


def test_a_key_that_somebody_dropped_is_told_with_what_to_do(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin(1, second=1)
    log.whole("customers", customers(1))
    log.end()
    world.run()
    world.make("ALTER TABLE tenant.customers DROP CONSTRAINT customers_pkey")
    log.begin(2, second=2)
    log.whole("customers", customers(1, 2))
    log.end()

    with pytest.raises(TargetError, match="customers") as told:
        world.run()

    assert "no key any more" in told.value.hint
    world.make("ALTER TABLE tenant.customers ADD PRIMARY KEY (id)")
    world.run()
    assert world.rows("SELECT count(*) FROM tenant.customers") == [2]


def test_a_later_attempt_stands_and_what_only_the_earlier_one_had_is_gone(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.start("customers")
    log.batch("customers", customers(1, 2))
    log.batch("customers", customers(3))
    log.start("customers", second=2)
    log.batch("customers", customers(1, 3, mail="new{}"))
    log.finish("customers")
    log.end()

    progress = world.run()

    assert world.rows("SELECT id, email FROM tenant.customers ORDER BY id") == [(1, "new1"), (3, "new3")]
    assert progress.tables[1, "customers"].applied == 2


def test_an_abandoned_generation_is_passed_over(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin(1, second=1)
    log.start("customers")
    log.batch("customers", customers(7))
    log.abandon()
    log.begin(2, second=2)
    log.whole("customers", customers(1))
    log.end()

    world.run()

    assert world.rows("SELECT id FROM tenant.customers") == [1]


def test_a_row_that_cannot_be_applied_stands_in_quarantine_and_its_children_wait(world: World) -> None:
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.whole("customers", customers(1, 666, 2))
    log.whole("orders", orders(1), orders(2, parent=666))
    log.end()

    progress = world.run()

    assert world.rows("SELECT id FROM tenant.customers ORDER BY id") == [1, 2]
    (key,) = progress.foreign_keys
    assert (key.name, key.state) == ("orders_parent_fkey", "waiting")
    assert progress.newest is not None
    assert progress.newest.whole is False
    with psycopg.connect(world.url) as connection:
        (row,) = read_quarantine(connection, world.session.tenant)
    assert (row.table_name, row.row_index, row.sqlstate) == ("customers", 1, "23514")
    assert row.constraint_name == "customers_id_check"
    assert len(row.key_digest) == 16
    assert "666" not in row.reason


def test_a_group_of_which_no_row_can_be_applied_does_not_hinder_the_next(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1))
    log.end()
    world.run()
    log.begin(2, second=2)
    log.whole("customers", customers(666), customers(666), customers(2), customers(3))  # one first on each partition
    log.end()

    progress = world.run(groups_of=1)

    assert world.rows("SELECT id FROM tenant.customers ORDER BY id") == [1, 2, 3]
    assert progress.tables[2, "customers"].quarantined == 2


def test_a_key_that_the_source_breaks_stays_not_valid_and_is_called_inherited(world: World) -> None:
    key = ORDERS.foreign_keys[0]
    broken = ForeignKey(
        name=key.name,
        columns=key.columns,
        parent=key.parent,
        parent_columns=key.parent_columns,
        definition=key.definition,
        validated=False,
    )
    log = world.log(CUSTOMERS, Table(name="orders", columns=ORDERS.columns, foreign_keys=(broken,)))
    log.begin()
    log.whole("customers", customers(1))
    log.whole("orders", orders(1, parent=404))
    log.end()

    progress = world.run()

    assert [found.state for found in progress.foreign_keys] == ["inherited"]
    assert world.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'orders_parent_fkey'") == [False]
    assert progress.newest is not None
    assert progress.newest.whole


def test_on_error_abort_stops_at_the_first_bad_row_and_keeps_nothing_of_its_group(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1, 666))
    log.end()

    with pytest.raises(NotWhole, match=r"customers: .*@\d+ row 1 cannot be applied"):
        world.run(aborts=True)

    assert world.rows("SELECT count(*) FROM tenant.customers") == [0]
    assert world.rows("SELECT count(*) FROM replicator.quarantine") == [0]


def test_a_partition_that_lacks_rows_is_never_taken_for_complete(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.start("customers")
    log.batch("customers", customers(1))
    log._rows["customers"][0].append(1)  # the marker will tell of a batch that is not there
    log.finish("customers")
    log.end()

    with pytest.raises(ContractError, match="customers has 2 rows in 2 batches here, 1 rows in 1 batches"):
        world.run()


def test_a_batch_that_does_not_follow_is_not_applied(world: World) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.start("clicks")
    log._rows["clicks"][0].append(1)  # the batch that is sent calls itself the second
    log.batch("clicks", clicks(1))
    log.finish("clicks")
    log.end()

    with pytest.raises(ContractError, match="not those that must follow"):
        world.run()

    assert world.rows("SELECT count(*) FROM tenant.clicks") == [0]


def test_topics_made_anew_are_noticed(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1))
    log.end()
    world.run()
    world.rows("UPDATE replicator.tenants SET log_id = 'another' RETURNING 1")

    with pytest.raises((Refused, LogError), match="another"):
        world.run()


def test_another_migration_than_the_snapshots_is_refused(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.migration = parse_migration(f'tenant = "{world.session.tenant}"\nschema = "elsewhere"\ntables = "*"\n', "other")
    log.begin()
    log.whole("customers", customers(1))
    log.end()

    with pytest.raises(
        Refused, match="differs from the one that generation 1 was read with: partitions is another; schema"
    ):
        world.run()


def test_another_migration_is_refused_though_another_consumer_has_prepared_the_generation(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", *[customers(*range(n * 10, n * 10 + 10)) for n in range(8)])
    log.end()
    first = world.worker(
        groups_of=1, report=lambda fact: first.stop.set() if isinstance(fact, BatchesApplied) else None
    )
    first.run()
    applied = world.rows("SELECT count(*) FROM tenant.customers")
    text = world.text + '[table.customers.add]\nnote = { type = "text", value = "?" }\n'
    world.session = replace(world.session, migration=parse_migration(text, "other.toml"))

    with pytest.raises(Refused, match=r"other.toml: the migration differs from the one that generation 1 was read"):
        world.run()

    assert world.rows("SELECT count(*) FROM tenant.customers") == applied


def test_a_dry_run_says_what_would_be_refused_and_leaves_nothing(world: World) -> None:
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.whole("customers", customers(1, 666))
    log.whole("orders", orders(1))
    log.end()

    seen = dry_run(world.session, world.facts.append, StopFlag())

    assert seen.rows == {"customers": 1, "orders": 1}
    assert [(row.table, row.row_index) for row in seen.refused] == [("customers", 1)]
    left = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public$)'"
    assert world.rows(left) == []


def test_stopped_in_order_it_gives_its_positions_back_and_tells_kafka(world: World) -> None:
    log = world.log(CUSTOMERS)
    log.begin()
    log.start("customers")
    log.batch("customers", customers(1))
    log.settle()

    def stop_when_applied(fact: object) -> None:
        if isinstance(fact, BatchesApplied):
            worker.stop.set()

    worker = world.worker(report=stop_when_applied)
    worker.run()

    positions = world.progress().positions.values()
    assert {item.owner_pid for item in positions} == {None}
    committed = world.session.admin().committed_offsets(world.session.group)
    assert {place.number: offset for place, offset in committed.items()} == {
        item.partition: item.next_offset for item in positions
    }


def test_what_a_dead_consumer_left_when_all_was_applied_is_given_back_and_told_to_kafka(world: World) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.whole("clicks", clicks(5))
    log.end()
    ended = world.run()
    world.make(
        "UPDATE replicator.positions SET owner_pid = 1, owner_backend_start = now(), owner_member = 'dead', "
        "committed_offset = NULL"
    )

    world.run()

    (after,) = world.progress().positions.values()
    (before,) = ended.positions.values()
    assert (after.owner_pid, after.next_offset, after.committed_offset) == (
        None,
        before.next_offset,
        before.next_offset,
    )


def test_tables_that_left_the_migration_are_told_and_kept(world: World) -> None:
    log = world.log(CUSTOMERS, CLICKS)
    log.begin(1, second=1)
    log.whole("customers", customers(1))
    log.whole("clicks", clicks(2))
    log.end()
    fewer = world.log(CUSTOMERS)
    fewer.begin(2, second=2)
    fewer.whole("customers", customers(1))
    fewer.end()

    world.run()

    assert world.rows("SELECT count(*) FROM tenant.clicks") == [2]
    assert Notice("clicks: no longer in the migration; its rows stay as they are") in world.facts


ODD = table(
    "odd", "url text", key=None, checks=(Constraint(name="odd_check", definition="CHECK ((url <> '/1'::text))"),)
)


def test_a_table_without_a_key_that_was_replaced_whole_gets_no_row_of_its_former_quarantine(world: World) -> None:
    log = world.log(ODD)
    log.begin()
    log.whole("odd", clicks(3))
    log.end()
    world.run()
    log.begin(2, second=2, only=["odd"])
    log.whole("odd", clicks(3))
    log.end()
    world.run()
    world.make("ALTER TABLE tenant.odd DROP CONSTRAINT odd_check")

    with world.session.connect() as connection:
        retried = retry(world.session, connection, world.facts.append)

    assert (retried.applied, retried.refused) == (1, 0)
    assert world.rows("SELECT url FROM tenant.odd ORDER BY 1") == ["/0", "/1", "/2"]


def test_a_row_whose_table_begins_anew_while_it_is_tried_again_is_not_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.log(ODD)
    log.begin()
    log.whole("odd", clicks(2))
    log.end()
    world.run()
    world.make("ALTER TABLE tenant.odd DROP CONSTRAINT odd_check")
    opened = Work._frame

    def begin_anew(work: Work, *row: Any) -> Any:
        frame = opened(work, *row)
        world.make("DELETE FROM replicator.quarantine")  # as the table's next attempt does
        return frame

    monkeypatch.setattr(Work, "_frame", begin_anew)
    with world.session.connect() as connection:
        retried = retry(world.session, connection, world.facts.append)

    assert (retried.applied, retried.refused) == (0, 1)
    assert world.rows("SELECT url FROM tenant.odd") == ["/0"]


MADE_BY_SOMEBODY = """
CREATE SCHEMA tenant;
CREATE TABLE tenant.customers (rank int DEFAULT 7, email text UNIQUE DEFERRABLE, id bigint PRIMARY KEY CHECK (id <> 666),
  migrated_at timestamptz NOT NULL);
CREATE TABLE tenant.orders (id bigint PRIMARY KEY, parent_id bigint REFERENCES tenant.customers, migrated_at timestamptz
  NOT NULL);
"""


def test_a_schema_that_somebody_else_made_is_filled_with_its_constraints_on(world: World) -> None:
    world.make(MADE_BY_SOMEBODY)
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.whole("customers", customers(1))
    log.whole("orders", orders(1), orders(2, parent=404))
    log.end()

    progress = world.run()

    assert progress.tenant.made_schema is False
    assert world.rows("SELECT rank FROM tenant.customers") == [7]
    assert world.rows("SELECT id FROM tenant.orders") == [1]
    assert progress.tables[1, "orders"].quarantined == 1


def test_a_connection_that_is_lost_while_rows_get_their_last_chance_costs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make(MADE_BY_SOMEBODY)
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", [{"id": 1, "email": "one"}, {"id": 2, "email": "two"}])
    log.end()
    world.run()
    log.begin(2, second=2)
    log.whole("customers", [{"id": 1, "email": "two"}], [{"id": 2, "email": "one"}])
    log.end()
    together, ended = Work.try_together, []

    def end_once(work: Work, *rows: Any) -> bool:
        if not ended:
            ended.append(world.rows(f"SELECT pg_terminate_backend({work.connection.info.backend_pid}, 10000)"))
        return together(work, *rows)

    monkeypatch.setattr(Work, "try_together", end_once)
    progress = world.run(groups_of=1)

    assert ended
    assert world.rows("SELECT id, email FROM tenant.customers ORDER BY 1") == [(1, "two"), (2, "one")]
    assert progress.newest is not None
    assert progress.newest.whole


def test_a_schema_that_cannot_take_the_rows_is_refused_with_what_to_run(world: World) -> None:
    world.make(
        "CREATE SCHEMA tenant;"
        "CREATE TABLE tenant.customers (id int PRIMARY KEY, email text UNIQUE, boss int REFERENCES tenant.customers,"
        " must int NOT NULL);"
        "CREATE TABLE tenant.orders (id bigint PRIMARY KEY DEFERRABLE, parent_id bigint, migrated_at timestamptz);"
    )
    log = world.log(CUSTOMERS, ORDERS)
    log.begin()
    log.whole("customers", customers(1))
    log.end()

    with pytest.raises(Refused) as refused:
        world.run()

    for statement in (
        'ALTER TABLE "customers" ALTER COLUMN "id" TYPE bigint',
        'ALTER TABLE "customers" ADD COLUMN "migrated_at" timestamp with time zone',
        'ALTER TABLE "customers" ALTER COLUMN "must" DROP NOT NULL',
        'ALTER TABLE "orders" DROP CONSTRAINT "orders_pkey";',
        'ALTER TABLE "orders" ADD CONSTRAINT "orders_pkey" PRIMARY KEY (id);',
        'ADD CONSTRAINT "customers_email_key" UNIQUE (email) DEFERRABLE',
        'ALTER TABLE "customers" ALTER CONSTRAINT "customers_boss_fkey" DEFERRABLE',
        'ALTER TABLE "customers" ADD CONSTRAINT "customers_id_check" CHECK ((id <> 666))',
        'ALTER TABLE "orders" ADD CONSTRAINT "orders_parent_fkey" FOREIGN KEY (parent_id) REFERENCES customers(id)',
    ):
        assert statement in str(refused.value)


def test_offsets_set_back_in_kafka_are_noticed_and_move_nothing(world: World) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.whole("clicks", clicks(3))
    log.end()
    world.run()
    assert world.rows("UPDATE replicator.positions SET committed_offset = committed_offset + 100 RETURNING 1") == [1]

    world.run()

    (warning,) = [fact for fact in world.facts if isinstance(fact, Warned)]
    assert "consumer replay" in warning.text
    assert world.rows("SELECT count(*) FROM tenant.clicks") == [3]


def test_more_rows_in_quarantine_than_allowed_stop_the_run(world: World) -> None:
    limited = world.session.migration.model_copy(
        update={"apply": world.session.migration.apply.model_copy(update={"max_quarantined": 1})}
    )
    world.session = replace(world.session, migration=limited)
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1, 666), [{"id": 666, "email": "again"}])
    log.end()

    with pytest.raises(NotWhole, match="more than 1 rows cannot be applied"):
        world.run()


def test_columns_that_the_source_lacks_are_filled_by_constant_and_by_sql(world: World) -> None:
    text = (
        f'tenant = "{world.session.tenant}"\nschema = "tenant"\ntables = "*"\n[log]\npartitions = 2\n'
        '[table.customers.add]\ntenant_id = { type = "text", value = "rawdog" }\n'
        'loud = { type = "text", sql = "upper(email) || \'!\'" }\n'
    )
    world.session = replace(world.session, migration=parse_migration(text, "test.toml"))
    log = world.log(CUSTOMERS)
    log.begin()
    log.whole("customers", customers(1))
    log.end()

    world.run()

    assert world.rows("SELECT tenant_id, loud FROM tenant.customers") == [("rawdog", "C1!")]
