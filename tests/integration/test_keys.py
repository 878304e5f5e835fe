from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consumer.keys import decrypt_cell, make_keys, shown
from runtime import advance, generations
from runtime.keyring import KEK_FILE, Keyring, load_kek, rotate_key
from runtime.postgres import open_target
from schemas.catalogue import Catalogue, Column, Key, Table
from schemas.envelope import row_contexts
from schemas.errors import ConfigurationError, KeyringError
from schemas.migration import parse_migration

MIGRATION = parse_migration('tenant = "a"\ntables = ["cells"]\n', "a.toml")
TABLE = Table(
    name="cells",
    columns=(
        Column(name="id", type="numeric(10,2)", not_null=True),
        Column(name="day", type="date", not_null=True),
        Column(name="email", type="text"),
        Column(name="status", type="text"),
    ),
    primary_key=Key(name="k", columns=("id", "day"), definition="PRIMARY KEY (id, day)"),
)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = make_keys(tmp_path / "ring.json", tmp_path / "kek", "a", {}, if_missing=False)
    assert made is not None
    return Keyring.open(tmp_path / "ring.json", load_kek({KEK_FILE: str(tmp_path / "kek")}))


@pytest.fixture
def connection(target_url: str, keyring: Keyring) -> Iterator[psycopg.Connection]:
    cipher = keyring.cell_cipher("a", "cells", "email")
    cells = cipher.encrypt(["ada@example.com", None], row_contexts([("1.50", "2026-11-01"), ("2.00", "2026-11-01")]))
    with open_target(target_url, autocommit=True) as opened:
        advance.install(opened)
        generations.register_tenant(
            opened, tenant="a", schema_name="tenant_a", log_id="l", prefix="a", made_schema=True
        )
        generations.note_generation(
            opened,
            "a",
            generation=1,
            instant="2026-11-01T00:00:00.000000Z",
            is_partial=False,
            catalogue=Catalogue(tables=(TABLE,)).to_json(),
            tables={"cells": "a.cells"},
            migration_digest="d",
        )
        opened.execute(
            "CREATE SCHEMA tenant_a; CREATE TABLE tenant_a.cells"
            " (id numeric(10,2), day date, email bytea, status text, PRIMARY KEY (id, day))"
        )
        with opened.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO tenant_a.cells VALUES (%s, '2026-11-01', %s, 'paid')", [("1.5", cells[0]), ("2", cells[1])]
            )
        yield opened


def test_one_cell_is_decrypted_by_the_rows_key_however_it_is_written(
    connection: psycopg.Connection, keyring: Keyring
) -> None:
    plain = decrypt_cell(connection, MIGRATION, keyring, table="cells", column="email", key=["1.5", "2026-11-01"])

    assert plain == b"ada@example.com"
    assert decrypt_cell(connection, MIGRATION, keyring, table="cells", column="email", key=["2", "2026-11-1"]) is None


def test_what_was_encrypted_before_a_rotation_is_still_read(connection: psycopg.Connection, keyring: Keyring) -> None:
    kek = load_kek({KEK_FILE: str(keyring.path.parent / "kek")})
    rotate_key(keyring.path, "a", kek)

    plain = decrypt_cell(
        connection, MIGRATION, Keyring.open(keyring.path, kek), table="cells", column="email", key=["1.5", "2026-11-01"]
    )

    assert plain == b"ada@example.com"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("cell", "email", ["1", "2026-11-01"]), 'did you mean "cells"'),
        (("cells", "mail", ["1", "2026-11-01"]), 'did you mean "email"'),
        (("cells", "email", ["1"]), "its key has 2 columns, 1 given"),
        (("cells", "email", ["x", "2026-11-01"]), "no value of its key"),
        (("cells", "email", ["9", "2026-11-01"]), "no row of this key"),
        (("cells", "status", ["1.5", "2026-11-01"]), "is not encrypted"),
    ],
)
def test_wrong_use_is_told_apart(
    connection: psycopg.Connection, keyring: Keyring, place: tuple[str, str, list[str]], said: str
) -> None:
    table, column, key = place

    with pytest.raises(ConfigurationError, match=said):
        decrypt_cell(connection, MIGRATION, keyring, table=table, column=column, key=key)


def test_a_cell_moved_to_another_row_does_not_open(connection: psycopg.Connection, keyring: Keyring) -> None:
    connection.execute("UPDATE tenant_a.cells SET email = (SELECT email FROM tenant_a.cells WHERE id = 1.5)")

    with pytest.raises(KeyringError, match="does not open"):
        decrypt_cell(connection, MIGRATION, keyring, table="cells", column="email", key=["2", "2026-11-01"])


def test_another_keyring_does_not_open_a_cell(connection: psycopg.Connection, keyring: Keyring, tmp_path: Path) -> None:
    make_keys(tmp_path / "other.json", tmp_path / "other", "a", {}, if_missing=False)
    other = Keyring.open(tmp_path / "other.json", load_kek({KEK_FILE: str(tmp_path / "other")}))

    with pytest.raises(KeyringError, match="does not open"):
        decrypt_cell(connection, MIGRATION, other, table="cells", column="email", key=["1.5", "2026-11-01"])


def test_keys_are_never_made_over_others(keyring: Keyring) -> None:
    folder = keyring.path.parent
    before = keyring.path.read_bytes(), (folder / "kek").read_bytes()

    with pytest.raises(KeyringError, match="has keys already"):
        make_keys(keyring.path, folder / "kek", "a", {}, if_missing=False)
    with pytest.raises(KeyringError, match="not there, but the keyring"):
        make_keys(keyring.path, folder / "new", "b", {}, if_missing=False)
    assert make_keys(keyring.path, folder / "kek", "a", {}, if_missing=True) is None

    assert (keyring.path.read_bytes(), (folder / "kek").read_bytes()) == before
    assert not (folder / "new").exists()


def test_bytes_are_shown_as_postgresql_prints_them() -> None:
    assert (shown(b"\x00\xff", "bytea"), shown("ü".encode(), "text")) == ("\\x00ff", "ü")
