"""Findings again, after differences that come of changes since the snapshot were told apart.

Rows decide: a table all of whose differing rows are proven changes since, and whose target is as it
was published, is explained; then what its counts, sums and orphans show is what the snapshot showed.
Everything else stays as it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runtime.keyring import Keyring
from runtime.postgres import Connection
from runtime.progress import Progress
from runtime.settings import KafkaSettings
from schemas.catalogue import Catalogue, Table
from schemas.control import ControlState
from schemas.errors import KeyringError, LogError
from schemas.mapping import TableMapping
from schemas.migration import Migration
from schemas.snapshots import Seen
from validator.changed import Changes, TableSides, changes_of
from validator.checksums import Digest, Naming
from validator.drill import Found
from validator.fetch import Fetcher
from validator.from_log import LogState, Part
from validator.generation import AT_SOURCE, Quarantine
from validator.plan import table_plan
from validator.published import LogGap, TableLog, state_readings
from validator.sides import Readers
from validator.texts import travelled_only
from validator.verdict import Difference, Finding, Kind, Layer

_OF_ROWS = frozenset(
    {
        Layer.COUNTS,
        Layer.PUBLISHED,
        Layer.SUMS,
        Layer.CHECKSUMS,
        Layer.FOREIGN_KEYS,
        Layer.ENVELOPES,
        Layer.CELLS,
        Layer.ROWS,
    }
)
_HOW: dict[Kind, str] = {
    Kind.VALUE_MISMATCH: "changed",
    Kind.MISSING_IN_TARGET: "inserted",
    Kind.EXTRA_IN_TARGET: "deleted",
}
_UNDECIDED = "whether rows were changed at the source since the snapshot cannot be decided"


def has_suspects(findings: Sequence[Finding]) -> bool:
    """Whether any layer found rows that differ."""
    return any(finding.layer in _OF_ROWS and finding.total for finding in findings)


def not_comparable(control: ControlState, progress: Progress, system_identifier: str) -> str:
    """Why this log cannot tell of this source and target; "" when it can."""
    if control.log != progress.tenant.log_id:
        return "the topics hold another log than the one the target was loaded from"
    known = {item.started.system_identifier for item in control.generations.values()} - {""}
    if system_identifier and known and system_identifier not in known:
        return "the source is another system than the one that was published"
    return ""


@dataclass(slots=True)
class _Told:
    """What one table's rows came to."""

    changes: Changes
    findings: dict[Layer, Finding] = field(default_factory=dict)  # of `checksums` and `cells`, told apart
    changed: set[str] = field(default_factory=set)  # digests of rows that the sampled layers list too
    unclear: int = 0
    real: int = 0

    @property
    def is_explained(self) -> bool:
        """Whether the target is as published, and every row that differs was changed since."""
        return self.changes.is_as_published and not self.real and not self.unclear and not self.changes.why_not


