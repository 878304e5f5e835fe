"""How a PostgreSQL type travels: as itself where Avro holds every value exactly, else as PostgreSQL's own text.

"Own text" is what the type's output function prints under the pinned session profile. A cast to
text is another thing for a few types: it strips the blanks of `character(n)`, prints booleans as
words, adds the mask to `inet`, and keeps the declaration of `xml`, which output drops. So each type
has one form here, and everything that reads a cell (COPY, checksums, keys of encrypted rows) uses it.
"""

from __future__ import annotations

import math
import re
import struct
from enum import StrEnum
from fractions import Fraction

from schemas.catalogue import Column
from schemas.sql import quote_ident


class Wire(StrEnum):
    """The Avro type of a cell, always nullable."""

    INT = "int"
    LONG = "long"
    BOOLEAN = "boolean"
    FLOAT = "float"
    DOUBLE = "double"
    BYTES = "bytes"
    STRING = "string"


_EXACT = {
    "smallint": Wire.INT,
    "integer": Wire.INT,
    "bigint": Wire.LONG,
    "boolean": Wire.BOOLEAN,
    "real": Wire.FLOAT,
    "double precision": Wire.DOUBLE,
    "bytea": Wire.BYTES,
}

# Types whose cast to text is their output function (a type that is not here is asked for its output).
_CAST_IS_OUTPUT = re.compile(
    r"(smallint|integer|bigint|oid|real|double precision|numeric|money|text|character varying|citext|name|bytea|uuid"
    r"|json|jsonb|date|time|timestamp|interval)\b[^\[]*"
)
_READ_AS = {"boolean": "text", "xml": "text", "xml[]": "text[]"}
_PADDED = re.compile(r"character(\(\d+\))?|bpchar")


def wire(type: str) -> Wire:  # noqa: A002  the word of Column.type
    """How values of a type (as `format_type` prints it) travel; a domain travels as text.

    >>> wire("smallint"), wire("numeric(10,2)"), wire("integer[]")
    (<Wire.INT: 'int'>, <Wire.STRING: 'string'>, <Wire.STRING: 'string'>)
    """
    return _EXACT.get(type, Wire.STRING)


def select_expression(column: Column, alias: str = "t") -> str:
    """SQL that `COPY (SELECT …)` reads a cell with; the text it prints is the cell's own text.

    >>> select_expression(Column(name="paid", type="boolean"))
    't."paid"::text'
    """
    cell = f"{alias}.{quote_ident(column.name)}" if alias else quote_ident(column.name)
    # Booleans as true/false, which CSV readers know; xml because its output drops the declaration.
    # Domains over xml, and arrays of both, for the same reason: the catalogue says which they are.
    read_as = _read_as(column)
    return cell if read_as is None else f"{cell}::{read_as}"


def _read_as(column: Column) -> str | None:
    return column.read_as or _READ_AS.get(column.type)


def text_expression(column: Column, alias: str = "t") -> str:
    """SQL of type text for the same text that `select_expression` makes COPY print; NULL stays NULL.

    >>> text_expression(Column(name="currency", type="character(3)"))
    'textin(bpcharout(t."currency"))'
    """
    cell = f"{alias}.{quote_ident(column.name)}" if alias else quote_ident(column.name)
    if (read_as := _read_as(column)) is not None:
        return f"{cell}::text" if read_as == "text" else f"{cell}::{read_as}::text"
    if _CAST_IS_OUTPUT.fullmatch(column.type):
        return f"{cell}::text"
    if _PADDED.fullmatch(column.type):
        return f"textin(bpcharout({cell}))"
    # num_nonnulls, because IS NOT NULL of a composite value asks for all its fields.
    # By their schema, because somebody's own format(text, text[]) fits better than the one that takes anything.
    return f"CASE WHEN pg_catalog.num_nonnulls({cell}) = 1 THEN pg_catalog.format('%s', {cell}) END"


def float_text(value: float, kind: Wire = Wire.DOUBLE) -> str:
    """The text PostgreSQL prints for a `double precision` or `real` (extra_float_digits 1): shortest exact.

    >>> float_text(0.1), float_text(1e15), float_text(-0.0), float_text(float("-inf"))
    ('0.1', '1e+15', '-0', '-Infinity')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    return sign + _positional(*_shortest(abs(value), kind), plain_digits=15 if kind is Wire.DOUBLE else 6)


def _positional(digits: str, power: int, *, plain_digits: int) -> str:
    point = len(digits) + power  # digits before the decimal point
    if not -4 <= point - 1 < plain_digits:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1:+03d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _shortest(value: float, kind: Wire) -> tuple[str, int]:
    """Fewest digits strictly inside the interval that rounds to `value`, and the power of ten of the last one.

    Unlike Python, PostgreSQL leaves the ends of the interval out.
    """
    exact = Fraction(value)
    below, above = _neighbours(value, kind)
    low = (exact + Fraction(below)) / 2
    high = (exact + Fraction(above)) / 2 if math.isfinite(above) else exact + (exact - low)
    for precision in range(1, 18):
        mantissa, _, exponent = f"{value:.{precision - 1}e}".partition("e")
        power = int(exponent) - precision + 1
        nearest = int(mantissa.replace(".", ""))
        for digits in (nearest, nearest + 1):  # the interval of a power of two is wider above
            if low < digits * Fraction(10) ** power < high:
                stripped = str(digits).rstrip("0")
                return stripped, power + len(str(digits)) - len(stripped)
    raise AssertionError("seventeen digits always tell two doubles apart")


def _neighbours(value: float, kind: Wire) -> tuple[float, float]:
    """The next smaller and larger magnitude of a positive finite value."""
    if kind is Wire.DOUBLE:
        return math.nextafter(value, 0.0), math.nextafter(value, math.inf)
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    below, above = (struct.unpack("<f", struct.pack("<I", bits + step))[0] for step in (-1, 1))
    return below, above
