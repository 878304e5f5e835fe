from __future__ import annotations

import io
import math
import struct

import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import batch
from schemas.batch import WireSchema, decode, encode, parse_csv, row_keys, to_copy_csv
from schemas.catalogue import Column, Table
from schemas.errors import ContractError, SourceError
from schemas.records import Position

AT = Position("rawdog.orders", 1, 42)
CELLS = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "real": st.floats(width=32),
    "double precision": st.floats(),
    "bytea": st.binary(max_size=20),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["", "\\.", "\ufeff", '"', "\r\n", "\n", ",", "NULL", "\\N", "NaN", " ", "#"]),
}


WIDE = st.text(st.sampled_from('"\\,\nxé🦆\ufeff'), max_size=40)


def schema_of(*types: str) -> WireSchema:
    return WireSchema.of(Table(name="t", columns=tuple(Column(name=f"c{i}", type=t) for i, t in enumerate(types))))


@st.composite
def frames(draw: st.DrawFn) -> tuple[WireSchema, pl.DataFrame]:
    types = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    schema = schema_of(*types)
    row = st.tuples(*(st.none() | CELLS[type_] for type_ in types))
    rows = draw(st.lists(row, min_size=1, max_size=12))
    return schema, pl.DataFrame(rows, schema=schema.polars, orient="row")


