import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consumer.organization import write_organization
from consumer.tokens import check_tokens
from runtime import advance, generations
from runtime.keyring import Keyring, init_keyring
from runtime.postgres import open_target
from schemas.envelope import row_contexts
from schemas.errors import ConfigurationError, KeyringError, TargetError
from schemas.migration import Migration, parse_migration

SECRET = "shpat_0123456789"
KEK = bytes(range(32))


def migration(values: str = 'slug = "a", name = "A", seats = 3, is_new = true', key: str = '"slug"') -> Migration:
    return parse_migration(
        f"""
        tenant = "a"
        tables = ["orders"]
        [organization]
        key = {key}
        values = {{ {values} }}
        tokens = {{ stripe_key = "env:A_STRIPE_KEY" }}
        """,
        "a.toml",
    )


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    init_keyring(tmp_path / "keyring.json", "a", KEK)
    return Keyring.open(tmp_path / "keyring.json", KEK)


@pytest.fixture
def connection(target_url: str) -> Iterator[psycopg.Connection]:
    with open_target(target_url, autocommit=True) as opened:
        advance.install(opened)
        generations.register_tenant(
            opened, tenant="a", schema_name="tenant_a", log_id="l", prefix="a", made_schema=True
        )
        yield opened


def row(connection: psycopg.Connection) -> tuple[object, ...]:
    found = connection.execute("SELECT *, xmin::text FROM public.organizations").fetchall()
    assert len(found) == 1
    return found[0]


def made_by_us(connection: psycopg.Connection) -> bool:
    found = connection.execute("SELECT made_organization FROM replicator.tenants").fetchone()
    return found is not None and bool(found[0])


ENVIRONMENT = {"A_STRIPE_KEY": SECRET}


def test_the_table_is_made_and_its_row_has_the_token_encrypted(
    connection: psycopg.Connection, keyring: Keyring
) -> None:
    written = write_organization(connection, migration(), keyring, ENVIRONMENT)

    slug, name, seats, is_new, token, _ = row(connection)
    assert (slug, name, seats, is_new) == ("a", "A", 3, True)
    assert SECRET.encode() not in token
    assert keyring.cell_cipher("a", "organizations", "stripe_key").decrypt([token], row_contexts([("a",)])) == [
        SECRET.encode()
    ]
    assert written is not None
    assert written.outcome == "made"
    assert made_by_us(connection)
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE public.organizations SET stripe_key = 'in clear'")


def test_a_row_that_says_the_same_is_not_written_again(connection: psycopg.Connection, keyring: Keyring) -> None:
    write_organization(connection, migration(), keyring, ENVIRONMENT)
    before = row(connection)

    write_organization(connection, migration(), keyring, ENVIRONMENT)

    assert row(connection) == before
    assert made_by_us(connection)


def test_a_changed_token_or_value_is_written(connection: psycopg.Connection, keyring: Keyring) -> None:
    write_organization(connection, migration(), keyring, ENVIRONMENT)

    write_organization(
        connection, migration('slug = "a", name = "B", seats = 3, is_new = true'), keyring, {"A_STRIPE_KEY": "other"}
    )

    _, name, _, _, token, _ = row(connection)
    assert name == "B"
    assert keyring.cell_cipher("a", "organizations", "stripe_key").decrypt([token], row_contexts([("a",)])) == [
        b"other"
    ]


def test_somebody_elses_row_is_brought_up_to_date_and_stays_theirs(
    connection: psycopg.Connection, keyring: Keyring
) -> None:
    connection.execute(
        "CREATE TABLE public.organizations (id serial PRIMARY KEY, slug varchar(20) UNIQUE, name text, seats smallint,"
        " is_new boolean, stripe_key bytea); INSERT INTO public.organizations (slug, seats) VALUES ('a', 1)"
    )

    write_organization(connection, migration(), keyring, ENVIRONMENT)

    assert row(connection)[:5] == (1, "a", "A", 3, True)
    assert not made_by_us(connection)


def test_a_table_that_does_not_fit_is_refused_with_the_alter(connection: psycopg.Connection, keyring: Keyring) -> None:
    connection.execute("CREATE TABLE public.organizations (slug text, name text, seats int, stripe_key text)")

    with pytest.raises(TargetError) as refused:
        write_organization(connection, migration(), keyring, ENVIRONMENT)

    assert 'ADD COLUMN "is_new" boolean' in refused.value.hint
    assert 'ALTER COLUMN "stripe_key" TYPE bytea' in refused.value.hint
    assert 'ADD UNIQUE ("slug")' in refused.value.hint


def test_a_target_that_refuses_the_row_says_why_without_its_values(
    connection: psycopg.Connection, keyring: Keyring
) -> None:
    write_organization(connection, migration(), keyring, ENVIRONMENT)
    connection.execute("ALTER TABLE public.organizations ADD CONSTRAINT few CHECK (seats < 10)")

    with pytest.raises(TargetError) as refused:
        write_organization(
            connection, migration('slug = "a", name = "Zebra", seats = 11, is_new = true'), keyring, ENVIRONMENT
        )

    assert "few" in str(refused.value)
    assert "Zebra" not in str(refused.value)


def test_tokens_that_are_not_there_are_all_named_before_any_work() -> None:
    wanted = parse_migration(
        'tenant = "a"\ntables = "*"\n[organization]\nvalues = { slug = "a" }\n'
        'tokens = { one = "env:NOT_SET", two = "file:/nowhere/token" }\n',
        "a.toml",
    )

    with pytest.raises(ConfigurationError) as refused:
        check_tokens(wanted, {}, has_keyring=True)

    assert "a.toml:5: NOT_SET is not set" in str(refused.value)
    assert "/nowhere/token cannot be read" in str(refused.value)


def test_tokens_need_a_keyring() -> None:
    with pytest.raises(KeyringError, match="there is no keyring"):
        check_tokens(migration(), ENVIRONMENT, has_keyring=False)


def test_a_token_may_stand_in_a_file(connection: psycopg.Connection, keyring: Keyring, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET + os.linesep)
    wanted = parse_migration(
        f'tenant = "a"\ntables = "*"\n[organization]\nvalues = {{ slug = "a" }}\ntokens = {{ one = "file:{file}" }}\n',
        "a.toml",
    )

    write_organization(connection, wanted, keyring, {})

    token = row(connection)[1]
    assert keyring.cell_cipher("a", "organizations", "one").decrypt([token], row_contexts([("a",)])) == [
        SECRET.encode()
    ]
