"""From findings to a repair plan: which rows to publish again, which tables whole, and what no row mends.

Differences hold digests only. While a plan is asked for, the keys behind the digests of rows that are named
are kept in memory (`KeyBook`), as many as are listed; they leave it sealed, in the plan's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from schemas.repair import REASONS, Key, PlannedRow, PlannedTable, RepairPlan, RowKind
from validator.instants import NEVER_REPLACED
from validator.verdict import Difference, Finding, Kind, Layer, Verdict

Digest = Callable[[Sequence[str]], str]

MOST = 10_000
"""Rows that a plan lists of a table and layer; a table with more is published whole."""

ROW_LAYERS = frozenset({Layer.CHECKSUMS, Layer.CELLS, Layer.ROWS})
_EVERY_ROW = frozenset({Layer.CHECKSUMS, Layer.CELLS})
_NUMBERS = frozenset({Layer.COUNTS, Layer.PUBLISHED, Layer.SUMS, Layer.ENVELOPES})  # follow from the rows
_KINDS: dict[Kind, RowKind] = {
    Kind.MISSING_IN_TARGET: RowKind.MISSING,
    Kind.EXTRA_IN_TARGET: RowKind.EXTRA,
    Kind.VALUE_MISMATCH: RowKind.DIFFERENT,
    Kind.UNDECRYPTABLE: RowKind.DIFFERENT,
}
_ASIDE = frozenset({Kind.QUARANTINED, Kind.DISCARDED})
_MISSING_TABLE = "the table is not as it must be in the target"
_NO_KEY = "rows differ that no key names"
_TOO_MANY_STAY = "rows too many go with the next complete generation"
_STUCK_EXTRA = (
    "the source has no such row, and it shows an instant that no generation has, so it is not pruned: delete it there"
)


@dataclass
class KeyBook:
    """The keys behind digests, by table."""

    digest: Digest
    _keys: dict[str, dict[str, Key]] = field(default_factory=dict, repr=False)

    def of(self, table: str) -> Digest:
        """The digest of rows of one table, which remembers what it named."""
        book = self._keys.setdefault(table, {})

        def noted(key: Sequence[str]) -> str:
            named = self.digest(key)
            if key:
                book[named] = tuple(key)
            return named

        return noted

    def key(self, table: str, digest: str) -> Key | None:
        """The key that was named so."""
        return self._keys.get(table, {}).get(digest)


def make_plan(head: RepairPlan, findings: Sequence[Finding], tables: Sequence[str], book: KeyBook) -> RepairPlan:
    """The plan of a run that has ended; `head` says whose it is, `tables` in which order they come."""
    planned = {}
    other = list(_other([finding for finding in findings if not finding.table]))
    for name in tables:
        found = [finding for finding in findings if finding.table == name]
        whole = _whole(found)
        table = PlannedTable(rows=() if whole else tuple(_rows(found, name, book)), whole=whole)
        if table.rows or table.whole:
            planned[name] = table
        other += _other(found, is_planned=name in planned)
    return replace(head, tables=planned, other=tuple(dict.fromkeys(other)))


def _rows(findings: Sequence[Finding], table: str, book: KeyBook) -> Iterable[PlannedRow]:
    """Each row once, whatever many layers name it."""
    rows: dict[str, PlannedRow] = {}
    for difference in _named(findings):
        key = book.key(table, difference.key)
        if key is None or difference.kind not in _KINDS:
            continue
        kind = RowKind.STUCK if difference.detail == NEVER_REPLACED else _KINDS[difference.kind]
        row = PlannedRow(kind=kind, digest=difference.key, key=key, columns=difference.columns, reason=REASONS[kind])
        rows[row.digest] = _together(rows[row.digest], row) if row.digest in rows else row
    return rows.values()


def _named(findings: Sequence[Finding]) -> Iterable[Difference]:
    for finding in findings:
        if finding.layer in ROW_LAYERS or finding.layer is Layer.PUBLISHED:
            yield from (difference for difference in finding.differences if difference.key)


def _together(one: PlannedRow, other: PlannedRow) -> PlannedRow:
    """What two layers say of one row: that no image replaces it counts most, that it differs least."""
    kinds = {one.kind, other.kind}
    kind = RowKind.STUCK if RowKind.STUCK in kinds else other.kind if one.kind is RowKind.DIFFERENT else one.kind
    reason = _STUCK_EXTRA if kinds == {RowKind.STUCK, RowKind.EXTRA} else REASONS[kind]
    columns = tuple(dict.fromkeys((*one.columns, *other.columns)))
    return replace(one, kind=kind, columns=columns, reason=reason)


def _whole(findings: Sequence[Finding]) -> str:
    """Why the table has to be published whole; "" when every row that differs is named."""
    for finding in findings:
        if finding.layer is Layer.PUBLISHED and (why := _why_instants(finding)):
            return why
        if finding.layer in ROW_LAYERS and finding.total and (why := _why_rows(finding)):
            return why
    return ""


def _why_rows(finding: Finding) -> str:
    """Why rows of one layer have to be published with their whole table."""
    if any(difference.kind is Kind.SCHEMA for difference in finding.differences):
        return _MISSING_TABLE
    if any(not difference.key for difference in finding.differences) or not finding.differences:
        return _NO_KEY
    if finding.layer in _EVERY_ROW and finding.total > len(finding.differences):
        return f"{finding.total:,} rows differ, {len(finding.differences):,} are listed; {_TOO_MANY_STAY}"
    if finding.layer is Layer.CELLS and finding.sample is not None and finding.sample.bound > 0:
        return "encrypted cells of a sample differ, the others were not decrypted"
    return ""


def _why_instants(finding: Finding) -> str:
    """Why rows that show an instant of no load have to be published with their whole table."""
    strange = [difference for difference in finding.differences if difference.kind is Kind.VALUE_MISMATCH]
    if any(not difference.key for difference in strange):
        return _NO_KEY
    rows = finding.total - (len(finding.differences) - len(strange))
    if rows <= len(strange):
        return ""
    stuck = any(difference.detail == NEVER_REPLACED for difference in strange)
    first = "; those beyond the newest generation have to be deleted in the target first" if stuck else ""
    return f"{rows:,} rows show an instant that no generation has, {len(strange):,} are listed{first}"


def _other(findings: Sequence[Finding], *, is_planned: bool = False) -> Iterable[str]:
    """What publishing rows does not mend, or what was not decided, in words."""
    for finding in findings:
        where = f"{finding.layer}: {finding.table}" if finding.table else f"{finding.layer}"
        if finding.verdict is Verdict.INCONCLUSIVE:
            yield f"{where}: not decided" + (f": {'; '.join(finding.unknown)}" if finding.unknown else "")
        aside = sum(difference.rows for difference in finding.differences if difference.kind in _ASIDE)
        if aside and finding.layer is Layer.GENERATION:
            yield f"{aside:,} rows stand in quarantine: consumer quarantine list"
        if finding.layer in ROW_LAYERS or not finding.total or finding.layer is Layer.GENERATION:
            continue
        if finding.layer in _NUMBERS and is_planned:
            continue
        details = sorted({difference.detail for difference in finding.differences if difference.detail})
        yield f"{where}: {'; '.join(details[:3]) or f'{finding.total:,} differ'}"
