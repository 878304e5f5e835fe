"""One random history: a source that is written to between, and during, snapshots that are killed and resumed.

It is drawn from its seed: one to four generations, each read in as many calls as its kills ask for, complete
or of some tables, abandoned now and then, the source written to between the calls; consumers run in between
and are killed, too. At its end, and whenever a complete generation was applied and the source is still what
it shows, the target must equal the source; a replay of any generation must leave every row as it is.

Snapshots and consumers are processes that die by SIGKILL at a fact of theirs; they are forked from a server
that has everything imported, because a history has many.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import secrets
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from consumer.replay import plan_replay, replay
from consumer.session import Session
from consumer.worker import Options, Worker
from producer import tables as producing
from producer.snapshot import Places, Wish, run_snapshot
from runtime.kafka import Admin
from runtime.progress import GenerationState, Progress, read_progress
from runtime.settings import KafkaSettings, SourceSettings, TargetSettings
from runtime.shutdown import StopFlag
from schemas.migration import Migration, parse_migration
from tests.chaos import writing
from tests.oracle import differences
from tests.tenant import fresh_databases

ENDS_S = 60.0
_SNAPSHOT_FACTS = ("GenerationStarted", "BatchesRead", "RecordSent", "LogCommitting", "LogCommitted", "TableDone")
_CONSUMER_FACTS = (
    "RecordPolled",
    "RowsCopied",
    "TargetCommitting",
    "TargetCommitted",
    "IndexesMade",
    "OffsetsCommitted",
)

Report = Callable[[object], None]


class Diverged(Exception):
    """A history did not end as it must; says which, and what it did."""


@dataclass(frozen=True)
class Tenant:
    """Where a history takes place. Picklable: its processes are told of it."""

    name: str
    source_url: str
    target_url: str
    bootstrap: str
    text: str

    @property
    def migration(self) -> Migration:
        return parse_migration(self.text, "history.toml")

    @property
    def session(self) -> Session:
        return Session(
            migration=self.migration,
            keyring=None,
            kafka=KafkaSettings(self.bootstrap),
            target=TargetSettings(self.target_url),
            environment={},
        )

    def progress(self) -> Progress | None:
        """What the target knows."""
        with psycopg.connect(self.target_url, autocommit=True) as connection:
            found = connection.execute("SELECT to_regclass('replicator.tenants') IS NOT NULL").fetchone()
            return read_progress(connection, self.name) if found is not None and found[0] else None


@dataclass(frozen=True)
class Death:
    """At which fact, told for which time, a process dies."""

    fact: str
    count: int


# ---------------------------------------------------------------- processes that may die


def snapshot(tenant: Tenant, wish: Wish, death: Death | None, records: int) -> None:
    """One call of the producer, in a process of its own; few records a transaction, because a source is small."""
    producing._TRANSACTION_RECORDS = records
    places = Places(
        source=SourceSettings(tenant.source_url),
        kafka=KafkaSettings(tenant.bootstrap),
        migration=tenant.migration,
        keyring=None,
    )
    run_snapshot(places, wish, _deadly(death))


def consume(tenant: Tenant, death: Death | None) -> None:
    """One consumer, in a process of its own."""
    Worker(tenant.session, Options(until_complete=True), _deadly(death), StopFlag()).run()


def _deadly(death: Death | None) -> Report:
    left = 0 if death is None else death.count

    def report(fact: object) -> None:
        nonlocal left
        left -= death is not None and type(fact).__name__ == death.fact
        if death is not None and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return report


_forks = multiprocessing.get_context("forkserver")


@dataclass
class History:
    """One history, from its seed. `told` is what was done, for who has to find out why it diverged."""

    seed: int
    tenant: Tenant
    told: list[str] = field(default_factory=list)
    kills: int = 0
    checks: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._open: list[writing.Connection] = []

    def live(self) -> None:
        """Everything; raises `Diverged`."""
        with psycopg.connect(self.tenant.source_url, autocommit=True) as self._writer:
            self._write()
            for _ in range(self.dice.randint(0, 3)):
                self._generation(is_last=False)
            self._generation(is_last=True)
        for connection in self._open:
            connection.close()

    def _generation(self, *, is_last: bool) -> None:
        partial_tables = () if is_last or self.dice.random() < 0.7 else self._some_tables()
        wish = Wish(tables=partial_tables)
        while self.dice.random() < 0.75:
            death = Death(self.dice.choice(_SNAPSHOT_FACTS), self.dice.choice((1, 2, 3, 5, 9, 17, 30)))
            if not self._snapshot(wish, death):
                break
            self._between()
            if self.dice.random() < 0.12:
                wish = Wish(tables=partial_tables, is_restart=True)
            elif wish.is_restart:
                wish = Wish(tables=partial_tables)
        else:
            self._snapshot(wish, None)
        if is_last or self.dice.random() < 0.5:
            self._consume(None)
            if not partial_tables:
                self._see_equal()
                if self.dice.random() < 0.25:
                    self._replay()
        if not is_last:
            self._between()

    def _some_tables(self) -> tuple[str, ...]:
        chosen = set(self.dice.sample(writing.TABLES, self.dice.randint(1, 6)))
        return tuple(name for name in writing.TABLES if name in chosen)

    def _between(self) -> None:
        if self.dice.random() < 0.15:
            fact = self.dice.choice(_CONSUMER_FACTS)
            self._consume(Death(fact, self.dice.choice((1, 2, 4, 8, 20))), for_s=self.dice.choice((1.0, 2.0)))
        if self.dice.random() < 0.8:
            self._write()

    def _write(self) -> None:
        if self._open and self.dice.random() < 0.5:
            with self._open.pop() as connection:
                writing.end(self.dice, connection)
            self.told.append("  an open transaction ended")
        count = self.dice.randint(1, 12)
        writing.write(self.dice, self._writer, count)
        self.told.append(f"  {count} transactions")
        if len(self._open) < 2 and self.dice.random() < 0.3:
            connection = psycopg.connect(self.tenant.source_url, autocommit=True)
            writing.write_and_stay_open(self.dice, connection)
            self._open.append(connection)
            self.told.append("  a transaction stays open")

    def _snapshot(self, wish: Wish, death: Death | None) -> bool:
        """Whether it was killed."""
        return self._run(snapshot, "snapshot", (wish, death, self.dice.choice((1, 1, 2, 6))))

    def _consume(self, death: Death | None, *, for_s: float = ENDS_S) -> bool:
        return self._run(consume, "consumer", (death,), for_s=for_s, must_end=death is None)

    def _run(
        self,
        act: Callable[..., None],
        name: str,
        arguments: tuple[object, ...],
        *,
        for_s: float = ENDS_S,
        must_end: bool = True,
    ) -> bool:
        process = _forks.Process(target=_told, args=(act, self.tenant, *arguments), daemon=True)
        process.start()
        process.join(for_s)
        if process.is_alive():
            process.kill()
            process.join()
            if must_end:
                raise Diverged(self._story(f"{name} did not end within {for_s:.0f} s"))
        self.told.append(f"{name} {arguments}: {process.exitcode}")
        if process.exitcode not in (0, -signal.SIGKILL):
            raise Diverged(self._story(f"{name} ended with {process.exitcode}"))
        self.kills += process.exitcode != 0
        return process.exitcode != 0

    def _replay(self) -> None:
        """Set everything back, to any generation: what is there must stay as it is, to the last system column."""
        progress = self.tenant.progress()
        assert progress is not None
        alive = [n for n, item in progress.generations.items() if item.state is GenerationState.ENDED]
        number = self.dice.choice([None, *alive])
        before = _versions(self.tenant)
        admin = Admin(KafkaSettings(self.tenant.bootstrap))
        begin = {
            (topic, partition): offset
            for topic in {topic for topic, _ in progress.positions}
            for partition, offset in admin.begin_offsets(topic).items()
        }
        with psycopg.connect(self.tenant.target_url, autocommit=True) as connection:
            digest = self.tenant.migration.digest()
            replay(connection, plan_replay(progress, begin, generation=number, digest=digest, reapply=False))
        self.told.append(f"replay of {number or 'the newest'}")
        self._consume(None)
        self._see_equal()
        after = _versions(self.tenant)
        if changed := [table for table in before if before[table] != after[table] and table != "keyless"]:
            raise Diverged(self._story(f"a replay has changed {changed}"))

    def _see_equal(self) -> None:
        self.checks += 1
        found = differences(
            self.tenant.source_url, self.tenant.target_url, schemas={"public": f"tenant_{self.tenant.name}"}
        )
        progress = self.tenant.progress()
        assert progress is not None
        newest = progress.newest
        assert newest is not None
        if newest.state is not GenerationState.ENDED or not newest.whole:
            found.append(f"generation {newest.generation} is {newest.state}, whole {newest.whole}")
        for item in progress.tables_of(newest.generation):
            if (item.applied, item.quarantined) != (item.published, 0):
                found.append(f"{item.table_name}: {item.published} published, {item.applied} applied")
        found += [f"key {key.name} is {key.state}" for key in progress.foreign_keys if key.state != "valid"]
        if found:
            raise Diverged(self._story("; ".join(found)))

    def _story(self, end: str) -> str:
        return "\n".join([f"history {self.seed} ({self.tenant.name}): {end}", *self.told])


def _told(act: Callable[..., None], *arguments: object) -> None:
    try:
        act(*arguments)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _versions(tenant: Tenant) -> dict[str, list[tuple[object, ...]]]:
    """Which version of each row is there."""
    with psycopg.connect(tenant.target_url, autocommit=True) as connection:
        return {
            table: connection.execute(
                f"SELECT ctid, xmin, migrated_at FROM tenant_{tenant.name}.{table}".encode()
            ).fetchall()
            for table in writing.TABLES
        }


@contextmanager
def _tenant(seed: int, server_url: str, bootstrap: str) -> Iterator[Tenant]:
    dice = random.Random(f"tenant {seed}")
    name = f"h{secrets.token_hex(4)}"
    text = (
        f'tenant = "{name}"\ntables = "*"\n[log]\npartitions = {dice.choice((1, 2, 3))}\n'
        f"[batch]\nmax_rows = {dice.choice((3, 7, 20, 1000))}\n"
    )
    with fresh_databases(server_url) as (source_url, target_url):
        with psycopg.connect(source_url, autocommit=True) as connection:
            connection.execute(writing.SCHEMA)
        yield Tenant(name, source_url, target_url, bootstrap, text)
    admin = Admin(KafkaSettings(bootstrap))
    admin.delete_topics(sorted(topic for topic in admin.topics() if topic.startswith(f"{name}.")))


@dataclass(frozen=True)
class Lived:
    """What a history that ended well has seen."""

    seed: int
    kills: int
    checks: int


def live(seed: int, server_url: str, bootstrap: str) -> Lived:
    """Live the history of a seed.

    Raises:
        Diverged: source and target differ, or a program failed.
    """
    _forks.set_forkserver_preload([__name__])
    with _tenant(seed, server_url, bootstrap) as tenant:
        history = History(seed, tenant)
        history.live()
        return Lived(seed, history.kills, history.checks)
