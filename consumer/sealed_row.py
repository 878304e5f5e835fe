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
from schemas.errors import KeyringError
from schemas.records import Position


@dataclass(frozen=True, slots=True)
class SealedRow:
    """What of a row stands in quarantine; `value` is None and `kid` "" without a keyring."""

    key_digest: str
    kid: str
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSeal:
    """Seals and opens rows of one table of a tenant."""

    tenant: str
    log_id: str
    keyring: Keyring | None
    schema: WireSchema
    table: Table

    def seal(self, row: pl.DataFrame, position: Position, row_index: int) -> SealedRow:
        """Seal a frame of one row, as it came from the log."""
        digest = self._digest(row)
        if self.keyring is None:
            return SealedRow(digest, "", None)
        key = self.keyring.primary(self.tenant)
        value = seal.seal(
            self.keyring.transport_key(self.tenant, self.log_id, key.kid),
            encode(row, self.schema),
            self._associated_data(position, row_index),
        )
        return SealedRow(digest, str(key.kid), value)

    def open(self, value: bytes, kid: str, position: Position, row_index: int) -> pl.DataFrame:
        """The frame of one row that `seal` sealed.

        Raises:
            ContractError: the wrong key, or the row was changed or moved.
            KeyringError: the key is missing or destroyed.
        """
        if self.keyring is None:
            raise KeyringError(
                f"{self.table.name}: a row in quarantine is sealed with key {kid}, and there is no keyring",
                hint="set KEYRING and KEYRING_KEK_FILE (or KEYRING_KEK) as for the consumer that sealed it",
            )
        key = self.keyring.transport_key(self.tenant, self.log_id, int(kid))
        plain = seal.unseal(key, value, self._associated_data(position, row_index), str(position))
        return decode(plain, self.schema, position)

    def _associated_data(self, position: Position, row_index: int) -> bytes:
        parts = ["quarantine", self.tenant, self.table.name, position.topic, position.partition, position.offset]
        return json.dumps([*parts, row_index], ensure_ascii=False, separators=(",", ":")).encode()

    def _digest(self, row: pl.DataFrame) -> str:
        if not self.table.key:
            return ""
        (key,) = row_keys(row, [self.schema.field(name) for name in self.table.key])
        if self.keyring is not None:
            return self.keyring.digest_of(self.tenant, key)
        # Without a keyring the log itself is in clear; this keeps the key's value out of reports all the same.
        return row_digest(self.log_id.encode(), key)
