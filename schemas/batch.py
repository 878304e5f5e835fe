"""A batch: rows of one table as a typed frame, to and from CSV of PostgreSQL and Avro container files.

    source COPY ──parse_csv──▶ frame ──encode──▶ log ──decode──▶ frame ──to_copy_csv──▶ target COPY

Everything is column-wise; no Python object is made for a cell. Frames have the Avro names as
columns. Errors of polars quote cells, so they are caught here and their text is never used.
"""

from __future__ import annotations

import hashlib
import io
import json
from binascii import hexlify, unhexlify
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import polars as pl

from schemas.avro import field_names
from schemas.avro_rows import avro_rows
from schemas.catalogue import Table
from schemas.container import NotAContainer, uncompressed, with_block
from schemas.errors import ContractError, SourceError
from schemas.large_row import cut
from schemas.pgtypes import Wire, float_text, wire
from schemas.records import Position, WireColumn

COPY_OPTIONS = "(FORMAT csv)"
"""What `parse_csv` reads and `to_copy_csv` writes: no header, NULL an empty field without quotes, '' with them."""

RECORD_NAME = "Row"
LARGE_ROW_BYTES = 256 * 1024

_POLARS: dict[Wire, pl.DataType] = {
    Wire.INT: pl.Int32(),
    Wire.LONG: pl.Int64(),
    Wire.BOOLEAN: pl.Boolean(),
    Wire.FLOAT: pl.Float32(),
    Wire.DOUBLE: pl.Float64(),
    Wire.BYTES: pl.Binary(),
    Wire.STRING: pl.String(),
}


@dataclass(frozen=True)
class WireSchema:
    """How the columns of one table travel, in order. Generated columns do not."""

    columns: tuple[WireColumn, ...]

    @classmethod
    def of(cls, table: Table) -> WireSchema:
        """The schema of a table as the catalogue has it."""
        stored = table.stored
        fields = field_names([column.name for column in stored])
        return cls(
            tuple(
                WireColumn(name=column.name, type=column.type, field=field, wire=wire(column.type))
                for column, field in zip(stored, fields, strict=True)
            )
        )

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits that name these columns, types and Avro names."""
        plain = json.dumps([asdict(column) for column in self.columns], ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(plain.encode()).hexdigest()[:16]

    @cached_property
    def polars(self) -> dict[str, pl.DataType]:
        """Types of a frame's columns, by Avro name."""
        return {column.field: _POLARS[Wire(column.wire)] for column in self.columns}

    def field(self, name: str) -> str:
        """The Avro name of a column; KeyError if it does not travel."""
        for column in self.columns:
            if column.name == name:
                return column.field
        raise KeyError(name)


def parse_csv(
    data: bytes | bytearray, schema: WireSchema, *, table: str = "table", rows: int | None = None
) -> pl.DataFrame:
    """Read what `COPY … TO STDOUT (FORMAT csv)` printed, without a header, of one or more batches.

    Give `rows`, the number of messages of COPY, and a frame of another height is refused.

    Raises:
        SourceError: the bytes are not rows of this schema; no value is told.
    """
    # A header line goes first: else a U+FEFF at the beginning of the first cell is taken for a byte order mark.
    header = ",".join(f'"{field}"' for field in schema.polars) + "\n"
    read_as: dict[str, pl.DataType] = {
        field: pl.String() if kind == pl.Binary() else kind for field, kind in schema.polars.items()
    }
    frame: pl.DataFrame | None = None
    try:
        if rows == 1 and len(data) > LARGE_ROW_BYTES:
            row = cut(data, larger_than=LARGE_ROW_BYTES)
            if row.cells:
                rest = parse_csv(row.rest, schema, table=table, rows=1)
                return rest.with_columns(_large_cells(row.cells, schema))
        frame = pl.read_csv(
            b"".join((header.encode(), data)),
            schema=read_as,
            has_header=True,
            quote_char='"',
            comment_prefix=None,
            null_values=None,
            infer_schema=False,
            ignore_errors=False,
            truncate_ragged_lines=False,
            try_parse_dates=False,
        )
        frame = _bytes_from_hex(frame, schema)
    except (pl.exceptions.PolarsError, ValueError, IndexError):
        frame = None
    if frame is None:
        raise SourceError(
            f"{table}: what COPY printed is not rows of its {len(schema.columns)} columns",
            hint="the table was changed while it was read, or this PostgreSQL prints a type in another form",
        )
    if rows is not None and frame.height != rows:
        raise SourceError(
            f"{table}: COPY printed {rows} rows, {frame.height} were read",
            hint="this must not happen; please report it with the types of the table's columns",
        )
    return frame


def _large_cells(cells: dict[int, bytes | memoryview], schema: WireSchema) -> Iterator[pl.Series]:
    fields = list(schema.polars.items())
    for column in list(cells):
        cell = cells.pop(column)
        field, kind = fields[column]
        if kind == pl.Binary():
            if bytes(cell[:2]) != b"\\x":
                raise ValueError("bytea not in hex form")
            cell = unhexlify(cell[2:])
        yield pl.Series(field, [bytes(cell)], dtype=pl.Binary()).cast(kind)


