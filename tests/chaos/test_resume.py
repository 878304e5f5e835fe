"""A source that was written to while its snapshot was interrupted: what is read again, and what may be kept.

One source with a table for each case; the snapshot dies when all of them are in the log and one large table
is under way, then every case happens, then the snapshot is resumed: its log must equal the source, and each
table must have had the fate that its case allows.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from embedded.postgres import Postgres
from producer.snapshot import Outcome, Places, Wish, run_snapshot
from runtime.settings import KafkaSettings, SourceSettings
from schemas.migration import parse_migration
from tests.conftest import ROOT
from tests.published import published, source_rows
from tests.tenant import fresh_databases

PLAIN = (
    "CREATE TABLE {t} (id int PRIMARY KEY, note text); INSERT INTO {t} SELECT i, 'n' || i FROM generate_series(1, 30) i"
)
SPARE = (
    PLAIN
    + "; CREATE TABLE {t}_spare (id int PRIMARY KEY, note text); INSERT INTO {t}_spare SELECT i, 'spare' FROM generate_series(1, 30) i"
)
PARTS = (
    "CREATE TABLE {t} (id int PRIMARY KEY, note text) PARTITION BY RANGE (id); "
    "CREATE TABLE {t}_low PARTITION OF {t} FOR VALUES FROM (0) TO (16); "
    "CREATE TABLE {t}_high PARTITION OF {t} FOR VALUES FROM (16) TO (100); "
    "INSERT INTO {t} SELECT i, 'n' || i FROM generate_series(1, 30) i; "
    "CREATE TABLE {t}_spare (id int PRIMARY KEY, note text); INSERT INTO {t}_spare SELECT i, 'spare' FROM generate_series(16, 30) i"
)
COMPOSITE = (
    "CREATE TYPE {t}_pair AS (a int, b int); CREATE TABLE {t} (id int PRIMARY KEY, note {t}_pair); "
    "INSERT INTO {t} SELECT i, (i, i)::{t}_pair FROM generate_series(1, 30) i"
)
CHILD = (
    "CREATE TABLE {t} (id int PRIMARY KEY, note text, parent int REFERENCES kept); "
    "INSERT INTO {t} SELECT i, 'n', i FROM generate_series(1, 30) i"
)


@dataclass(frozen=True)
class Case:
    """What happens to a table after it was published, and what a resume may do with it."""

    after: str
    fate: str = "again"
    made: str = PLAIN
    before: str = ""  # in a transaction that is open while the snapshot dies, and commits before `after`


def kept(after: str, made: str = PLAIN) -> Case:
    return Case(after, "kept", made)


CASES = {
    "kept": kept(""),
    "inserted": Case("INSERT INTO {t} VALUES (0, 'before')"),
    "inserted_behind": Case("INSERT INTO {t} VALUES (99, 'behind')"),
    "changed": Case("UPDATE {t} SET note = 'new' WHERE id = 7"),
    "changed_to_itself": Case("UPDATE {t} SET note = note WHERE id = 30"),
    "deleted": Case("DELETE FROM {t} WHERE id = 15"),
    "all_deleted": Case("DELETE FROM {t}"),
    "another_in_its_place": Case("DELETE FROM {t} WHERE id = 15; INSERT INTO {t} VALUES (31, 'n31')"),
    "anew_with_its_key": Case("DELETE FROM {t} WHERE id = 15; INSERT INTO {t} VALUES (15, 'anew')"),
    "key_changed": Case("UPDATE {t} SET id = 1000 WHERE id = 3"),
    "child_changed": Case("UPDATE {t} SET parent = 1 WHERE id = 3", made=CHILD),
    "child_kept": kept("", CHILD),
    "empty_kept": kept("", "CREATE TABLE {t} (id int PRIMARY KEY, note text)"),
    "empty_filled": Case(
        "INSERT INTO {t} VALUES (1, 'first')", made="CREATE TABLE {t} (id int PRIMARY KEY, note text)"
    ),
    "without_key_kept": kept("", "CREATE TABLE {t} AS SELECT i AS id, 'n' AS note FROM generate_series(1, 30) i"),
    "without_key_changed": Case(
        "UPDATE {t} SET note = 'new' WHERE id = 3",
        made="CREATE TABLE {t} AS SELECT i AS id, 'n' AS note FROM generate_series(1, 30) i",
    ),
    # ---- storage only
    "vacuumed": kept("VACUUM FULL {t}"),
    "frozen": kept("VACUUM (FREEZE) {t}"),
    "clustered": kept("CLUSTER {t} USING {t}_pkey"),
    "reindexed": kept("REINDEX TABLE {t}; ANALYZE {t}"),
    "granted": kept("GRANT SELECT ON {t} TO PUBLIC"),
    "locked": kept("BEGIN; SELECT * FROM {t} FOR UPDATE; COMMIT"),
    "rolled_back": kept("BEGIN; UPDATE {t} SET note = 'no'; DELETE FROM {t} WHERE id = 4; ROLLBACK"),
    "truncate_rolled_back": kept("BEGIN; TRUNCATE {t}; INSERT INTO {t} VALUES (1, 'no'); ROLLBACK"),
    "savepoint_rolled_back": kept("BEGIN; SAVEPOINT a; UPDATE {t} SET note = 'no'; ROLLBACK TO a; COMMIT"),
    # ---- subtransactions, open transactions
    "savepoint": Case("BEGIN; SAVEPOINT a; UPDATE {t} SET note = 'sub' WHERE id = 2; RELEASE a; COMMIT"),
    "savepoint_in_part": Case(
        "BEGIN; SAVEPOINT a; UPDATE {t} SET note = 'no'; ROLLBACK TO a; SAVEPOINT b; "
        "UPDATE {t} SET note = 'yes' WHERE id = 2; COMMIT"
    ),
    "open_changed": Case("", before="UPDATE {t} SET note = 'late' WHERE id = 1"),
    "open_deleted": Case("", before="DELETE FROM {t} WHERE id = 1"),
    "open_replaced": Case("", before="DELETE FROM {t} WHERE id = 1; INSERT INTO {t} VALUES (77, 'late')"),
    "open_savepoint": Case("", before="SAVEPOINT a; UPDATE {t} SET note = 'late' WHERE id = 1; RELEASE a"),
    "open_rolled_back": Case(
        "", "kept", before="SAVEPOINT a; UPDATE {t} SET note = 'late' WHERE id = 1; ROLLBACK TO a"
    ),
    # ---- rewritten and replaced
    "truncated": Case("TRUNCATE {t}; INSERT INTO {t} SELECT i, 'n' || i FROM generate_series(1, 30) i"),
    "copied_frozen": Case(
        "BEGIN; CREATE TEMPORARY TABLE rows ON COMMIT DROP AS SELECT * FROM {t}; TRUNCATE {t}; "
        "INSERT INTO {t} SELECT id, 'frozen' FROM rows; COMMIT; VACUUM (FREEZE) {t}"
    ),
    "rewritten_and_back": Case("ALTER TABLE {t} ALTER id TYPE bigint; ALTER TABLE {t} ALTER id TYPE int"),
    "column_made_anew": Case("ALTER TABLE {t} DROP COLUMN note; ALTER TABLE {t} ADD COLUMN note text"),
    "tables_named_crosswise": Case(
        "ALTER TABLE {t} RENAME TO {t}_x; ALTER INDEX {t}_pkey RENAME TO {t}_x_pkey; "
        "ALTER TABLE {t}_spare RENAME TO {t}; ALTER INDEX {t}_spare_pkey RENAME TO {t}_pkey",
        made=SPARE,
    ),
    "made_anew": Case(
        "ALTER TABLE {t}_spare ADD PRIMARY KEY (id); DROP TABLE {t}; ALTER TABLE {t}_spare RENAME TO {t}; "
        "ALTER INDEX {t}_spare_pkey RENAME TO {t}_pkey",
        made=PLAIN + "; CREATE TABLE {t}_spare AS SELECT id, 'spare' AS note FROM {t}",
    ),
    "partition_exchanged": Case(
        "ALTER TABLE {t} DETACH PARTITION {t}_high; DROP TABLE {t}_high; ALTER TABLE {t}_spare RENAME TO {t}_high; "
        "ALTER INDEX {t}_spare_pkey RENAME TO {t}_high_pkey; "
        "ALTER TABLE {t} ATTACH PARTITION {t}_high FOR VALUES FROM (16) TO (100)",
        made=PARTS,
    ),
    "partition_kept": kept("VACUUM FULL {t}_low", PARTS),
    "moved_between_partitions": Case("UPDATE {t} SET id = 50 WHERE id = 3", made=PARTS),
    "attribute_made_anew": Case(
        "ALTER TYPE {t}_pair DROP ATTRIBUTE b; ALTER TYPE {t}_pair ADD ATTRIBUTE b int", made=COMPOSITE
    ),
}
BIG = "zz_under_way"


@dataclass(frozen=True)
class Resumed:
    """What the resume said of each table, and where its log and source are."""

    outcome: Outcome
    source_url: str
    bootstrap: str
    prefix: str


def killed(folder: Path, url: str, bootstrap: str, prefix: str, text: str, fact: str, count: int) -> None:
    """A snapshot in a process of its own that dies when it has told `fact` so often."""
    file = folder / f"{prefix}.toml"
    file.write_text(text)
    command = [sys.executable, "-m", "tests.snapshot_child", url, bootstrap, str(file), fact, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def places(url: str, bootstrap: str, text: str) -> Places:
    return Places(
        source=SourceSettings(url),
        kafka=KafkaSettings(bootstrap),
        migration=parse_migration(text, "test.toml"),
        keyring=None,
    )


def toml(prefix: str, tables: str) -> str:
    return f'tenant = "{prefix}"\ntables = {tables}\n[log]\npartitions = 1\n[batch]\nmax_rows = 10\n'


def change(url: str, script: str) -> None:
    """Each statement on its own, as a client's session would."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in script.split("; "):
            if statement:
                connection.execute(statement.encode())


