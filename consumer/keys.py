"""One encrypted cell in clear, for who has the key; and the first keys of a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from consumer.rollback import known_progress
from runtime.keyring import KEK_FILE, KEYRING, DataKey, Keyring, init_keyring, load_kek, make_kek_file
from runtime.postgres import Connection, explain, is_row_fault, use_schema
from schemas.envelope import NotAnEnvelope, Undecryptable, header_kid, row_contexts
from schemas.errors import ConfigurationError, KeyringError
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.pgtypes import text_expression
from schemas.sql import quote_ident, quote_qualified


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A table with encrypted columns: `key` are pairs of SQL, the column as text and the value it must equal."""

    table: str
    name: str
    key: tuple[tuple[str, str], ...]
    columns: Mapping[str, str]  # column: its type at the source


def keyring_path(environment: Mapping[str, str], named: Path | None) -> Path:
    """Where the keyring is, by flag or KEYRING."""
    path = named or (Path(environment[KEYRING]) if environment.get(KEYRING) else None)
    if path is None:
        raise ConfigurationError(f"{KEYRING} is not set", hint=f"export {KEYRING}=keyring.json, or say --keyring FILE")
    return path


def make_keys(
    path: Path, kek_file: Path | None, tenant: str, environment: Mapping[str, str], *, if_missing: bool
) -> DataKey | None:
    """Make the tenant's first key, and the file of the KEK when it is named and not there.

    None when the tenant has keys and `if_missing` says that this is no error.

    Raises:
        KeyringError: the tenant has keys, or a file cannot be made or opened. Nothing is ever written over.
    """
    if kek_file is None and environment.get(KEK_FILE):
        kek_file = Path(environment[KEK_FILE])
    if kek_file is None:
        kek = load_kek(environment)
    elif kek_file.exists():
        kek = load_kek({KEK_FILE: str(kek_file)})
    elif path.exists():
        raise KeyringError(
            f"{kek_file}: not there, but the keyring {path} is", hint="restore the KEK that this keyring was made with"
        )
    else:
        kek = make_kek_file(kek_file)
    if if_missing and path.exists() and Keyring.open(path, kek).data_keys(tenant):
        return None
    return init_keyring(path, tenant, kek)


def decrypt_cell(
    connection: Connection, migration: Migration, keyring: Keyring, *, table: str, column: str, key: Sequence[str]
) -> bytes | None:
    """One cell of the target in clear, None when it is NULL; a bytea as its bytes.

    Raises:
        ConfigurationError: no such table, column or row, or it is not encrypted.
        KeyringError: the key that encrypted it is not there, or does not open it.
    """
    place = _place(connection, migration, table)
    if column not in place.columns:
        raise ConfigurationError(
            f'table "{table}" has no column "{column}"{did_you_mean(column, place.columns)}',
            hint="name a column that the migration encrypts",
        )
    if len(key) != len(place.key):
        raise ConfigurationError(
            f'table "{table}": its key has {len(place.key)} column{"" if len(place.key) == 1 else "s"}, {len(key)} given',
            hint="give the key's values in the key's order",
        )
    cell, row_key = _fetch(connection, place, column, key)
    if cell is None:
        return None
    try:
        if not isinstance(cell, bytes):
            raise NotAnEnvelope
        cipher = keyring.cell_cipher(migration.tenant, place.table, column, header_kid(cell))
        return cipher.decrypt([cell], row_contexts([row_key]))[0]
    except NotAnEnvelope:
        raise ConfigurationError(f"{table}.{column} is not encrypted", hint="read it with SQL") from None
    except Undecryptable:
        raise KeyringError(
            f"{table}.{column}: the cell of this row does not open",
            hint="it was changed, moved from another row, or encrypted by another tenant's key; "
            "`validator reconcile` looks at all of them",
        ) from None


def shown(plain: bytes, type_: str) -> str:
    """A decrypted cell as PostgreSQL prints it."""
    return "\\x" + plain.hex() if type_ == "bytea" else plain.decode("utf-8", "backslashreplace")


def source_type(connection: Connection, migration: Migration, table: str, column: str) -> str:
    """The type that a column had at the source."""
    return _place(connection, migration, table).columns.get(column, "text")


def _place(connection: Connection, migration: Migration, table: str) -> _Place:
    organization = migration.organization
    progress = known_progress(connection, migration.tenant)
    found = {item.name: item for n in sorted(progress.generations) for item in progress.generations[n].catalogue.tables}
    if table in found:
        item, schema = found[table], progress.tenant.schema_name
        if not item.key:
            raise ConfigurationError(f'table "{table}" has no key, so no row of it can be named')
        use_schema(connection, schema)
        columns = [item.column(name) for name in item.key]
        return _Place(
            table=table,
            name=quote_qualified(schema, table),
            key=tuple((text_expression(part), f"{quote_ident(part.name)} = %s::text::{part.type}") for part in columns),
            columns={part.name: part.type for part in item.stored},
        )
    if organization is not None and table == organization.table_name:
        return _Place(
            table=table,
            name=quote_qualified(organization.schema_name, table),
            key=tuple((f"{quote_ident(name)}::text", f"{quote_ident(name)}::text = %s") for name in organization.key),
            columns=dict.fromkeys(organization.tokens, "text"),
        )
    raise ConfigurationError(
        f'table "{table}" is in no generation{did_you_mean(table, found)}', hint="`consumer status` lists them"
    )


def _fetch(connection: Connection, place: _Place, column: str, key: Sequence[str]) -> tuple[object, tuple[str, ...]]:
    texts = ", ".join(text for text, _ in place.key)
    where = " AND ".join(condition for _, condition in place.key)
    wanted = f"t.{quote_ident(column)}, {texts}".replace("%", "%%")  # psycopg reads % as its own
    query = f"SELECT {wanted} FROM {place.name} AS t WHERE {where}"
    try:
        row = connection.execute(query.encode(), list(key)).fetchone()
    except psycopg.Error as error:
        if is_row_fault(error):
            raise ConfigurationError(
                f'table "{place.table}": what was given is no value of its key',
                hint="give the key as PostgreSQL prints it",
            ) from None
        raise explain(error, f"{place.table}.{column}") from None
    if row is None:
        raise ConfigurationError(f'table "{place.table}" has no row of this key in the target')
    return row[0], tuple(row[1:])
