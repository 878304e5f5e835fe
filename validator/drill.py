"""From "the sums differ" to the rows that differ, in bounded memory whatever the table's size.

Rows fall into parts, alike on both sides: ranges of their key (`ranges`), or buckets by its
fingerprint where the other side is the log or there is no key. Either is a partition of everything
by construction, so no row can lie outside of all of them. One pass adds up each part; rows of those
that differ are then read and compared as multisets, a few at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, Self

from runtime.keyring import Keyring
from runtime.postgres import Connection, Side
from schemas.canonical import Method, fingerprint, fingerprint_sql, halves, sums_sql
from validator.cells import opened_rows
from validator.plan import TablePlan
from validator.ranges import Ranges
from validator.scan import Sums
from validator.sides import named_errors
from validator.verdict import Kind

Key = tuple[str, ...]
Row = tuple[int, Key, bytes]  # bucket, key (empty without one), fingerprint

_BUCKETS = 4_096


@dataclass(frozen=True, slots=True)
class Found:
    """One row that differs; `rows` more than one only where a table has no key."""

    kind: Kind
    key: Key
    rows: int = 1


class Fingerprints(Protocol):
    """The rows of one side of a table as fingerprints.

    Both calls see the same rows.
    """

    def buckets(self) -> dict[int, Sums]:
        """What the rows of each bucket add up to."""
        ...

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        """The rows of these buckets, in the order of buckets."""
        ...


def bucket_of(digest: bytes) -> int:
    """The bucket of a fingerprint: its first 12 bits."""
    return digest[0] * 16 + digest[1] // 16


def bucket_sql(digest: str) -> str:
    """The same as SQL."""
    return f"(get_byte({digest}, 0) * 16 + get_byte({digest}, 1) / 16)"


def _within(range_: str, key: str) -> str:
    """SQL: a row's place within the ranges, each cut again by the key's fingerprint, however large it is."""
    return f"({range_} * 256 + get_byte({key}, 0))"


@dataclass(frozen=True, slots=True)
class InSql:
    """Fingerprints that the server makes: clear cells of both sides, or key and plaintext at the source."""

    connection: Connection
    plan: TablePlan
    side: Side
    texts: Sequence[str]
    where: str = "true"
    ranges: Ranges | None = None  # the same on both sides; else buckets
    method: Method = Method.SHA256  # of the sums of ranges; rows have SHA-256

    def _from(self, where: str = "true", method: Method = Method.SHA256) -> str:
        keys = [getattr(cell, self.side) for cell in self.plan.key]
        named = fingerprint_sql(keys) if keys else "NULL::bytea"
        listed = ", ".join(f"{text} AS k{number}" for number, text in enumerate(keys))
        range_ = f", {self.ranges.number(self.side)} AS r" if self.ranges is not None else ""
        return (
            f"(SELECT {fingerprint_sql(self.texts, method)} AS f, {named} AS k{', ' + listed if listed else ''}{range_}"
            f" FROM {self.plan.relation(self.side)} t WHERE {self.where} AND {where} OFFSET 0) q"
        )

    def buckets(self) -> dict[int, Sums]:
        """One pass over the table; PostgreSQL leaves out what of `_from` is not asked for."""
        part, method = (bucket_sql("coalesce(k, f)"), Method.SHA256) if self.ranges is None else ("r", self.method)
        sums = ", ".join(sums_sql("f", method))
        query = f"SELECT {part}, count(*), {sums} FROM {self._from(method=method)} GROUP BY 1"
        with named_errors(self.side, f"{self.plan.name}: fingerprints of the {self.side}"):
            rows = self.connection.execute(query.encode()).fetchall()
        return {row[0]: Sums(row[1], int(row[2]), int(row[3])) for row in rows}

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        """Rows of some parts, sorted by the server."""
        listed = "".join(f", k{number}" for number in range(len(self.plan.key)))
        if self.ranges is None:
            place = bucket_sql("coalesce(k, f)")
            chosen = f"{self._from()} WHERE {place} = ANY ('{{{','.join(map(str, sorted(buckets)))}}}')"
        else:
            place = _within("r", "k")
            chosen = self._from(self.ranges.holds(self.side, buckets))
        query = f"COPY (SELECT {place}, f{listed} FROM {chosen} ORDER BY 1) TO STDOUT (FORMAT binary)"
        with (
            named_errors(self.side, f"{self.plan.name}: fingerprints of the {self.side}"),
            self.connection.cursor() as cursor,
            cursor.copy(query.encode()) as copy,
        ):
            copy.set_types(["int4", "bytea"] + ["text"] * len(self.plan.key))
            for bucket_number, digest, *key in copy.rows():
                yield bucket_number, tuple(key), bytes(digest)


@dataclass(frozen=True, slots=True)
class ByDecrypting:
    """Fingerprints of key and plaintext of the target, made here."""

    connection: Connection
    plan: TablePlan
    keyring: Keyring
    tenant: str
    ranges: Ranges | None = None

    def buckets(self) -> dict[int, Sums]:
        """One pass over the table."""
        sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        part = self.ranges.number("target") if self.ranges is not None else ""
        for row in opened_rows(self.connection, self.plan, self.keyring, self.tenant, part=part):
            digest = row.digest
            first, second = halves(digest)
            bucket = row.part if part else bucket_of(fingerprint(row.bound) if self.plan.key else digest)
            found = sums[bucket]
            found[0] += 1
            found[1] += first
            found[2] += second
        return {bucket: Sums(*found) for bucket, found in sums.items()}

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        """Rows of some buckets; without a key all rows are read again, because only plaintext tells the bucket."""
        if not self.plan.key:
            yield from sorted(row for row in self._all() if row[0] in set(buckets))
            return
        key = fingerprint_sql([cell.target for cell in self.plan.key])
        if self.ranges is not None:
            place = _within(self.ranges.number("target"), key)
            where = self.ranges.holds("target", buckets)
            for row in opened_rows(
                self.connection,
                self.plan,
                self.keyring,
                self.tenant,
                where=where,
                order=f" ORDER BY {place}",
                part=place,
            ):
                yield row.part, row.bound, row.digest  # type: ignore[misc]  # keys are never NULL
            return
        bucket = bucket_sql(f"({key})")
        where = f"{bucket} = ANY ('{{{','.join(map(str, sorted(buckets)))}}}')"
        for row in opened_rows(
            self.connection, self.plan, self.keyring, self.tenant, where=where, order=f" ORDER BY {bucket}"
        ):
            yield bucket_of(fingerprint(row.bound)), row.bound, row.digest  # type: ignore[misc]  # keys are never NULL

    def _all(self) -> Iterator[Row]:
        for row in opened_rows(self.connection, self.plan, self.keyring, self.tenant):
            yield bucket_of(row.digest), (), row.digest


@dataclass(frozen=True, slots=True)
class Begun:
    """A side whose pass over the table has begun in another thread, while the other side makes its own."""

    side: Fingerprints
    sums: Future[dict[int, Sums]]

    @classmethod
    def begin(cls, pool: Executor, side: Fingerprints) -> Self:
        """Begin it; the side's connection is nobody else's until `buckets` has been asked."""
        return cls(side, pool.submit(side.buckets))

    def buckets(self) -> dict[int, Sums]:
        """Wait for the pass."""
        return self.sums.result()

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        """As the side gives them."""
        return self.side.rows(buckets)


def differing_rows(source: Fingerprints, target: Fingerprints) -> Iterator[Found]:
    """Every row that differs, bucket by bucket."""
    if differing := differing_buckets(source, target):
        yield from differing_rows_of(source, target, differing)


def differing_buckets(source: Fingerprints, target: Fingerprints) -> set[int]:
    """The buckets that do not add up to the same."""
    there, here = source.buckets(), target.buckets()
    return {bucket for bucket in there.keys() | here.keys() if there.get(bucket) != here.get(bucket)}


def differing_rows_of(source: Fingerprints, target: Fingerprints, buckets: Collection[int]) -> Iterator[Found]:
    """Every row of these buckets that differs."""
    yield from _merge(_grouped(source.rows(buckets)), _grouped(target.rows(buckets)))


def _grouped(rows: Iterator[Row]) -> Iterator[tuple[int, dict[Key, Counter[bytes]]]]:
    for bucket, group in groupby(rows, key=lambda row: row[0]):
        found: defaultdict[Key, Counter[bytes]] = defaultdict(Counter)
        for _, key, digest in group:
            found[key][digest] += 1
        yield bucket, found


def _merge(
    source: Iterator[tuple[int, dict[Key, Counter[bytes]]]], target: Iterator[tuple[int, dict[Key, Counter[bytes]]]]
) -> Iterator[Found]:
    """Walk both sides by bucket, holding one bucket of each."""
    one, other = next(source, None), next(target, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield from _compare(one[1], {})
            one = next(source, None)
        elif one is None or other[0] < one[0]:
            yield from _compare({}, other[1])
            other = next(target, None)
        else:
            yield from _compare(one[1], other[1])
            one, other = next(source, None), next(target, None)


def _compare(source: dict[Key, Counter[bytes]], target: dict[Key, Counter[bytes]]) -> Iterator[Found]:
    for key in sorted(source.keys() | target.keys()):
        there, here = source.get(key, Counter()), target.get(key, Counter())
        missing, extra = (there - here).total(), (here - there).total()
        if key and missing and extra:
            yield Found(Kind.VALUE_MISMATCH, key)
            missing, extra = missing - 1, extra - 1
        if missing:
            yield Found(Kind.MISSING_IN_TARGET, key, missing)
        if extra:
            yield Found(Kind.EXTRA_IN_TARGET, key, extra)
