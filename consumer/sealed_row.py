"""A row in quarantine: sealed as a batch of one row, so that a retry goes the way every row goes.

The seal binds it to its tenant, table and place in the log. Without a keyring no bytes are kept:
the row can be read again from its position.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from runtime.keyring import Keyring
from schemas import seal
from schemas.batch import WireSchema, decode, encode, row_keys
from schemas.catalogue import Table
from schemas.derivation import row_digest
from schemas.records import Position


@dataclass(frozen=True, slots=True)
class SealedRow:
    """What of a row stands in quarantine; `value` is None and `kid` "" without a keyring."""

    key_digest: str
    kid: str
    value: bytes | None


def associated_data(tenant: str, table: str, position: Position, row_index: int) -> bytes:
    """What the seal of a row in quarantine binds it to."""
    parts = ["quarantine", tenant, table, position.topic, position.partition, position.offset, row_index]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()


def seal_row(
    row: pl.DataFrame,
    schema: WireSchema,
    table: Table,
    position: Position,
    row_index: int,
    *,
    tenant: str,
    log_id: str,
    keyring: Keyring | None,
) -> SealedRow:
    """Seal a frame of one row, as it came from the log."""
    digest = _digest(row, schema, table, tenant, log_id, keyring)
    if keyring is None:
        return SealedRow(digest, "", None)
    key = keyring.primary(tenant)
    value = seal.seal(
        keyring.transport_key(tenant, log_id, key.kid),
        encode(row, schema),
        associated_data(tenant, table.name, position, row_index),
    )
    return SealedRow(digest, str(key.kid), value)


def open_row(
    value: bytes,
    kid: str,
    schema: WireSchema,
    table: Table,
    position: Position,
    row_index: int,
    *,
    tenant: str,
    log_id: str,
    keyring: Keyring,
) -> pl.DataFrame:
    """The frame of one row that `seal_row` sealed.

    Raises:
        ContractError: the wrong key, or the row was changed or moved.
        KeyringError: the key is missing or destroyed.
    """
    key = keyring.transport_key(tenant, log_id, int(kid))
    plain = seal.unseal(key, value, associated_data(tenant, table.name, position, row_index), str(position))
    return decode(plain, schema, position)


def _digest(
    row: pl.DataFrame, schema: WireSchema, table: Table, tenant: str, log_id: str, keyring: Keyring | None
) -> str:
    if not table.key:
        return ""
    (key,) = row_keys(row, [schema.field(name) for name in table.key])
    if keyring is not None:
        return keyring.digest_of(tenant, key)
    # Without a keyring the log itself is in clear; this keeps the key's value out of reports all the same.
    return row_digest(log_id.encode(), key)
