"""The servers of a soak, each behind a proxy, and the disk of the target that can be filled.

The programs connect through the proxies; the soak itself looks at the servers directly.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg

from embedded.account import ordinary_account
from embedded.kafka import Kafka
from embedded.postgres import SUPERUSER, Postgres
from tests.chaos.proxy import Proxy, Shape
from tests.chaos.schedule import Network

DISK_MB = 256
# Slow enough for a kill to hit a generation of some thousand rows in its middle.
SHAPES = {
    Network.KAFKA: Shape(0.001, 4_000_000),
    Network.SOURCE: Shape(0.001, 350_000),
    Network.TARGET: Shape(0.002, 700_000),
}
SLOW = Shape(0.15, 100_000)
SOURCE_DATABASE, TARGET_DATABASE = "shop", "platform"

_INJECTED = """
CREATE OR REPLACE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: injected' USING ERRCODE = '53100'; END $$;
CREATE OR REPLACE TRIGGER disk_is_full BEFORE UPDATE ON replicator.positions EXECUTE FUNCTION public.disk_is_full();
"""


class Disk(Protocol):
    """What the target's rows are stored on. `how` says whether it is one."""

    how: str

    def fill(self) -> None:
        """Leave no room."""

    def free(self) -> None:
        """Leave room again; nothing happens when there is."""


@dataclass
class Mounted:
    """A memory file system of its own, which a tablespace lies on; the server's log of changes lies elsewhere."""

    folder: Path
    how: str = f"a mount of {DISK_MB} MB, filled to the last byte"

    def fill(self) -> None:
        """Write a file until there is no room."""
        block = bytes(1024 * 1024)
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while block:
                    if ballast.write(block) < len(block):
                        block = block[: len(block) // 2]
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Remove the file."""
        (self.folder / "ballast").unlink(missing_ok=True)


@dataclass
class Injected:
    """No mount can be made here: the error is raised by a trigger, and said to be."""

    url: str
    how: str = "injected (SQLSTATE 53100 from a trigger), because no file system can be mounted here"

    def fill(self) -> None:
        """Let every move of a position fail."""
        with suppress(psycopg.errors.UndefinedTable), psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(_INJECTED)

    def free(self) -> None:
        """Let positions move again."""
        with suppress(psycopg.errors.UndefinedTable), psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TRIGGER IF EXISTS disk_is_full ON replicator.positions")


@dataclass(frozen=True)
class Arena:
    """Running servers and their proxies."""

    folder: Path
    source: Postgres
    target: Postgres
    broker: Kafka
    proxies: Mapping[Network, Proxy]
    disk: Disk
    locks: Mapping[Network, threading.Lock]  # one restart of a server at a time

    @property
    def source_url(self) -> str:
        """The source, directly."""
        return self.source.dsn(SOURCE_DATABASE)

    @property
    def target_url(self) -> str:
        """The target, directly."""
        return self.target.dsn(TARGET_DATABASE)

    @property
    def direct(self) -> dict[str, str]:
        """The variables by which a program finds the servers themselves."""
        return {
            "POSTGRES_URL": self.source_url,
            "NEW_POSTGRES_URL": self.target_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap,
        }

    @property
    def proxied(self) -> dict[str, str]:
        """The variables by which a program finds the proxies."""
        source, target = self.proxies[Network.SOURCE], self.proxies[Network.TARGET]
        return {
            "POSTGRES_URL": f"postgresql://{SUPERUSER}@{source.address}/{SOURCE_DATABASE}",
            "NEW_POSTGRES_URL": f"postgresql://{SUPERUSER}@{target.address}/{TARGET_DATABASE}",
            "KAFKA_BOOTSTRAP_SERVERS": self.proxies[Network.KAFKA].address,
        }

    def crash(self, network: Network) -> None:
        """Let a server die at once, and start it again on what it left."""
        with self.locks[network]:
            if network is Network.KAFKA:
                self.broker.kill()
                self.broker.start()
            else:
                server = self.source if network is Network.SOURCE else self.target
                server.restart(immediate=True)

    def make_peace(self) -> None:
        """End every fault of the servers and of the network."""
        for network, lock in self.locks.items():
            self.proxies[network].heal()
            with lock:
                pass  # a restart that goes on is waited for
        self.disk.free()


@contextmanager
def arena() -> Iterator[Arena]:
    """Start two PostgreSQL servers and a broker, each behind a proxy; everything goes when it is left."""
    account = ordinary_account()
    folder = account.temporary_directory("replicator-chaos-")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        mount = account.make_directory(folder / "disk")
        is_mounted = _mount(mount)
        if is_mounted:
            stack.callback(_unmount, mount)
            account.own(mount)
        source = Postgres(folder / "source", is_durable=False)
        target = Postgres(folder / "target", is_durable=False)
        broker: Kafka
        proxies = {
            Network.KAFKA: Proxy(lambda: broker.behind, SHAPES[Network.KAFKA]),
            Network.SOURCE: Proxy(lambda: source.port, SHAPES[Network.SOURCE]),
            Network.TARGET: Proxy(lambda: target.port, SHAPES[Network.TARGET]),
        }
        broker = Kafka(folder / "kafka", advertised=proxies[Network.KAFKA].address)
        for server in (source, target, broker):
            stack.enter_context(server)
        for proxy in proxies.values():
            stack.enter_context(proxy)
        source.create_database(SOURCE_DATABASE)
        if is_mounted:
            tablespace = account.make_directory(mount / "tablespace")
            _create_on(target, tablespace)
        else:
            target.create_database(TARGET_DATABASE)
        disk: Disk = Mounted(mount) if is_mounted else Injected(target.dsn(TARGET_DATABASE))
        yield Arena(folder, source, target, broker, proxies, disk, {network: threading.Lock() for network in Network})


def _create_on(server: Postgres, tablespace: Path) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE bounded LOCATION '{tablespace}'".encode())
        connection.execute(f"CREATE DATABASE {TARGET_DATABASE} TABLESPACE bounded".encode())


def _mount(folder: Path) -> bool:
    """Whether a small file system could be mounted there: root may, others not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
