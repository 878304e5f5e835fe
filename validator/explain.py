"""`validator explain`: one row at the source, in the log, in quarantine and in the target, column by column.

Values are compared in memory and never leave it, but for clear columns that somebody asks for; an
encrypted column, and one that the migration keeps readable for a reason, is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from runtime.control import read_control
from runtime.introspect import read_checked_catalogue, read_survey
from runtime.keyring import Keyring
from runtime.postgres import Connection
from runtime.progress import GenerationState, Progress, TableState, read_progress, read_quarantine
from runtime.settings import KafkaSettings
from schemas.control import ControlState
from schemas.derivation import row_digest
from schemas.errors import ConfigurationError, Inconclusive, NotWhole
from schemas.mapping import Treatment, table_mapping
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.snapshots import Seen, Snapshot
from validator.generation import reason_of
from validator.instants import strange_instant, unknown_instant
from validator.one_row import Key, OneRow, RowSides
from validator.plan import table_plan
from validator.published import TableLog
from validator.reason import UNDECRYPTABLE, Answer, Facts, Fault, Waiting, apart, explain
from validator.row_images import RowImages
from validator.sides import Readers, named_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSays:
    """One column: how it travels, and whether it is equal. `values` only when they were asked for and may be shown."""

    column: str
    treatment: str
    source: str  # against the target: equal, differs, or – where one has no such row
    log: str  # the same of what was published last
    why: str = ""
    values: Mapping[str, str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything about one row; `key` is the digest by which reports and quarantine name it."""

    facts: Facts
    answer: Answer
    key: str
    columns: tuple[ColumnSays, ...]

    def to_json(self) -> dict[str, Any]:
        """As it is printed with --json."""
        facts = self.facts
        owed = facts.owed
        return {
            "version": 1,
            "table": facts.table,
            "key": self.key,
            "verdict": self.answer.verdict.value,
            "exit_code": int(self.answer.exit_code),
            "reason": self.answer.reason,
            "next": self.answer.next,
            "source": {"found": facts.source is not None, "written": facts.seen.value if facts.seen else None},
            "log": [
                {
                    "position": image.position,
                    "row": image.row,
                    "generation": image.generation,
                    "attempt": image.attempt,
                    "instant": image.instant,
                    "is_current": image.is_current,
                    "is_applied": image.is_applied,
                    "is_owed": image is owed,
                }
                for image in facts.images
            ],
            "generation": {
                "newest": facts.newest or None,
                "is_running": facts.is_running,
                "waits_for": list(facts.waits_for),
            },
            "quarantine": [asdict(item) for item in facts.quarantine],
            "target": {"found": facts.target is not None, "migrated_at": facts.migrated_at or None},
            "faults": [fault.what for fault in facts.faults],
            "not_compared": list(facts.not_compared),
            "columns": [asdict(column) for column in self.columns],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLook:
    """What it takes to explain rows of a tenant."""

    migration: Migration
    source_url: str = field(repr=False)
    target_url: str = field(repr=False)
    kafka: KafkaSettings
    keyring: Keyring | None

    def look_at(self, table: str, typed: Key, *, show_values: bool = False) -> Explanation:
        """Explain one row.

        Raises:
            ConfigurationError: no such table, not its key's number of columns, or no value of their types.
            Inconclusive: the target knows nothing of the tenant.
        """
        with (
            closing(Readers("source", self.source_url, self.migration.source.schemas, count=0)) as source,
            closing(Readers("target", self.target_url, (self.migration.schema_,), count=0)) as target,
        ):
            with named_errors("target", "schema replicator: progress"):
                progress = read_progress(target.first, self.migration.tenant)
            if progress is None:
                raise Inconclusive(
                    f'the target knows no tenant "{self.migration.tenant}"', hint="start `consumer run` first"
                )
            return _Row(self, source.first, target.first, progress, table).explained(typed, show_values=show_values)


class _Row:
    """One table's side of it, while the connections are open."""

    def __init__(self, look: RowLook, source: Connection, target: Connection, progress: Progress, table: str) -> None:
        self._look = look
        self._source, self._target, self._progress = source, target, progress
        catalogue = read_checked_catalogue(source, look.migration)
        names = [item.name for item in catalogue.tables]
        if table not in names:
            raise ConfigurationError(f'the migration has no table "{table}"{did_you_mean(table, names)}')
        self._mapping = table_mapping(catalogue.table(table), look.migration)
        if not self._mapping.table.key:
            raise ConfigurationError(
                f'table "{table}" has no key, so no row of it can be named',
                hint="`validator reconcile` counts its rows",
            )
        survey = read_survey(target, [look.migration.schema_], side="target")
        found = {item.name: item for item in survey.tables}.get(table)
        if found is None:
            raise NotWhole(f'the target has no table "{table}"', hint="consumer run --until-complete")
        self._plan = table_plan(self._mapping, found, look.migration.schema_)
        if not self._plan.key:
            raise NotWhole(
                f'the target\'s table "{table}" lacks columns of the key', hint="validator reconcile --layers schema"
            )

    def explained(self, typed: Key, *, show_values: bool) -> Explanation:
        look = self._look
        sides = RowSides(
            source=self._source,
            target=self._target,
            plan=self._plan,
            keyring=look.keyring,
            tenant=look.migration.tenant,
            strange=(unknown_instant(self._plan, self._progress), strange_instant(self._plan, self._progress)),
        )
        key = sides.printed(typed)
        there, here = sides.at_source(key), sides.in_target(key)
        control = read_control(look.kafka, look.migration.log.prefix, look.migration.tenant, look.keyring)
        facts = self._facts(control, key, there, here)
        return Explanation(
            facts=facts,
            answer=explain(facts),
            key=self._digest(key),
            columns=tuple(self._columns(facts, show_values=show_values)),
        )

    # ---------------------------------------------------------------- what it comes to

    def _facts(self, control: ControlState, key: Key, there: OneRow | None, here: OneRow | None) -> Facts:
        table, progress = self._mapping.table.name, self._progress
        look = self._look
        log = TableLog(kafka=look.kafka, migration=look.migration, keyring=look.keyring, log_id=progress.tenant.log_id)
        found = RowImages(
            log=log,
            control=control,
            progress=progress,
            mapping=self._mapping,
            plan=self._plan,
            target=self._target,
        ).of(key)
        images = sorted(found, key=lambda image: (image.generation, image.attempt))
        # citext, 1.0 and 1.00: one key, of which quarantine holds the digest as it was published
        keys = {key, *(side.key for side in (there, here) if side is not None), *(image.key for image in images)}
        ended = [
            number
            for number, item in progress.generations.items()
            if item.state is GenerationState.ENDED and not item.is_partial and table in item.table_order
        ]
        owed_from = max(ended, default=0)
        newest = progress.newest
        is_running = newest is None or newest.state is GenerationState.RUNNING
        facts = Facts(
            table=table,
            source=there.cells if there is not None else None,
            seen=None,
            images=images,
            owed_from=owed_from,
            newest=newest.generation if newest is not None else 0,
            is_running=is_running,
            quarantine=self._quarantine(keys),
            waits_for=self._waits_for() if is_running else (),
            target=here.cells if here is not None else None,
            migrated_at=here.stamp if here is not None else "",
            faults=self._faults(there, here),
            not_compared=self._not_compared(),
        )
        return replace(facts, seen=_seen(facts, control, int(there.stamp))) if there is not None else facts

    def _faults(self, there: OneRow | None, here: OneRow | None) -> tuple[Fault, ...]:
        """What `reconcile` would find of this row, and no cell shows."""
        name = self._mapping.table.name
        schema = f"validator reconcile --table {name} --layers schema"
        sides = [(side, row) for side, row in (("source", there), ("target", here)) if row is not None]
        found = [
            Fault(what=f"the {side} has {row.count:,} rows with this key", next=schema)
            for side, row in sides
            if row.count > 1
        ]
        if here is not None:
            found += [Fault(what=text, next=schema) for text in self._plan.left_out]
            if here.instant_fault:
                next_ = f"delete the row in the target, then producer snapshot --table {name}"
                found.append(Fault(what=f"the target's row {here.instant_fault}", next=next_))
        return tuple(found)

    def _not_compared(self) -> tuple[str, ...]:
        names = ", ".join(item.name for item in self._plan.sealed)
        return (f"there is no keyring to open {names} with",) if names and self._look.keyring is None else ()

    def _quarantine(self, keys: set[Key]) -> tuple[Waiting, ...]:
        with named_errors("target", "schema replicator: quarantine"):
            rows = read_quarantine(self._target, self._look.migration.tenant, table=self._mapping.table.name)
        digests = {self._digest(key) for key in keys}
        return tuple(
            Waiting(
                generation=row.generation,
                position=f"{row.topic}-{row.partition}@{row.offset}",
                row=row.row_index,
                why=reason_of(row),
                is_open=row.state == "open",
            )
            for row in rows
            if row.key_digest in digests
        )

    def _waits_for(self) -> tuple[str, ...]:
        running = self._progress.running
        if running is None:
            return ()
        tables = {item.table_name: item for item in self._progress.tables_of(running.generation)}
        done = (TableState.COMPLETE, TableState.APPLIED)
        parents = sorted(self._mapping.table.parents & tables.keys())
        return tuple(name for name in parents if tables[name].state not in done)

    def _digest(self, key: Key) -> str:
        if self._look.keyring is not None:
            return self._look.keyring.digest_of(self._look.migration.tenant, key)
        return row_digest(self._progress.tenant.log_id.encode(), key)

    def _columns(self, facts: Facts, *, show_values: bool) -> Iterator[ColumnSays]:
        treated = {column.name: column.treatment for column in self._mapping.columns}
        hidden = {column.name for column in self._mapping.columns if column.treatment is Treatment.ENCRYPT}
        hidden |= set(self._look.migration.rules(facts.table).keep)
        owed = facts.owed or facts.pending
        published = owed.cells if owed is not None else None
        for name in dict.fromkeys(
            [*(cell.name for cell in self._plan.clear), *(item.name for item in self._plan.sealed)]
        ):
            treatment = treated[name].value if name in treated else "made in the target"
            sides = {"source": facts.source, "log": published, "target": facts.target}
            held = {side: cells[name] for side, cells in sides.items() if cells is not None and name in cells}
            yield ColumnSays(
                column=name,
                treatment=treatment,
                source=_says(held, "source"),
                log=_says(held, "log"),
                why=_why(held, is_shown=name not in hidden),
                values=held if show_values and name not in hidden else None,
            )


def _seen(facts: Facts, control: ControlState, xid: int) -> Seen | None:
    """What the snapshot of the image that the target owes (else of its state) says of the source's row."""
    number = facts.owed.generation if facts.owed is not None else facts.owed_from
    generation = control.generations.get(number)
    return Snapshot.parse(generation.snapshot.snapshot).saw(xid) if generation is not None else None


def _says(held: Mapping[str, str | None], side: str) -> str:
    if side not in held or "target" not in held:
        return "–"
    if held["target"] == UNDECRYPTABLE:
        return "does not decrypt"
    return "equal" if held[side] == held["target"] else "differs"


def _why(held: Mapping[str, str | None], *, is_shown: bool) -> str:
    """How source (or, without it, log) and target differ."""
    other = "source" if "source" in held else "log"
    if other not in held or "target" not in held or held[other] == held["target"] or not is_shown:
        return ""
    return apart(held[other], held["target"])
