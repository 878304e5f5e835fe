"""How long nothing moves after a consumer was killed: `./dev chaos --recovery`.

Consumers apply a log that is long enough to last; every few seconds one of them is killed and replaced.
What is measured is the time from the kill until a batch of a partition that the dead one owned is
durable in the target. Also how the partitions are shared, and how fast it goes, with 1, 2 and 4 consumers.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from consumer.membership import SESSION_TIMEOUT_S
from embedded.server import wait_until
from tests import servers
from tests.tenant import QUIET, Tenant, ask, fresh_databases

ALLOWED_S = SESSION_TIMEOUT_S + 2.0
LIMIT_S = 300.0

SOURCE = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, note text);
INSERT INTO customers SELECT i, md5(i::text) FROM generate_series(1, {customers}) i;
INSERT INTO orders SELECT i, 1 + i % {customers}, repeat(md5(i::text), 3) FROM generate_series(1, {orders}) i;
"""
MIGRATION = """tenant = "{name}"
tables = ["customers", "orders"]
[log]
partitions = {partitions}
[batch]
max_rows = {batch_rows}
[table.customers]
keep = {{ name = "made up" }}
[table.orders]
keep = {{ note = "made up" }}
"""
# A slow target keeps a small log long: each batch waits a moment in the target.
SLOW = """
CREATE FUNCTION {schema}.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({pause_s}); RETURN NULL; END $$;
CREATE TRIGGER wait AFTER INSERT ON {schema}.orders FOR EACH STATEMENT EXECUTE FUNCTION {schema}.wait();
"""

Place = tuple[str, int]
POSITIONS = """
SELECT topic, partition, next_offset, owner_member, finished_generation FROM replicator.positions WHERE tenant = '{name}'
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is moved, so that it lasts."""

    customers: int = 2_000
    orders: int = 60_000
    batch_rows: int = 20
    pause_s: float = 0.2  # of the target after each transaction of orders


@dataclass
class Fleet:
    """One tenant and its consumers; each is known by the place where it began, and by its name in the target."""

    tenant: Tenant
    consumers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def join(self, process: subprocess.Popen[str] | None = None) -> str:
        """Start a consumer, or take one that was started, and wait until it owns a partition; its name."""
        known = set(self.consumers)
        process = process or self.tenant.start("consumer", "run", *QUIET)
        name = self._until(
            "a consumer that joined owns a partition", lambda: next(iter(set(self.owners()) - known), None)
        )
        self.consumers[name] = process
        return name

    def start(self, count: int) -> None:
        """Start consumers, one after the other."""
        for _ in range(count):
            self.join()

    def kill(self, name: str) -> None:
        """Kill a consumer as a machine would."""
        process = self.consumers.pop(name)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.tenant.running.remove(process)

    def stop(self) -> None:
        """Stop all of them in order."""
        for process in self.consumers.values():
            process.send_signal(signal.SIGTERM)
        for process in self.consumers.values():
            self.tenant.end(process)
        self.consumers.clear()

    def positions(self) -> dict[Place, tuple[int, str | None, int]]:
        """Of each partition the position, its owner and the generation it has finished."""
        rows = self.tenant.target(POSITIONS.format(name=self.tenant.name)) if self._is_known() else []
        return {(topic, partition): (offset, owner, done) for topic, partition, offset, owner, done in rows}

    def owners(self) -> dict[str, int]:
        """How many partitions each consumer owns, of all tables."""
        owners = [owner for _, owner, _ in self.positions().values() if owner is not None]
        return {owner: owners.count(owner) for owner in owners}

    def shared(self) -> dict[str, int]:
        """`owners`, when every consumer owns some, and none more than one partition beyond another."""

        def is_even() -> bool:
            found = sorted(self.owners().values())
            return len(found) == len(self.consumers) and found[-1] - found[0] <= 1

        self._until("the partitions are shared evenly", is_even)
        return self.owners()

    def lasts(self) -> dict[str, list[Place]]:
        """Partitions of orders that have more to come, by owner."""
        found: dict[str, list[Place]] = {}
        for place, (_, owner, done) in self.positions().items():
            if owner is not None and place[0].endswith(".orders") and not done:
                found.setdefault(owner, []).append(place)
        return found

    def recovery_s(self, victim: str) -> float:
        """Kill a consumer under load and start another; seconds until one of its partitions has moved on.

        Which comes first is the heir's choice: it takes long runs of one partition at a time.
        """
        mine = self.lasts()[victim]
        self.kill(victim)
        began = time.monotonic()
        before = self.positions()
        heir = self.tenant.start("consumer", "run", *QUIET)

        def has_moved() -> bool:
            now = self.positions()
            return any(now[place][0] > before[place][0] for place in mine)

        self._until("the partitions of a killed consumer move", has_moved)
        seconds = time.monotonic() - began
        self.join(heir)
        return seconds

    def _is_known(self) -> bool:
        return bool(self.tenant.target("SELECT to_regclass('replicator.positions') IS NOT NULL")[0][0])

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        found: list[Any] = []

        def is_so() -> bool:
            found[:] = [look()]
            for process in self.consumers.values():
                if process.poll() is not None:
                    out, err = process.communicate()
                    raise AssertionError(f"a consumer ended by itself\n{out}\n{err}")
            return bool(found[0])

        assert wait_until(is_so, LIMIT_S), f"not within {LIMIT_S:.0f} s: {what}"
        return found[0]


