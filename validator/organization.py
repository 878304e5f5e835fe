"""Layer `organization`: the tenant's row in the target's table of organizations, its tokens decrypted."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.keyring import Keyring
from runtime.postgres import Connection
from schemas.envelope import header_kid, row_contexts
from schemas.errors import KeyringError
from schemas.migration import Migration, Organization
from schemas.sql import quote_ident, quote_qualified
from validator.sides import named_errors
from validator.verdict import Difference, Finding, Kind, Layer


def look_at_organization(
    target: Connection, migration: Migration, keyring: Keyring | None, environment: Mapping[str, str]
) -> Finding:
    """Compare the row's values, and its decrypted tokens with where the migration says they are."""
    began = time.monotonic()
    organization = migration.organization
    if organization is None:
        return Finding(layer=Layer.ORGANIZATION, notes=("the migration has no organization",))
    there = len(organization.values) + len(organization.tokens)
    problems, unknown = _look(target, migration, organization, keyring, environment)
    differences = tuple(
        Difference(
            layer=Layer.ORGANIZATION,
            table=organization.table,
            kind=Kind.ORGANIZATION,
            columns=(column,) if column else (),
            detail=detail,
        )
        for column, detail in problems
    )
    return Finding(
        layer=Layer.ORGANIZATION,
        looked_at=there - len(unknown),
        there=there,
        unit="cells",
        seconds=time.monotonic() - began,
        differences=differences,
        unknown=tuple(unknown),
    )


def _look(
    target: Connection,
    migration: Migration,
    organization: Organization,
    keyring: Keyring | None,
    environment: Mapping[str, str],
) -> tuple[list[tuple[str, str]], list[str]]:
    types = _types(target, organization)
    if types is None:
        return [("", "the table does not exist")], []
    absent = [name for name in (*organization.values, *organization.tokens) if name not in types]
    if absent:
        return [(name, "the column does not exist") for name in absent], []
    key = [_text(organization.values[name]) for name in organization.key]
    same = [
        f"{quote_ident(name)}::text IS NOT DISTINCT FROM %s::text::{types[name]}::text" for name in organization.values
    ]
    where = " AND ".join(f"{quote_ident(name)} = %s::text::{types[name]}" for name in organization.key)
    query = (
        f"SELECT {', '.join([*same, *map(quote_ident, organization.tokens)])}"
        f" FROM {quote_qualified(organization.schema_name, organization.table_name)} WHERE {where}"
    )
    with named_errors("target", f"{organization.table}: the organization's row"):
        rows = target.execute(query.encode(), [*map(_text, organization.values.values()), *key]).fetchall()
    if len(rows) != 1:
        return [("", "there is no row of the tenant" if not rows else f"{len(rows)} rows have the tenant's key")], []
    equal, stored = rows[0][: len(same)], rows[0][len(same) :]
    problems = [
        (name, "differs from the migration")
        for name, is_same in zip(organization.values, equal, strict=True)
        if not is_same
    ]
    unknown: list[str] = []
    for column, cell in zip(organization.tokens, stored, strict=True):
        expected = _token(organization.tokens[column], environment)
        if expected is None:
            unknown.append(f'token "{column}" cannot be compared: {organization.tokens[column]} is not there')
        elif keyring is None:
            unknown.append(f'token "{column}" cannot be decrypted: there is no keyring')
        elif cell is None:
            problems.append((column, "the token is missing"))
        else:
            plain = _opened(cell, keyring, (migration.tenant, organization.table_name, column), key)
            if plain is None:
                problems.append((column, "the token does not open with the keyring"))
            elif not hmac.compare_digest(plain, expected.encode()):
                problems.append((column, "the token differs from the migration's"))
    return problems, unknown


def _opened(cell: bytes, keyring: Keyring, place: tuple[str, str, str], key: list[str]) -> bytes | None:
    try:
        cipher = keyring.cell_cipher(*place, header_kid(cell))
    except (KeyringError, ValueError):  # an unknown key, or no envelope
        return None
    return cipher.decrypt_or_none([cell], row_contexts([key]))[0]


def _types(target: Connection, organization: Organization) -> dict[str, str] | None:
    with named_errors("target", f"{organization.table}: columns"):
        rows: list[tuple[Any, ...]] = target.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (quote_qualified(organization.schema_name, organization.table_name),),
        ).fetchall()
    return dict(rows) or None


def _text(value: str | int | bool) -> str:  # noqa: FBT001  a constant of the migration
    return str(value).lower() if isinstance(value, bool) else str(value)


def _token(place: str, environment: Mapping[str, str]) -> str | None:
    kind, _, name = place.partition(":")
    if kind == "env":
        return environment.get(name) or None
    try:
        return Path(name).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
