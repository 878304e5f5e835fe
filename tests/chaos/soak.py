"""The soak: rounds of storm and peace. In a storm everything of the schedule happens; in peace the tenant must converge.

    soak(draw(seed), seed)    # a Tally without problems

After each storm the source stands still, everybody is started again and left alone; the newest generation must end
in the target, never standing still for `CONVERGES_S`, and then source and target must be
equal by the product's own proof, by the oracle, and row by row.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from consumer.session import group_id
from embedded.server import wait_until
from runtime.control import read_control
from runtime.kafka import Admin, Partition
from runtime.keyring import init_keyring, load_keyring, make_kek_file
from runtime.postgres import is_transient
from runtime.progress import is_installed
from runtime.settings import kafka_settings
from tests.chaos import shop
from tests.chaos.arena import Arena, arena
from tests.chaos.comparison import compare
from tests.chaos.converged import converged
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.scene import write_scene
from tests.chaos.schedule import Round
from tests.chaos.strikes import Striker
from tests.chaos.tally import Tally
from tests.chaos.watching import Watch
from tests.oracle import differences

CONVERGES_S = 120.0  # without a movement; also on two cores that do a dozen other things
LONGEST_S = 5 * CONVERGES_S
MAX_ROWS = 20
PULSE_S = 0.2
BEGINS_S = 30.0
OFFSETS_FOLLOW_S = 30.0
AHEAD = 1  # generations that the log may be ahead of the target
PAUSE_S = 0.5  # between a complete generation and the change before the next


@dataclass
class Soak:
    """One soak in its servers."""

    arena: Arena
    folder: Path
    seed: int
    tally: Tally
    ledger: Ledger
    tenant: str = ""
    environment: dict[str, str] = field(default_factory=dict)  # by the proxies
    changes: int = 0

    def __post_init__(self) -> None:
        self._changing = threading.Lock()  # the source, between two generations
        self._counted: dict[str, tuple[int, int, int]] = {}  # attempts, generations ended and abandoned, by tenant

    def begin_tenant(self, number: int) -> None:
        """A tenant, log and schema of its own: its next generation is its first."""
        if self.tenant:
            with psycopg.connect(self.arena.target_url, autocommit=True) as connection:
                connection.execute(f"DROP SCHEMA IF EXISTS tenant_{self.tenant} CASCADE".encode())
        self.tenant = name = f"soak{number}"
        migration = self.folder / f"{name}.toml"
        migration.write_text(shop.MIGRATION.format(tenant=name, max_rows=MAX_ROWS), encoding="utf-8")
        keyring, kek = self.folder / f"{name}.keyring", self.folder / f"{name}.kek"
        init_keyring(keyring, name, make_kek_file(kek))
        keys = {"MIGRATION": str(migration), "KEYRING": str(keyring), "KEYRING_KEK_FILE": str(kek)}
        self.environment = {**self.arena.proxied, **keys}
        self.ledger.begin(name)

    @property
    def direct(self) -> dict[str, str]:
        """The tenant's variables without the proxies."""
        return {**self.environment, **self.arena.direct}

    def round(self, drawn: Round, watch: Watch) -> None:
        """One storm, and the peace after it."""
        if drawn.is_fresh or not self.tenant:
            self.begin_tenant(drawn.number)
            watch.tenant = self.tenant
        logs = self.folder / f"round{drawn.number}"
        logs.mkdir()
        fleet = Fleet(
            self.tenant,
            self.environment,
            logs,
            self.tally,
            may_produce=self._is_following,
            before_producer=self.ledger.producer_starts,
            after_producer=lambda version, is_complete: self._producer_ended(fleet, version, is_complete),
        )
        striker = Striker(self.arena, fleet, self.ledger, self.tally, self.seed)
        try:
            fleet.start(drawn.consumers)
            with self._pulse(striker):
                wait_until(lambda: self._generations("true") > 0, BEGINS_S)
                _storm(drawn, striker)
            self._peace(drawn, fleet)
        finally:
            fleet.close()

    def _producer_ended(self, fleet: Fleet, version: int, is_complete: bool) -> None:
        self.ledger.producer_ended(version, is_complete=is_complete)
        if not is_complete:
            return
        time.sleep(PAUSE_S)
        with self._changing:
            if fleet.changes_source:
                self.changes += 1
                self.ledger.change(shop.change(self.seed * 1_000_003 + self.changes))

    def _peace(self, drawn: Round, fleet: Fleet) -> None:
        name = f"round {drawn.number} ({self.tenant})"
        with self._changing:
            fleet.changes_source = False
        self.arena.make_peace()
        fleet.thaw()
        fleet.peaceful_since = time.monotonic()
        began = time.monotonic()
        is_complete = wait_until(lambda: self.ledger.complete_version == self.ledger.version, CONVERGES_S)
        if not fleet.stop_producing() or not is_complete:
            self.tally.problem(f"{name}: no complete generation {CONVERGES_S:.0f} s after the faults; see {fleet.logs}")
            return
        if not self._comes_to_its_end():
            waited_s = time.monotonic() - began
            write_scene(fleet, fleet.logs / "scene", self.direct, self.arena.target_url)
            self.tally.problem(f"{name}: not converged {waited_s:.0f} s after the faults: {self._standing()}")
            return
        self.tally.converging_s.append(time.monotonic() - began)
        wait_until(self._kafka_was_told, OFFSETS_FOLLOW_S)  # if not, the proof says so
        fleet.stop_consuming()
        self._prove(name)

    def _comes_to_its_end(self) -> bool:
        """Whether the newest generation ends; given up when nothing has moved for `CONVERGES_S`, or moves for ever."""
        last, began = self._moved(), time.monotonic()
        moved_at = began
        while not self._has_ended():
            now = self._moved()
            if now != last:
                last, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > CONVERGES_S or time.monotonic() - began > LONGEST_S:
                return False
            time.sleep(PULSE_S)
        return True

    def _is_following(self) -> bool:
        """Whether the consumers are near enough for another generation: a log far ahead of them would only be waited for."""
        try:
            return self._generations("state = 'running'") <= AHEAD
        except psycopg.Error:
            return False

    def _generations(self, which: str) -> int:
        """How many of the tenant's generations the target knows, of a kind."""
        with psycopg.connect(self.arena.target_url, autocommit=True, connect_timeout=5) as connection:
            if not is_installed(connection):
                return 0
            row = connection.execute(
                f"SELECT count(*) FROM replicator.generations WHERE tenant = %s AND {which}".encode(), (self.tenant,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def _has_ended(self) -> bool:
        """Whether every generation of the log is over in the target, and the newest has ended there."""
        with psycopg.connect(self.arena.target_url, autocommit=True) as connection:
            try:
                row = connection.execute(
                    "SELECT count(*) FILTER (WHERE state = 'ended'), count(*) FILTER (WHERE state = 'running'), "
                    "max(generation) FILTER (WHERE state = 'ended') = max(generation), max(generation) "
                    "FROM replicator.generations WHERE tenant = %s",
                    (self.tenant,),
                ).fetchone()
            except psycopg.errors.UndefinedTable:
                return False
        return row is not None and row[0] > 0 and row[1] == 0 and bool(row[2]) and row[3] == self._newest()

    def _newest(self) -> int:
        """The newest generation of the log."""
        settings = kafka_settings(self.direct)
        latest = read_control(settings, self.tenant, self.tenant, load_keyring(self.direct)).latest
        return 0 if latest is None else latest.number

    def _kafka_was_told(self) -> bool:
        """Whether Kafka's committed offsets have followed the positions, which they do some seconds later."""
        with psycopg.connect(self.arena.target_url, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT topic, partition, next_offset FROM replicator.positions WHERE tenant = %s", (self.tenant,)
            ).fetchall()
        told = Admin(kafka_settings(self.direct)).committed_offsets(group_id(self.tenant))
        return all(told.get(Partition(topic, number)) == offset for topic, number, offset in rows)

    def _standing(self) -> str:
        with psycopg.connect(self.arena.target_url, autocommit=True) as connection:
            if not is_installed(connection):
                return "the target knows of nothing"
            rows = connection.execute(
                "SELECT generation, table_name, attempt, state, applied, published FROM replicator.table_progress "
                "WHERE tenant = %s AND generation = (SELECT max(generation) FROM replicator.generations WHERE tenant = %s)",
                (self.tenant, self.tenant),
            ).fetchall()
        return "; ".join(" ".join(map(str, row)) for row in rows)

    def _prove(self, name: str) -> None:
        schema = f"tenant_{self.tenant}"
        found = compare(self.arena.source_url, self.arena.target_url, schema)
        self.tally.rows += found.rows
        self.tally.lost += found.lost
        self.tally.duplicated += found.duplicated
        self.tally.stale += found.stale
        if found.lost or found.duplicated or found.stale:
            self.tally.problem(f"{name}: {found}")
        said = differences(
            self.arena.source_url, self.arena.target_url, schemas={"public": schema}, except_columns=shop.ENCRYPTED
        )
        said += converged(self.direct)
        for sentence in said:
            if not _is_known(sentence):
                self.tally.problem(f"{name}: {sentence}")
        with psycopg.connect(self.arena.target_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT (SELECT sum(attempt) FROM replicator.tables WHERE tenant = %(tenant)s), "
                "count(*) FILTER (WHERE state = 'ended'), count(*) FILTER (WHERE state = 'abandoned') "
                "FROM replicator.generations WHERE tenant = %(tenant)s",
                {"tenant": self.tenant},
            ).fetchone()
        assert row is not None
        self._counted[self.tenant] = (int(row[0]), row[1], row[2])
        counted = zip(*self._counted.values(), strict=True)
        self.tally.attempts, self.tally.generations, self.tally.abandoned = map(sum, counted)

    @contextmanager
    def _pulse(self, striker: Striker) -> Iterator[None]:
        """While it is entered: from each kill of a consumer, how long until something moves in the target."""
        stop = threading.Event()

        def feel() -> None:
            last = None
            while not stop.wait(PULSE_S):
                now = self._moved()
                if now is None:
                    striker.consumer_kills.clear()  # nothing is left to be applied
                elif last is not None and now != last and striker.consumer_kills:
                    at = time.monotonic()
                    self.tally.recoveries_s += [at - killed for killed in striker.consumer_kills]
                    striker.consumer_kills.clear()
                last = now

        thread = threading.Thread(target=feel, name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _moved(self) -> int | None:
        """A number that grows with each record applied; None when no generation runs. A server that is away stands still."""
        try:
            with psycopg.connect(self.arena.target_url, autocommit=True, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT (SELECT sum(next_offset)::bigint FROM replicator.positions WHERE tenant = %(tenant)s) "
                    "WHERE EXISTS (SELECT FROM replicator.generations WHERE tenant = %(tenant)s AND state = 'running')",
                    {"tenant": self.tenant},
                ).fetchone()
        except psycopg.Error as error:
            return -1 if is_transient(error) else None
        return None if row is None else row[0] or 0


def soak(rounds: Sequence[Round], seed: int, say: Callable[[str], None] = print) -> tuple[Tally, str]:
    """Run all rounds; returns what was counted, and what the full disk was. Logs are kept when something is wrong."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="replicator-soak-"))
    with arena() as servers:
        with psycopg.connect(servers.source_url, autocommit=True) as connection:
            connection.execute(shop.SCHEMA)
            connection.execute(shop.filling().encode())
        ledger = Ledger(servers.source_url)
        run = Soak(servers, folder, seed, tally, ledger)
        with Watch(servers.target_url, "none", ledger.published) as watch:
            for drawn in rounds:
                began, before, problems = time.monotonic(), tally.kills.total(), len(tally.problems)
                run.round(drawn, watch)
                tally.problems += [f"observer: {broken}" for broken in watch.found]
                watch.found.clear()
                say(
                    f"round {drawn.number}: tenant {run.tenant}, {tally.kills.total() - before} kills, "
                    f"{time.monotonic() - began:.0f} s, {len(tally.problems)} violations so far"
                )
                for problem in tally.problems[problems:]:
                    say(f"violation: {problem}")
            tally.looks, tally.looks_missed = watch.looks, watch.missed
            tally.largest_quarantine = watch.largest_quarantine
        disk = servers.disk.how
    tally.see_fences()
    if tally.problems:
        say(f"what the programs said is kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return tally, disk


def _storm(drawn: Round, striker: Striker) -> None:
    """Do every event at its time; what lasts does not keep the next one waiting."""
    began = time.monotonic()
    with ThreadPoolExecutor(24, thread_name_prefix="fault") as pool:
        done = []
        for event in drawn.events:
            time.sleep(max(0.0, event.at_s - (time.monotonic() - began)))
            done.append(pool.submit(striker.strike, event))
        time.sleep(max(0.0, drawn.storm_s - (time.monotonic() - began)))
    for future in done:
        future.result()


def _is_known(sentence: str) -> bool:
    """What the oracle cannot know: the check that an encrypted column's cells are sealed."""
    return any(
        f'"{table}" constraint "{column}_sealed": nothing became' in sentence for table, column in shop.ENCRYPTED
    )
