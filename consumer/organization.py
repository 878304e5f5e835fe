"""The tenant's row in the target's table of organizations, its access tokens encrypted.

The table is made when it is absent, else it must have the columns. The row is found by the
conflict key; a row that already says the same (tokens compared in clear) is not written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from consumer.tokens import read_tokens
from runtime.interventions import note_made_organization
from runtime.keyring import Keyring
from runtime.postgres import Connection, explain
from schemas.envelope import envelope_check, header_kid, row_contexts
from schemas.errors import KeyringError, TargetError
from schemas.migration import Migration, Organization
from schemas.sql import quote_ident, quote_qualified

_TYPES: dict[type, str] = {str: "text", bool: "boolean", int: "bigint"}


@dataclass(frozen=True, slots=True)
class OrganizationWritten:
    """The organization's row stands as the migration says: `made`, `changed` or `same`."""

    table: str
    outcome: str


def write_organization(
    connection: Connection, migration: Migration, keyring: Keyring | None, environment: Mapping[str, str]
) -> OrganizationWritten | None:
    """Make the row, or bring it up to date, in one transaction; None when the migration has no organization.

    Raises:
        ConfigurationError: a token is not there.
        KeyringError: there are tokens and no keyring.
        TargetError: the table lacks columns (named with the ALTER), or the target refuses.
    """
    organization = migration.organization
    if organization is None:
        return None
    tokens = read_tokens(migration, environment)
    if tokens and keyring is None:
        raise KeyringError(
            "the organization's tokens are encrypted, and there is no keyring", hint="set KEYRING and KEYRING_KEK_FILE"
        )
    try:
        with connection.transaction():
            _make_table(connection, organization)
            types = _checked_columns(connection, organization)
            row = _Row(connection, migration.tenant, organization, types, keyring)
            outcome = row.write(tokens)
            if outcome == "made":
                note_made_organization(connection, migration.tenant)
    except psycopg.Error as error:
        raise explain(error, f"{organization.table}: the organization's row") from None
    return OrganizationWritten(organization.table, outcome)


def delete_organization(connection: Connection, organization: Organization) -> int:
    """Take the organization's row away; returns how many rows that were (the table may be gone too)."""
    if not _exists(connection, organization):
        return 0
    where = " AND ".join(f"{quote_ident(column)}::text = %s" for column in organization.key)
    found = connection.execute(
        f"DELETE FROM {_table_name(organization)} WHERE {where}".encode(),
        [_text(organization.values[column]) for column in organization.key],
    )
    return found.rowcount


def _table_name(organization: Organization) -> str:
    return quote_qualified(organization.schema_name, organization.table_name)


def _exists(connection: Connection, organization: Organization) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_table_name(organization),)).fetchone()
    return row is not None and bool(row[0])


def _make_table(connection: Connection, organization: Organization) -> None:
    if _exists(connection, organization):
        return
    columns = [f"{quote_ident(name)} {_TYPES[type(value)]}" for name, value in organization.values.items()]
    columns += [f"{quote_ident(name)} bytea CHECK ({envelope_check(name)})" for name in organization.tokens]
    key = ", ".join(quote_ident(name) for name in organization.key)
    columns.append(f"PRIMARY KEY ({key})")
    connection.execute(f"CREATE TABLE {_table_name(organization)} ({', '.join(columns)})".encode())


def _checked_columns(connection: Connection, organization: Organization) -> dict[str, str]:
    """Types of the table's columns that we write; an error with the ALTER when one is missing."""
    rows = connection.execute(
        """
        SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        """,
        (_table_name(organization),),
    ).fetchall()
    found: dict[str, str] = dict(rows)
    name = _table_name(organization)
    wanted = {column: _TYPES[type(value)] for column, value in organization.values.items()}
    wanted |= dict.fromkeys(organization.tokens, "bytea")
    alters = [
        f"ALTER TABLE {name} ADD COLUMN {quote_ident(column)} {type_};"
        for column, type_ in wanted.items()
        if column not in found
    ]
    alters += [
        f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column)} TYPE bytea USING NULL;"
        for column in organization.tokens
        if found.get(column, "bytea") != "bytea"
    ]
    if not _has_unique(connection, organization):
        alters.append(f"ALTER TABLE {name} ADD UNIQUE ({', '.join(map(quote_ident, organization.key))});")
    if alters:
        raise TargetError(
            f"{organization.table}: the table of organizations does not fit [organization] in the migration",
            hint="run, or correct the migration: " + " ".join(alters),
        )
    return found


