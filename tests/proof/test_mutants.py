"""The validator shares no transform with the consumer: a defect planted in the consumer is found."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.keyring import init_keyring, make_kek_file
from tests.conftest import MakeDatabase
from tests.proof.mutant import MUTANTS
from tests.tenant import QUIET, Tenant, ask, fresh_databases

SOURCE = """
CREATE TABLE sales (id bigint PRIMARY KEY, name text, note text, memo text, gross numeric, share text, left_side text, right_side text);
INSERT INTO sales SELECT n, CASE WHEN n % 9 = 0 THEN NULL ELSE ' the name of sale ' || n || ' ' END,
  CASE WHEN n % 4 = 0 THEN NULL ELSE 'note ' || n || ' ' END, 'memo ' || n, (n + 0.5) * (1 - 2 * (n % 2)), (ARRAY['15', ' 12,5 %', '0.15%', ''])[1 + n % 4],
  'left' || n, 'right' || n FROM generate_series(1, 50) n;
"""
MIGRATION = """
tenant = "{name}"
schema = "tenant_mutant"
tables = "*"
[table.sales]
encrypt = ["note", "memo"]
[table.sales.transform]
gross = "bigint"
share = "percent"
[table.sales.add]
tenant_id = {{ type = "text", value = "mutant" }}
"""


@pytest.fixture(scope="module")
def published(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A log that every mutant applies, each to a target of its own."""
    folder: Path = tmp_path_factory.mktemp("mutants")
    name = f"mutant{secrets.token_hex(4)}"
    (folder / "mutant.toml").write_text(MIGRATION.format(name=name))
    init_keyring(folder / "keyring", name, make_kek_file(folder / "kek"))
    with fresh_databases(server_url, 1) as (source_url,):
        ask(source_url, SOURCE)
        environment = {
            "POSTGRES_URL": source_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "MIGRATION": str(folder / "mutant.toml"),
            "KEYRING": str(folder / "keyring"),
            "KEYRING_KEK_FILE": str(folder / "kek"),
        }
        with closing(Tenant(name, environment)) as tenant:
            tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
            yield tenant


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_defect_planted_in_the_consumer_is_found(published: Tenant, make_database: MakeDatabase, mutant: str) -> None:
    target = make_database()
    published("tests.proof.mutant", mutant, "run", "--until-complete", *QUIET, NEW_POSTGRES_URL=target)

    is_sound = mutant == "none"
    report = published.json("validator", "reconcile", code=0 if is_sound else 1, NEW_POSTGRES_URL=target)

    named = [item for item in report["differences"] if item["layer"] in ("checksums", "cells")]
    assert bool(named) is not is_sound
