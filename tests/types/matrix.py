"""Every version of PostgreSQL that is here, as source and as target."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from embedded.postgres import OVERRIDE, Postgres, all_programs
from tests.tenant import ask, fresh_databases
from tests.types.moving import Moved, move
from tests.types.tables import fill


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its URL, its version, whether it was built with libxml."""

    url: str
    version: str
    has_xml: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """Random cells from one server to another, and what came of them."""

    source: Server
    target: Server
    cells: int
    moved: Moved


@contextmanager
def every_server() -> Iterator[list[Server]]:
    """Start one server of each version, oldest first."""
    with ExitStack() as stack:
        yield [stack.enter_context(_server(programs)) for programs in all_programs()]


def cross(source: Server, target: Server, bootstrap: str, *, rows: int, seed: int) -> Crossing:
    """Fill a database with so many random rows a table, move it, compare."""
    with (
        fresh_databases(source.url, 1) as (source_url,),
        fresh_databases(target.url, 1) as (target_url,),
        tempfile.TemporaryDirectory() as folder,
    ):
        cells = fill(source_url, rows, seed, with_xml=source.has_xml and target.has_xml)
        return Crossing(source, target, cells, move(source_url, target_url, bootstrap, Path(folder)))


@contextmanager
def _server(programs: Path) -> Iterator[Server]:
    before = os.environ.get(OVERRIDE)
    os.environ[OVERRIDE] = str(programs)
    try:
        server = Postgres(is_durable=False).start()
    finally:
        if before is None:
            del os.environ[OVERRIDE]
        else:
            os.environ[OVERRIDE] = before
    try:
        url = server.dsn()
        version = ask(url, "SELECT split_part(current_setting('server_version'), ' ', 1)")[0][0]
        yield Server(url, version, _has_xml(url))
    finally:
        server.stop(immediate=True)


def _has_xml(url: str) -> bool:
    try:
        ask(url, "SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def any_seed() -> int:
    """A seed that nobody has chosen."""
    return secrets.randbelow(2**31)
