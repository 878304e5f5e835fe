"""Differences that come from changes at the source after the snapshot, told from all others by proof.

A row is *changed since* only when both halves are proven: the target holds exactly what was
published under its key (compared with the log), and the source no longer shows what the snapshot
showed: its row was written by a transaction that the snapshot did not see (`xmin`), or is gone. A row
of the source that the snapshot did see must be in the target as it is, or the difference stays. What
can be decided neither way is inconclusive; nothing is guessed, and nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from runtime.keyring import Keyring
from runtime.postgres import Connection
from schemas.canonical import fingerprint
from schemas.snapshots import COMPARABLE_XIDS, NOW_SQL, Seen, Snapshot, full_xid_sql
from validator.as_of import target_part
from validator.drill import Found, InSql, Key, differing_rows
from validator.fetch import rows_by_key
from validator.from_log import FromLog, LogState, Part
from validator.plan import TablePlan
from validator.published import LogGap
from validator.sides import named_errors
from validator.verdict import Kind

_MOST_NAMES = 500_000  # of rows that really differ; each is held as a short fingerprint
_XIDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is proven of one table. `real` and `unclear` are fingerprints of keys.

    `why_not` says why nothing of the table can be explained, and its differences stay; "" when its
    rows can be told apart. `gap` says why the log proves nothing of it, so that what may be a change
    since stays undecided.
    """

    is_as_published: bool = False
    real: frozenset[bytes] = frozenset()
    unclear: frozenset[bytes] = frozenset()
    gap: str = ""
    why_not: str = ""

    def of(self, found: Found) -> Seen:
        """BEFORE: a difference. SINCE: proven to come of a change since. UNCLEAR: undecided."""
        name = fingerprint(found.key)  # () where no key names rows: then they are all real or all explained
        if name in self.real:
            return Seen.BEFORE
        return Seen.UNCLEAR if self.gap or name in self.unclear else Seen.SINCE


class _TooMany(Exception):
    """More rows differ than are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSides:
    """One table at the source, in the log and in the target."""

    source: Connection
    plan: TablePlan
    state: LogState
    keyring: Keyring | None
    tenant: str

    @property
    def parts(self) -> tuple[Part, ...]:
        """What of a row is compared."""
        return (Part.CLEAR, Part.SEALED) if self.plan.sealed and self.keyring is not None else (Part.CLEAR,)

    def live(self, part: Part, condition: str = "true") -> Iterator[Found]:
        """Rows that differ between source and target, of the source only those with `condition`."""
        if part is Part.CLEAR:
            here = InSql(self.state.target, self.plan, "target", tuple(cell.target for cell in self.plan.clear))
            texts = tuple(cell.source for cell in self.plan.clear)
            return differing_rows(InSql(self.source, self.plan, "source", texts, condition), here)
        plan = self.state.plan
        texts = (*(cell.source for cell in plan.bound), *(item.source for item in plan.sealed))
        there = InSql(self.source, plan, "source", texts, f"{plan.has_sealed} AND {condition}")
        return differing_rows(there, target_part(self.state, part, self.keyring, self.tenant))

    def not_as_published(self, part: Part) -> Iterator[Found]:
        """Rows of the target that are not what was published."""
        return differing_rows(FromLog(self.state, part), target_part(self.state, part, self.keyring, self.tenant))

    def now(self) -> int:
        """The transaction number that the source gives next."""
        with named_errors("source", "source: transaction number"):
            row = self.source.execute(f"SELECT {NOW_SQL}".encode()).fetchone()
        assert row is not None
        return int(row[0])

    def xids(self, keys: Iterable[Key], now: int) -> Iterator[tuple[Key, int]]:
        """The transaction that wrote each row of the source; keys that it lacks are left out."""
        waiting = iter(keys)
        while some := list(islice(waiting, _XIDS_AT_ONCE)):
            for *key, xid in rows_by_key(
                self.source, self.plan, "source", [f"({full_xid_sql('t.xmin', now)})::text"], some
            ):
                yield tuple(key), int(xid)


def changes_of(sides: TableSides) -> Changes:
    """Prove what can be proven of one table."""
    readings = sides.state.log.readings
    if not readings:
        return Changes(why_not=f"{sides.plan.name} was never published")
    base, now = readings[0].snapshot, sides.now()
    if not base.xmax <= now or now - base.xmin >= COMPARABLE_XIDS:
        return Changes(why_not=f"{sides.plan.name}: the source's transactions cannot be compared with the snapshot's")
    try:
        return _proven(sides, base, now)
    except _TooMany:
        return Changes(why_not=f"{sides.plan.name}: more than {_MOST_NAMES:,} rows differ, which are not told apart")


def _proven(sides: TableSides, base: Snapshot, now: int) -> Changes:
    gap = ""
    try:
        not_published = _names(found for part in sides.parts for found in sides.not_as_published(part))
    except LogGap as error:
        gap, not_published = str(error), set()
    condition = base.not_since_sql(f"({full_xid_sql('t.xmin', now)})")
    kept: list[Found] = []
    for part in sides.parts:
        for found in sides.live(part, condition):
            if (
                found.kind is not Kind.EXTRA_IN_TARGET
            ):  # those were changed or deleted at the source, or never published
                kept.append(found)
            if len(kept) > _MOST_NAMES:
                raise _TooMany
    real, unclear = _sorted_out(sides, kept, base, now)
    if len(sides.state.log.readings) > 1 and not gap:
        later, doubtful = _published_later(sides, real | unclear | not_published, now)
        real, unclear = real | later, unclear | doubtful
    return Changes(
        is_as_published=not gap and not not_published,
        real=frozenset(real | not_published),
        unclear=frozenset(unclear - real - not_published),
        gap=gap,
    )


def _names(rows: Iterable[Found]) -> set[bytes]:
    names: set[bytes] = set()
    for found in rows:
        names.add(fingerprint(found.key))
        if len(names) > _MOST_NAMES:
            raise _TooMany
    return names


def _sorted_out(sides: TableSides, kept: list[Found], snapshot: Snapshot, now: int) -> tuple[set[bytes], set[bytes]]:
    """Rows of the source that the snapshot saw and the target lacks or has otherwise: real, and those unclear."""
    names = _names(kept)
    if not snapshot.running:
        return names, set()
    if kept and not kept[0].key:
        return set(), names  # which row it is, and who wrote it, no key tells
    keys = (found.key for found in kept)
    unclear = {fingerprint(key) for key, xid in sides.xids(keys, now) if snapshot.saw(xid) is Seen.UNCLEAR}
    return names - unclear, unclear


def _published_later(sides: TableSides, decided: set[bytes], now: int) -> tuple[set[bytes], set[bytes]]:
    """The same for rows that a partial generation published after the complete one, by its own snapshot."""
    snapshots = {reading.id: reading.snapshot for reading in sides.state.log.readings}
    newest = sides.state.log.readings[-1].snapshot
    xids: dict[bytes, int] = {}
    for part in sides.parts:
        keys = (found.key for found in sides.live(part) if fingerprint(found.key) not in decided)
        for key, xid in sides.xids(keys, now):
            if newest.saw(xid) is not Seen.SINCE:
                xids[fingerprint(key)] = xid
                if len(xids) > _MOST_NAMES:
                    raise _TooMany
    owners = sides.state.last_readings(xids) if xids else {}
    seen = {name: snapshots[reading].saw(xids[name]) for name, reading in owners.items()}
    return (
        {name for name, what in seen.items() if what is Seen.BEFORE},
        {name for name, what in seen.items() if what is Seen.UNCLEAR},
    )
