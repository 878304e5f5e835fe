"""What was looked at, what was found, and what may be said of it. Pure.

"Equal" is never set by anybody: it follows from the facts of a finding (nothing differs, nothing
is unknown, as many rows looked at as there are, or a sample that was asked for). A layer that was
asked for and brought no finding makes the whole inconclusive. So work that was skipped, by a
defect or by a signal, cannot look like success.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import ExitCode

CONFIDENCE = 0.95


class Layer(StrEnum):
    """One way of looking; each has its own verdict for each table."""

    GENERATION = "generation"
    SCHEMA = "schema"
    COUNTS = "counts"
    PUBLISHED = "published"
    SUMS = "sums"
    CHECKSUMS = "checksums"
    FOREIGN_KEYS = "foreign-keys"
    ENVELOPES = "envelopes"
    CELLS = "cells"
    ROWS = "rows"
    ORGANIZATION = "organization"


ABOUT: dict[Layer, str] = {
    Layer.GENERATION: "the load has ended and nothing stands in quarantine",
    Layer.SCHEMA: "columns, types, defaults, keys, indexes, checks, sequences",
    Layer.COUNTS: "rows at the source and in the target",
    Layer.PUBLISHED: "published = applied + quarantined = rows at the source",
    Layer.SUMS: "exact sums of integer and numeric columns",
    Layer.CHECKSUMS: "every clear and transformed column of every row",
    Layer.FOREIGN_KEYS: "no row without its parent",
    Layer.ENVELOPES: "form and key of every encrypted cell",
    Layer.CELLS: "every encrypted cell decrypted and compared",
    Layer.ROWS: "random rows compared cell by cell on a second path",
    Layer.ORGANIZATION: "the organization's row and its tokens",
}

# Layers of the migration as a whole; all others speak of one table.
WHOLE = frozenset({Layer.GENERATION, Layer.ORGANIZATION})
TABLE_LAYERS = tuple(layer for layer in Layer if layer not in WHOLE)


class Verdict(StrEnum):
    """What a finding, or all of them together, says."""

    EQUAL = "equal"
    DIFFERENT = "different"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"  # not asked for


class Kind(StrEnum):
    """How a place differs."""

    MISSING_IN_TARGET = "missing_in_target"
    EXTRA_IN_TARGET = "extra_in_target"
    VALUE_MISMATCH = "value_mismatch"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    COUNT = "count"
    SUM = "sum"
    SCHEMA = "schema"
    NOT_VALIDATED = "not_validated"  # a foreign key of the target that is valid at the source
    UNDECRYPTABLE = "undecryptable"
    ENVELOPE = "envelope"
    ORPHAN_LOST = "orphan_lost_parent"
    ORPHAN_WAITING = "orphan_waiting"
    ORPHAN_NEW = "orphan_not_at_source"
    ORGANIZATION = "organization"
    CHANGED_SINCE = "changed_since"  # at the source, after the snapshot; never a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place that differs. `key` is a keyed digest; no value of a row is ever held here."""

    layer: Layer
    table: str
    kind: Kind
    detail: str = ""
    key: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows drawn at random instead of all; what that proves is a bound, never equality of the rest."""

    rows: int
    population: int
    seed: int

    @property
    def bound(self) -> float:
        """With 95 % confidence fewer than this share of the rows differ, when none of the sample does.

        >>> round(Sample(rows=299, population=10**9, seed=1).bound, 4)
        0.01
        >>> Sample(rows=5, population=5, seed=1).bound
        0.0
        """
        if self.rows >= self.population:
            return 0.0
        if self.rows == 0:
            return 1.0
        return float(1.0 - (1.0 - CONFIDENCE) ** (1.0 / self.rows))

    def __str__(self) -> str:
        if self.bound == 0.0:
            return f"all {self.population:,} rows looked at"
        return (
            f"{self.rows:,} of {self.population:,} rows drawn at random (seed {self.seed}): with 95 % confidence"
            f" fewer than {share(self.bound)} of the rows differ"
        )


def share(part: float) -> str:
    """A share in per cent, rounded up so that the bound still holds.

    >>> share(0.0299), share(0.00030001), share(1.0)
    ('3 %', '0.031 %', '100 %')
    """
    percent = part * 100
    digits = 0
    while percent * 10**digits < 10 and digits < 6:
        digits += 1
    scaled = percent * 10**digits
    whole = int(scaled)
    rounded = whole if abs(scaled - whole) < 1e-9 else whole + 1
    return f"{rounded / 10**digits:.{digits}f}".rstrip("0").rstrip(".") + " %" if digits else f"{rounded} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one layer saw of one table (or, with `table` empty, of the whole).

    `there` is how much there was to look at, in `unit`. `differences` may be cut short;
    `different` is their true number. `unknown` says why something could not be decided.
    `notes` are facts worth reading that change no verdict. Rows that the source changed after the
    snapshot, and that the target holds as they were published, are no differences: `changed_since`
    lists some, `changed` is their number.
    """

    layer: Layer
    table: str = ""
    looked_at: int = 0
    there: int = 0
    unit: str = "rows"
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    different: int = 0
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sample: Sample | None = None
    changed_since: tuple[Difference, ...] = ()  # proven: the source changed, the target has what was published
    changed: int = 0

    @property
    def total(self) -> int:
        """How many places differ, listed or not."""
        return max(self.different, len(self.differences))

    @property
    def verdict(self) -> Verdict:
        """Follows from the facts alone.

        >>> Finding(layer=Layer.COUNTS, looked_at=3, there=3).verdict
        <Verdict.EQUAL: 'equal'>
        >>> Finding(layer=Layer.COUNTS, looked_at=2, there=3).verdict
        <Verdict.INCONCLUSIVE: 'inconclusive'>
        """
        if self.total:
            return Verdict.DIFFERENT
        if self.unknown:
            return Verdict.INCONCLUSIVE
        if self.sample is not None:
            owed = min(self.sample.population, 1)
            return Verdict.EQUAL if self.sample.rows >= owed else Verdict.INCONCLUSIVE
        return Verdict.EQUAL if self.looked_at >= self.there else Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for: layers, tables, and whether that is all there is."""

    layers: tuple[Layer, ...]
    tables: tuple[str, ...]
    all_tables: tuple[str, ...]
    is_as_of: bool = False  # compared with the log instead of the source

    def expected(self) -> frozenset[tuple[Layer, str]]:
        """Every finding that must be there before anything may be called equal."""
        pairs = {(layer, "") for layer in self.layers if layer in WHOLE} | {(Layer.GENERATION, "")}
        pairs |= {(layer, table) for layer in self.layers if layer not in WHOLE for table in self.tables}
        return frozenset(pairs)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What was not asked for, in words; empty when everything was."""
        parts = []
        if missing := [layer.value for layer in Layer if layer not in self.layers and layer is not Layer.GENERATION]:
            parts.append(f"layers {', '.join(missing)}")
        if absent := [table for table in self.all_tables if table not in self.tables]:
            parts.append(f"tables {', '.join(absent)}")
        return tuple(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict over all, its sentence, and what to do next."""

    verdict: Verdict
    exit_code: ExitCode
    sentence: str
    next: str = ""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Different beats inconclusive beats equal; of nothing it is skipped.

    >>> worst([Verdict.EQUAL, Verdict.INCONCLUSIVE, Verdict.EQUAL])
    <Verdict.INCONCLUSIVE: 'inconclusive'>
    """
    found = set(verdicts) - {Verdict.SKIPPED}
    for verdict in (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUAL):
        if verdict in found:
            return verdict
    return Verdict.SKIPPED


def judge(findings: Sequence[Finding], request: Request, *, interrupted: bool = False) -> Judgement:
    """One verdict of all findings; equal only when each that was owed is there and equal."""
    expected = request.expected()
    here = [finding for finding in findings if (finding.layer, finding.table) in expected]
    owed = expected - {(finding.layer, finding.table) for finding in here}
    verdict = worst(finding.verdict for finding in findings)
    if verdict is not Verdict.DIFFERENT and (owed or interrupted or not here):
        verdict = Verdict.INCONCLUSIVE
    if verdict is Verdict.DIFFERENT:
        return Judgement(
            verdict=verdict,
            exit_code=ExitCode.DIFFERENT,
            sentence=_different(findings, request) + (" The run was cut short: there may be more." if owed else ""),
            next=_advice(findings),
        )
    if verdict is Verdict.INCONCLUSIVE:
        return Judgement(
            verdict=verdict,
            exit_code=ExitCode.INCONCLUSIVE,
            sentence=_inconclusive(findings, owed, interrupted=interrupted),
            next=_advice(findings) or "validator reconcile",
        )
    return Judgement(verdict=verdict, exit_code=ExitCode.DONE, sentence=_equal(findings, request))


def _different(findings: Sequence[Finding], request: Request) -> str:
    tables = sorted({finding.table for finding in findings if finding.verdict is Verdict.DIFFERENT and finding.table})
    where = f" in {', '.join(tables)}" if tables else ""
    layers = [layer.value for layer in Layer if any(f.layer is layer and f.total for f in findings)]
    if _is_all_quarantine(findings, request):
        aside = [d for f in findings for d in f.differences if d.kind in _ASIDE and d.layer is Layer.GENERATION]
        rows = f"{sum(d.rows for d in aside):,} rows of {', '.join(sorted({d.table for d in aside}))}"
        return f"Different: {rows} stand in quarantine, each named with its reason; nothing else differs."
    whole = all(len(f.differences) >= f.total for f in findings)
    listed = "each difference is listed" if whole else "all are counted, and the first of each table and layer listed"
    return f"Different{where} ({', '.join(layers)}); {listed}."


_ASIDE = frozenset({Kind.QUARANTINED, Kind.DISCARDED})
_LACKING = frozenset({Kind.COUNT, Kind.SUM, Kind.ENVELOPE})  # what a table shows of rows that it lacks


def _is_all_quarantine(findings: Sequence[Finding], request: Request) -> bool:
    """Whether rows in quarantine explain every difference.

    Count, sums and numbers of cells of a table that lacks rows cannot agree; they are explained only
    because checksums and cells of the same table were all looked at and name no other row. So this
    is never said when a layer or table was left out, sampled, listed in part or undecided.
    """
    decided = all(f.verdict in (Verdict.EQUAL, Verdict.DIFFERENT) and len(f.differences) == f.total for f in findings)
    sampled = any(f.layer is Layer.CELLS and f.sample is not None and f.sample.bound > 0 for f in findings)
    if request.left_out or sampled or not decided:
        return False
    found = [difference for finding in findings for difference in finding.differences]
    lacking = {d.table for d in found if d.kind in _ASIDE and d.layer is Layer.CHECKSUMS}
    waiting = {d.table for d in found if d.kind is Kind.ORPHAN_WAITING}
    return bool(lacking) and all(
        d.kind in _ASIDE
        or d.kind is Kind.ORPHAN_WAITING
        or (d.kind in _LACKING and d.table in lacking and d.layer is not Layer.PUBLISHED)
        or (d.kind is Kind.NOT_VALIDATED and d.table in waiting)
        for d in found
    )


def _inconclusive(findings: Sequence[Finding], owed: frozenset[tuple[Layer, str]], *, interrupted: bool) -> str:
    reasons = list(dict.fromkeys(reason for finding in findings for reason in finding.unknown))
    if interrupted:
        reasons.insert(0, "the run was interrupted")
    short = [f for f in findings if f.verdict is Verdict.INCONCLUSIVE and not f.unknown]
    reasons += [f"{f.table or f.layer}: {f.looked_at:,} of {f.there:,} {f.unit} looked at ({f.layer})" for f in short]
    if not reasons and owed:
        reasons.append(f"{len(owed)} checks brought no result")
    return f"Inconclusive: {'; '.join(reasons)}."


def _equal(findings: Sequence[Finding], request: Request) -> str:
    rows = sum(finding.there for finding in findings if finding.layer is Layer.COUNTS)
    counted = f": {len(request.tables)} tables, {rows:,} rows" if rows else f": {len(request.tables)} tables"
    text = f"Equal{counted}, in {len(request.layers)} layers."
    if request.left_out:
        text = f"Equal in what was looked at{counted}, in {len(request.layers)} layers."
        text += f" Not looked at: {'; '.join(request.left_out)}."
    if request.is_as_of:
        text += " What was published is what arrived; the source was not asked."
    if changed := _changed(findings):
        text += (
            f" {changed:,} {'row was' if changed == 1 else 'rows were'} changed at the source since the snapshot:"
            " the target holds what was published."
        )
    if (
        Layer.ROWS in request.layers
        and Layer.CHECKSUMS not in request.layers
        and (few := _loosest(findings, Layer.ROWS))
    ):
        text += (
            f" Rows were compared at random, not all of them: with 95 % confidence fewer than {share(few)} of a table's"
            " rows differ (the bound of each table is in the report)."
        )
    if loosest := _loosest(findings, Layer.CELLS):
        text += (
            " Encrypted cells were sampled, not all decrypted: with 95 % confidence fewer than"
            f" {share(loosest)} of a table's rows differ there (the bound of each table is in the report)."
        )
    return text


def _loosest(findings: Sequence[Finding], layer: Layer) -> float:
    """The bound of the table of which a layer's sample says least; 0 when it was no sample."""
    return max((f.sample.bound for f in findings if f.sample is not None and f.layer is layer), default=0.0)


def _changed(findings: Sequence[Finding]) -> int:
    """Rows changed since; a row may differ in clear and in encrypted cells, so the larger number of a table counts."""
    by_table: dict[str, int] = {}
    for finding in findings:
        by_table[finding.table] = max(by_table.get(finding.table, 0), finding.changed)
    return sum(by_table.values())


_ADVICE: tuple[tuple[frozenset[Kind], str], ...] = (
    (
        frozenset({Kind.UNDECRYPTABLE}),
        "see that KEYRING names the keyring that the data were written with; if it does: consumer replay --reapply",
    ),
    (frozenset({Kind.QUARANTINED, Kind.ORPHAN_WAITING}), "consumer quarantine list"),
    (
        frozenset({Kind.MISSING_IN_TARGET, Kind.VALUE_MISMATCH, Kind.ORPHAN_LOST, Kind.SUM, Kind.ENVELOPE}),
        "consumer replay --reapply (writes the log's rows again), or for these rows alone: validator reconcile --plan FILE",
    ),
    (
        frozenset({Kind.EXTRA_IN_TARGET, Kind.COUNT, Kind.DISCARDED}),
        "producer snapshot    (a new generation prunes what is too many)",
    ),
    (
        frozenset({Kind.SCHEMA, Kind.NOT_VALIDATED}),
        "consumer replay, then consumer run --until-complete    (they finish the target's schema again)",
    ),
    (frozenset({Kind.ORGANIZATION}), "consumer run --until-complete    (it upserts the organization's row)"),
)


def _advice(findings: Sequence[Finding]) -> str:
    kinds = {difference.kind for finding in findings for difference in finding.differences}
    for group, command in _ADVICE:
        if kinds & group:
            return command
    if any(f.layer is Layer.GENERATION and f.verdict is Verdict.INCONCLUSIVE for f in findings):
        return "consumer run --until-complete"
    return ""
