from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from runtime.postgres import (
    PROFILE,
    SourceUnreachable,
    TargetUnreachable,
    explain,
    is_row_fault,
    open_source,
    open_target,
)
from schemas.errors import ConfigurationError, SourceError, TargetError

MakeDatabase = Callable[..., str]

SECRET = "ann@example.com"


def show(connection: psycopg.Connection[tuple[object, ...]], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def with_parts(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


def test_the_profile_holds_whatever_the_database_says(source_url: str, target_url: str) -> None:
    for url in (source_url, target_url):
        with psycopg.connect(url, autocommit=True) as owner:
            name = sql.Identifier(str(owner.info.dbname))
            for setting in (
                "DateStyle = 'SQL, DMY'",
                "TimeZone = 'Asia/Kolkata'",
                "extra_float_digits = 0",
                "bytea_output = escape",
            ):
                owner.execute(sql.SQL("ALTER DATABASE {} SET ").format(name) + sql.SQL(setting))

    with open_source(source_url) as source, open_target(target_url) as target:
        for connection in (source, target):
            assert {name: show(connection, name) for name in PROFILE} == dict(PROFILE)
            assert connection.execute("SELECT '2024-02-01'::date::text").fetchone() == ("2024-02-01",)


def test_the_source_cannot_be_written(source_url: str) -> None:
    with psycopg.connect(source_url) as owner:
        owner.execute("CREATE TABLE t (id int)")

    with open_source(source_url) as source:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as caught:
            source.execute("INSERT INTO t VALUES (1)")
        assert caught.value.sqlstate == "25006"
        source.rollback()
        assert show(source, "transaction_isolation") == "repeatable read"


def test_a_source_connection_reads_one_snapshot(source_url: str) -> None:
    with psycopg.connect(source_url, autocommit=True) as owner, open_source(source_url) as source:
        owner.execute("CREATE TABLE t (id int)")
        assert source.execute("SELECT count(*) FROM t").fetchone() == (0,)

        owner.execute("INSERT INTO t VALUES (1)")

        assert source.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_the_tenants_schema_comes_before_those_of_extensions_and_temporary_tables_last(target_url: str) -> None:
    with psycopg.connect(target_url) as owner:
        owner.execute('CREATE SCHEMA "Ext"')
        owner.execute('CREATE EXTENSION citext SCHEMA "Ext"')

    with open_target(target_url, schema='tenant_"x') as target:
        assert show(target, "search_path") == '"tenant_""x", "Ext", pg_temp'
        assert target.execute("SELECT 'A'::citext = 'a'").fetchone() == (True,)


def test_a_read_only_target_is_refused_for_writing_only(target_url: str) -> None:
    with psycopg.connect(target_url, autocommit=True) as owner:
        name = sql.Identifier(str(owner.info.dbname))
        owner.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))

    with pytest.raises(TargetError, match="read-only"):
        open_target(target_url)
    with open_target(target_url, read_only=True) as target:
        assert show(target, "transaction_isolation") == "repeatable read"


def test_a_database_that_does_not_know_its_encoding_is_refused(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as owner:
        owner.execute("DROP DATABASE IF EXISTS test_ascii")
        owner.execute("CREATE DATABASE test_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        try:
            with pytest.raises(SourceError, match="SQL_ASCII"):
                open_source(with_parts(server_url, path="/test_ascii"))
        finally:
            owner.execute("DROP DATABASE test_ascii WITH (FORCE)")


def test_a_wrong_url_gets_one_message_without_its_password(source_url: str) -> None:
    parts = urlsplit(source_url)
    place = f"{parts.hostname}:{parts.port}"
    missing = f"postgresql://{parts.username}:{SECRET.replace('@', '%40')}@{place}/no_such_database"
    refused = f"postgresql://ann:{SECRET.replace('@', '%40')}@127.0.0.1:1/shop"

    with pytest.raises(SourceError, match=r"there is no such database|password") as caught:
        open_source(missing)
    assert SECRET not in str(caught.value)
    with pytest.raises(SourceUnreachable, match=r"^source postgresql://ann@127.0.0.1:1/shop: nothing listens there$"):
        open_source(refused)
    with pytest.raises(TargetUnreachable, match=r"^target "):
        open_target(refused)
    with pytest.raises(ConfigurationError, match=r"^POSTGRES_URL is no PostgreSQL URL$"):
        open_source(SECRET)


def test_an_error_names_the_constraint_and_never_the_value(target_url: str) -> None:
    with open_target(target_url, autocommit=True) as target:
        target.execute("CREATE SCHEMA s")
        target.execute("CREATE TABLE s.people (email text CONSTRAINT one_each UNIQUE)")
        target.execute("INSERT INTO s.people VALUES (%s)", (SECRET,))

        with pytest.raises(psycopg.Error) as caught:
            target.execute("INSERT INTO s.people VALUES (%s)", (SECRET,))

    explained = explain(caught.value, "target: people")
    assert str(explained) == (
        'target: people: unique violation (SQLSTATE 23505, constraint "one_each", table "people")'
    )
    assert is_row_fault(caught.value)


def test_a_session_that_was_ended_is_told_as_a_lost_connection(source_url: str) -> None:
    with psycopg.connect(source_url, autocommit=True) as owner, open_source(source_url) as source:
        source.execute("SELECT 1")
        owner.execute("SELECT pg_terminate_backend(%s)", (source.info.backend_pid,))

        with pytest.raises(psycopg.Error) as caught:
            source.execute("SELECT 1")

        assert isinstance(explain(caught.value, "source: orders", side="source"), SourceError)
