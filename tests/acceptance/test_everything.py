"""The database `everything`: every type, shape and name in one place, moved by the programs, compared by the oracle."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.conftest import ROOT
from tests.oracle import differences
from tests.tenant import QUIET, Tenant, fresh_databases

SCRIPTS = sorted((ROOT / "tests" / "everything").glob("*.sql"))
AGAIN = ROOT / "tests" / "everything" / "again"


@pytest.fixture(scope="module", params=[script.stem for script in SCRIPTS])
def everything(
    request: pytest.FixtureRequest, server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    script = ROOT / "tests" / "everything" / f"{request.param}.sql"
    name = f"every_{secrets.token_hex(4)}"
    file: Path = tmp_path_factory.mktemp(name) / "tenant.toml"
    file.write_text(f'tenant = "{name}"\ntables = "*"\n')
    with fresh_databases(server_url) as (source_url, target_url):
        execute(source_url, script)
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


def move(tenant: Tenant) -> list[str]:
    """Move everything; what the oracle finds different."""
    tenant("producer", "snapshot", *QUIET)
    tenant.load()
    return [
        item
        for item in differences(
            tenant.environment["POSTGRES_URL"],
            tenant.environment["NEW_POSTGRES_URL"],
            schemas={"public": tenant.schema},
        )
        if '"no_columns"' not in item  # named by the plan, not moved
    ]


def test_everything_arrives_exactly_and_is_proved(everything: Tenant) -> None:
    found = move(everything)

    assert found == [], "\n".join(found)
    everything("validator", "reconcile")
