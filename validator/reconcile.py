"""The loop: both sides at one moment each, every layer over every table, one report at the end.

Tables are looked at by a few threads, the largest first; a table's two scans run at once, one on
each server, and large tables are decrypted in parts by processes of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from runtime.control import read_control
from runtime.introspect import read_checked_catalogue, read_survey
from runtime.keyring import Keyring
from runtime.progress import Progress, QuarantinedRow, instant_text, read_progress, read_quarantine
from runtime.reporting import Notice, Report, TableDone, TableTotals
from runtime.settings import KafkaSettings
from runtime.survey import Survey
from schemas.canonical import method_for
from schemas.catalogue import Catalogue
from schemas.derivation import row_digest
from schemas.errors import ConfigurationError, KeyringError, LogError
from schemas.mapping import TableMapping, table_mapping
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.repair import RepairPlan
from validator import report as reports
from validator.access import read_strangers
from validator.as_of import LogLook, not_applied
from validator.at_once import await_tables, largest_first
from validator.decrypt import Decryption
from validator.fail_on import narrowed
from validator.generation import Quarantine, current, load_of, look_at_generation, table_load
from validator.keyring_fits import see_that_keyring_fits, see_that_keyring_is_there
from validator.options import Options
from validator.organization import look_at_organization
from validator.plan import table_plan
from validator.published import published_catalogue
from validator.repair import KeyBook, make_plan
from validator.sides import Readers, Server, describe, named_errors
from validator.since import SinceLook, has_suspects, not_comparable
from validator.table import TableLook
from validator.verdict import WHOLE, Finding, Layer, Request, Verdict, judge


@dataclass
class Reconciliation:
    """One run. `report` may be asked at any time; before the end it says that it is not complete."""

    migration: Migration
    source_url: str = field(repr=False)
    target_url: str = field(repr=False)
    keyring: Keyring | None
    environment: Mapping[str, str] = field(repr=False)
    options: Options
    report_fact: Report
    program_version: str
    kafka: KafkaSettings | None = None  # needed as of the snapshot; tells changes since apart

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._started_at = instant_text(datetime.now(UTC))
        self._lock = threading.Lock()
        self._findings: list[Finding] = []
        self._counts: dict[str, dict[str, int | None]] = {}
        self._sums: dict[str, Mapping[str, str]] = {}
        self._source: Server | None = None
        self._target: Server | None = None
        self._progress: Progress | None = None
        self._quarantine = Quarantine(rows=())
        self._tables: tuple[str, ...] = ()
        self._request = Request(layers=self.options.layers, tables=self.options.tables, all_tables=self.options.tables)
        self._is_complete = False
        self._book = KeyBook(self._digest)

    def run(self) -> reports.Report:
        """Look at everything that was asked for.

        Raises:
            ReplicatorError: a side cannot be read, or the request does not fit; nothing is decided then.
        """
        with ExitStack() as stack:
            if self.options.as_of:
                target = Readers("target", self.target_url, (self.migration.schema_,), count=self.options.jobs)
                stack.callback(target.close)
                self._look_at_log(target)
                self._is_complete = True
                return self.report()
            source = Readers("source", self.source_url, self.migration.source.schemas, count=self.options.jobs)
            stack.callback(source.close)
            target = Readers("target", self.target_url, (self.migration.schema_,), count=self.options.jobs)
            stack.callback(target.close)
            self._look(source, target)
        self._is_complete = True
        return self.report()

    def report(self) -> reports.Report:
        """What is known by now."""
        findings = tuple(sorted(self._findings, key=_place(self._tables)))
        judgement = narrowed(
            judge(findings, self._request, interrupted=not self._is_complete),
            findings,
            self._request,
            self.options.fail_on,
            complete=self._is_complete,
        )
        return reports.Report(
            tenant=self.migration.tenant,
            schema=self.migration.schema_,
            migration=self.migration.file,
            migration_digest=self.migration.digest(),
            program_version=self.program_version,
            complete=self._is_complete,
            started_at=self._started_at,
            ended_at=instant_text(datetime.now(UTC)),
            seconds=time.monotonic() - self._began,
            source=self._source,
            target=self._target,
            load=load_of(self._progress),
            tables=tuple(
                table_load(name, self._progress, self._quarantine, self._counts.get(name, {}), self._sums.get(name, {}))
                for name in self._request.tables
            ),
            request=self._request,
            fail_on=tuple(failure.value for failure in self.options.fail_on),
            sample=self.options.sample,
            seed=self.options.seed,
            jobs=self.options.jobs,
            findings=findings,
            judgement=judgement,
            settings={
                "encryption": "with a keyring" if self.keyring is not None else "no keyring",
                "source schemas": ", ".join(self.migration.source.schemas),
                "log prefix": self.migration.log.prefix,
            },
        )

    def repair_plan(self) -> RepairPlan | None:
        """What to publish again; None when the run has not ended, or the load had not."""
        newest = self._progress.newest if self._progress is not None else None
        loads = [finding for finding in self._findings if finding.layer is Layer.GENERATION]
        if not self._is_complete or newest is None or any(load.verdict is Verdict.INCONCLUSIVE for load in loads):
            return None
        assert self._progress is not None
        head = RepairPlan(
            tenant=self.migration.tenant,
            log=self._progress.tenant.log_id,
            generation=newest.generation,
            migration_digest=self.migration.digest(),
            made_at=instant_text(datetime.now(UTC)),
        )
        return make_plan(head, self._findings, self._tables, self._book)

    # ---------------------------------------------------------------- the parts of a run

    def _look(self, source: Readers, target: Readers) -> None:
        self._source = describe(source.first, "source", self.source_url)
        self._target = describe(target.first, "target", self.target_url)
        catalogue = read_checked_catalogue(source.first, self.migration)
        self._tables = tuple(table.name for table in catalogue.tables)
        self._request = self._checked_request()
        mappings = {table.name: table_mapping(table, self.migration) for table in catalogue.tables}
        see_that_keyring_is_there(self.keyring, self.options.layers, [mappings[name] for name in self._request.tables])
        found = self._generation(target)
        if found.verdict is Verdict.INCONCLUSIVE:
            self._add(found)
            return  # rows of a load that goes on prove nothing
        self._warn_of_digest()
        survey = read_survey(target.first, [self.migration.schema_], side="target")
        self._add(replace(found, notes=(*found.notes, *self._strangers(target, survey))))
        self._try_keyring(target, mappings, survey)
        if Layer.ORGANIZATION in self.options.layers:
            self._add(look_at_organization(target.first, self.migration, self.keyring, self.environment))
        if any(layer not in WHOLE for layer in self.options.layers):
            self._look_at_tables(catalogue, mappings, survey, source, target)

    def _generation(self, target: Readers) -> Finding:
        with named_errors("target", "schema replicator: progress"):
            self._progress = read_progress(target.first, self.migration.tenant)
            if self._progress is not None:
                rows: Sequence[QuarantinedRow] = read_quarantine(target.first, self.migration.tenant)
                self._quarantine = current(rows, self._progress)
        return look_at_generation(self._progress, self.migration.tenant, self._quarantine, self.options.most)

    def _look_at_log(self, target: Readers) -> None:
        """The target against the log; the source is not asked."""
        assert self.kafka is not None
        self._target = describe(target.first, "target", self.target_url)
        found = self._generation(target)
        if self._progress is None or found.verdict is Verdict.INCONCLUSIVE:
            self._add(found)
            return
        control = read_control(self.kafka, self.migration.log.prefix, self.migration.tenant, self.keyring)
        catalogue = published_catalogue(control, self._progress)
        self._tables = tuple(table.name for table in catalogue.tables)
        self._request = self._checked_request()
        mappings = {table.name: table_mapping(table, self.migration) for table in catalogue.tables}
        see_that_keyring_is_there(self.keyring, self.options.layers, [mappings[name] for name in self._request.tables])
        self._warn_of_digest()
        if Layer.ORGANIZATION in self.options.layers:
            self._add(look_at_organization(target.first, self.migration, self.keyring, self.environment))
        survey = read_survey(target.first, [self.migration.schema_], side="target")
        unknown = (*found.unknown, *not_applied(control, self._progress))
        self._add(replace(found, unknown=unknown, notes=(*found.notes, *self._strangers(target, survey))))
        asked = [table for table in catalogue.tables if table.name in self._request.tables]
        with (
            Decryption(target.moment, self.keyring, self.migration.tenant, self.options.jobs) as decryption,
            ThreadPoolExecutor(self.options.jobs, thread_name_prefix="table") as tables,
        ):
            look = LogLook(
                migration=self.migration,
                catalogue=catalogue,
                survey=survey,
                target=target,
                kafka=self.kafka,
                control=control,
                decryption=decryption,
                keyring=self.keyring,
                quarantine=self._quarantine,
                progress=self._progress,
                digest=self._digest,
                options=self.options,
                add=self._add,
                counted=self._counted,
                report_fact=self.report_fact,
            )
            looks = {table.name: tables.submit(look.look_at, mappings[table.name]) for table in largest_first(asked)}
            await_tables(looks, self._done, decryption, target)

    def _checked_request(self) -> Request:
        for name in self.options.tables:
            if name not in self._tables:
                raise ConfigurationError(
                    f'--table: the migration has no table "{name}"{did_you_mean(name, self._tables)}'
                )
        tables = tuple(name for name in self._tables if not self.options.tables or name in self.options.tables)
        return Request(layers=self.options.layers, tables=tables, all_tables=self._tables, is_as_of=self.options.as_of)

    def _try_keyring(self, target: Readers, mappings: Mapping[str, TableMapping], survey: Survey) -> None:
        """Another keyring would make every encrypted cell a difference; it is refused before the work."""
        if self.keyring is None or not {Layer.ENVELOPES, Layer.CELLS, Layer.ROWS} & set(self.options.layers):
            return
        there = {table.name: table for table in survey.tables}
        schema, tenant = self.migration.schema_, self.migration.tenant
        plans = [table_plan(mappings[name], there[name], schema) for name in self._request.tables if name in there]
        kafka, prefix = self.kafka, self.migration.log.prefix
        log_of = (lambda: read_control(kafka, prefix, tenant, self.keyring).log) if kafka is not None else None
        see_that_keyring_fits(target.first, plans, self.keyring, tenant, log_of)

    def _warn_of_digest(self) -> None:
        newest = self._progress.newest if self._progress is not None else None
        if newest is None or self._progress is None:
            return
        if self.migration.digest() not in (newest.migration_digest, self._progress.tenant.accepted_digest):
            self.report_fact(
                Notice("the migration has changed since it was loaded; the target is compared with what it says now")
            )

    def _strangers(self, target: Readers, survey: Survey) -> tuple[str, ...]:
        known = {*self._tables, *(part.name for table in survey.tables for part in table.partitions)}
        strangers = read_strangers(target.first, self.migration.schema_, known)
        return (f"in the tenant's schema, and not looked at: {', '.join(strangers)}",) if strangers else ()

    def _look_at_tables(
        self,
        catalogue: Catalogue,
        mappings: Mapping[str, TableMapping],
        survey: Survey,
        source: Readers,
        target: Readers,
    ) -> None:
        asked = [table for table in catalogue.tables if table.name in self._request.tables]
        for table in asked:
            self.report_fact(TableTotals(table=table.name, rows=None))
        with (
            Decryption(target.moment, self.keyring, self.migration.tenant, self.options.jobs) as decryption,
            ThreadPoolExecutor(self.options.jobs, thread_name_prefix="source") as at_source,
            ThreadPoolExecutor(self.options.jobs, thread_name_prefix="table") as tables,
        ):
            look = TableLook(
                migration=self.migration,
                catalogue=catalogue,
                survey=survey,
                source=source,
                target=target,
                at_source=at_source,
                decryption=decryption,
                keyring=self.keyring,
                quarantine=self._quarantine,
                progress=self._progress,
                digest=self._digest,
                digest_of=self._digest_of,
                options=self.options,
                add=self._add,
                counted=self._counted,
                report_fact=self.report_fact,
                method=method_for(source.hashing(), target.hashing()),
            )
            looks = {table.name: tables.submit(look.look_at, mappings[table.name]) for table in largest_first(asked)}
            await_tables(looks, self._done, decryption, source, target)
        self._tell_changes_apart(catalogue, mappings, survey, source, target)

    def _tell_changes_apart(
        self,
        catalogue: Catalogue,
        mappings: Mapping[str, TableMapping],
        survey: Survey,
        source: Readers,
        target: Readers,
    ) -> None:
        """Where rows differ, ask the log which of them the source changed after the snapshot."""
        if not has_suspects(self._findings) or self._progress is None or self._source is None:
            return
        if self.kafka is None:
            self.report_fact(Notice("changes after the snapshot can be told apart with KAFKA_BOOTSTRAP_SERVERS set"))
            return
        try:
            control = read_control(self.kafka, self.migration.log.prefix, self.migration.tenant, self.keyring)
            why = not_comparable(control, self._progress, self._source.system_identifier)
        except (LogError, KeyringError) as error:
            why = str(error)
        if why:
            self.report_fact(Notice(f"changes after the snapshot cannot be told apart: {why}"))
            return
        look = SinceLook(
            migration=self.migration,
            catalogue=catalogue,
            mappings=mappings,
            targets={table.name: table for table in survey.tables},
            source=source,
            target=target,
            kafka=self.kafka,
            control=control,
            keyring=self.keyring,
            progress=self._progress,
            quarantine=self._quarantine,
            digest=self._digest,
            digest_of=self._digest_of,
            most=self.options.most,
        )
        self._findings = look.settle(self._findings)

    def _done(self, table: str) -> None:
        self.report_fact(TableDone(table=table, rows=self._counts.get(table, {}).get("target")))

    def _add(self, finding: Finding) -> None:
        with self._lock:
            self._findings.append(finding)

    def _counted(self, table: str, counts: Mapping[str, int | None], sums: Mapping[str, str]) -> None:
        with self._lock:
            self._counts[table] = dict(counts)
            self._sums[table] = dict(sums)

    def _digest_of(self, table: str) -> Callable[[Sequence[str]], str]:
        """The digest of a table's rows that are named; their keys are kept only for who asks for a plan."""
        return self._book.of(table) if self.options.keeps_keys else self._digest

    def _digest(self, key: Sequence[str]) -> str:
        """The keyed digest by which quarantine, log messages and this report name a row."""
        if not key:
            return ""
        if self.keyring is not None:
            return self.keyring.digest_of(self.migration.tenant, tuple(key))
        secret = self._progress.tenant.log_id if self._progress is not None else self.migration.tenant
        return row_digest(secret.encode(), key)


def _place(tables: Sequence[str]) -> Callable[[Finding], tuple[int, int]]:
    order = {name: number for number, name in enumerate(tables)}
    layers = list(Layer)
    return lambda finding: (layers.index(finding.layer), order.get(finding.table, -1))