def _bytes_from_hex(frame: pl.DataFrame, schema: WireSchema) -> pl.DataFrame:
    fields = [field for field, kind in schema.polars.items() if kind == pl.Binary()]
    if not fields:
        return frame
    if not frame.select(pl.all_horizontal(pl.col(field).str.starts_with("\\x").fill_null(True).all() for field in fields)).item():  # fmt: skip
        raise ValueError("bytea not in hex form")
    return frame.with_columns(pl.col(field).str.slice(2).str.decode("hex", strict=True) for field in fields)


def encode(frame: pl.DataFrame, schema: WireSchema) -> bytes:
    """The frame as an Avro object container file; it must not be empty (an empty one cannot be read again)."""
    if frame.is_empty():
        raise ValueError("no empty batches")
    if dict(frame.schema) != schema.polars:
        raise ValueError("the frame's columns are not the schema's")
    if frame.estimated_size() > LARGE_ROW_BYTES * frame.height:
        return with_block(_avro(frame.clear()), frame.height, avro_rows(frame))
    return _avro(frame)


def _avro(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_avro(out, compression="snappy", name=RECORD_NAME)
    return out.getvalue()


def decode(value: bytes, schema: WireSchema, position: Position) -> pl.DataFrame:
    """The frame that `encode` wrote. The caller compares its height with the header's rows.

    Raises:
        ContractError: the value is not such a container; no value is told.
    """
    frame: pl.DataFrame | None = None
    try:
        value = uncompressed(value)
        frame = pl.read_avro(io.BytesIO(value))
    except NotAContainer:
        pass
    except BaseException as error:  # a panic of polars is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
    if frame is None:
        raise ContractError(
            f"{position}: batch cannot be decoded",
            hint="the record is damaged or was written by another program; `consumer inspect` shows its headers",
        )
    if dict(frame.schema) != schema.polars:
        raise ContractError(
            f"{position}: batch has other columns than its table-started record says",
            hint="the record was written by another program or build; `consumer inspect` shows its headers",
        )
    return frame


def to_copy_csv(frame: pl.DataFrame) -> bytes:
    r"""The frame as `COPY … FROM STDIN (FORMAT csv)` reads it, columns in the frame's order, no header.

    Text is always quoted, so that neither `''` nor a lone `\.` is taken for something else. The row
    count that COPY reports must still be compared with the frame's height.
    """
    if frame.height and frame.estimated_size() > LARGE_ROW_BYTES * frame.height:
        return _large_rows(frame)
    numbered = frame.clone()
    numbered.columns = [str(number) for number in range(frame.width)]  # polars takes `*` and `^a$` for patterns
    ready = numbered.select(
        pl.concat_str(pl.lit("\\x"), pl.col(name).bin.encode("hex")).alias(name) if kind == pl.Binary else pl.col(name)
        for name, kind in numbered.schema.items()
    )
    return _csv(ready)


def _csv(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_csv(out, include_header=False, quote_style="non_numeric", null_value="", line_terminator="\n")
    return out.getvalue()


def _large_rows(frame: pl.DataFrame) -> bytes:
    """As polars prints them; but what polars needs for a large cell is nine times its size."""
    parts: list[bytes] = []  # joined once: each copy costs as much as the cell
    for cells in zip(*(_printed(column) for column in frame.get_columns()), strict=True):
        for cell in cells:
            parts += (*cell, b",")
        parts[-1] = b"\n"
    return b"".join(parts)


def _printed(cells: pl.Series) -> Iterator[tuple[bytes, ...]]:
    """The cells of a column as CSV, in parts."""
    if cells.dtype == pl.Binary:
        for cell in cells:
            yield () if cell is None else (b'"\\x', hexlify(cell), b'"')
    elif cells.dtype == pl.String:
        for text in cells.cast(pl.Binary):
            yield () if text is None else (b'"', text.replace(b'"', b'""'), b'"')
    else:
        for line in _csv(cells.to_frame()).splitlines():
            yield (line,)


def row_keys(frame: pl.DataFrame, fields: Sequence[str]) -> list[tuple[str, ...]]:
    """Each row's key as PostgreSQL prints it, one text a column (a NULL, which no key has, is an error)."""
    columns: list[Iterable[str]] = [_texts(frame.get_column(field)) for field in fields]
    return list(zip(*columns, strict=True)) if columns else [()] * frame.height


def _texts(column: pl.Series) -> Iterable[str]:
    if column.null_count():
        raise ValueError("a key holds a NULL")
    if column.dtype.is_float():
        kind = Wire.DOUBLE if column.dtype == pl.Float64 else Wire.FLOAT
        return [float_text(value, kind) for value in column.to_list()]
    if column.dtype == pl.Binary:
        return ["\\x" + value.hex() for value in column.to_list()]
    texts: list[str] = column.cast(pl.String).to_list()
    return texts
