"""`validator reconcile --keys`: the rows of a repair plan looked at again, on both sides, every column.

Exactly those rows and nothing else: all of them equal is "repaired", never "equal". A row that is on neither
side any more is repaired too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from runtime.control import read_control
from runtime.introspect import read_checked_catalogue, read_survey
from runtime.keyring import Keyring
from runtime.postgres import Connection
from runtime.progress import GenerationState, Progress, read_progress, read_quarantine
from runtime.reporting import Notice, Report, RowsCompared
from runtime.settings import KafkaSettings
from schemas.catalogue import Table
from schemas.control import ControlState
from schemas.errors import ExitCode, Inconclusive, KeyringError, LogError
from schemas.mapping import TableMapping, Treatment, table_mapping
from schemas.migration import Migration
from schemas.repair import Key, NotThisPlan, PlannedRow, RepairPlan, RowKind, see_log, see_migration
from schemas.snapshots import Seen, Snapshot
from validator.as_of import not_applied
from validator.fetch import Compared, Fetcher, rows_by_key
from validator.generation import Quarantine, current, reason_of
from validator.instants import NOT_OF_A_LOAD, strange_instant, unknown_instant
from validator.one_row import RowSides
from validator.options import Options
from validator.plan import TablePlan, table_plan
from validator.reconcile import Reconciliation
from validator.rows import kind_of
from validator.sides import Readers, named_errors
from validator.verdict import TABLE_LAYERS, Finding, Kind, Layer, Verdict, worst

_STILL: dict[Kind, str] = {
    Kind.MISSING_IN_TARGET: "the target has not this row",
    Kind.EXTRA_IN_TARGET: "the source has no such row: it goes with the next complete generation",
    Kind.VALUE_MISMATCH: "cells differ",
    Kind.UNDECRYPTABLE: "cells do not decrypt",
    Kind.QUARANTINED: "it stands in quarantine",
    Kind.DISCARDED: "it was given up in quarantine",
}
_STUCK = "the target's row shows an instant that no generation has, so no image replaces it: delete it there"
_FOREIGN = f"the target's row {NOT_OF_A_LOAD}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A row of the plan that is not equal. `planned` is how it differed when the plan was made."""

    table: str
    key: str  # its digest
    planned: RowKind
    kind: Kind
    detail: str
    columns: tuple[str, ...] = ()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing that is published replaces or prunes the target's row."""
        return self.detail == _STUCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecked:
    """What became of a plan's rows."""

    rows: int
    tables: tuple[str, ...] = ()  # that were to be published whole, and were compared whole
    different: tuple[Still, ...] = ()
    different_tables: tuple[str, ...] = ()
    has_extra: bool = False  # those tables have rows too many, which publishing them does not take away
    changed: tuple[Still, ...] = ()  # differ, and were written at the source after the newest snapshot
    unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """None when every row is repaired."""
        if self.different or self.different_tables:
            return Verdict.DIFFERENT
        return Verdict.INCONCLUSIVE if self.unknown or self.changed or not (self.rows or self.tables) else None

    @property
    def exit_code(self) -> ExitCode:
        """5 only when all rows of the plan were looked at and are equal."""
        codes = {Verdict.DIFFERENT: ExitCode.DIFFERENT, Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE}
        return ExitCode.REPAIRED if self.verdict is None else codes[self.verdict]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        whole = f" and all rows of {', '.join(self.tables)}" if self.tables else ""
        if self.verdict is None:
            return f"Repaired: {self.rows:,} rows of the plan{whole} are equal now. Only these were looked at."
        if self.verdict is Verdict.DIFFERENT:
            tables = f", and {', '.join(self.different_tables)} as a whole" if self.different_tables else ""
            return f"Different: {len(self.different):,} of {self.rows:,} rows of the plan{tables}."
        reasons = list(self.unknown)
        if self.changed:
            reasons.insert(
                0, f"{len(self.changed):,} rows differ and were changed at the source since the newest snapshot"
            )
        return f"Inconclusive: {'; '.join(reasons) or 'no row was looked at'}."

    @property
    def next(self) -> str:
        """What to do."""
        if self.verdict is None:
            return "validator reconcile    (all tables, every layer)"
        if self.verdict is Verdict.DIFFERENT:
            return self._mends
        return (
            "consumer run --until-complete, then this again" if not self.changed else "validator reconcile --plan FILE"
        )

    @property
    def _mends(self) -> str:
        """What mends the rows and tables that differ, or the first of them."""
        kinds = {item.kind for item in self.different}
        if kinds & {Kind.QUARANTINED, Kind.DISCARDED}:
            return "consumer quarantine list"
        if any(item.is_stuck for item in self.different):
            return "delete in the target the rows that no image replaces, then this again"
        if kinds == {Kind.EXTRA_IN_TARGET} or (not kinds and self.has_extra):
            return "producer snapshot, consumer run --until-complete    (a complete generation prunes what is too many)"
        options = "--keys FILE" if kinds else " ".join(f"--table {name}" for name in self.different_tables)
        return f"producer snapshot {options}, consumer run --until-complete, then this again"


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What it takes to look at a plan's rows again."""

    migration: Migration
    source_url: str = field(repr=False)
    target_url: str = field(repr=False)
    keyring: Keyring | None
    kafka: KafkaSettings | None  # tells of generations that were not applied yet, and of changes since
    plan: RepairPlan
    file: str
    report_fact: Report

    def run(self) -> Rechecked:
        """Look at every row of the plan.

        Raises:
            NotThisPlan: it was made for another log or migration, or does not fit the source.
            Inconclusive: a load goes on.
            ReplicatorError: a side cannot be read.
        """
        see_migration(self.plan, self.file, self.migration.digest())
        with (
            closing(Readers("source", self.source_url, self.migration.source.schemas, count=0)) as source,
            closing(Readers("target", self.target_url, (self.migration.schema_,), count=0)) as target,
        ):
            progress, quarantine = self._load(target.first)
            control = self._control()
            if waiting := _waiting(control, progress):
                return Rechecked(rows=0, unknown=waiting)
            unknown: list[str] = []
            catalogue = read_checked_catalogue(source.first, self.migration)
            tables = {table.name: table for table in catalogue.tables}
            survey = read_survey(target.first, [self.migration.schema_], side="target")
            there = {table.name: table for table in survey.tables}
            still: list[Still] = []
            changed: list[Still] = []
            for name, planned in self.plan.tables.items():
                if not planned.rows:
                    continue
                plan = self._table_plan(name, tables, there)
                unknown += [f"{name}: {why}" for why in plan.left_out]
                look = _Table(self, plan, source.first, target.first, progress, quarantine)
                found = list(look.still(planned.rows))
                since = look.changed_since(found, control)
                changed += since
                still += [item for item in found if item not in since]
                self.report_fact(RowsCompared(table=name, rows=len(planned.rows)))
        findings = self._tables()
        whole = {name: worst(item.verdict for item in found) for name, found in findings.items()}
        unknown += [f"{name} as a whole" for name, verdict in whole.items() if verdict is Verdict.INCONCLUSIVE]
        return Rechecked(
            rows=self.plan.rows,
            tables=tuple(whole),
            different=tuple(still),
            different_tables=tuple(name for name, verdict in whole.items() if verdict is Verdict.DIFFERENT),
            has_extra=any(map(_has_extra, findings.values())),
            changed=tuple(changed),
            unknown=tuple(dict.fromkeys(unknown)),
        )

    def _tables(self) -> dict[str, list[Finding]]:
        """What was seen of tables of the plan whose rows could not be named, compared as a whole in every layer."""
        names = tuple(self.plan.whole)
        if not names:
            return {}
        run = Reconciliation(
            migration=self.migration,
            source_url=self.source_url,
            target_url=self.target_url,
            keyring=self.keyring,
            environment={},
            kafka=self.kafka,
            options=Options(layers=(Layer.GENERATION, *TABLE_LAYERS), tables=names),
            report_fact=self.report_fact,
            program_version="",
        )
        findings = run.run().findings
        return {name: [item for item in findings if item.table == name or item.unknown] for name in names}

    def _load(self, target: Connection) -> tuple[Progress, Quarantine]:
        tenant = self.migration.tenant
        with named_errors("target", "schema replicator: progress"):
            progress = read_progress(target, tenant)
            if progress is None or progress.newest is None:
                raise Inconclusive(
                    f'the target knows no load of tenant "{tenant}"', hint="consumer run --until-complete"
                )
            quarantine = current(read_quarantine(target, tenant), progress)
        see_log(self.plan, self.file, progress.tenant.log_id)
        return progress, quarantine

    def _control(self) -> ControlState | None:
        if self.kafka is None:
            return None
        try:
            control = read_control(self.kafka, self.migration.log.prefix, self.migration.tenant, self.keyring)
        except LogError as error:
            self.report_fact(Notice(f"whether all that was published is applied is not known: {error}"))
            return None
        see_log(self.plan, self.file, control.log)
        return control

    def _table_plan(self, name: str, tables: Mapping[str, Table], there: Mapping[str, Table]) -> TablePlan:
        if name not in tables:
            raise NotThisPlan(f'{self.file}: the migration has no table "{name}"')
        mapping: TableMapping = table_mapping(tables[name], self.migration)
        if self.keyring is None and any(column.treatment is Treatment.ENCRYPT for column in mapping.columns):
            raise KeyringError(
                f'columns of table "{name}" are encrypted, and there is no keyring: its rows cannot be looked at',
                hint="set KEYRING and KEYRING_KEK_FILE",
            )
        if name not in there:
            raise Inconclusive(f'the target has no table "{name}"', hint="consumer run --until-complete")
        plan = table_plan(mapping, there[name], self.migration.schema_)
        if not plan.key or any(len(row.key) != len(plan.key) for row in self.plan.tables[name].rows):
            raise NotThisPlan(
                f'{self.file}: table "{name}" has another key now',
                hint="make a new plan: validator reconcile --plan FILE",
            )
        return plan


