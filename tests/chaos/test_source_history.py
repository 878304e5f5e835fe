"""A source that is not what it was when its snapshot was interrupted: an older copy, a standby, one that was promoted.

The same row count, the same key, even the same transaction id may then belong to another row.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from embedded.postgres import Postgres
from producer.snapshot import Wish, run_snapshot
from schemas.errors import Refused
from tests.chaos.test_resume import change, killed, places, toml
from tests.published import published, source_rows

TABLES = ("settled", "prepared", "under_way")
SCHEMA = """
CREATE TABLE settled (id int PRIMARY KEY, note text); INSERT INTO settled SELECT i, 'old' FROM generate_series(1, 30) i;
CREATE TABLE prepared (id int PRIMARY KEY, note text); INSERT INTO prepared SELECT i, 'old' FROM generate_series(1, 30) i;
CREATE TABLE under_way (id int PRIMARY KEY, note text);
INSERT INTO under_way SELECT i, 'old' FROM generate_series(1, 3000) i;
CREATE TABLE ballast (note text);
"""


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of this test's own, whose data may be copied."""
    made = Postgres(is_durable=False)  # only to know an account's folder
    folder = made.account.temporary_directory("replicator-history-")
    server = Postgres(folder, settings={"max_prepared_transactions": "2"}, is_durable=False)
    try:
        yield server.start()
    finally:
        server.stop(immediate=True)
        subprocess.run(["rm", "-rf", str(folder), f"{folder}.copy"], check=True)


def url_of(server: Postgres) -> str:
    return server.dsn("shop")


def begun(server: Postgres) -> str:
    server.create_database("shop")
    with psycopg.connect(url_of(server), autocommit=True) as connection:
        connection.execute(SCHEMA)
    return url_of(server)


def assert_equals_source(url: str, bootstrap: str, prefix: str) -> None:
    for table in TABLES:
        rows = source_rows(url, table, {"id": "id", "note": "note"})
        assert published(bootstrap, prefix, table).rows == rows, table


def text_of(prefix: str) -> str:
    return toml(prefix, str(list(TABLES)).replace("'", '"'))


def test_a_transaction_prepared_before_the_snapshot_and_committed_after_it_is_noticed(
    server: Postgres, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    url = begun(server)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM prepared WHERE id = 1")
        connection.execute("INSERT INTO prepared VALUES (31, 'new')")
        connection.execute("PREPARE TRANSACTION 'later'")
    killed(tmp_path, url, bootstrap, prefix, text_of(prefix), "TableDone", 2)
    server.restart(immediate=True)
    change(url, "COMMIT PREPARED 'later'")

    outcome = run_snapshot(places(url, bootstrap, text_of(prefix)), Wish(), lambda fact: None)

    assert outcome is not None
    assert outcome.tables[0].fate == "kept"
    assert outcome.tables[1].fate == "again"
    assert_equals_source(url, bootstrap, prefix)


def test_a_source_with_another_history_is_refused_or_read_again_and_never_mixed_in(
    server: Postgres, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    begun(server)
    server.stop()
    data = Path(f"{server.directory}.copy")
    subprocess.run(["cp", "-a", str(server.directory), str(data)], check=True)
    server.start()
    change(url_of(server), "INSERT INTO settled VALUES (31, 'of the first'); UPDATE prepared SET note = 'of the first'")
    killed(tmp_path, url_of(server), bootstrap, prefix, text_of(prefix), "TableDone", 2)
    server.stop()
    (data / "data" / "standby.signal").touch()
    subprocess.run(["chown", "--reference", str(data / "data"), str(data / "data" / "standby.signal")], check=True)

    copy = Postgres(data, settings={"max_prepared_transactions": "2"}, is_durable=False)
    try:
        url = url_of(copy.start())
        with pytest.raises(Refused, match=r"WAL position .* lies before .*: a standby that lags"):
            run_snapshot(places(url, bootstrap, text_of(prefix)), Wish(), lambda fact: None)

        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute("SELECT pg_promote()")
        change(url, "INSERT INTO settled VALUES (31, 'of the other'); UPDATE prepared SET note = 'of the other'")
        change(url, "INSERT INTO ballast SELECT md5(i::text) FROM generate_series(1, 20000) i; TRUNCATE ballast")
        outcome = run_snapshot(places(url, bootstrap, text_of(prefix)), Wish(), lambda fact: None)

        assert outcome is not None
        assert outcome.opening.generation == 1
        fates = {table.table: table.fate for table in outcome.tables}
        assert fates.pop("under_way") in {"again", "begin"}  # whether it was begun when the producer died is chance
        assert set(fates.values()) == {"again"}
        assert_equals_source(url, bootstrap, prefix)
    finally:
        copy.stop(immediate=True)
