"""A tenant of a test's own, moved by the programs as processes: its databases, its migration, its keys.

Everything the programs say is kept in `said`, so that a test may search all of it.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from embedded import rawdog
from runtime.keyring import init_keyring, make_kek_file
from tests.conftest import READ_BY_PROGRAMS, ROOT
from tests.report_schema import checked

TOKENS = {
    "RAWDOG_SHOPIFY_ACCESS_TOKEN": f"{rawdog.CANARY}organizations-shopify",
    "RAWDOG_STRIPE_SECRET_KEY": f"{rawdog.CANARY}organizations-stripe",
}
QUIET = ("--progress", "none")


@dataclass(frozen=True)
class Tenant:
    """One tenant: by which variables the programs find it, and what they have said so far."""

    name: str
    environment: dict[str, str]
    said: list[str] = field(default_factory=list)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self, program: str, *arguments: str, code: int = 0, without: str = "", **changed: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; it must end with `code`. `without` takes variables away, by their beginning."""
        process = self.start(program, *arguments, without=without, **changed)
        return self.end(process, code)

    def start(self, program: str, *arguments: str, without: str = "", **changed: str) -> subprocess.Popen[str]:
        """Start a program and go on; `end` waits for it."""
        environment = {**_machine(), **self.environment, **changed}
        if without:
            environment = {name: value for name, value in environment.items() if not name.startswith(without)}
        process = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[str], *codes: int) -> subprocess.CompletedProcess[str]:
        """Wait for a program that must end with one of `codes`; none means 0."""
        out, err = process.communicate(timeout=150)
        self.running.remove(process)
        self.said.extend((out, err))
        assert process.returncode in (codes or (0,)), f"{process.args!r} ended with {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def close(self) -> None:
        """Kill what a test that failed has left running."""
        for process in self.running:
            process.kill()
            process.communicate()

    def load(self, code: int = 0, **changed: str) -> subprocess.CompletedProcess[str]:
        """Apply the log until the newest generation has ended."""
        return self("consumer", "run", "--until-complete", *QUIET, code=code, **changed)

    def json(self, program: str, *arguments: str, code: int = 0, **changed: str) -> Any:
        """What a program says as JSON; a report must keep its schema."""
        said = json.loads(self(program, *arguments, "--json", code=code, **changed).stdout)
        is_report = program == "validator" and arguments[0] in ("reconcile", "report") and "--keys" not in arguments
        return checked(said) if is_report else said

    @property
    def schema(self) -> str:
        """Its schema in the target."""
        return f"tenant_{self.name}"

    def source(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the source, or change it as its owner would."""
        return ask(self.environment["POSTGRES_URL"], query)

    def target(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the target, the tenant's schema first on the path."""
        return ask(self.environment["NEW_POSTGRES_URL"], query, path=self.schema)


def ask(url: str, query: str, *, path: str = "public") -> list[tuple[Any, ...]]:
    """Rows of a query under settings that both sides print alike with."""
    options = f"-c search_path={path},public -c TimeZone=UTC -c DateStyle=ISO,YMD"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def fresh_databases(server_url: str, count: int = 2) -> Iterator[list[str]]:
    """URLs of new, empty databases; they are dropped at the end."""
    names = [f"test_{secrets.token_hex(6)}" for _ in range(count)]
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield [urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")) for name in names]
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            for name in names:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def rawdog_tenant(
    server_url: str, bootstrap: str, folder: Path, *, mess: bool, seed: int = 1, migration: str | None = None
) -> Iterator[Tenant]:
    """RAWDOG as small as it gets, under a tenant and prefix of its own; `migration` instead of the shipped one."""
    name = f"rawdog_{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    text = (ROOT / "rawdog.toml").read_text() if migration is None else migration
    # `slug` keeps its value: it is a name in the new system, not in this one
    file.write_text(
        text.replace('tenant = "rawdog"', f'tenant = "{name}"')
        .replace('schema = "tenant_rawdog"', f'schema = "tenant_{name}"')
        .replace('prefix = "rawdog"', f'prefix = "{name}"')
    )
    init_keyring(folder / f"{name}.keyring", name, make_kek_file(folder / f"{name}.kek"))
    with fresh_databases(server_url) as (source_url, target_url):
        rawdog.load(source_url, scale=0.001, seed=seed, mess=mess, big_bytes=50_000)
        tenant = Tenant(
            name,
            {
                "POSTGRES_URL": source_url,
                "NEW_POSTGRES_URL": target_url,
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "MIGRATION": str(file),
                "KEYRING": str(folder / f"{name}.keyring"),
                "KEYRING_KEK_FILE": str(folder / f"{name}.kek"),
                **TOKENS,
            },
        )
        with closing(tenant):
            yield tenant


def _machine() -> Mapping[str, str]:
    """This process's environment without what the programs read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_PROGRAMS)}
    return {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
