"""No secret in clear outside the source: not in what the programs say, not in the log, not in progress or quarantine.

The source's secret and personal columns hold canaries, personal ones that stay readable hold
another mark (embedded/rawdog/marks.py). The control at the end finds the same canaries in a log that is not sealed: the
search would see them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastavro
import psycopg
import pytest
from psycopg import sql

from embedded.kafka import Kafka
from embedded.rawdog import CANARY, KEPT_MARK, TABLES
from runtime.kafka import Admin, read_all
from runtime.settings import KafkaSettings
from tests.tenant import QUIET, Tenant, rawdog_tenant

pytestmark = pytest.mark.timeout(300)

MARKS = (CANARY, KEPT_MARK)


@dataclass(frozen=True)
class Moved:
    """A messy RAWDOG after everything was done with it that speaks, and the broker's directory."""

    tenant: Tenant
    folder: Path
    broker: Kafka


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """A broker of this module's own: its files are searched."""
    with Kafka() as broker:
        yield broker


@pytest.fixture(scope="module")
def moved(server_url: str, broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("leaks")
    with rawdog_tenant(server_url, broker.bootstrap, folder, mess=True) as tenant:
        talkative = ("--debug", "--log-format", "json")
        tenant("producer", "plan", *talkative)
        tenant("producer", "snapshot", "--progress", "plain", *talkative)
        tenant("consumer", "run", "--dry-run", "--json", *talkative, code=1)
        tenant("consumer", "run", "--until-complete", "--progress", "plain", *talkative, code=1)
        for program, *arguments in (
            ("producer", "status", "--json"),
            ("consumer", "status", "--json"),
            ("consumer", "inspect"),
            ("consumer", "inspect", "--table", "customers"),
            ("consumer", "quarantine", "list", "--json"),
        ):
            tenant(program, *arguments, *talkative)
        tenant("consumer", "quarantine", "retry", *talkative, code=1)
        # Differences of every sort, so that reports have something to tell.
        tenant.target("UPDATE customers SET accepts_marketing = accepts_marketing || 'x' WHERE id LIKE '%1'")
        tenant.target("UPDATE creators SET email = email || '\\x00'::bytea WHERE email IS NOT NULL")
        tenant.target("DELETE FROM reviews WHERE id % 3 = 0")
        report = ("--html", str(folder / "report.html"))
        tenant("validator", "report", *report, *talkative, code=1)
        (folder / "report.json").write_text(tenant("validator", "reconcile", "--json", *talkative, code=1).stdout)
        tenant("consumer", "run", "--until-complete", without="KEYRING", code=2)
        yield Moved(tenant, folder, broker)


def found_in(text: str) -> list[str]:
    """Where marks stand in a text: with what surrounds them."""
    return [text[max(at - 80, 0) : at + 60] for mark in MARKS if (at := text.find(mark)) >= 0]


def test_the_source_is_full_of_canaries(moved: Moved) -> None:
    rows = [moved.tenant.source(f"SELECT string_agg(t::text, '') FROM {table} t")[0][0] for table in TABLES]

    assert sum(CANARY in row for row in rows) >= 10
    assert any(KEPT_MARK in row for row in rows)


def test_no_program_says_a_canary_on_either_output(moved: Moved) -> None:
    assert len(moved.tenant.said) > 20
    assert [found for text in moved.tenant.said for found in found_in(text)] == []
    key = Path(moved.tenant.environment["KEYRING_KEK_FILE"]).read_text().strip()
    assert not any(key in text for text in moved.tenant.said)


def test_no_report_holds_a_canary(moved: Moved) -> None:
    html, plain = ((moved.folder / name).read_text() for name in ("report.html", "report.json"))

    assert json.loads(plain)["verdict"] == "different"
    assert "reviews" in html
    assert found_in(html) + found_in(plain) == []


def test_the_log_holds_no_canary_in_any_record_and_its_files_hold_none(moved: Moved) -> None:
    settings = KafkaSettings(moved.broker.bootstrap)
    topics = [topic for topic in Admin(settings).topics() if topic.startswith(moved.tenant.name)]

    records = [record for topic in topics for record in read_all(settings, topic)]
    files = [path for path in (moved.broker.directory / "data").rglob("*.log") if moved.tenant.name in str(path)]

    assert len(topics) == len(TABLES) + 1
    assert all(record.header.kid for record in records)
    assert not any(mark.encode() in record.value for record in records for mark in MARKS)
    assert sum(path.stat().st_size for path in files) > 100_000
    assert not any(mark.encode() in path.read_bytes() for path in files for mark in MARKS)


def test_progress_and_quarantine_and_the_tenants_schema_hold_no_canary(moved: Moved) -> None:
    tables = moved.tenant.target(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE c.relkind = 'r' AND n.nspname IN ('replicator', 'public', '{moved.tenant.schema}')"
    )
    texts = []
    with psycopg.connect(moved.tenant.environment["NEW_POSTGRES_URL"]) as connection:
        for schema, table in tables:
            copy = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(schema, table))
            with connection.cursor().copy(copy) as rows:
                texts.append((schema, b"".join(map(bytes, rows)).decode("utf-8", "replace")))

    assert {schema for schema, _ in texts} == {"replicator", "public", moved.tenant.schema}
    assert [text[:40] for _, text in texts if CANARY in text] == []
    assert any(
        KEPT_MARK in text for schema, text in texts if schema == moved.tenant.schema
    )  # it is kept in clear there
    assert not any(KEPT_MARK in text for schema, text in texts if schema != moved.tenant.schema)


def test_control_an_unsealed_log_does_hold_the_canaries(server_url: str, bootstrap: str, tmp_path: Path) -> None:
    migration = 'tenant = "rawdog"\nschema = "tenant_rawdog"\ntables = ["customers"]\n[log]\nprefix = "rawdog"\n'
    with rawdog_tenant(server_url, bootstrap, tmp_path, mess=False, migration=migration) as tenant:
        warned = tenant("producer", "snapshot", "--accept-unclassified", *QUIET, without="KEYRING").stderr
        records = list(read_all(KafkaSettings(bootstrap), f"{tenant.name}.customers"))
        rows = [row for r in records if r.header.kind == "batch" for row in fastavro.reader(io.BytesIO(r.value))]

    assert "not sealed" in warned
    assert any(CANARY in str(row) for row in rows)
