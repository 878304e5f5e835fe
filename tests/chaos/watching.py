"""Reading a target as the observer needs it, and looking at it all the time on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg

from schemas.sql import quote_ident, quote_qualified
from tests.chaos.observer import Key, Loading, Look, Rows, violations
from tests.chaos.shop import TABLES, Watched

EVERY_S = 0.7
OPTIONS = (
    "-c TimeZone=UTC -c DateStyle=ISO,YMD -c default_transaction_isolation=repeatable\\ read "
    "-c default_transaction_read_only=on -c lock_timeout=2s -c statement_timeout=20s -c client_encoding=UTF8"
)

Published = Callable[[str], Mapping[str, AbstractSet[Key]]]
Connection = psycopg.Connection[Any]

PROGRESS = """
SELECT t.table_name, t.generation, t.attempt, t.applied, t.quarantined, t.published
FROM replicator.table_progress t
WHERE t.tenant = %(tenant)s AND t.state <> 'waiting'
  AND t.generation = (SELECT min(generation) FROM replicator.generations WHERE tenant = %(tenant)s AND state = 'running')
"""
FACTS = """
SELECT pg_postmaster_start_time(),
       (SELECT count(*) FROM replicator.quarantine WHERE tenant = %(tenant)s AND state = 'open'),
       (SELECT coalesce(max(generation), 0) <= 1 FROM replicator.generations WHERE tenant = %(tenant)s)
       AND (SELECT coalesce(max(attempt), 0) <= 1 FROM replicator.tables WHERE tenant = %(tenant)s)
"""


def look_at(connection: Connection, tenant: str, tables: Sequence[Watched] = TABLES) -> Look | None:
    """One look, of one moment; None while the tenant's tables are not there yet."""
    schema = f"tenant_{tenant}"
    with connection.transaction():
        row = connection.execute(
            "SELECT to_regclass('replicator.tables') IS NOT NULL, "
            "(SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename = ANY (%s))",
            (schema, [table.name for table in tables]),
        ).fetchone()
    if row is None or row[0] is False or row[1] < len(tables):
        return None
    with connection.transaction():
        names = ", ".join(quote_qualified(schema, table.name) for table in tables)
        # locked before the snapshot is taken: a table that is truncated meanwhile would look empty in an old snapshot
        connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())
        facts = connection.execute(FACTS, {"tenant": tenant}).fetchone()
        assert facts is not None
        loading = connection.execute(PROGRESS, {"tenant": tenant}).fetchall()
        positions = connection.execute(
            "SELECT topic, partition, next_offset FROM replicator.positions WHERE tenant = %s", (tenant,)
        ).fetchall()
        return Look(
            server_started=facts[0],
            tables={table.name: rows_of(connection, schema, table) for table in tables},
            loading={row[0]: Loading(*row[1:]) for row in loading},
            positions={(topic, number): offset for topic, number, offset in positions},
            quarantined=facts[1],
            is_first=facts[2],
        )


def rows_of(connection: Connection, schema: str, table: Watched) -> Rows:
    """One table: a line is its key, the keys of its parents, and migrated_at; a table without key is only counted."""
    if not table.key:
        row = connection.execute(f"SELECT count(*) FROM {quote_qualified(schema, table.name)}".encode()).fetchone()
        assert row is not None
        return Rows(count=row[0])
    chosen = [*table.key, *(part for key in table.parents.values() for part in key), quote_ident("migrated_at")]
    lines: list[list[bytes]] = []
    with (
        connection.cursor() as cursor,
        cursor.copy(
            f"COPY (SELECT {', '.join(chosen)} FROM {quote_qualified(schema, table.name)}) TO STDOUT".encode()
        ) as copy,
    ):
        lines = [bytes(line).rstrip(b"\n").split(b"\t") for line in copy]
    width = len(table.key)
    parents: dict[str, AbstractSet[Key]] = {}
    for parent, key in table.parents.items():
        parents[parent] = {b"\t".join(line[width : width + len(key)]) for line in lines}
        width += len(key)
    images: dict[Key, bytes] = {}
    for line in lines:
        key_text = b"\t".join(line[: len(table.key)])
        images[key_text] = max(line[-1], images.get(key_text, b""))
    return Rows(len(lines), images, parents)


def source_keys(connection: Connection, tables: Sequence[Watched] = TABLES) -> dict[str, set[Key]]:
    """The keys that the source has now, by table, in the transaction that is open."""
    found: dict[str, set[Key]] = {}
    for table in tables:
        found[table.name] = set()
        if table.key:
            with connection.cursor().copy(
                f"COPY (SELECT {', '.join(table.key)} FROM {table.name}) TO STDOUT".encode()
            ) as copy:
                found[table.name] = {bytes(line).rstrip(b"\n") for line in copy}
    return found


@dataclass
class Watch:
    """Looks at a tenant until it is closed; `tenant` may be changed while it looks."""

    url: str
    tenant: str
    published: Published
    looks: int = 0
    missed: int = 0  # the server was away, or a table was locked
    largest_quarantine: int = 0
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._before: tuple[str, Look] | None = None
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stop.wait(EVERY_S):
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self.url, autocommit=True, options=OPTIONS, connect_timeout=5)
                self._look(connection)
            except psycopg.Error:
                self.missed += 1
                if connection is not None:
                    with suppress(psycopg.Error):
                        connection.close()
                connection = None
            except Exception as error:
                self.found.append(f"the observer itself failed: {type(error).__name__}: {error}")
                return
        if connection is not None:
            connection.close()

    def _look(self, connection: Connection) -> None:
        tenant = self.tenant
        look = look_at(connection, tenant)
        if look is None:
            return
        before = self._before[1] if self._before is not None and self._before[0] == tenant else None
        self.found += [f"{tenant}: {broken}" for broken in violations(look, before, self.published(tenant))]
        self._before = (tenant, look)
        self.looks += 1
        self.largest_quarantine = max(self.largest_quarantine, look.quarantined)
