"""The fixtures keep tests apart."""

from __future__ import annotations

import psycopg

from tests.conftest import MakeDatabase


def test_a_made_database_holds_what_its_script_made_and_nothing_else(make_database: MakeDatabase) -> None:
    with psycopg.connect(make_database("CREATE TABLE t (id int); INSERT INTO t VALUES (7)")) as connection:
        assert connection.execute("SELECT id FROM t").fetchall() == [(7,)]
    with psycopg.connect(make_database()) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)


def test_source_and_target_are_two_databases(environment: dict[str, str]) -> None:
    assert environment["POSTGRES_URL"] != environment["NEW_POSTGRES_URL"]
    assert ":" in environment["KAFKA_BOOTSTRAP_SERVERS"]
