"""Cutting what COPY prints into batches and chunks, whatever the sizes and however the bytes arrive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq

from producer import read, unchanged
from producer.read import Limits, read_chunks
from producer.source import next_instant, wal_bytes
from producer.unchanged import snapshot_xmin
from schemas.catalogue import Table


class Copy:
    """As much of libpq as reading needs: `sizes` are rows, a 0 among them says "nothing there yet"."""

    socket = 0

    def __init__(self, sizes: list[int]) -> None:
        self.rows = [b"%d" % (number % 10) * size for number, size in enumerate(sizes)]
        self._left = iter(self.rows)

    def exec_(self, _statement: bytes) -> Any:
        return SimpleNamespace(status=pq.ExecStatus.COPY_OUT)

    def get_copy_data(self, _async: int) -> tuple[int, memoryview]:
        row = next(self._left, None)
        return (-1, memoryview(b"")) if row is None else (len(row), memoryview(row))

    def get_result(self) -> None:
        return None


@given(
    sizes=st.lists(st.integers(0, 60), max_size=60),
    max_rows=st.integers(1, 7),
    max_bytes=st.integers(1, 50),
    max_chunk_batches=st.integers(1, 4),
)
def test_chunks_hold_every_row_in_order_and_batches_keep_their_limits(
    sizes: list[int], max_rows: int, max_bytes: int, max_chunk_batches: int
) -> None:
    copy = Copy(sizes)
    limits = Limits(
        max_rows=max_rows, max_bytes=max_bytes, max_chunk_batches=max_chunk_batches, max_chunk_bytes=2 * max_bytes
    )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_wait", lambda connection, table: None)
        chunks = list(read_chunks(SimpleNamespace(pgconn=copy), b"COPY", Table(name="t"), limits))  # type: ignore[arg-type]

    rows = iter([row for row in copy.rows if row])
    for chunk in chunks:
        assert chunk.rows
        batches = [[next(rows) for _ in range(count)] for count in chunk.rows]
        assert chunk.csv == b"".join(row for batch in batches for row in batch)
        for batch in batches:
            assert 1 <= len(batch) <= max_rows
            assert len(batch) == 1 or sum(map(len, batch)) <= max_bytes
        assert len(batches) <= max_chunk_batches
        before_last = sum(len(row) for batch in batches[:-1] for row in batch)
        assert before_last <= max_bytes, "a chunk takes no further batch when one of full size could overflow it"
    assert next(rows, None) is None


def test_the_next_instant_is_later_than_the_last_even_when_the_clock_went_back() -> None:
    last = "2026-01-01T00:00:00.999999Z"

    assert next_instant("2025-01-01T00:00:00.000000Z", last) == "2026-01-01T00:00:01.000000Z"
    assert next_instant("2027-01-01T00:00:00.000000Z", last) == "2027-01-01T00:00:00.000000Z"


def test_wal_positions_and_snapshots_are_compared_as_numbers() -> None:
    assert wal_bytes("1/0") > wal_bytes("0/FFFFFFFF")
    assert snapshot_xmin("10:20:10,15") == 10


def test_what_was_published_is_kept_only_when_all_of_it_is_there_and_nothing_newer() -> None:
    assert unchanged._is_same(30, 30, 0, 2**31 - 1)
    assert not unchanged._is_same(30, 29, 0, 1)
    assert not unchanged._is_same(30, 30, 1, 1)
    assert not unchanged._is_same(30, 30, 0, 2**31), "a 32-bit xmin says nothing any more"