@pytest.fixture(scope="module")
def lonely_url() -> Iterator[str]:
    """A server of our own: transactions that stay open, here or elsewhere, make rows seem newer on the whole server."""
    with Postgres(is_durable=False) as server:
        yield server.dsn()


@pytest.fixture(scope="module")
def resumed(lonely_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resumed]:
    prefix = "resumed_" + tmp_path_factory.getbasetemp().name.replace("-", "_")
    order = [*CASES, BIG]
    text = toml(prefix, str(order).replace("'", '"'))
    with fresh_databases(lonely_url, 1) as (url,), ExitStack() as stack:
        for name, case in CASES.items():
            change(url, case.made.format(t=name))
        change(url, f"CREATE TABLE {BIG} (id int PRIMARY KEY, note text)")
        change(url, f"INSERT INTO {BIG} SELECT i, md5(i::text) FROM generate_series(1, 3000) i")
        writer = stack.enter_context(psycopg.connect(url))
        for name, case in CASES.items():
            for statement in case.before.format(t=name).split("; "):
                if statement:
                    writer.execute(statement.encode())
        killed(tmp_path_factory.mktemp("resume"), url, bootstrap, prefix, text, "TableDone", len(CASES))
        writer.commit()
        multixact(url, "locked")
        for name, case in CASES.items():
            change(url, case.after.format(t=name))
        outcome = run_snapshot(places(url, bootstrap, text), Wish(), lambda fact: None)
        assert outcome is not None
        assert outcome.opening.generation == 1
        yield Resumed(outcome, url, bootstrap, prefix)


def multixact(url: str, table: str) -> None:
    """Two transactions lock the same rows: their xmax is a multixact then."""
    with psycopg.connect(url) as one, psycopg.connect(url) as two:
        for connection in (one, two):
            connection.execute(sql.SQL("SELECT FROM {} FOR KEY SHARE").format(sql.Identifier(table)))


@pytest.mark.parametrize("name", [*CASES, BIG])
def test_resumed_log_equals_the_source_whatever_happened_to_a_table(resumed: Resumed, name: str) -> None:
    found = published(resumed.bootstrap, resumed.prefix, name).rows
    cells = {"id": "id", "note": "note::text"}
    if name.startswith("child_"):
        cells["parent"] = "parent"

    assert found == source_rows(resumed.source_url, name, cells)


@pytest.mark.parametrize("name", CASES)
def test_a_resume_reads_again_what_changed_and_nothing_else(resumed: Resumed, name: str) -> None:
    fates = {table.table: table.fate for table in resumed.outcome.tables}

    assert fates[name] == CASES[name].fate
