"""Sets of rows by sums and buckets: nothing falls between them, and neither order nor cutting matters."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.canonical import canonical_text, fingerprint, halves
from validator.cells import Decrypted, parts_of_blocks
from validator.drill import _BUCKETS, Found, Row, bucket_of, differing_rows
from validator.scan import Sums
from validator.verdict import Kind

CELLS = st.none() | st.text(st.sampled_from('ab,"\\() \t\n\0'), max_size=4) | st.text(max_size=3)
ROWS = st.lists(CELLS, min_size=1, max_size=3)
KEYS = st.text("ab", min_size=1, max_size=3)
TABLES = st.dictionaries(KEYS, st.text("xy", max_size=2), max_size=12)
MULTISETS = st.lists(st.text("xy", max_size=2), max_size=12)


@dataclass(frozen=True)
class InMemory:
    """One side of a table as a list of rows: its key (empty without one) and its cells."""

    rows_there: tuple[tuple[tuple[str, ...], tuple[str | None, ...]], ...]

    def _rows(self) -> Iterator[Row]:
        for key, cells in self.rows_there:
            digest = fingerprint((*key, *cells))
            yield bucket_of(fingerprint(key) if key else digest), key, digest

    def buckets(self) -> dict[int, Sums]:
        found: defaultdict[int, Sums] = defaultdict(Sums)
        for bucket, _, digest in self._rows():
            found[bucket] += sums_of([digest])
        return dict(found)

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        yield from sorted((row for row in self._rows() if row[0] in buckets), key=lambda row: row[0])


def sums_of(digests: list[bytes]) -> Sums:
    return reduce(add, (Sums(1, *halves(digest)) for digest in digests), Sums())


@given(ROWS, ROWS)
@example(["a", None], ["a", ""])
@example(["a,b"], ['a","b'])
@example(["(", ")"], ["()", ""])
def test_rows_of_as_many_columns_have_the_same_text_only_when_they_are_the_same(
    one: list[str | None], other: list[str | None]
) -> None:
    other = (other * 3)[: len(one)]

    assert (canonical_text(one) == canonical_text(other)) is (one == other)


@given(st.binary(min_size=32, max_size=32))
def test_every_fingerprint_lies_in_one_bucket_and_every_bucket_holds_as_many(digest: bytes) -> None:
    bits = int.from_bytes(digest[:2], "big") >> 4  # the first twelve bits: all buckets are as wide

    assert bucket_of(digest) == bits
    assert 0 <= bits < _BUCKETS


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20), st.randoms(), st.data())
def test_sums_know_neither_order_nor_cutting(digests: list[bytes], order: random.Random, data: st.DataObject) -> None:
    shuffled = order.sample(digests, len(digests))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(digests)), max_size=4)))
    parts = [shuffled[low:high] for low, high in zip([0, *cuts], [*cuts, len(digests)], strict=True)]

    assert reduce(add, map(sums_of, parts), Sums()) == sums_of(digests)
    halved = [Decrypted(sums=sums_of(part), cells=len(part)) for part in parts]
    assert sum(halved, Decrypted()) == Decrypted(sums=sums_of(digests), cells=len(digests))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20), st.data())
def test_a_row_more_less_or_twice_changes_the_sums(digests: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(digests) - 1))

    assert sums_of([*digests[:place], *digests[place + 1 :]]) != sums_of(digests)
    assert sums_of([*digests, digests[place]]) != sums_of(digests)


@given(TABLES, TABLES)
def test_rows_of_a_table_with_a_key_differ_exactly_where_its_two_sides_do(
    source: dict[str, str], target: dict[str, str]
) -> None:
    one, other = (InMemory(tuple(((key,), (cell,)) for key, cell in side.items())) for side in (source, target))

    found = list(differing_rows(one, other))

    missing = {Found(Kind.MISSING_IN_TARGET, (key,)) for key in source.keys() - target.keys()}
    extra = {Found(Kind.EXTRA_IN_TARGET, (key,)) for key in target.keys() - source.keys()}
    other_value = {
        Found(Kind.VALUE_MISMATCH, (key,)) for key in source.keys() & target.keys() if source[key] != target[key]
    }
    assert set(found) == missing | extra | other_value
    assert len(found) == len(set(found))


@given(MULTISETS, MULTISETS)
def test_rows_without_a_key_are_compared_as_often_as_they_stand_there(source: list[str], target: list[str]) -> None:
    one, other = (InMemory(tuple(((), (cell,)) for cell in side)) for side in (source, target))

    found: Counter[Kind] = Counter()
    for row in differing_rows(one, other):
        found[row.kind] += row.rows

    there, here = Counter(source), Counter(target)
    assert found[Kind.MISSING_IN_TARGET] == (there - here).total()
    assert found[Kind.EXTRA_IN_TARGET] == (here - there).total()
    assert set(found) <= {Kind.MISSING_IN_TARGET, Kind.EXTRA_IN_TARGET}


@given(st.integers(0, 10**9), st.integers(1, 512), st.data())
def test_every_block_of_a_table_lies_in_exactly_one_part(blocks: int, most: int, data: st.DataObject) -> None:
    parts = parts_of_blocks(blocks, most)
    block = data.draw(st.integers(0, 2**32 - 2))  # also one that came after the size was asked for

    holding = [
        part for part in parts if (part.low is None or part.low <= block) and (part.high is None or block < part.high)
    ]
    assert len(holding) == 1
    assert 1 <= len(parts) <= most
