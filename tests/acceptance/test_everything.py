"""The database `everything`: every type, shape and name in one place, moved by the programs, compared by the oracle."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.conftest import ROOT
from tests.oracle import differences
from tests.tenant import QUIET, Tenant, fresh_databases

EVERYTHING = ROOT / "tests" / "everything"
SEVERAL = EVERYTHING / "several"


@pytest.fixture(scope="module", params=[*sorted(script.stem for script in EVERYTHING.glob("*.sql")), "several"])
def part(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def everything(
    part: str, server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    name = f"every_{secrets.token_hex(4)}"
    file: Path = tmp_path_factory.mktemp(name) / "tenant.toml"
    rules = SEVERAL / "tenant.toml"
    file.write_text(f'tenant = "{name}"\n' + (rules.read_text() if part == "several" else 'tables = "*"\n'))
    with fresh_databases(server_url) as (source_url, target_url):
        execute(source_url, SEVERAL / "source.sql" if part == "several" else EVERYTHING / f"{part}.sql")
        tenant = Tenant(
            name,
            {
                "POSTGRES_URL": source_url,
                "NEW_POSTGRES_URL": target_url,
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "MIGRATION": str(file),
            },
        )
        with closing(tenant):
            yield tenant


def execute(url: str, script: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.read_bytes())


@contextmanager
def in_one_schema(url: str, part: str) -> Iterator[str]:
    """A database whose `public` is what the target must be: the source, or a copy of it that ALTER has merged."""
    if part != "several":
        yield url
        return
    server, name = urlunsplit(urlsplit(url)._replace(path="/postgres")), urlsplit(url).path.strip("/")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_merged TEMPLATE {name}".encode())
        try:
            merged = f"{url}_merged"
            execute(merged, SEVERAL / "merged.sql")
            yield merged
        finally:
            connection.execute(f"DROP DATABASE {name}_merged WITH (FORCE)".encode())


def move(tenant: Tenant, part: str) -> list[str]:
    """Move everything; what the oracle finds different."""
    tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
    tenant.load()
    with in_one_schema(tenant.environment["POSTGRES_URL"], part) as url:
        found = differences(url, tenant.environment["NEW_POSTGRES_URL"], schemas={"public": tenant.schema})
    return [item for item in found if '"no_columns"' not in item]  # named by the plan, not moved


def test_everything_arrives_exactly_and_again_when_it_has_changed(everything: Tenant, part: str) -> None:
    found = move(everything, part)

    assert found == [], "\n".join(found)
    everything("validator", "reconcile")
    everything("validator", "reconcile", "--as-of-snapshot")

    script = EVERYTHING / "again" / f"{part}.sql"
    if script.exists():
        execute(everything.environment["POSTGRES_URL"], script)
        found = move(everything, part)

        assert found == [], "\n".join(found)
        everything("validator", "reconcile")
