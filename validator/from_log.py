"""One table's state as the log has it: a third side beside source and target, compared like they are.

Rows come batch by batch and are forgotten. Where a partial generation published rows over those of
the complete one, a first pass notes which keys those are, a slice of the keys at a time, so memory
is bounded whatever was published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Literal

from runtime.postgres import Connection
from schemas.batch import WireSchema
from schemas.canonical import fingerprint, halves
from schemas.mapping import TableMapping
from validator.cells import Opener
from validator.drill import Key, Row, bucket_of
from validator.fetch import UNDECRYPTABLE, Compared, Values, compare_values, rows_by_key
from validator.plan import TablePlan
from validator.published import ReadingId, TableLog
from validator.scan import Envelopes, Scan, Sums
from validator.texts import Shaper, TextRows, fingerprints, sums_of
from validator.verdict import Layer

_KEYS_AT_ONCE = 1_000_000  # of rows published over others, held as sixteen bytes each
_ROWS_AT_ONCE = 300_000  # of differing buckets, held with their keys
_NAME_BYTES = 16


class Part(StrEnum):
    """Which cells of a row are compared."""

    CLEAR = "clear"
    SEALED = "sealed"

    @property
    def layer(self) -> Literal[Layer.CHECKSUMS, Layer.CELLS]:
        """The layer that compares it."""
        return Layer.CHECKSUMS if self is Part.CLEAR else Layer.CELLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """Some rows of the state, with the fingerprints of their keys (empty without a key)."""

    rows: TextRows
    names: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What the target owes of one table; each iteration reads the topic again."""

    log: TableLog
    mapping: TableMapping
    plan: TablePlan  # without generated columns
    target: Connection
    computing: Connection  # another one: computes transforms while rows of the target are being read

    @property
    def published_rows(self) -> int:
        """Rows of the state if every key stood in one reading only; else more than there are."""
        return sum(reading.finished.rows for reading in self.log.readings)

    def slabs(self) -> Iterator[Slab]:
        """Every row that the target owes, once."""
        later = self.log.readings[1:]
        over = sum(reading.finished.rows for reading in later)
        if not over:
            yield from self._all(None)
            return
        slices = over // _KEYS_AT_ONCE + 1
        for number in range(slices):
            owners = self._owners({reading.id for reading in later}, number, slices)
            for reading, slab in self._rows(None):
                base = self.log.readings[0].id
                mask = [
                    _slice(name, slices) == number and owners.get(name[:_NAME_BYTES], base) == reading
                    for name in slab.names
                ]
                if any(mask):
                    yield Slab(
                        rows=slab.rows.chosen(mask),
                        names=[name for name, is_chosen in zip(slab.names, mask, strict=True) if is_chosen],
                    )

    def last_readings(self, names: Collection[bytes]) -> dict[bytes, ReadingId]:
        """Which reading published each of these keys last; keys that none did are left out."""
        wanted = set(names)
        found: dict[bytes, ReadingId] = {}
        for reading, slab in self._rows(None):
            for name in wanted.intersection(slab.names):
                found[name] = max(found.get(name, reading), reading)
        return found

    def _owners(self, later: Collection[ReadingId], number: int, slices: int) -> dict[bytes, ReadingId]:
        owners: dict[bytes, ReadingId] = {}
        for reading, slab in self._rows(later):
            for name in slab.names:
                if _slice(name, slices) == number:
                    short = name[:_NAME_BYTES]
                    owners[short] = max(owners.get(short, reading), reading)
        return owners

    def _all(self, only: Collection[ReadingId] | None) -> Iterator[Slab]:
        for _, slab in self._rows(only):
            yield slab

    def _rows(self, only: Collection[ReadingId] | None) -> Iterator[tuple[ReadingId, Slab]]:
        shapers = {
            reading.id: Shaper(
                target=self.computing,
                mapping=self.mapping,
                plan=self.plan,
                schema=WireSchema(reading.started.columns),
            )
            for reading in self.log.readings
        }
        for batch in self.log.batches(only):
            rows = shapers[batch.reading].shape(batch.frame)
            yield batch.reading, Slab(rows=rows, names=rows.key_digests() if rows.key else [])


def _slice(name: bytes, slices: int) -> int:
    return int.from_bytes(name[-4:], "big") % slices


def scan_log(state: LogState) -> Scan:
    """One pass: what `scan` says of a side, of the log."""
    rows, clear, sealed = 0, Sums(), Sums()
    cells = dict.fromkeys((item.name for item in state.plan.sealed), 0)
    for slab in state.slabs():
        rows += slab.rows.height
        clear += sums_of(fingerprints(slab.rows.clear))
        for item, column in zip(state.plan.sealed, slab.rows.sealed, strict=True):
            cells[item.name] += len(column) - column.null_count()
        if state.plan.sealed:
            some = slab.rows.with_sealed()
            sealed += sums_of(fingerprints((*some.bound, *some.sealed))) if some.height else Sums()
    return Scan(
        rows=rows,
        clear=clear,
        sealed=sealed if state.plan.sealed else None,
        columns={},
        envelopes={name: Envelopes(cells=count) for name, count in cells.items()},
        noticed=(),
        seconds=0.0,
    )


