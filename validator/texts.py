"""Rows of a batch as the texts that are compared: what each cell must be in the target.

A cell that is moved as it is has the text that it travelled as. A transformed one is computed by the
SQL of its transform, on the target's server in its read-only session, from the text that travelled:
the validator's own implementation, never the consumer's. Encrypted cells stay plaintext here, and
are compared with what the target's cells decrypt to.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from runtime.postgres import Connection
from schemas.batch import WireSchema
from schemas.mapping import TableMapping
from schemas.pgtypes import Wire, float_text
from schemas.sql import quote_ident
from validator.plan import Cell, TablePlan
from validator.scan import Sums
from validator.sides import named_errors

_HALVES = 4  # of eight bytes, in a digest of SHA-256; the first two are summed
_SPECIAL = r'[(),"\\\x09\x0A\x0B\x0C\x0D ]'


def travelled_only(plan: TablePlan, mapping: TableMapping) -> tuple[TablePlan, tuple[str, ...]]:
    """The plan without generated columns, which are not in the log, and their names."""
    known = {column.name for column in mapping.columns} | {added.name for added in mapping.added}
    left = tuple(cell.name for cell in plan.clear if cell.name not in known)
    kept = replace(plan, clear=tuple(cell for cell in plan.clear if cell.name in known), noticed=())
    return kept, left


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRows:
    """Some rows, column by column, as text; in the plan's order."""

    key: tuple[pl.Series, ...]
    clear: tuple[pl.Series, ...]
    sealed: tuple[pl.Series, ...]

    @property
    def height(self) -> int:
        """How many rows."""
        return len(self.clear[0]) if self.clear else len(self.sealed[0])

    @property
    def bound(self) -> tuple[pl.Series, ...]:
        """What stands beside encrypted cells when they are compared: the key, else all clear cells."""
        return self.key or self.clear

    def key_digests(self) -> list[bytes]:
        """The fingerprint of each row's key."""
        return fingerprints(self.key)

    def chosen(self, mask: Sequence[bool]) -> TextRows:
        """The rows where `mask` is true."""
        rows = pl.Series(mask, dtype=pl.Boolean)
        return TextRows(
            key=tuple(column.filter(rows) for column in self.key),
            clear=tuple(column.filter(rows) for column in self.clear),
            sealed=tuple(column.filter(rows) for column in self.sealed),
        )

    def with_sealed(self) -> TextRows:
        """The rows that have an encrypted cell which is not NULL."""
        found = pl.select(pl.any_horizontal(column.is_not_null() for column in self.sealed)).to_series()
        return self.chosen(found.to_list())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaper:
    """Makes texts of the batches of one reading."""

    target: Connection
    mapping: TableMapping
    plan: TablePlan
    schema: WireSchema

    def shape(self, frame: pl.DataFrame) -> TextRows:
        """All rows of a batch."""
        clear = {cell.name: self._cell(cell, frame) for cell in self.plan.clear}
        return TextRows(
            key=tuple(clear[cell.name] for cell in self.plan.key),
            clear=tuple(clear.values()),
            sealed=tuple(self._texts(item.name, frame) for item in self.plan.sealed),
        )

    def _cell(self, cell: Cell, frame: pl.DataFrame) -> pl.Series:
        moved = {column.name: column for column in self.mapping.columns}.get(cell.name)
        if moved is None:
            return pl.Series(cell.name, [self._constant(cell)] * frame.height, dtype=pl.String)
        texts = self._texts(cell.name, frame)
        if moved.transform is None:
            return texts
        distinct = texts.unique()
        converted = pl.Series(self._converted(cell, moved.source_type, distinct.to_list()), dtype=pl.String)
        return texts.replace_strict(distinct, converted, return_dtype=pl.String)

    def _texts(self, name: str, frame: pl.DataFrame) -> pl.Series:
        """A column's texts; floats are printed by the server, which is a hundred times as fast as doing it here."""
        column = frame.get_column(self.schema.field(name))
        if not column.dtype.is_float():
            return text_series(column)
        type_ = "float8" if column.dtype == pl.Float64 else "float4"
        query = f"SELECT x.v::text FROM unnest(%s::{type_}[]) WITH ORDINALITY AS x(v, n) ORDER BY x.n"
        with named_errors("target", f'{self.plan.name}: numbers of "{name}"'):
            texts = [row[0] for row in self.target.execute(query.encode(), (column.to_list(),))]
        return pl.Series(name, texts, dtype=pl.String)

    def _constant(self, cell: Cell) -> str | None:
        with named_errors("target", f'{self.plan.name}: added column "{cell.name}"'):
            row = self.target.execute(f"SELECT {cell.source}".encode()).fetchone()
        assert row is not None
        found: str | None = row[0]
        return found

    def _converted(self, cell: Cell, source_type: str, texts: list[str | None]) -> list[str | None]:
        name, number = quote_ident(cell.name), quote_ident(f"{cell.name}#")
        rows = (
            f"(SELECT x.v::{source_type} AS {name}, x.n AS {number}"
            " FROM unnest(?::text[]) WITH ORDINALITY AS x(v, n) OFFSET 0) t"
        )
        query = f"SELECT {cell.source} FROM {rows} ORDER BY t.{number}".replace("%", "%%").replace(
            "unnest(?", "unnest(%s"
        )
        with named_errors("target", f'{self.plan.name}: the transform of "{cell.name}" over what was published'):
            return [row[0] for row in self.target.execute(query.encode(), (texts,))]


