"""Columns of a frame into cell envelopes, in bulk.

A cell's plaintext is its PostgreSQL text (UTF-8), bytes for bytea; NULL stays NULL, '' is encrypted.
Each cell is bound to the text of its row's key as it travels and as the target stores it
(`schemas.batch.row_keys`; in SQL `schemas.pgtypes.text_expression`), so it cannot be moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from schemas.batch import row_keys
from schemas.envelope import CellCipher, row_contexts
from schemas.pgtypes import Wire, float_text


def encrypted_columns(
    frame: pl.DataFrame, key_fields: Sequence[str], ciphers: Mapping[str, CellCipher]
) -> dict[str, pl.Series]:
    """For each field that has a cipher, its column encrypted, as bytes."""
    if not ciphers or not frame.height:
        return {}
    contexts = row_contexts(row_keys(frame, key_fields))
    return {
        field: pl.Series(field, cipher.encrypt(plaintexts(frame.get_column(field)), contexts), dtype=pl.Binary)
        for field, cipher in ciphers.items()
    }


def plaintexts(column: pl.Series) -> list[str | bytes | None]:
    """The cells as PostgreSQL prints them, bytes as they are.

    >>> plaintexts(pl.Series([True, None])), plaintexts(pl.Series([1.0, 1e300]))
    (['true', None], ['1', '1e+300'])
    """
    if column.dtype in (pl.Float32, pl.Float64):
        kind = Wire.DOUBLE if column.dtype == pl.Float64 else Wire.FLOAT
        return [None if value is None else float_text(value, kind) for value in column.to_list()]
    if column.dtype == pl.String:
        return column.cast(pl.Binary).to_list()  # the same bytes, and nobody needs to encode them
    if column.dtype == pl.Binary:
        return column.to_list()
    return column.cast(pl.String).to_list()
