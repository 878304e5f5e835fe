"""The ways from source to target that are compared: PostgreSQL's own tools, and ours."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from embedded.kafka import Kafka
from embedded.postgres import Postgres, find_programs
from tests.bench.datasets import Dataset
from tests.bench.measure import Command, Ended, Measured, Meter

FOREIGN_KEYS = """
SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND (NOT convalidated OR NOT %(keep_validated)s)
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of the bench; source and target are two, as in life."""

    source: Postgres
    target: Postgres
    kafka: Kafka

    def process_ids(self) -> dict[str, int]:
        """Process id of each server, by the name its CPU seconds stand under."""
        parts = {"source server": self.source, "target server": self.target, "kafka": self.kafka}
        return {name: server.running.pid for name, server in parts.items() if server.running is not None}


@dataclass(slots=True)
class Bench:
    """One data set on its servers; each way starts from an empty target of its own."""

    servers: Servers
    dataset: Dataset
    rows: int
    workspace: Path
    source_database: str
    _prefix: str = ""
    _target_database: str = ""
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.workspace / "commands.log"

    # -- PostgreSQL's own tools -------------------------------------------------------------

    def copy_with_foreign_keys(self) -> Measured:
        """Limit 1: binary COPY, piped by psql, into the same tables with their foreign keys in place."""
        return self._copy(keep_foreign_keys=True)

    def copy_without_foreign_keys(self) -> Measured:
        """Limit 2: the same without foreign keys."""
        return self._copy(keep_foreign_keys=False)

    def pg_dump_restore(self) -> Measured:
        """`pg_dump -Fc | pg_restore`, everything, one pipe."""
        with self._empty_target() as target:
            dump = Command("pg_dump", [_program("pg_dump"), "-Fc", self._source()], log=self._log)
            restore = Command("pg_restore", [_program("pg_restore"), "-d", target], log=self._log)
            meter = self._meter()
            return meter.stop(self.rows, _pipe(dump, restore))

    def pgcopydb(self) -> Measured:
        """`pgcopydb clone`, where it is installed."""
        with self._empty_target() as target:
            folder = str(self.workspace / f"pgcopydb-{secrets.token_hex(3)}")
            clone = ["pgcopydb", "clone", "--source", self._source(), "--target", target, "--dir", folder]
            meter = self._meter()
            return meter.stop(self.rows, {"pgcopydb": Command("pgcopydb", clone, log=self._log).run()})

    def _copy(self, *, keep_foreign_keys: bool) -> Measured:
        with self._empty_target() as target:
            _clone_schema(self._source(), target, keep_foreign_keys=keep_foreign_keys)
            meter = self._meter()
            ended: dict[str, Ended] = {}
            for table in self.dataset.tables:
                out = Command("psql out", _psql(self._source(), f'COPY "{table}" TO STDOUT (FORMAT binary)'))
                into = Command("psql in", _psql(target, f'COPY "{table}" FROM STDIN (FORMAT binary)'), log=self._log)
                ended = _sum(ended, _pipe(out, into))
            return meter.stop(self.rows, ended)

    # -- ours -------------------------------------------------------------------------------

    def ours(self) -> Iterator[tuple[str, Measured]]:
        """One migration, step by step: snapshot alone, apply alone, replay, reconcile."""
        with self._empty_target():
            self._new_log()
            yield "snapshot", self._timed("producer", "snapshot")
            yield "apply", self._timed("consumer", "run", "--until-complete")
            yield "reconcile", self._reconcile()
            yield "reconcile sampled", self._timed("validator", "reconcile", "--sample", "1000")
            self._command("consumer", "replay", "--yes").run()
            yield "replay", self._timed("consumer", "run", "--until-complete")
            self._command("producer", "drop-log", "--yes").run()

    def end_to_end(self) -> Measured:
        """Producer and consumer at once, from nothing to the applied generation; sealed and encrypted."""
        with self._empty_target():
            self._new_log()
            meter = self._meter()
            producer = self._command("producer", "snapshot").start()
            consumer = self._command("consumer", "run", "--until-complete").start()
            figures = meter.stop(self.rows, {"producer": producer.wait(), "consumer": consumer.wait()})
            self._command("producer", "drop-log", "--yes").run()
            return figures

    def _reconcile(self) -> Measured:
        """All layers; how many encrypted cells were decrypted and compared is in the report."""
        report = self.workspace / "report.json"
        measured = self._timed("validator", "reconcile", "--json-report", str(report))
        layers = json.loads(report.read_text(encoding="utf-8"))["layers"]
        return replace(measured, cells=sum(layer["looked_at"] for layer in layers if layer["layer"] == "cells"))

    def _timed(self, program: str, *arguments: str) -> Measured:
        meter = self._meter()
        return meter.stop(self.rows, {program: self._command(program, *arguments).run()})

    def _command(self, program: str, *arguments: str) -> Command:
        migration = self.workspace / "migration.toml"
        command = [sys.executable, "-m", program, "--migration", str(migration), *arguments]
        return Command(program, command, environment=self._environment(), log=self._log)

    def _new_log(self) -> None:
        """A log of its own for each run: topics of an earlier one would be a second generation."""
        self._prefix = f"bench{secrets.token_hex(4)}"
        text = self.dataset.migration.replace("{prefix}", self._prefix)
        (self.workspace / "migration.toml").write_text(text, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        keyring, kek = self.workspace / "keyring.json", self.workspace / "kek"
        return {
            **os.environ,
            "POSTGRES_URL": self._source(),
            "NEW_POSTGRES_URL": self.servers.target.dsn(self._target_database),
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.kafka.bootstrap,
            "KEYRING": str(keyring),
            "KEYRING_KEK_FILE": str(kek),
            "RAWDOG_SHOPIFY_ACCESS_TOKEN": "bench",
            "RAWDOG_STRIPE_SECRET_KEY": "bench",
        }

    def make_keys(self) -> None:
        """A keyring for all runs of the data set."""
        self._target_database = "postgres"
        self._new_log()
        kek = self.workspace / "kek"
        self._command("consumer", "keys", "init", "--kek-file", str(kek)).run()

    # -- source and target --------------------------------------------------------------------

    def _source(self) -> str:
        return self.servers.source.dsn(self.source_database)

    def _meter(self) -> Meter:
        return Meter(self.servers.process_ids())

    @contextmanager
    def _empty_target(self) -> Iterator[str]:
        name = f"target_{secrets.token_hex(4)}"
        self._target_database = self.servers.target.create_database(name)
        try:
            yield self.servers.target.dsn(name)
        finally:
            with psycopg.connect(self.servers.target.dsn(), autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
                connection.execute("CHECKPOINT")  # the next way does not pay for this one's dirty pages


def references(bench: Bench) -> dict[str, Callable[[], Measured]]:
    """Ways that are not ours, by name."""
    ways = {
        "copy with foreign keys (limit 1)": bench.copy_with_foreign_keys,
        "copy without foreign keys (limit 2)": bench.copy_without_foreign_keys,
        "pg_dump | pg_restore": bench.pg_dump_restore,
    }
    if shutil.which("pgcopydb"):
        ways["pgcopydb clone"] = bench.pgcopydb
    return ways


def _clone_schema(source: str, target: str, *, keep_foreign_keys: bool) -> None:
    schema = subprocess.run([_program("pg_dump"), "-s", source], capture_output=True, check=True).stdout
    subprocess.run(
        [_program("psql"), "-qX", "-v", "ON_ERROR_STOP=1", target], input=schema, capture_output=True, check=True
    )
    with psycopg.connect(target) as connection:
        # a NOT VALID key refuses the source's own orphans, so not even limit 1 can keep it
        drops = connection.execute(FOREIGN_KEYS, {"keep_validated": keep_foreign_keys}).fetchall()
        for (statement,) in drops:
            connection.execute(statement)


def _pipe(out: Command, into: Command) -> dict[str, Ended]:
    read, write = os.pipe()
    first = out.start(stdout=write)
    os.close(write)
    second = into.start(stdin=read)
    os.close(read)
    return {out.name: first.wait(), into.name: second.wait()}


def _sum(all_before: Mapping[str, Ended], more: Mapping[str, Ended]) -> dict[str, Ended]:
    nothing = Ended(0.0, 0.0)
    return {
        name: Ended(
            all_before.get(name, nothing).cpu_s + end.cpu_s, max(all_before.get(name, nothing).peak_mb, end.peak_mb)
        )
        for name, end in more.items()
    }


def _psql(url: str, statement: str) -> list[str]:
    return [_program("psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, url]


def _program(name: str) -> str:
    return str(find_programs() / name)