@dataclass(slots=True)
class FromLog:
    """Fingerprints of the log's rows (`validator.drill.Fingerprints`)."""

    state: LogState
    part: Part
    _sums: dict[int, Sums] = field(default_factory=dict)

    def buckets(self) -> dict[int, Sums]:
        """One pass over the topic."""
        sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for _, names, digests in self._digests():
            for name, digest in zip(names, digests, strict=True):
                first, second = halves(digest)
                found = sums[bucket_of(name)]
                found[0] += 1
                found[1] += first
                found[2] += second
        self._sums = {bucket: Sums(*found) for bucket, found in sums.items()}
        return self._sums

    def rows(self, buckets: Collection[int]) -> Iterator[Row]:
        """Rows of some buckets in their order: one pass over the topic for as many as memory holds."""
        for some in _groups(sorted(buckets), self._sums):
            found: list[Row] = []
            for rows, names, digests in self._digests():
                places = [place for place, name in enumerate(names) if bucket_of(name) in some]
                if not places:
                    continue
                keys = list(zip(*(column.gather(places).to_list() for column in rows.key), strict=True))
                found += [
                    (bucket_of(names[place]), keys[number] if keys else (), digests[place])
                    for number, place in enumerate(places)
                ]
            yield from sorted(found)

    def _digests(self) -> Iterator[tuple[TextRows, list[bytes], list[bytes]]]:
        """Rows, what tells their bucket, and their fingerprints."""
        for slab in self.state.slabs():
            rows, names = slab.rows, slab.names
            if self.part is Part.SEALED:
                rows = rows.with_sealed()
                if not rows.height:
                    continue
                names = rows.key_digests() if rows.key else []
                digests = fingerprints((*rows.bound, *rows.sealed))
            else:
                digests = fingerprints(rows.clear)
            yield rows, names or digests, digests


def _groups(buckets: Sequence[int], sums: Mapping[int, Sums]) -> Iterator[frozenset[int]]:
    group: list[int] = []
    rows = 0
    for bucket in buckets:
        more = sums[bucket].rows if bucket in sums else 0
        if group and rows + more > _ROWS_AT_ONCE:
            yield frozenset(group)
            group, rows = [], 0
        group.append(bucket)
        rows += more
    if group:
        yield frozenset(group)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFetcher:
    """Single rows by key, as the log and the target have them; cells are held as digests."""

    state: LogState
    opener: Opener | None  # without one encrypted cells are left out

    def compare(self, keys: Sequence[Key]) -> Iterator[Compared]:
        """Each key's row on both sides, in the order given: one pass over the topic."""
        there = self._published(keys)
        here: dict[Key, list[Values]] = {}
        for start in range(0, len(keys), _FETCHED_AT_ONCE):
            here |= self._target(keys[start : start + _FETCHED_AT_ONCE])
        for key in keys:
            yield compare_values(key, there.get(key, []), here.get(key, []))

    def _published(self, keys: Sequence[Key]) -> dict[Key, list[Values]]:
        wanted = {fingerprint(key): key for key in keys}
        plan = self.state.plan
        found: dict[Key, list[Values]] = {}
        if not wanted:
            return found
        for slab in self.state.slabs():
            for place, name in enumerate(slab.names):
                if name in wanted:
                    cells = {item.name: column[place] for item, column in zip(plan.clear, slab.rows.clear, strict=True)}
                    if self.opener is not None:
                        pairs = zip(plan.sealed, slab.rows.sealed, strict=True)
                        cells |= {item.name: column[place] for item, column in pairs}
                    found.setdefault(wanted[name], []).append(_digested(cells))
        return found

    def _target(self, keys: Sequence[Key]) -> dict[Key, list[Values]]:
        plan = self.state.plan
        sealed = [item.cell for item in plan.sealed] if self.opener is not None else []
        texts = [*(cell.target for cell in plan.clear), *sealed]
        rows = rows_by_key(self.state.target, plan, "target", texts, keys)
        width = len(plan.key) + len(plan.clear)
        opened = self.opener.open(rows, width) if self.opener is not None else []
        found: dict[Key, list[Values]] = {}
        for number, row in enumerate(rows):
            cells: Values = dict(zip((cell.name for cell in plan.clear), row[len(plan.key) : width], strict=True))
            failed: tuple[str, ...] = ()
            if self.opener is not None:
                cells |= dict(zip((item.name for item in plan.sealed), opened[number].opened, strict=True))
                failed = opened[number].undecryptable
            values = _digested(cells) | dict.fromkeys(failed, UNDECRYPTABLE)
            found.setdefault(tuple(row[: len(plan.key)]), []).append(values)
        return found


_FETCHED_AT_ONCE = 100


def _digested(cells: Mapping[str, str | None]) -> Values:
    return {name: None if text is None else sha256(text.encode()).hexdigest() for name, text in cells.items()}