def printed(value: object) -> str:
    """As PostgreSQL's COPY prints a cell in CSV."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case bytes():
            return "\\x" + value.hex()
        case float():
            return "Infinity" if value == math.inf else "-Infinity" if value == -math.inf else repr(value)
        case str() if value in ("", "\\.") or any(letter in value for letter in '",\r\n'):
            return '"' + value.replace('"', '""') + '"'
    return str(value)


def bits(frame: pl.DataFrame) -> list[list[object]]:
    return [
        [
            "NaN" if isinstance(v, float) and math.isnan(v) else struct.pack(">d", v) if isinstance(v, float) else v
            for v in column.to_list()
        ]
        for column in frame.get_columns()
    ]


@given(frames())
def test_what_copy_prints_is_read_exactly(case: tuple[WireSchema, pl.DataFrame]) -> None:
    schema, frame = case
    data = "".join(",".join(map(printed, row)) + "\n" for row in frame.rows()).encode()

    assert bits(parse_csv(data, schema, rows=frame.height)) == bits(frame)


@given(frames())
def test_a_batch_comes_back_exactly_and_any_avro_tool_reads_it(case: tuple[WireSchema, pl.DataFrame]) -> None:
    schema, frame = case
    value = encode(frame, schema)

    assert bits(decode(value, schema, AT)) == bits(frame)
    foreign = [tuple(row.values()) for row in fastavro.reader(io.BytesIO(value))]  # type: ignore[union-attr]
    assert bits(pl.DataFrame(foreign, schema=schema.polars, orient="row")) == bits(frame)


@given(
    st.tuples(st.integers(-9, 9), st.none() | WIDE, st.none() | st.binary(max_size=40), WIDE, st.binary(max_size=40))
)
def test_cells_that_are_cut_out_of_a_large_row_come_back_exactly(row: tuple[object, ...]) -> None:
    schema = schema_of("integer", "text", "bytea", "jsonb", "bytea")
    data = (",".join(map(printed, row)) + "\n").encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "LARGE_ROW_BYTES", 9)
        frame = parse_csv(bytearray(data), schema, rows=1)

    assert frame.rows() == [row]


@given(frames())
def test_large_rows_are_encoded_as_all_others(case: tuple[WireSchema, pl.DataFrame]) -> None:
    schema, frame = case

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "LARGE_ROW_BYTES", -1)
        value = encode(frame, schema)

    assert bits(decode(value, schema, AT)) == bits(frame)
    foreign = [tuple(row.values()) for row in fastavro.reader(io.BytesIO(value))]  # type: ignore[union-attr]
    assert bits(pl.DataFrame(foreign, schema=schema.polars, orient="row")) == bits(frame)


def test_a_damaged_large_row_is_refused() -> None:
    for data in (b'1,"' + b"x" * 300_000, b"1," + b"z" * 300_000 + b"\n", b"1,\\x0" + b"g" * 300_000 + b"\n"):
        with pytest.raises(SourceError, match="is not rows of its 2 columns"):
            parse_csv(data, schema_of("integer", "bytea"), rows=1)


@given(frames(), st.data())
def test_damaged_batches_are_refused_or_read_never_worse(
    case: tuple[WireSchema, pl.DataFrame], data: st.DataObject
) -> None:
    schema, frame = case
    value = encode(frame, schema)
    cut = data.draw(st.integers(0, len(value) - 1))

    with pytest.raises(ContractError, match=r"rawdog\.orders-1@42") as raised:
        decode(value[:cut], schema, AT)

    assert raised.value.__cause__ is None


@given(frames(), st.data())
def test_a_batch_with_a_changed_byte_is_refused_or_of_other_height_or_the_same(
    case: tuple[WireSchema, pl.DataFrame], data: st.DataObject
) -> None:
    schema, frame = case
    value = encode(frame, schema)
    first = value.index(value[-16:]) + 16  # after the header: its schema may change in what means nothing
    place = data.draw(st.integers(first, len(value) - 1))
    changed = value[:place] + bytes([value[place] ^ data.draw(st.integers(1, 255))]) + value[place + 1 :]

    try:
        found = decode(changed, schema, AT)
    except ContractError:
        return
    assert found.height != frame.height or bits(found) == bits(frame)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_batch_of_another_avro_writer_is_read(codec: str) -> None:
    schema, out = schema_of("bigint"), io.BytesIO()
    record = {"type": "record", "name": "Row", "fields": [{"name": "c0", "type": ["null", "long"]}]}
    fastavro.writer(out, record, [{"c0": 7}, {"c0": None}], codec=codec)

    assert decode(out.getvalue(), schema, AT).rows() == [(7,), (None,)]


def test_an_error_of_parsing_tells_the_table_and_no_value() -> None:
    with pytest.raises(SourceError, match="orders: ") as raised:
        parse_csv(b"1\nsecret\n", schema_of("integer"), table="orders")

    assert "secret" not in f"{raised.value} {raised.value.hint}"
    assert raised.value.__context__ is None


def test_more_or_fewer_rows_than_copy_printed_are_refused() -> None:
    with pytest.raises(SourceError, match="COPY printed 3 rows, 2 were read"):
        parse_csv(b"1\n2\n", schema_of("integer"), rows=3)


def test_a_line_with_too_many_fields_is_refused() -> None:
    with pytest.raises(SourceError):
        parse_csv(b"1,2\n", schema_of("integer"))


def test_null_and_empty_text_of_a_single_column_stay_apart() -> None:
    data = b'\n""\n\n"\\."\n\n'

    assert parse_csv(data, schema_of("text"), rows=5)["c0"].to_list() == [None, "", None, "\\.", None]


def test_text_goes_out_quoted_null_bare_and_bytes_in_hex() -> None:
    schema = schema_of("text", "bytea", "integer", "boolean")
    frame = pl.DataFrame(
        [("\\.", b"\x00\xff", 1, True), ("", b"", None, None), (None, None, -1, False)],
        schema=schema.polars,
        orient="row",
    )

    assert to_copy_csv(frame) == b'"\\.","\\x00ff",1,"true"\n"","\\x",,\n,,-1,"false"\n'


@given(frames())
def test_large_rows_are_printed_as_all_others(case: tuple[WireSchema, pl.DataFrame]) -> None:
    _, frame = case

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "LARGE_ROW_BYTES", 2**40)
        usual = to_copy_csv(frame)
        patch.setattr(batch, "LARGE_ROW_BYTES", -1)
        assert to_copy_csv(frame) == usual


def test_keys_are_what_postgresql_prints() -> None:
    schema = schema_of("bigint", "text", "boolean", "double precision", "bytea")
    frame = pl.DataFrame([(-1, " a", True, 1e15, b"\x01")], schema=schema.polars, orient="row")

    assert row_keys(frame, list(schema.polars)) == [("-1", " a", "true", "1e+15", "\\x01")]
    assert row_keys(frame, []) == [()]


def test_the_hash_names_columns_types_and_order() -> None:
    assert schema_of("text", "bigint").hash == schema_of("text", "bigint").hash
    assert (
        len({schema_of(*types).hash for types in (["text"], ["bigint"], ["text", "bigint"], ["bigint", "text"])}) == 4
    )


def test_another_tables_batch_is_refused() -> None:
    value = encode(pl.DataFrame({"c0": [1]}, schema={"c0": pl.Int64()}), schema_of("bigint"))

    with pytest.raises(ContractError, match="other columns"):
        decode(value, schema_of("text"), AT)


def test_a_container_without_rows_is_refused_not_panicked_at() -> None:
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "Row", "fields": [{"name": "c0", "type": ["null", "long"]}]}, [])

    with pytest.raises(ContractError):
        decode(out.getvalue(), schema_of("bigint"), AT)


@pytest.mark.parametrize("cell", ["c", "c" * 300_000])
def test_names_that_are_patterns_to_polars_are_names_of_columns(cell: str) -> None:
    frame = pl.DataFrame({"*": [1], "^.*$": [cell], "^x$": [b"\x01"], "x": [None]}, schema_overrides={"x": pl.Binary})

    assert to_copy_csv(frame) == f'1,"{cell}","\\x01",\n'.encode()
