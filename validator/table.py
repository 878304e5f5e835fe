"""All layers of one table, in the order in which they cost least."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from runtime.keyring import Keyring, Status
from runtime.postgres import Connection
from runtime.progress import Progress
from runtime.reporting import Report, RowsCompared
from runtime.survey import Survey
from schemas.canonical import Method
from schemas.catalogue import Catalogue, Table
from schemas.mapping import TableMapping
from schemas.migration import Migration
from validator.cells import Decrypted
from validator.checksums import Naming, as_finding
from validator.counts import compare_counts, compare_envelopes, compare_sums
from validator.decrypt import Decryption
from validator.drill import Begun, ByDecrypting, InSql
from validator.fetch import Draw, Fetcher
from validator.generation import Quarantine, look_at_published
from validator.instants import with_instants
from validator.keys import Digest, ForeignKeyLook
from validator.options import Options
from validator.plan import TablePlan, table_plan
from validator.ranges import Ranges, cut_ranges
from validator.rows import look_at_rows
from validator.scan import Scan, Wanted, scan
from validator.schema_look import SchemaLook, nothing_there
from validator.sides import Readers
from validator.verdict import Difference, Finding, Layer


@dataclass(frozen=True, kw_only=True)
class TableLook:
    """What it takes to look at a table; shared by the threads that do."""

    migration: Migration
    catalogue: Catalogue
    survey: Survey
    source: Readers
    target: Readers
    at_source: ThreadPoolExecutor
    decryption: Decryption
    keyring: Keyring | None
    quarantine: Quarantine
    progress: Progress | None
    digest: Digest
    digest_of: Callable[[str], Digest]  # of rows of a table that are named
    options: Options
    add: Callable[[Finding], None]
    counted: Callable[[str, Mapping[str, int | None], Mapping[str, str]], None]
    report_fact: Report
    method: Method  # of the checksums of clear cells

    def asks(self, *layers: Layer) -> bool:
        """Whether one of these layers was asked for."""
        return not set(layers).isdisjoint(self.options.layers)

    def look_at(self, mapping: TableMapping) -> None:
        """Every layer that was asked for, of one table."""
        target_table = self._schema.targets.get(mapping.table.name)
        with self.target.borrow() as target:
            if self.asks(Layer.SCHEMA):
                self.add(self._schema.look_at(target, mapping))
            if target_table is None:
                for finding in nothing_there(mapping.table.name, self.options.layers):
                    self.add(finding)
                return
            plan = table_plan(mapping, target_table, self.migration.schema_)
            self._rows_of(target, plan)

    @cached_property
    def _schema(self) -> SchemaLook:
        return SchemaLook(
            schema=self.migration.schema_,
            catalogue=self.catalogue,
            survey=self.survey,
            progress=self.progress,
            grant_to=self.migration.grant_to,
        )

    # ---------------------------------------------------------------- rows

    def _rows_of(self, target: Connection, plan: TablePlan) -> None:
        decrypts = self.asks(Layer.CELLS) and self.options.sample is None
        wanted = Wanted(
            clear=self.asks(Layer.CHECKSUMS),
            sealed=decrypts,
            columns=self.asks(Layer.SUMS),
            envelopes=self.asks(Layer.ENVELOPES, Layer.CELLS),
            method=self.method,
        )
        parts = self.decryption.begin(target, plan) if decrypts and plan.sealed else []
        there: Future[Scan] = self.at_source.submit(self._scan_source, plan, wanted)
        here = scan(target, plan, "target", wanted, self._known_kids)
        source_scan = there.result()
        self.report_fact(RowsCompared(table=plan.name, rows=max(source_scan.rows, here.rows)))
        declared = {
            item.name: source_scan.columns[item.name].total or "0"
            for item in plan.summed
            if item.is_declared and item.name in source_scan.columns
        }
        self.counted(plan.name, {"source": source_scan.rows, "target": here.rows}, declared)
        if self.asks(Layer.COUNTS):
            waiting = len(self.quarantine.of(plan.name))
            self.add(compare_counts(plan, source_scan, here, waiting))
        if self.asks(Layer.PUBLISHED) and self.progress is not None:
            self.add(self._published(target, plan, self.progress, source_scan.rows))
        if self.asks(Layer.SUMS):
            self.add(compare_sums(plan, source_scan, here))
        if self.asks(Layer.ENVELOPES):
            self.add(compare_envelopes(plan, source_scan, here))
        populations = source_scan.rows, here.rows
        with self.source.borrow() as source:
            fetcher = self._fetcher(source, target, plan, self.keyring)
            if self.asks(Layer.CHECKSUMS):
                self.add(self._checksums(source, target, plan, source_scan, here))
            if self.asks(Layer.FOREIGN_KEYS):
                self.add(self._foreign_keys(source, target, plan.table))
            if self.asks(Layer.ROWS):
                self.add(self._sampled(Layer.ROWS, self.options.rows, fetcher, populations))
            if self.asks(Layer.CELLS) and self.options.sample is not None and plan.sealed:
                self.add(self._sampled(Layer.CELLS, self.options.sample, fetcher, populations))
        if self.asks(Layer.CELLS) and not plan.sealed:
            self.add(_no_cells(plan))
        elif decrypts:
            self._cells(target, plan, source_scan, parts)

    def _published(self, target: Connection, plan: TablePlan, progress: Progress, rows_source: int) -> Finding:
        finding = look_at_published(progress, plan.name, rows_source, self.quarantine)
        if plan.migrated_at is None:
            return finding
        return with_instants(
            finding, target, plan, progress=progress, digest=self.digest_of(plan.name), most=self.options.most
        )

    @cached_property
    def _known_kids(self) -> tuple[int, ...]:
        keys = self.keyring.data_keys(self.migration.tenant) if self.keyring is not None else ()
        return tuple(key.kid for key in keys if key.status is not Status.DESTROYED)

    def _scan_source(self, plan: TablePlan, wanted: Wanted) -> Scan:
        with self.source.borrow() as source:
            return scan(source, plan, "source", wanted)

    def _fetcher(self, source: Connection, target: Connection, plan: TablePlan, keyring: Keyring | None) -> Fetcher:
        return Fetcher(source=source, target=target, plan=plan, keyring=keyring, tenant=self.migration.tenant)

    def _naming(self, source: Connection, target: Connection, plan: TablePlan, keyring: Keyring | None) -> Naming:
        return Naming(
            plan=plan,
            fetcher=self._fetcher(source, target, plan, keyring),
            quarantine=self.quarantine,
            digest=self.digest_of(plan.name),
            most=self.options.most,
        )

    def _ranges(self, source: Connection, plan: TablePlan, rows: int) -> Ranges | None:
        return cut_ranges(source, plan, self._schema.targets[plan.name], rows)

    def _checksums(self, source: Connection, target: Connection, plan: TablePlan, there: Scan, here: Scan) -> Finding:
        began = time.monotonic()
        is_equal = there.clear == here.clear
        named: tuple[tuple[Difference, ...], int] = ((), 0)
        if not is_equal:
            ranges = self._ranges(source, plan, there.rows)
            texts = [cell.source for cell in plan.clear], [cell.target for cell in plan.clear]
            one = InSql(source, plan, "source", texts[0], ranges=ranges, method=self.method)
            other = InSql(target, plan, "target", texts[1], ranges=ranges, method=self.method)
            begun = Begun.begin(self.at_source, one)
            named = self._naming(source, target, plan, None).name(Layer.CHECKSUMS, begun, other)
        return as_finding(
            Layer.CHECKSUMS,
            plan,
            looked_at=max(there.rows, here.rows),
            there=max(there.rows, here.rows),
            unit="rows",
            seconds=max(there.seconds, here.seconds) + time.monotonic() - began,
            is_equal=is_equal,
            named=named,
            notes=(
                *plan.not_compared,
                *(
                    f'{count:,} rows with "{notice.column}" {notice.text}'
                    for notice, count in zip(plan.noticed, there.noticed, strict=True)
                    if count
                ),
            ),
        )

    def _cells(self, target: Connection, plan: TablePlan, there: Scan, parts: Sequence[Future[Decrypted]]) -> None:
        began = time.monotonic()
        cells = sum(found.cells for found in there.envelopes.values())
        found = sum((part.result() for part in parts), Decrypted()) if parts else self.decryption.here(target, plan)
        is_equal = found.sums == there.sealed and not found.undecryptable
        named: tuple[tuple[Difference, ...], int] = ((), 0)
        if not is_equal:
            assert self.keyring is not None
            with self.source.borrow() as source:
                texts = [*(cell.source for cell in plan.bound), *(item.source for item in plan.sealed)]
                ranges = self._ranges(source, plan, there.rows)
                one = InSql(source, plan, "source", texts, plan.has_sealed, ranges)
                other = ByDecrypting(target, plan, self.keyring, self.migration.tenant, ranges)
                begun = Begun.begin(self.at_source, one)
                named = self._naming(source, target, plan, self.keyring).name(Layer.CELLS, begun, other)
        self.add(
            as_finding(
                Layer.CELLS,
                plan,
                looked_at=found.cells,
                there=cells,
                unit="cells",
                seconds=time.monotonic() - began,
                is_equal=is_equal,
                named=named,
            )
        )

    def _foreign_keys(self, source: Connection, target: Connection, table: Table) -> Finding:
        return ForeignKeyLook(
            catalogue=self.catalogue,
            schema=self.migration.schema_,
            quarantine=self.quarantine,
            digest=self.digest,
            most=self.options.most,
            targets=self._schema.targets,
        ).look_at(source, target, table)

    def _sampled(self, layer: Layer, count: int, fetcher: Fetcher, populations: tuple[int, int]) -> Finding:
        return look_at_rows(
            layer,
            fetcher,
            draw=Draw(count, self.options.seed),
            populations=populations,
            quarantine=self.quarantine,
            digest=self.digest_of(fetcher.plan.name),
            most=self.options.most,
        )


def _no_cells(plan: TablePlan) -> Finding:
    notes = () if plan.left_out else ("no encrypted column",)
    return Finding(layer=Layer.CELLS, table=plan.name, unit="cells", notes=notes, unknown=plan.left_out)
