"""Fixtures that give each test fresh databases and a topic prefix on real servers.

The servers are started when the first test asks for one. With pytest-xdist the workers
share the servers that the controlling process starts before them.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from tests import servers

ROOT = Path(__file__).parent.parent
WITHOUT_SERVERS = ("tests/unit", "tests/architecture")
READ_BY_PROGRAMS = ("POSTGRES_URL", "NEW_POSTGRES_URL", "KAFKA_", "KEYRING", "RAWDOG_", "MIGRATION")

MakeDatabase = Callable[..., str]

settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,  # the machine is noisy, and no test here is about time
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

running = pytest.StashKey[ExitStack]()


class Run(Protocol):
    """Runs one of the programs to its end, as a process."""

    def __call__(
        self,
        program: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        check: bool = False,
        timeout: float = 120,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]: ...


class Spawn(Protocol):
    """Starts one of the programs as a process; it is killed when the test ends."""

    def __call__(
        self, program: str, *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]: ...


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers that workers will share, before there are workers."""
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.getoption("numprocesses", None) or config.getoption("collectonly"):
        return
    if all(argument.startswith(WITHOUT_SERVERS) for argument in config.args):
        return
    stack = config.stash[running] = ExitStack()
    with ThreadPoolExecutor() as pool:
        database = pool.submit(stack.enter_context, servers.postgres())
        broker = pool.submit(stack.enter_context, servers.kafka())
    for variable, started in ((servers.POSTGRES_VARIABLE, database), (servers.KAFKA_VARIABLE, broker)):
        before = os.environ.get(variable)
        os.environ[variable] = started.result()
        stack.callback(_restore, variable, before)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started for the workers."""
    if running in config.stash:
        config.stash[running].close()


def _restore(variable: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = before


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """URL of a PostgreSQL superuser, on the maintenance database."""
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """Where Kafka listens."""
    with servers.kafka() as address:
        yield address


@pytest.fixture
def make_database(server_url: str) -> Iterator[MakeDatabase]:
    """Make fresh databases, `make_database(sql=None) -> URL`; they are dropped when the test ends."""
    made: list[str] = []

    def make(script: str | None = None) -> str:
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        made.append(name)
        url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        if script is not None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(script.encode())
        return url

    yield make

    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def source_url(make_database: MakeDatabase) -> str:
    """URL of a fresh, empty source database."""
    return make_database()


@pytest.fixture
def target_url(make_database: MakeDatabase) -> str:
    """URL of a fresh, empty target database."""
    return make_database()


@pytest.fixture
def prefix() -> str:
    """A topic prefix and tenant name that no other test has; its topics need not be deleted."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def environment(source_url: str, target_url: str, bootstrap: str) -> dict[str, str]:
    """The variables by which the programs find this test's databases and Kafka."""
    return {"POSTGRES_URL": source_url, "NEW_POSTGRES_URL": target_url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap}


@pytest.fixture
def run() -> Run:
    """Run a program to its end: `run("producer", "snapshot", env=environment)`."""

    def run_program(
        program: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        check: bool = False,
        timeout: float = 120,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", program, *args],
            env=_program_environment(env),
            cwd=cwd or ROOT,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{program} {' '.join(args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run_program


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a program and go on: `process = spawn("consumer", "run", env=environment)`; both outputs are pipes."""
    with ExitStack() as stack:

        def spawn_program(
            program: str, *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
        ) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", program, *args],
                env=_program_environment(env),
                cwd=cwd or ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)  # closes its pipes and waits
            stack.callback(process.kill)
            return process

        yield spawn_program


def _program_environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment without what the programs read, with `env` on top."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_PROGRAMS)}
    return {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **(env or {})}