@contextmanager
def fleet(server_url: str, bootstrap: str, folder: Path, *, partitions: int, size: Size) -> Iterator[Fleet]:
    """A tenant whose log is complete and whose target is slow; no consumer runs."""
    name = f"scale_{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    file.write_text(MIGRATION.format(name=name, partitions=partitions, batch_rows=size.batch_rows))
    with fresh_databases(server_url) as (source_url, target_url), ExitStack() as stack:
        ask(source_url, SOURCE.format(customers=size.customers, orders=size.orders))
        environment = {
            "POSTGRES_URL": source_url,
            "NEW_POSTGRES_URL": target_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "MIGRATION": str(file),
        }
        tenant = Tenant(name, environment)
        stack.callback(tenant.close)
        tenant("producer", "snapshot", *QUIET)
        yield Fleet(tenant)


def slow_down(tenant: Tenant, size: Size) -> None:
    """Make the target slow, as soon as there is one."""

    def is_there() -> bool:
        return bool(tenant.target(f"SELECT to_regclass('{tenant.schema}.orders') IS NOT NULL")[0][0])

    assert wait_until(is_there, LIMIT_S), f"not within {LIMIT_S:.0f} s: the tenant's tables are there"
    tenant.target(SLOW.format(schema=tenant.schema, pause_s=size.pause_s))


def hurry(tenant: Tenant) -> None:
    """Make the target as fast as it is."""
    tenant.target(f"DROP FUNCTION {tenant.schema}.wait() CASCADE")


def differences(tenant: Tenant) -> str:
    """Rows of one side that the other lacks; '' when there are none, and each row is there once."""
    for table, columns in (("customers", "id, name"), ("orders", "id, customer_id, note")):
        query = f"SELECT count(*), count(DISTINCT id), sum(hashtextextended(row({columns})::text, 0)) FROM {table}"
        source, target = tenant.source(query)[0], tenant.target(query)[0]
        if source != target:
            return f"{table}: source {source[:2]}, target {target[:2]}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One size of fleet."""

    consumers: int
    partitions: int
    shares: tuple[int, ...]
    recoveries_s: tuple[float, ...]
    difference: str

    @property
    def line(self) -> str:
        """As a person reads it."""
        shares = "/".join(map(str, self.shares))
        median, worst = statistics.median(self.recoveries_s), max(self.recoveries_s)
        end = "equal" if not self.difference else self.difference
        return (
            f"{self.consumers} consumers, {self.partitions} partitions a table (shared {shares}): {len(self.recoveries_s)} "
            f"killed, the next batch after {median:.1f} s (median), {worst:.1f} s (worst); {end}"
        )


def measure(one: Fleet, *, consumers: int, partitions: int, kills: int, size: Size) -> Measured:
    """Kill consumers under load, one after the other; each is replaced by a new one."""
    with ThreadPoolExecutor(1) as pool:
        slowed = pool.submit(slow_down, one.tenant, size)
        one.start(consumers)
        slowed.result()
    shares = tuple(sorted(one.shared().values(), reverse=True))
    recoveries = []
    for _ in range(kills):
        victim = max(one.lasts(), key=lambda name: len(one.lasts()[name]))
        recoveries.append(one.recovery_s(victim))
    one.stop()
    hurry(one.tenant)
    one.tenant.load()
    return Measured(
        consumers=consumers,
        partitions=partitions,
        shares=shares,
        recoveries_s=tuple(recoveries),
        difference=differences(one.tenant),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every size of fleet; 1 when a recovery takes longer than it may, or the sides differ."""
    parser = argparse.ArgumentParser(prog="./dev chaos --recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=3, help="of each size of fleet (default 3)")
    options = parser.parse_args(argv)
    found = []
    with servers.postgres() as server_url, servers.kafka() as bootstrap, TemporaryDirectory() as folder:
        for partitions in (3, 12):
            for consumers in (1, 2, 4):
                size = Size()
                with fleet(server_url, bootstrap, Path(folder), partitions=partitions, size=size) as one:
                    found.append(
                        measure(one, consumers=consumers, partitions=partitions, kills=options.kills, size=size)
                    )
                print(found[-1].line, flush=True)
    times = [seconds for item in found for seconds in item.recoveries_s]
    print(
        f"all: {len(times)} killed, median {statistics.median(times):.1f} s, worst {max(times):.1f} s; "
        f"allowed {ALLOWED_S:.0f} s (session timeout {SESSION_TIMEOUT_S:.0f} s + 2 s)"
    )
    return 1 if max(times) > ALLOWED_S or any(item.difference for item in found) else 0


if __name__ == "__main__":
    sys.exit(main())
