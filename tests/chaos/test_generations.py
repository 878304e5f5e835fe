"""A second generation over a first: what changed at the source in between, and what changed in the migration.

One source with a table for each case is moved, changed, and moved again; each table must then be equal.
The random histories at the end draw such changes, kills and resumes from a seed (`tests.chaos.history`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from consumer.replay import plan_replay, replay
from consumer.session import Session
from consumer.worker import Options, Worker
from embedded.postgres import Postgres
from producer.snapshot import Places, Wish, run_snapshot
from runtime.keyring import Keyring, init_keyring
from runtime.progress import Progress, read_progress
from runtime.reporting import GenerationStarted, Notice
from runtime.settings import KafkaSettings, SourceSettings, TargetSettings
from runtime.shutdown import StopFlag
from schemas.catalogue import Constraint
from schemas.errors import LogError, Refused, ReplicatorError
from schemas.migration import parse_migration
from tests.chaos.history import live
from tests.made_log import table
from tests.oracle import differences
from tests.tenant import ask, fresh_databases
from tests.world import CUSTOMERS, World, customers

PLAIN = (
    "CREATE TABLE {t} (id int PRIMARY KEY, note text); INSERT INTO {t} SELECT i, 'n' || i FROM generate_series(1, 30) i"
)
UNIQUE = (
    "CREATE TABLE {t} (id int PRIMARY KEY, slot int UNIQUE DEFERRABLE); "
    "INSERT INTO {t} SELECT i, i FROM generate_series(1, 30) i"
)
TREE = (
    "CREATE TABLE {t} (id int PRIMARY KEY, parent int REFERENCES {t} DEFERRABLE INITIALLY DEFERRED); "
    "INSERT INTO {t} SELECT i, nullif(i - 1, 0) FROM generate_series(1, 30) i"
)
CHILD = (
    "CREATE TABLE {t}_parent (id int PRIMARY KEY); INSERT INTO {t}_parent SELECT generate_series(1, 9); "
    "CREATE TABLE {t} (id int PRIMARY KEY, parent int REFERENCES {t}_parent ON UPDATE CASCADE ON DELETE CASCADE); "
    "INSERT INTO {t} SELECT i, 1 + i % 9 FROM generate_series(1, 30) i"
)
SLEEPY = "CREATE TABLE {t} (id {type} PRIMARY KEY, slot {type} UNIQUE); INSERT INTO {t} VALUES {rows}"
ANY_CASE = "text COLLATE any_case"


def _equal(type_: str, rows: str) -> str:
    return SLEEPY.replace("{type}", type_).replace("{rows}", rows)


CASES = {
    "inserted": (
        PLAIN,
        "INSERT INTO {t} SELECT i, 'new' FROM generate_series(-5, 0) i; INSERT INTO {t} VALUES (99, 'new')",
    ),
    "updated": (PLAIN, "UPDATE {t} SET note = NULL WHERE id % 3 = 0"),
    "deleted": (PLAIN, "DELETE FROM {t} WHERE id IN (1, 15, 30)"),
    "emptied": (PLAIN, "TRUNCATE {t}"),
    "untouched": (PLAIN, ""),
    "filled": ("CREATE TABLE {t} (id int PRIMARY KEY, note text)", "INSERT INTO {t} VALUES (1, 'first')"),
    "rekeyed": (PLAIN, "UPDATE {t} SET id = id + 100 WHERE id % 4 = 0; UPDATE {t} SET id = id + 1 WHERE id IN (3, 7)"),
    "keys_passed_on": (PLAIN, "DELETE FROM {t} WHERE id = 1; UPDATE {t} SET id = id - 1"),
    "without_key": (
        "CREATE TABLE {t} AS SELECT i % 3 AS n FROM generate_series(1, 30) i",
        "DELETE FROM {t} WHERE n = 1; INSERT INTO {t} VALUES (2), (2), (NULL)",
    ),
    "swapped": (UNIQUE, "UPDATE {t} SET slot = CASE id WHEN 1 THEN 30 ELSE 1 END WHERE id IN (1, 30)"),
    "chained": (UNIQUE, "UPDATE {t} SET slot = slot + 1"),
    "circled": (UNIQUE, "UPDATE {t} SET slot = CASE WHEN slot = 30 THEN 1 ELSE slot + 1 END"),
    "freed_and_taken": (UNIQUE, "DELETE FROM {t} WHERE id = 7; INSERT INTO {t} VALUES (70, 7)"),
    "freed_and_taken_by_earlier": (
        UNIQUE,
        "UPDATE {t} SET slot = NULL WHERE id = 20; UPDATE {t} SET slot = 20 WHERE id = 2",
    ),
    "key_and_value_crosswise": (
        UNIQUE,
        "DELETE FROM {t}; INSERT INTO {t} SELECT i, 31 - i FROM generate_series(1, 30) i",
    ),
    "forward_reference": (TREE, "UPDATE {t} SET parent = 30 WHERE id = 1; INSERT INTO {t} VALUES (0, 31), (31, 0)"),
    "root_deleted": (TREE, "UPDATE {t} SET parent = NULL WHERE id = 2; DELETE FROM {t} WHERE id = 1"),
    "tree_turned": (TREE, "UPDATE {t} SET parent = nullif(id + 1, 31)"),
    "parent_rekeyed": (
        CHILD,
        "UPDATE {t}_parent SET id = id + 100 WHERE id < 4; UPDATE {t}_parent SET id = 1 WHERE id = 9",
    ),
    "parent_deleted": (CHILD, "UPDATE {t} SET parent = 2 WHERE id = 9; DELETE FROM {t}_parent WHERE id = 1"),
    # ---- values that compare equal and differ, in the key and in a unique column
    "any_case": (
        _equal(ANY_CASE, "('Word', 'One'), ('other', 'Two')"),
        "UPDATE {t} SET id = upper(id), slot = upper(slot)",
    ),
    "any_case_passed_on": (
        _equal(ANY_CASE, "('a', 'x'), ('b', 'y')"),
        "DELETE FROM {t} WHERE id = 'a'; INSERT INTO {t} VALUES ('A', 'Y2'), ('c', 'X')",
    ),
    "digits": (_equal("numeric", "(1.1, 2.20), (3, 4.0)"), "UPDATE {t} SET id = id + 0.00, slot = trim_scale(slot)"),
    "minus_zero": (_equal("float8", "('-0', '0'), (1, 2)"), "UPDATE {t} SET id = 0, slot = '-0' WHERE id = 0"),
    "blanks": (
        _equal("bpchar", "('a', 'b  '), ('c  ', 'd')"),
        "UPDATE {t} SET id = rtrim(id) || '    ', slot = rtrim(slot)",
    ),
    "any_case_swapped": (
        (
            "CREATE TABLE {t} (id int PRIMARY KEY, slot text COLLATE any_case UNIQUE DEFERRABLE); "
            "INSERT INTO {t} VALUES (1, 'One'), (2, 'Two')"
        ),
        "UPDATE {t} SET slot = CASE id WHEN 1 THEN 'TWO' ELSE 'oNE' END",
    ),
    "padded": (
        _equal("char(5)", "('a', 'b'), ('c', 'd')"),
        "UPDATE {t} SET slot = slot::text || ' ', id = upper(id)",
    ),
}


@dataclass
class Mover:
    """Moves one source to one target, in this process."""

    source_url: str
    target_url: str
    bootstrap: str
    name: str
    keyring: Keyring | None = None

    def text(self, *, tables: str = '"*"', log: str = "partitions = 2", more: str = "") -> str:
        return f'tenant = "{self.name}"\ntables = {tables}\n{more}\n[log]\n{log}\n[batch]\nmax_rows = 7\n'

    def snapshot(self, text: str = "", **wish: object) -> None:
        migration = parse_migration(text or self.text(), "test.toml")
        kafka = KafkaSettings(self.bootstrap)
        places = Places(source=SourceSettings(self.source_url), kafka=kafka, migration=migration, keyring=self.keyring)
        assert run_snapshot(places, Wish(**wish), lambda fact: None) is not None  # type: ignore[arg-type]

    def session(self, text: str = "") -> Session:
        return Session(
            migration=parse_migration(text or self.text(), "test.toml"),
            keyring=self.keyring,
            kafka=KafkaSettings(self.bootstrap),
            target=TargetSettings(self.target_url),
            environment={},
        )

    def load(self, text: str = "", report: Callable[[object], None] = lambda fact: None) -> Progress:
        progress = Worker(self.session(text), Options(until_complete=True), report, StopFlag()).run()
        assert progress is not None
        return progress

    def replay(self, generation: int | None) -> None:
        with psycopg.connect(self.target_url, autocommit=True) as connection:
            progress = read_progress(connection, self.name)
            assert progress is not None
            digest = self.session().migration.digest()
            replay(connection, plan_replay(progress, {}, generation=generation, digest=digest, reapply=False))

    def change(self, script: str) -> None:
        ask(self.source_url, script)

    def differences(self, tables: tuple[str, ...] | None = None) -> list[str]:
        return differences(self.source_url, self.target_url, schemas={"public": f"tenant_{self.name}"}, tables=tables)

    def target(self, query: str) -> list[tuple[object, ...]]:
        return ask(self.target_url, query, path=f"tenant_{self.name}")


@pytest.fixture
def mover(server_url: str, bootstrap: str, prefix: str) -> Iterator[Mover]:
    with fresh_databases(server_url) as (source_url, target_url):
        yield Mover(source_url, target_url, bootstrap, prefix)


@pytest.fixture(scope="module")
def twice(server_url: str, bootstrap: str) -> Iterator[Mover]:
    """Every case after its second generation."""
    with fresh_databases(server_url) as (source_url, target_url):
        mover = Mover(source_url, target_url, bootstrap, source_url.rpartition("/")[2])
        mover.change("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        for name, (made, _) in CASES.items():
            mover.change(made.format(t=name))
        mover.snapshot()
        mover.load()
        for name, (_, then) in CASES.items():
            with psycopg.connect(source_url) as connection:  # one transaction a case
                for statement in then.format(t=name).split("; "):
                    if statement:
                        connection.execute("SET CONSTRAINTS ALL DEFERRED")
                        connection.execute(statement.encode())
        mover.snapshot()
        assert mover.load().newest is not None
        yield mover


@pytest.mark.parametrize("name", CASES)
def test_a_second_generation_makes_a_table_equal_whatever_changed(twice: Mover, name: str) -> None:
    assert twice.differences((name,)) == []


def test_after_the_second_generation_everything_is_equal_and_whole(twice: Mover) -> None:
    with psycopg.connect(twice.target_url, autocommit=True) as connection:
        progress = read_progress(connection, twice.name)
    assert progress is not None
    assert progress.newest is not None

    assert twice.differences() == []
    assert progress.newest.whole
    assert {key.state for key in progress.foreign_keys} == {"valid"}
    for name in CASES:
        instant = progress.tables[2, name].instant
        found = twice.target(f"SELECT count(*) FROM {name} WHERE migrated_at <> '{instant}'")
        assert found == [(0,)], f"{name} has rows of the first generation"


@pytest.mark.parametrize("generation", [None, 1])
def test_a_replay_of_any_generation_ends_with_every_row_untouched(twice: Mover, generation: int | None) -> None:
    def versions() -> dict[str, list[tuple[object, ...]]]:
        return {
            name: twice.target(f"SELECT ctid::text, xmin::text, * FROM {name}")
            for name in CASES
            if name != "without_key"  # such tables are written anew
        }

    before = versions()

    twice.replay(generation)
    twice.load()

    assert twice.differences() == []
    assert versions() == before


# ---------------------------------------------------------------- parts, quarantine


def test_a_partial_generation_takes_nothing_away_and_the_next_complete_one_does(mover: Mover) -> None:
    mover.change(PLAIN.format(t="chosen") + ";" + PLAIN.format(t="others"))
    mover.snapshot()
    mover.load()
    for name in ("chosen", "others"):
        mover.change(f"DELETE FROM {name} WHERE id = 3; UPDATE {name} SET note = 'new' WHERE id = 5")

    mover.snapshot(tables=("chosen",))
    mover.load()

    assert mover.target("SELECT id, note FROM chosen WHERE id IN (3, 5)") == [(3, "n3"), (5, "new")]
    assert mover.target("SELECT id, note FROM others WHERE id IN (3, 5)") == [
        (3, "n3"),
        (5, "n5"),
    ]
    mover.snapshot()
    mover.load()
    assert mover.differences() == []


def test_what_a_row_in_quarantine_may_have_kept_alive_is_not_pruned(
    bootstrap: str, target_url: str, prefix: str
) -> None:
    parent = table(
        "parents",
        "id bigint",
        "note text",
        checks=(Constraint(name="parents_check", definition="CHECK ((note <> 'bad'::text))"),),
    )
    child = table(
        "children",
        "id bigint",
        "parent_id bigint",
        "note text",
        parent="parents",
        checks=(Constraint(name="children_check", definition="CHECK ((note <> 'bad'::text))"),),
    )

    def rows(*ids: int, note: str = "good", **more: object) -> list[dict[str, object]]:
        return [{"id": n, "note": note, **more} for n in ids]

    world = World(bootstrap, target_url, prefix)
    log = world.log(parent, child)
    log.begin(1, second=1)
    log.whole("parents", rows(1, 2, 3))
    log.whole("children", rows(1, 2, 3, parent_id=1))
    log.end()
    log.begin(2, second=2)
    log.whole("parents", rows(1, 2))
    log.whole("children", [*rows(1, note="bad", parent_id=1), *rows(2, parent_id=1)])
    log.end()

    progress = world.run()

    assert progress.newest is not None
    assert not progress.newest.whole
    assert world.rows("SELECT id FROM tenant.children ORDER BY id") == [1, 2, 3]  # 3 vanished, and has to wait
    assert world.rows("SELECT id FROM tenant.parents ORDER BY id") == [1, 2, 3]
    log.begin(3, second=3)
    log.whole("parents", rows(1))
    log.whole("children", rows(1, 4, parent_id=1))
    log.end()
    progress = world.run()
    assert progress.newest is not None
    assert progress.newest.whole
    assert world.rows("SELECT id FROM tenant.children ORDER BY id") == [1, 4]
    assert world.rows("SELECT id FROM tenant.parents ORDER BY id") == [1]
    log.close()


def test_a_batch_that_was_on_its_way_while_its_generation_was_abandoned_does_not_stay(
    bootstrap: str, target_url: str, prefix: str
) -> None:
    world = World(bootstrap, target_url, prefix)
    log = world.log(CUSTOMERS)
    log.begin(1, second=1)
    log.start("customers")
    log.abandon()
    log.begin(2, second=2)
    log.whole("customers", customers(1))
    log.end()

    def late(fact: object) -> None:
        if isinstance(fact, GenerationStarted):  # found empty by now; another consumer commits only then
            world.make("INSERT INTO tenant.customers VALUES (7, 'late', '2026-01-01 00:00:01+00')")

    world.run(report=late)

    assert world.rows("SELECT id FROM tenant.customers") == [1]
    log.close()


def test_rows_of_an_abandoned_generation_do_not_outlive_the_next(mover: Mover) -> None:
    mover.change(PLAIN.format(t="plain"))
    mover.snapshot()
    mover.load()
    mover.change("UPDATE plain SET note = 'of the abandoned'; INSERT INTO plain VALUES (77, 'of the abandoned')")

    def dies(fact: object) -> None:
        if type(fact).__name__ == "TableDone":
            raise KeyboardInterrupt

    migration = parse_migration(mover.text(), "test.toml")
    kafka = KafkaSettings(mover.bootstrap)
    places = Places(source=SourceSettings(mover.source_url), kafka=kafka, migration=migration, keyring=None)
    with pytest.raises(KeyboardInterrupt):
        run_snapshot(places, Wish(), dies)
    with contextmanager(_loading)(mover, "SELECT 1 FROM plain WHERE id = 77"):
        mover.change("DELETE FROM plain WHERE id = 77; UPDATE plain SET note = 'of the third'")
    mover.snapshot(is_restart=True)
    mover.load()

    assert mover.differences() == []


def _loading(mover: Mover, until: str) -> Iterator[None]:
    """A consumer that runs until the target shows something, and is then stopped."""
    stop = StopFlag()

    def report(fact: object) -> None:
        if type(fact).__name__ == "TargetCommitted" and mover.target(until):
            stop.set()

    Worker(mover.session(), Options(), report, stop).run()
    yield


# ---------------------------------------------------------------- another migration


def test_a_table_that_came_into_the_migration_is_moved_and_one_that_left_stays_as_it_was(mover: Mover) -> None:
    for name in ("always", "leaves", "comes"):
        mover.change(PLAIN.format(t=name))
    first, second = mover.text(tables='["always", "leaves"]'), mover.text(tables='["always", "comes"]')
    mover.snapshot(first)
    mover.load(first)
    mover.change("UPDATE leaves SET note = 'unseen'; DELETE FROM always WHERE id = 1")
    facts: list[object] = []

    mover.snapshot(second)
    mover.load(second, facts.append)

    assert mover.differences(("always", "comes")) == []
    assert mover.target("SELECT count(*) FROM leaves WHERE note = 'unseen'") == [(0,)]
    assert Notice("leaves: no longer in the migration; its rows stay as they are") in facts


def test_partitions_and_schema_cannot_change_and_what_differs_is_named(mover: Mover) -> None:
    mover.change(PLAIN.format(t="plain"))
    mover.snapshot()
    mover.load()

    with pytest.raises(LogError, match="partitions are 2, must be 5"):
        mover.snapshot(mover.text(log="partitions = 5"))
    elsewhere = mover.text(more='schema = "elsewhere"')
    mover.snapshot(elsewhere)
    with pytest.raises(Refused, match=r'was moved into schema .* now says "elsewhere"'):
        mover.load(elsewhere)


@pytest.mark.parametrize(
    "rules",
    ['[table.plain]\nencrypt = ["note"]', '[table.plain.transform]\nnote = "bigint"'],
    ids=["encrypted", "transformed"],
)
def test_a_column_that_is_to_be_stored_otherwise_is_refused_before_a_row_is_written(
    mover: Mover, rules: str, tmp_path: Path
) -> None:
    init_keyring(tmp_path / "keyring.json", mover.name, bytes(32))
    mover.keyring = Keyring.open(tmp_path / "keyring.json", bytes(32))
    mover.change(
        "CREATE TABLE plain (id int PRIMARY KEY, note numeric); INSERT INTO plain SELECT i, i FROM generate_series(1, 9) i"
    )
    mover.snapshot()
    mover.load()
    before = mover.target("SELECT ctid::text, * FROM plain")
    changed = mover.text() + rules + "\n"
    mover.snapshot(changed)

    with pytest.raises(ReplicatorError, match="note") as refused:
        mover.load(changed)

    assert refused.value.hint
    assert mover.target("SELECT ctid::text, * FROM plain") == before
    mover.snapshot()
    assert mover.target("SELECT ctid::text, * FROM plain") == before


# ---------------------------------------------------------------- random histories


def test_random_histories_of_writes_kills_and_resumes_end_equal(bootstrap: str) -> None:
    with Postgres(
        is_durable=False
    ) as server:  # its own: transactions stay open, which the whole server's snapshots show
        for seed in (3, 7):
            live(seed, server.dsn(), bootstrap)
