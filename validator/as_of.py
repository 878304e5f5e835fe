"""`validator reconcile --as-of-snapshot`: what was published is what arrived. The source is not asked.

The log takes the source's place: every row that the applied generations published, through the
validator's own transforms, against every row of the target. Changes at the source since then play
no part, so a source that moves, or is gone, is no obstacle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from runtime.keyring import Keyring, Status
from runtime.postgres import Connection
from runtime.progress import GenerationState, Progress
from runtime.reporting import Report, RowsCompared
from runtime.settings import KafkaSettings
from runtime.survey import Survey
from schemas.catalogue import Catalogue
from schemas.control import ControlState
from schemas.errors import ContractError
from schemas.mapping import TableMapping
from schemas.migration import Migration
from validator.cells import Decrypted, Opener
from validator.checksums import Digest, Naming, as_finding
from validator.counts import compare_counts, compare_envelopes
from validator.decrypt import Decryption
from validator.drill import ByDecrypting, InSql
from validator.from_log import FromLog, LogFetcher, LogState, Part, scan_log
from validator.generation import Quarantine, look_at_published
from validator.instants import with_instants
from validator.options import Options
from validator.plan import TablePlan, table_plan
from validator.published import LogGap, TableLog, state_readings
from validator.scan import Scan, Wanted, scan
from validator.schema_look import SchemaLook, nothing_there
from validator.sides import Readers
from validator.texts import travelled_only
from validator.verdict import WHOLE, Difference, Finding, Layer

AS_OF_LAYERS = (
    Layer.GENERATION,
    Layer.SCHEMA,
    Layer.COUNTS,
    Layer.PUBLISHED,
    Layer.CHECKSUMS,
    Layer.ENVELOPES,
    Layer.CELLS,
    Layer.ORGANIZATION,
)
"""What can be looked at without the source."""


def not_applied(control: ControlState, progress: Progress) -> tuple[str, ...]:
    """Generations that the log has and the target does not hold: what was published has not all arrived."""
    newest = progress.newest.generation if progress.newest is not None else 0
    waiting = [
        number
        for number, item in sorted(control.generations.items())
        if number > newest
        and item.abandoned is None
        and (number not in progress.generations or progress.generations[number].state is GenerationState.RUNNING)
    ]
    return tuple(f"generation {number} is in the log and has not been applied" for number in waiting)


@dataclass(frozen=True, kw_only=True)
class LogLook:
    """What it takes to compare tables of the target with the log; shared by the threads that do."""

    migration: Migration
    catalogue: Catalogue
    survey: Survey
    target: Readers
    kafka: KafkaSettings
    control: ControlState
    decryption: Decryption
    keyring: Keyring | None
    quarantine: Quarantine
    progress: Progress
    digest: Digest
    options: Options
    add: Callable[[Finding], None]
    counted: Callable[[str, Mapping[str, int | None], Mapping[str, str]], None]
    report_fact: Report

    def look_at(self, mapping: TableMapping) -> None:
        """Every layer that was asked for, of one table."""
        found = self._schema.targets.get(mapping.table.name)
        with self.target.borrow() as target:
            if Layer.SCHEMA in self.options.layers:
                self.add(self._schema.look_at(target, mapping))
            if found is None:
                for finding in nothing_there(mapping.table.name, self.options.layers):
                    self.add(finding)
                return
            try:
                self._rows_of(target, mapping, table_plan(mapping, found, self.migration.schema_))
            except (LogGap, ContractError) as error:  # records are gone, or one cannot be read
                self._undecided(mapping.table.name, str(error))

    @cached_property
    def _schema(self) -> SchemaLook:
        return SchemaLook(
            schema=self.migration.schema_,
            catalogue=self.catalogue,
            survey=self.survey,
            progress=self.progress,
            grant_to=self.migration.grant_to,
        )

    def _undecided(self, table: str, why: str) -> None:
        for layer in AS_OF_LAYERS:
            if layer in self.options.layers and layer not in WHOLE and layer is not Layer.SCHEMA:
                self.add(Finding(layer=layer, table=table, unknown=(why,)))

    def _rows_of(self, target: Connection, mapping: TableMapping, whole: TablePlan) -> None:
        asked = self.options.layers
        plan, generated = travelled_only(whole, mapping)
        state = self.state(target, mapping, plan)
        if not state.log.readings:
            self._undecided(plan.name, f'table "{plan.name}" has never been published')
            return
        began = time.monotonic()
        decrypts = Layer.CELLS in asked and bool(plan.sealed)
        parts = self.decryption.begin(target, plan) if decrypts else []
        there = scan_log(state)
        here = scan(target, plan, "target", Wanted(sealed=False, columns=False), self._known_kids)
        found = sum((part.result() for part in parts), Decrypted()) if parts else Decrypted()
        if decrypts and not parts:
            found = self.decryption.here(target, plan)
        self.report_fact(RowsCompared(table=plan.name, rows=max(there.rows, here.rows)))
        self.counted(plan.name, {"source": None, "target": here.rows}, {})
        readings = state.log.readings
        notes = tuple(f'generated column "{name}" is not in the log' for name in generated)
        if len(readings) > 1:
            notes += (f"rows of generations {', '.join(str(reading.generation) for reading in readings)}",)
        for finding in self._findings(state, there, here, found):
            if finding.layer in asked:
                self.add(replace(finding, seconds=time.monotonic() - began, notes=(*finding.notes, *notes)))

    def state(self, target: Connection, mapping: TableMapping, plan: TablePlan) -> LogState:
        """The table as the log has it."""
        readings = state_readings(self.control, self.progress, mapping.table)
        log = TableLog(
            kafka=self.kafka,
            migration=self.migration,
            keyring=self.keyring,
            log_id=self.progress.tenant.log_id,
            readings=readings,
        )
        return LogState(log=log, mapping=mapping, plan=plan, target=target, computing=self.target.first)

    def _findings(self, state: LogState, there: Scan, here: Scan, cells: Decrypted) -> list[Finding]:
        plan = state.plan
        findings = [
            compare_counts(plan, there, here, len(self.quarantine.of(plan.name))),
            self._published(state),
            compare_envelopes(plan, there, here),
            self._compared(state, Part.CLEAR, there, here, cells),
        ]
        if Layer.CELLS in self.options.layers:
            findings.append(self._compared(state, Part.SEALED, there, here, cells))
        return findings

    def _published(self, state: LogState) -> Finding:
        finding = look_at_published(
            self.progress, state.plan.name, state.log.readings[-1].finished.rows, self.quarantine
        )
        return with_instants(
            finding, state.target, state.plan, progress=self.progress, digest=self.digest, most=self.options.most
        )

    def _compared(self, state: LogState, part: Part, there: Scan, here: Scan, cells: Decrypted) -> Finding:
        plan = state.plan
        rows = max(there.rows, here.rows)
        if part is Part.CLEAR:
            is_equal = there.clear == here.clear
            named = ((), 0) if is_equal else self._named(state, part)
            return as_finding(
                Layer.CHECKSUMS,
                plan,
                looked_at=rows,
                there=rows,
                unit="rows",
                seconds=0,
                is_equal=is_equal,
                named=named,
                notes=plan.not_compared,
            )
        if not plan.sealed:
            return Finding(
                layer=Layer.CELLS,
                table=plan.name,
                unit="cells",
                notes=() if plan.left_out else ("no encrypted column",),
                unknown=plan.left_out,
            )
        is_equal = cells.sums == there.sealed and not cells.undecryptable
        return as_finding(
            Layer.CELLS,
            plan,
            looked_at=cells.cells,
            there=sum(found.cells for found in there.envelopes.values()),
            unit="cells",
            seconds=0,
            is_equal=is_equal,
            named=((), 0) if is_equal else self._named(state, part),
        )

    def _named(self, state: LogState, part: Part) -> tuple[tuple[Difference, ...], int]:
        plan, tenant, keyring = state.plan, self.migration.tenant, self.keyring
        opener = Opener(keyring, tenant, plan) if part is Part.SEALED and keyring is not None else None
        naming = Naming(
            plan=plan,
            fetcher=LogFetcher(state=state, opener=opener),
            quarantine=self.quarantine,
            digest=self.digest,
            most=self.options.most,
        )
        return naming.name(part.layer, FromLog(state, part), target_part(state, part, keyring, tenant))

    @cached_property
    def _known_kids(self) -> tuple[int, ...]:
        keys = self.keyring.data_keys(self.migration.tenant) if self.keyring is not None else ()
        return tuple(key.kid for key in keys if key.status is not Status.DESTROYED)


def target_part(state: LogState, part: Part, keyring: Keyring | None, tenant: str) -> InSql | ByDecrypting:
    """The target's side of the same comparison."""
    if part is Part.CLEAR:
        return InSql(state.target, state.plan, "target", tuple(cell.target for cell in state.plan.clear))
    assert keyring is not None
    return ByDecrypting(state.target, state.plan, keyring, tenant)
