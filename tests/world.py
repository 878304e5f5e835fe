"""One tenant moved inside the test's process: its made log, its target, its consumers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from consumer.backlog import Backlog
from consumer.session import Session
from consumer.worker import Options, Worker
from runtime.progress import Progress, read_progress
from runtime.settings import KafkaSettings, TargetSettings
from runtime.shutdown import StopFlag
from schemas.catalogue import Constraint, Key, Table
from schemas.migration import parse_migration
from tests.made_log import MadeLog, table

CUSTOMERS = table(
    "customers",
    "id bigint",
    "email text",
    uniques=(Key(name="customers_email_key", columns=("email",), definition="UNIQUE (email)"),),
    checks=(Constraint(name="customers_id_check", definition="CHECK ((id <> 666))"),),
)
ORDERS = table("orders", "id bigint", "parent_id bigint", parent="customers")
CLICKS = table("clicks", "url text", key=None)


class World:
    """One tenant: its log, its target, and consumers in this process."""

    def __init__(self, bootstrap: str, target_url: str, prefix: str) -> None:
        self.text = text = f'tenant = "{prefix}"\nschema = "tenant"\ntables = "*"\n[log]\npartitions = 2\n'
        self.session = Session(
            migration=parse_migration(text, "test.toml"),
            keyring=None,
            kafka=KafkaSettings(bootstrap),
            target=TargetSettings(target_url),
        )
        self.url = target_url
        self.facts: list[object] = []
        self.logs: list[MadeLog] = []

    def log(self, *tables: Table, **more: Any) -> MadeLog:
        made = MadeLog(self.session.kafka, self.session.migration, tables, **more)
        self.logs.append(made)
        return made

    def worker(self, *, report: Callable[[object], None] | None = None, groups_of: int = 32, **options: Any) -> Worker:
        worker = Worker(self.session, Options(**options), report or self.facts.append, StopFlag())
        worker._flow.backlog = Backlog(max_batches=groups_of)
        return worker

    def run(self, **options: Any) -> Progress:
        """Run one consumer until the newest generation has ended."""
        progress = self.worker(until_complete=True, **options).run()
        assert progress is not None
        return progress

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(query.encode()).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def make(self, script: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(script.encode())

    def progress(self) -> Progress:
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = read_progress(connection, self.session.tenant)
        assert found is not None
        return found


def customers(*ids: int, mail: str = "c{}") -> list[dict[str, Any]]:
    return [{"id": n, "email": mail.format(n)} for n in ids]


def orders(*ids: int, parent: int = 1) -> list[dict[str, Any]]:
    return [{"id": n, "parent_id": parent} for n in ids]


def clicks(count: int) -> list[dict[str, Any]]:
    return [{"url": f"/{n}"} for n in range(count)]