def _has_unique(connection: Connection, organization: Organization) -> bool:
    row = connection.execute(
        """
        SELECT EXISTS (
          SELECT FROM pg_index i
          WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
            AND i.indexprs IS NULL AND (
              SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM unnest(i.indkey::int2[]) k
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k) = %s::text[])
        """,
        (_table_name(organization), sorted(organization.key)),
    ).fetchone()
    return row is not None and bool(row[0])


def _text(value: str | int) -> str:
    """A value of the migration (true and false are numbers in Python) as PostgreSQL prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class _Row:
    """The row as it must be, and as it is."""

    connection: psycopg.Connection[Any]
    tenant: str
    organization: Organization
    types: Mapping[str, str]
    keyring: Keyring | None

    def write(self, tokens: Mapping[str, str]) -> str:
        columns = list(self.organization.values)
        typed = {name: f"%s::text::{self.types[name]}" for name in columns}
        where = " AND ".join(f"{quote_ident(name)} = {typed[name]}" for name in self.organization.key)
        key = [_text(self.organization.values[name]) for name in self.organization.key]
        same = [f"{quote_ident(name)}::text IS NOT DISTINCT FROM ({typed[name]})::text" for name in columns]
        found = self.connection.execute(
            f"SELECT {' AND '.join(same)} {''.join(', ' + quote_ident(name) for name in tokens)} "
            f"FROM {_table_name(self.organization)} WHERE {where} FOR UPDATE".encode(),
            [*(_text(self.organization.values[name]) for name in columns), *key],
        ).fetchone()
        if found is None:
            self._insert(columns, typed, tokens, key)
            return "made"
        stored = dict(zip(tokens, found[1:], strict=True))
        changed = {name: value for name, value in tokens.items() if self._clear(name, stored[name], key) != value}
        if found[0] and not changed:
            return "same"
        self._update(columns, typed, changed, where, key)
        return "changed"

    def _insert(
        self, columns: Sequence[str], typed: Mapping[str, str], tokens: Mapping[str, str], key: Sequence[str]
    ) -> None:
        names = ", ".join(quote_ident(name) for name in (*columns, *tokens))
        values = ", ".join([*(typed[name] for name in columns), *("%s" for _ in tokens)])
        self.connection.execute(
            f"INSERT INTO {_table_name(self.organization)} ({names}) VALUES ({values})".encode(),
            [*(_text(self.organization.values[name]) for name in columns), *self._sealed(tokens, key)],
        )

    def _update(
        self,
        columns: Sequence[str],
        typed: Mapping[str, str],
        tokens: Mapping[str, str],
        where: str,
        key: Sequence[str],
    ) -> None:
        sets = [f"{quote_ident(name)} = {typed[name]}" for name in columns]
        sets += [f"{quote_ident(name)} = %s" for name in tokens]
        self.connection.execute(
            f"UPDATE {_table_name(self.organization)} SET {', '.join(sets)} WHERE {where}".encode(),
            [*(_text(self.organization.values[name]) for name in columns), *self._sealed(tokens, key), *key],
        )

    def _sealed(self, tokens: Mapping[str, str], key: Sequence[str]) -> list[bytes | None]:
        contexts = row_contexts([key])
        return [
            self._keyring.cell_cipher(self.tenant, self.organization.table_name, name).encrypt([value], contexts)[0]
            for name, value in tokens.items()
        ]

    def _clear(self, column: str, stored: bytes | None, key: Sequence[str]) -> str | None:
        """The stored token in clear; None when there is none, or none that we can read (then it is replaced)."""
        if stored is None:
            return None
        try:
            kid = header_kid(stored)
            cipher = self._keyring.cell_cipher(self.tenant, self.organization.table_name, column, kid)
            clear = cipher.decrypt([stored], row_contexts([key]))[0]
        except (KeyringError, ValueError):  # no envelope, another key, or bound to another row
            return None
        return None if clear is None else clear.decode("utf-8", "replace")

    @property
    def _keyring(self) -> Keyring:
        assert self.keyring is not None  # seen before: tokens without a keyring are refused
        return self.keyring
