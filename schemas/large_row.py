"""One row as COPY prints it in CSV, with its large cells cut out: polars would hold each of them several times. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


@dataclass(frozen=True, slots=True)
class CutRow:
    """What is left of a row, with an empty text (or bytea) for each cell that was cut out, and those cells by column."""

    rest: bytes
    cells: dict[int, bytes | memoryview]  # as they are, without the CSV's quotes; views of the row where they can be


def cut(row: bytes | bytearray, *, larger_than: int) -> CutRow:
    r"""Cut the cells of more bytes out of one row.

    Raises:
        ValueError: a quote is not closed.

    >>> cut(b'1,"say, ""no""!",\n', larger_than=5)
    CutRow(rest=b'1,"",\n', cells={1: b'say, "no"!'})
    """
    rest, kept = bytearray(), 0
    cells: dict[int, bytes | memoryview] = {}
    view = memoryview(row)
    for column, (begin, end) in enumerate(_places(row)):
        if end - begin <= larger_than:
            continue
        is_quoted = row[begin : begin + 1] == b'"'
        cells[column] = view[begin:end]
        if is_quoted:
            inside = bytes(view[begin + 1 : end - 1])
            cells[column] = inside.replace(b'""', b'"') if b'"' in inside else inside
        rest += view[kept:begin]
        rest += b"\\x" if row[begin : begin + 2] == b"\\x" else b'""'
        kept = end
    rest += view[kept:]
    return CutRow(bytes(rest), cells)


def _places(row: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Where each cell begins and ends, with its quotes."""
    begin, last = 0, len(row) - row.endswith(b"\n")
    while True:
        if row[begin : begin + 1] == b'"':
            quoted = _QUOTED.match(row, begin)
            if quoted is None:
                raise ValueError("a quote is not closed")
            end = quoted.end()
            del quoted  # it holds the row
        else:
            end = row.find(b",", begin, last)
            end = last if end < 0 else end
        yield begin, end
        if end >= last:
            return
        begin = end + 1