@dataclass(frozen=True, kw_only=True)
class SinceLook:
    """What it takes to tell changes since apart; runs when all tables have been looked at."""

    migration: Migration
    catalogue: Catalogue
    mappings: Mapping[str, TableMapping]
    targets: Mapping[str, Table]
    source: Readers
    target: Readers
    kafka: KafkaSettings
    control: ControlState
    keyring: Keyring | None
    progress: Progress
    quarantine: Quarantine
    digest: Digest
    digest_of: Callable[[str], Digest]  # of rows of a table that are named
    most: int
    _proven: dict[str, Changes] = field(default_factory=dict)

    def settle(self, findings: Sequence[Finding]) -> list[Finding]:
        """All findings, those of tables whose rows differ told apart."""
        suspects = {finding.table for finding in findings if finding.layer in _OF_ROWS and finding.total}
        settled = []
        told: dict[str, _Told] = {}
        for finding in findings:
            if finding.layer not in _OF_ROWS or finding.table not in suspects or finding.table not in self.targets:
                settled.append(finding)
                continue
            if finding.table not in told:
                told[finding.table] = self._told([other for other in findings if other.table == finding.table])
            settled.append(self._again(finding, told[finding.table]))
        return settled

    # ---------------------------------------------------------------- one table

    def _told(self, findings: Sequence[Finding]) -> _Told:
        name = findings[0].table
        told = _Told(self._changes(name))
        if told.changes.why_not:
            return told
        wanted = {difference.key for finding in findings for difference in finding.differences if difference.key}
        by_layer = {finding.layer: finding for finding in findings}
        with self.source.borrow() as source, self.target.borrow() as target:
            sides = self._sides(name, source, target)
            for part in sides.parts:
                self._tell_part(sides, part, by_layer.get(part.layer), wanted, told)
        return told

    def _tell_part(self, sides: TableSides, part: Part, finding: Finding | None, wanted: set[str], told: _Told) -> None:
        listed: list[Found] = []
        changed = unclear = 0

        def real() -> Iterator[Found]:
            nonlocal changed, unclear
            for found in sides.live(part):
                seen = told.changes.of(found)
                if seen is Seen.BEFORE:
                    yield found
                elif seen is Seen.UNCLEAR:
                    unclear += found.rows
                else:
                    changed += found.rows
                    if len(listed) < self.most:
                        listed.append(found)
                    if wanted and (key := self.digest(found.key)) in wanted:
                        told.changed.add(key)

        naming = Naming(
            plan=sides.plan,
            fetcher=Fetcher(
                source=sides.source,
                target=sides.state.target,
                plan=sides.plan,
                keyring=self.keyring if part is Part.SEALED else None,
                tenant=self.migration.tenant,
            ),
            quarantine=self.quarantine,
            digest=self.digest_of(sides.plan.name),
            most=self.most,
        )
        differences, total = naming.name_found(part.layer, real())
        told.real, told.unclear = told.real + total, told.unclear + unclear
        if finding is None or not finding.total or finding.sample is not None or not total + changed + unclear:
            return  # not asked for; equal; a sample, whose rows are told apart by their keys; nothing was named
        told.findings[part.layer] = replace(
            finding,
            there=min(finding.there, finding.looked_at) if not total else finding.there,
            differences=differences,
            different=total,
            changed=changed,
            changed_since=tuple(self._changed(part, naming, listed)),
            unknown=(*finding.unknown, *self._doubt(told, sides.plan.name, unclear)),
        )

    def _changed(self, part: Part, naming: Naming, listed: Sequence[Found]) -> Iterator[Difference]:
        """Rows changed since, with their columns."""
        compared = {item.key: item for item in naming.fetcher.compare([found.key for found in listed if found.key])}
        for found in listed:
            row = compared.get(found.key)
            how, columns = _HOW[found.kind], row.columns if row is not None else ()
            if row is not None and row.in_source and row.in_target:
                how = "changed"
            yield Difference(
                layer=part.layer,
                table=naming.plan.name,
                kind=Kind.CHANGED_SINCE,
                key=self.digest(found.key),
                columns=columns,
                rows=found.rows,
                detail=how,
            )

    def _doubt(self, told: _Told, table: str, rows: int) -> tuple[str, ...]:
        if not rows:
            return ()
        why = told.changes.gap or "they were written while the snapshot was taken"
        return (f"{table}: {_UNDECIDED} for {rows:,} rows: {why}",)

    def _again(self, finding: Finding, told: _Told) -> Finding:
        if finding.layer in told.findings:
            return told.findings[finding.layer]
        if not finding.total:
            return finding
        if told.changes.why_not:
            return replace(finding, notes=(*finding.notes, told.changes.why_not))
        if told.is_explained and self._is_explained(finding):
            return self._as_published(finding)
        if told.unclear and not told.real and not told.changes.real:
            why = self._doubt(told, finding.table, told.unclear)
            return replace(finding, differences=(), different=0, unknown=(*finding.unknown, *why))
        return self._sampled(finding, told) if finding.sample is not None else finding

    def _sampled(self, finding: Finding, told: _Told) -> Finding:
        """Rows that were drawn are told apart by their keys; those beyond the list stay."""
        kept = tuple(item for item in finding.differences if item.key not in told.changed)
        changed = len(finding.differences) - len(kept)
        return replace(finding, differences=kept, different=finding.total - changed, changed=changed)

    def _is_explained(self, finding: Finding) -> bool:
        """An orphan is the snapshot's own when its parents' tables are as published too."""
        if finding.layer is not Layer.FOREIGN_KEYS:
            return True
        parents = self.catalogue.table(finding.table).parents & self.targets.keys()
        return all(self._changes(parent).is_as_published for parent in parents)

    def _as_published(self, finding: Finding) -> Finding:
        note = "the target is as it was published; the source has changed since the snapshot"
        if finding.layer is Layer.PUBLISHED:  # what it says beside the source's number of rows is of the target
            kept = tuple(item for item in finding.differences if AT_SOURCE not in item.detail)
            different = finding.total - len(finding.differences) + len(kept)
            return replace(finding, differences=kept, different=different, notes=(*finding.notes, note))
        return replace(
            finding,
            there=min(finding.there, finding.looked_at),
            differences=(),
            different=0,
            notes=(*finding.notes, note),
        )

    # ---------------------------------------------------------------- proofs

    def _changes(self, table: str) -> Changes:
        if table not in self._proven:
            with self.source.borrow() as source, self.target.borrow() as target:
                try:
                    self._proven[table] = changes_of(self._sides(table, source, target))
                except (LogGap, LogError, KeyringError) as error:
                    self._proven[table] = Changes(why_not=f"changes since the snapshot are not told apart: {error}")
        return self._proven[table]

    def _sides(self, table: str, source: Connection, target: Connection) -> TableSides:
        mapping = self.mappings[table]
        plan = table_plan(mapping, self.targets[table], self.migration.schema_)
        travelled, _ = travelled_only(plan, mapping)
        log = TableLog(
            kafka=self.kafka,
            migration=self.migration,
            keyring=self.keyring,
            log_id=self.progress.tenant.log_id,
            readings=state_readings(self.control, self.progress, mapping.table),
        )
        state = LogState(log=log, mapping=mapping, plan=travelled, target=target, computing=self.target.first)
        return TableSides(source=source, plan=plan, state=state, keyring=self.keyring, tenant=self.migration.tenant)
