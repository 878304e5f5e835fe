"""What becomes of a batch: the target's columns from the frame that travelled. Pure but for the ciphers' nonces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from consumer.encrypt import encrypted_columns
from consumer.refusal import Refusal
from schemas.batch import WireSchema
from schemas.envelope import CellCipher
from schemas.mapping import TableMapping, Treatment


@dataclass(frozen=True)
class TablePlan:
    """How rows of one attempt of a table become rows of the target. `ciphers` are by column."""

    mapping: TableMapping
    schema: WireSchema
    instant: str
    ciphers: Mapping[str, CellCipher]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The target's columns that are written by COPY, in order; those that SQL computes are not among them."""
        constants = [added.name for added in self.mapping.added if added.sql is None]
        return (*(column.name for column in self.mapping.columns), *constants, self.mapping.migrated_at)

    @cached_property
    def _key_fields(self) -> tuple[str, ...]:
        return tuple(self.schema.field(name) for name in self.mapping.table.key)

    @cached_property
    def _expressions(self) -> tuple[pl.Expr, ...]:
        made = []
        for column in self.mapping.columns:
            cell = pl.col(self.schema.field(column.name))
            if column.treatment is Treatment.TRANSFORM and column.transform is not None:
                cell = column.transform.expression(cell)
            made.append(cell.alias(column.name))
        constants = [(item.name, item.value) for item in self.mapping.added if item.sql is None]
        made += [
            pl.lit(None if value is None else _text(value), dtype=pl.String).alias(name) for name, value in constants
        ]
        made.append(pl.lit(self.instant).alias(self.mapping.migrated_at))
        return tuple(made)

    def shape(self, source: pl.DataFrame) -> tuple[pl.DataFrame, Sequence[int], tuple[Refusal, ...]]:
        """The target's rows, the row of `source` that each is, and the rows that a transform refuses."""
        places: Sequence[int] = range(source.height)
        refusals = self._refused(source)
        if refusals:
            bad = {refusal.row for refusal in refusals}
            places = [row for row in places if row not in bad]
            source = source[places]
        ciphers = {self.schema.field(name): cipher for name, cipher in self.ciphers.items()}
        encrypted = encrypted_columns(source, self._key_fields, ciphers)
        if encrypted:
            source = source.with_columns(encrypted.values())
        return source.select(self._expressions), places, refusals

    def _refused(self, source: pl.DataFrame) -> tuple[Refusal, ...]:
        found: dict[int, Refusal] = {}
        for column in self.mapping.columns:
            if column.transform is None:
                continue
            field = self.schema.field(column.name)
            cell = pl.col(field)
            failed = source.select(column.transform.failed(cell).alias("failed"))["failed"].fill_null(value=False)
            rows = failed.arg_true().to_list()
            if not rows:
                continue
            reasons = source[rows].with_columns(column.transform.reason(cell).alias(field))[field]
            for row, why in zip(rows, reasons, strict=True):
                reason = f'"{column.name}" cannot become {column.target_type}: {why}'
                found.setdefault(row, Refusal(row=row, sqlstate="", reason=reason, column=column.name))
        return tuple(found[row] for row in sorted(found))


def _text(value: str | int | bool) -> str:  # noqa: FBT001 - a constant of the migration
    return str(value).lower() if isinstance(value, bool) else str(value)