def _has_extra(findings: Iterable[Finding]) -> bool:
    """Whether a table with a key has rows too many; one without is replaced as a whole."""
    return any(
        difference.kind is Kind.EXTRA_IN_TARGET and difference.key
        for finding in findings
        for difference in finding.differences
    )


def _waiting(control: ControlState | None, progress: Progress) -> tuple[str, ...]:
    """Generations that are still to come into the target: rows prove nothing until they have."""
    newest = progress.newest
    if newest is not None and newest.state is GenerationState.RUNNING:
        return (f"generation {newest.generation} has not ended",)
    return not_applied(control, progress) if control is not None else ()


@dataclass(frozen=True, slots=True)
class _Table:
    """One table's rows of the plan."""

    look: Recheck
    plan: TablePlan
    source: Connection
    target: Connection
    progress: Progress
    quarantine: Quarantine

    def still(self, rows: Sequence[PlannedRow]) -> Iterator[Still]:
        """Rows that are not equal."""
        by_key = {row.key: row for row in rows}
        strange = self._strange(list(by_key))
        for compared in self._compared(list(by_key)):
            row = by_key[compared.key]
            if compared.is_equal or not (compared.in_source or compared.in_target):
                if compared.key in strange:
                    yield self._still(row, Kind.VALUE_MISMATCH, strange[compared.key], (self.plan.migrated_at or "",))
                continue
            aside = self.quarantine.find(self.plan.name, row.digest)
            kind = kind_of(compared, aside)
            detail = _STILL[kind]
            if aside is not None and kind in (Kind.QUARANTINED, Kind.DISCARDED):
                detail += f": {reason_of(aside)}"
            elif strange.get(compared.key) == _STUCK:
                detail = _STUCK
            yield self._still(row, kind, detail, compared.undecryptable or compared.columns)

    def changed_since(self, found: Iterable[Still], control: ControlState | None) -> tuple[Still, ...]:
        """Of those the rows that the source wrote after the newest snapshot: whether that alone is it, nobody can say."""
        newest = self.progress.newest_table(self.plan.name)
        generation = control.generations.get(newest.generation) if control is not None and newest is not None else None
        if generation is None:
            return ()
        snapshot = Snapshot.parse(generation.snapshot.snapshot)
        sides = RowSides(
            source=self.source,
            target=self.target,
            plan=self.plan,
            keyring=self.look.keyring,
            tenant=self.look.migration.tenant,
        )
        keys = {row.digest: row.key for row in self.look.plan.tables[self.plan.name].rows}
        since = []
        for item in found:
            if item.kind not in (Kind.MISSING_IN_TARGET, Kind.VALUE_MISMATCH) or item.detail in (_STUCK, _FOREIGN):
                continue
            there = sides.at_source(keys[item.key])
            if there is not None and snapshot.saw(int(there.stamp)) is not Seen.BEFORE:
                since.append(item)
        return tuple(since)

    def _still(self, row: PlannedRow, kind: Kind, detail: str, columns: tuple[str, ...]) -> Still:
        return Still(table=self.plan.name, key=row.digest, planned=row.kind, kind=kind, detail=detail, columns=columns)

    def _compared(self, keys: Sequence[Key]) -> Iterator[Compared]:
        """Each key alone where keys that compare equal meet the same row (citext, 1.0 and 1.00)."""
        look = self.look
        fetcher = Fetcher(
            source=self.source, target=self.target, plan=self.plan, keyring=look.keyring, tenant=look.migration.tenant
        )
        for compared in fetcher.compare(keys):
            if len(keys) > 1 and max(compared.in_source, compared.in_target) > 1:
                yield from fetcher.compare([compared.key])
            else:
                yield compared

    def _strange(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Keys whose row in the target shows an instant that no generation has, and what that means for it."""
        beyond, unknown = strange_instant(self.plan, self.progress), unknown_instant(self.plan, self.progress)
        if not beyond:
            return {}
        rows = rows_by_key(self.target, self.plan, "target", [beyond, unknown], keys)
        return {tuple(key): _STUCK if stuck else _FOREIGN for *key, stuck, strange in rows if strange}