def text_series(column: pl.Series) -> pl.Series:
    r"""The cells as PostgreSQL prints them.

    >>> text_series(pl.Series([True, None])).to_list(), text_series(pl.Series([b"\x00", b""])).to_list()
    (['true', None], ['\\x00', '\\x'])
    """
    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Binary:
        return pl.select(pl.lit("\\x") + column.bin.encode("hex")).to_series()
    if column.dtype.is_float():
        kind = Wire.DOUBLE if column.dtype == pl.Float64 else Wire.FLOAT
        texts = [None if value is None else float_text(value, kind) for value in column.to_list()]
        return pl.Series(column.name, texts, dtype=pl.String)
    return column.cast(pl.String)


def row_texts(columns: Sequence[pl.Series]) -> pl.Series:
    """`schemas.canonical.canonical_text` of each row, column-wise.

    >>> row_texts([pl.Series(["a", None]), pl.Series(["b c", ""])]).to_list()
    ['(a,"b c")', '(,"")']
    """
    frame = pl.DataFrame({str(number): column for number, column in enumerate(columns)})
    parts = []
    for number in range(len(columns)):
        cell = pl.col(str(number))
        quoted = pl.concat_str(
            pl.lit('"'),
            cell.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '""', literal=True),
            pl.lit('"'),
        )
        needs = (cell.str.len_bytes() == 0) | cell.str.contains(_SPECIAL)
        parts.append(pl.when(cell.is_null()).then(pl.lit("")).when(needs).then(quoted).otherwise(cell))
    joined = pl.concat_str(parts, separator=",") if len(parts) > 1 else parts[0]
    return frame.select(pl.concat_str(pl.lit("("), joined, pl.lit(")")).alias("row")).to_series()


def fingerprints(columns: Sequence[pl.Series]) -> list[bytes]:
    """`schemas.canonical.fingerprint` of each row."""
    sha256 = hashlib.sha256
    return [sha256(text).digest() for text in row_texts(columns).cast(pl.Binary).to_list()]


def sums_of(digests: Sequence[bytes]) -> Sums:
    """What fingerprints add up to."""
    numbers = struct.unpack(f">{_HALVES * len(digests)}q", b"".join(digests))
    return Sums(len(digests), sum(numbers[::_HALVES]), sum(numbers[1::_HALVES]))
