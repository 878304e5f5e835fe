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

EVERYTHING = ROOT / "tests" / "everything"


@pytest.fixture(scope="module", params=sorted(script.stem for script in EVERYTHING.glob("*.sql")))
def part(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def everything(
    part: str, server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    script = EVERYTHING / f"{part}.sql"
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
    tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
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


def test_everything_arrives_exactly_and_again_when_it_has_changed(everything: Tenant, part: str) -> None:
    found = move(everything)

    assert found == [], "\n".join(found)
    everything("validator", "reconcile")

    script = EVERYTHING / "again" / f"{part}.sql"
    if script.exists():
        execute(everything.environment["POSTGRES_URL"], script)
        found = move(everything)

        assert found == [], "\n".join(found)
        everything("validator", "reconcile")
