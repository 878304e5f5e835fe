"""All layers of one table, in the order in which they cost least."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

from runtime.introspect import Survey
from runtime.keyring import Keyring, Status
from runtime.postgres import Connection
from runtime.progress import Progress
from runtime.reporting import Report, RowsCompared
from schemas.canonical import Method
from schemas.catalogue import Catalogue, Table, TypeKind, UserType
from schemas.mapping import TableMapping
from schemas.migration import Migration
from schemas.sql import quote_ident, quote_literal, quote_qualified
from validator.cells import Decrypted
from validator.checksums import Naming, as_finding
from validator.counts import compare_counts, compare_envelopes, compare_sums
from validator.decrypt import Decryption
from validator.drill import ByDecrypting, InSql
from validator.fetch import Draw, Fetcher
from validator.generation import Quarantine, look_at_published
from validator.keys import Digest, ForeignKeyLook
from validator.plan import TablePlan, table_plan
from validator.rows import look_at_rows
from validator.scan import Scan, Wanted, scan
from validator.schema import SequenceState, changed_types, compare_schema
from validator.sides import Readers, named_errors
from validator.verdict import TABLE_LAYERS, Difference, Finding, Kind, Layer

if TYPE_CHECKING:
    from validator.reconcile import Options


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
        target_table = self._targets.get(mapping.table.name)
        with self.target.borrow() as target:
            if self.asks(Layer.SCHEMA):
                self.add(self._schema(target, mapping, target_table))
            if target_table is None:
                self._nothing_there(mapping)
                return
            plan = table_plan(mapping, target_table, self.migration.schema_)
            self._rows_of(target, plan)

    @cached_property
    def _types(self) -> dict[str, UserType]:
        return {
            found.name: UserType(
                name=found.name,
                kind=cast("TypeKind", found.kind),
                definition=found.definition or "",
                labels=found.labels,
            )
            for found in self.survey.types.values()
            if found.schema in self.survey.schemas
        }

    @cached_property
    def _targets(self) -> dict[str, Table]:
        return {table.name: table for table in self.survey.tables}

    # ---------------------------------------------------------------- schema

    def _schema(self, target: Connection, mapping: TableMapping, found: Table | None) -> Finding:
        began = time.monotonic()
        is_theirs = self.progress is not None and not self.progress.tenant.made_schema
        types = changed_types(self.catalogue, self._types, mapping.table, is_theirs=is_theirs)
        sequences = _sequences(target, found, self.migration.schema_) if found is not None else []
        finding = compare_schema(mapping, found, types=types, sequences=sequences, is_theirs=is_theirs)
        return _timed(finding, began)

    def _nothing_there(self, mapping: TableMapping) -> None:
        """The target has no such table: every layer of it is different, and none may look equal."""
        for layer in TABLE_LAYERS:
            if layer is not Layer.SCHEMA and self.asks(layer):
                self.add(
                    Finding(
                        layer=layer,
                        table=mapping.table.name,
                        differences=(
                            Difference(
                                layer=layer,
                                table=mapping.table.name,
                                kind=Kind.SCHEMA,
                                detail="the table is missing in the target",
                            ),
                        ),
                    )
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
            self.add(look_at_published(self.progress, plan.name, source_scan.rows))
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
            digest=self.digest,
            most=self.options.most,
        )

    def _checksums(self, source: Connection, target: Connection, plan: TablePlan, there: Scan, here: Scan) -> Finding:
        began = time.monotonic()
        is_equal = there.clear == here.clear
        named: tuple[tuple[Difference, ...], int] = ((), 0)
        if not is_equal:
            one = InSql(source, plan, "source", tuple(cell.source for cell in plan.clear))
            other = InSql(target, plan, "target", tuple(cell.target for cell in plan.clear))
            named = self._naming(source, target, plan, None).name(Layer.CHECKSUMS, one, other)
        return as_finding(
            Layer.CHECKSUMS,
            plan,
            looked_at=max(there.rows, here.rows),
            there=max(there.rows, here.rows),
            unit="rows",
            seconds=max(there.seconds, here.seconds) + time.monotonic() - began,
            is_equal=is_equal,
            named=named,
            notes=tuple(
                f'{count:,} rows with "{notice.column}" {notice.text}'
                for notice, count in zip(plan.noticed, there.noticed, strict=True)
                if count
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
                one = InSql(source, plan, "source", tuple(texts), plan.has_sealed)
                other = ByDecrypting(target, plan, self.keyring, self.migration.tenant)
                named = self._naming(source, target, plan, self.keyring).name(Layer.CELLS, one, other)
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
            targets=self._targets,
        ).look_at(source, target, table)

    def _sampled(self, layer: Layer, count: int, fetcher: Fetcher, populations: tuple[int, int]) -> Finding:
        return look_at_rows(
            layer,
            fetcher,
            draw=Draw(count, self.options.seed),
            populations=populations,
            quarantine=self.quarantine,
            digest=self.digest,
            most=self.options.most,
        )


def _no_cells(plan: TablePlan) -> Finding:
    notes = () if plan.left_out else ("no encrypted column",)
    return Finding(layer=Layer.CELLS, table=plan.name, unit="cells", notes=notes, unknown=plan.left_out)


def _timed(finding: Finding, began: float) -> Finding:
    return replace(finding, seconds=time.monotonic() - began)


def _sequences(target: Connection, table: Table, schema: str) -> list[SequenceState]:
    """Each sequence that fills a column, and the largest value there."""
    found: list[SequenceState] = []
    relation = quote_qualified(schema, table.name)
    for column in table.columns:
        if not column.sequence:
            continue
        sequence = f"pg_get_serial_sequence({quote_literal(relation)}, {quote_literal(column.name)})"
        with named_errors("target", f'{table.name}: sequence of "{column.name}"'):
            named = target.execute(f"SELECT {sequence}".encode()).fetchone()
            if named is None or named[0] is None:
                continue
            row = target.execute(
                f"SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END,"
                f" (SELECT max({quote_ident(column.name)}) FROM {relation}) FROM {named[0]}".encode()
            ).fetchone()
        assert row is not None
        found.append(SequenceState(column=column.name, next_value=row[0], maximum=row[1]))
    return found
