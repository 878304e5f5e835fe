"""`validator explain`: one row at the source, in the log, in quarantine and in the target, column by column.

Values are compared in memory and never leave it, but for clear columns that somebody asks for; an
encrypted column, and one that the migration keeps readable for a reason, is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import polars as pl
import psycopg

from runtime.control import open_control, read_control
from runtime.introspect import read_checked_catalogue, read_survey
from runtime.keyring import Keyring
from runtime.postgres import Connection, Side, is_row_fault
from runtime.postgres import explain as explain_error
from runtime.progress import GenerationState, Progress, TableState, read_progress, read_quarantine
from runtime.settings import KafkaSettings
from schemas.batch import WireSchema
from schemas.control import ControlState
from schemas.derivation import row_digest
from schemas.errors import ConfigurationError, Inconclusive, NotWhole
from schemas.mapping import Treatment, table_mapping
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.pgtypes import text_expression
from schemas.records import Kind, Position, TableStarted
from schemas.snapshots import NOW_SQL, Seen, Snapshot, full_xid_sql
from schemas.sql import quote_ident
from validator.cells import Opener
from validator.fetch import rows_by_key
from validator.generation import reason_of
from validator.plan import TablePlan, table_plan
from validator.published import TableLog
from validator.reason import UNDECRYPTABLE, Answer, Cells, Facts, Image, Waiting, apart, explain
from validator.sides import Readers, named_errors
from validator.texts import Shaper, text_series, travelled_only

Key = tuple[str, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The row on one side; `stamp` is the transaction that wrote it at the source, its instant in the target."""

    key: Key
    cells: dict[str, str | None] = field(repr=False)
    stamp: str


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
        key = self._printed(typed)
        there, here = self._at_source(key), self._in_target(key)
        look = self._look
        control = read_control(look.kafka, look.migration.log.prefix, look.migration.tenant, look.keyring)
        facts = self._facts(control, key, there, here)
        return Explanation(
            facts=facts,
            answer=explain(facts),
            key=self._digest(key),
            columns=tuple(self._columns(facts, show_values=show_values)),
        )

    # ---------------------------------------------------------------- the sides

    def _printed(self, typed: Key) -> Key:
        """The key as PostgreSQL prints it."""
        table, names = self._mapping.table, self._mapping.table.key
        if len(typed) != len(names):
            raise ConfigurationError(
                f'the key of "{table.name}" has {len(names)} columns ({", ".join(names)}), {len(typed)} were given',
                hint="give each as an argument of its own; after -- where one begins with a dash",
            )
        columns = [table.column(name) for name in names]
        cast = ", ".join(f"%s::{column.type} AS {quote_ident(column.name).replace('%', '%%')}" for column in columns)
        texts = ", ".join(text_expression(column).replace("%", "%%") for column in columns)
        try:
            row = self._target.execute(f"SELECT {texts} FROM (SELECT {cast}) t".encode(), typed).fetchone()
        except psycopg.Error as error:
            if not is_row_fault(error):
                raise explain_error(error, f"{table.name}: reading the key") from None
            types = ", ".join(column.type for column in columns)
            raise ConfigurationError(f'the key of "{table.name}" is of type {types}; this is no value of it') from None
        assert row is not None
        return tuple(row)

    def _at_source(self, key: Key) -> _Found | None:
        with named_errors("source", "source: transaction number"):
            now = self._source.execute(f"SELECT {NOW_SQL}".encode()).fetchone()
        assert now is not None
        cells = [*((cell.name, cell.source) for cell in self._plan.clear), *self._sealed_at_source()]
        xid = f"({full_xid_sql('t.xmin', now[0])})::text"
        rows = self._fetched(self._source, "source", [*(text for _, text in cells), xid], key)
        if not rows:
            return None
        width = len(self._plan.key)
        values = dict(zip((name for name, _ in cells), rows[0][width:-1], strict=True))
        return _Found(key=tuple(rows[0][:width]), cells=values, stamp=rows[0][-1])

    def _sealed_at_source(self) -> list[tuple[str, str]]:
        return [(item.name, item.source) for item in self._plan.sealed] if self._look.keyring is not None else []

    def _in_target(self, key: Key) -> _Found | None:
        plan, keyring = self._plan, self._look.keyring
        sealed = plan.sealed if keyring is not None else ()
        at = f"t.{quote_ident(self._mapping.migrated_at)} AT TIME ZONE 'UTC'"
        stamp = f'to_char({at}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        texts = [*(cell.target for cell in plan.clear), *(item.cell for item in sealed), stamp]
        rows = self._fetched(self._target, "target", texts, key)
        if not rows:
            return None
        width = len(plan.key) + len(plan.clear)
        cells = dict(zip((cell.name for cell in plan.clear), rows[0][len(plan.key) : width], strict=True))
        if keyring is not None and sealed:
            (opened,) = Opener(keyring, self._look.migration.tenant, plan).open([rows[0][:-1]], width)
            cells |= dict(zip((item.name for item in sealed), opened.opened, strict=True))
            cells |= dict.fromkeys(opened.undecryptable, UNDECRYPTABLE)
        return _Found(key=tuple(rows[0][: len(plan.key)]), cells=cells, stamp=rows[0][-1] or "")

    def _fetched(self, connection: Connection, side: Side, texts: Sequence[str], key: Key) -> list[tuple[Any, ...]]:
        return rows_by_key(connection, self._plan, side, texts, [key])

    # ---------------------------------------------------------------- the log

    def _images(self, control: ControlState, keys: set[Key]) -> Iterator[Image]:
        table, log = self._mapping.table.name, self._log()
        topics = {item.tables[table].started.topic for item in control.generations.values() if table in item.tables}
        plan, _ = travelled_only(self._plan, self._mapping)
        for topic in sorted(topics):
            started: dict[tuple[int, int], TableStarted] = {}
            for record in log.records(topic):
                place = record.header.generation, record.header.attempt
                if record.header.kind is Kind.TABLE_STARTED and place not in started:
                    marker = open_control(record, self._look.keyring, self._look.migration.tenant)
                    assert isinstance(marker, TableStarted)
                    started[place] = marker
                if record.header.kind is not Kind.BATCH or place not in started:
                    continue
                schema = WireSchema(started[place].columns)
                frame = log.frame(record, schema)
                rows = _places(frame, schema, self._mapping.table.key, keys)
                if not rows:
                    continue
                known = {column.name for column in schema.columns} | {added.name for added in self._mapping.added}
                shaper = Shaper(target=self._target, mapping=self._mapping, plan=_only(plan, known), schema=schema)
                shaped = shaper.shape(frame[rows])
                names = [cell.name for cell in shaper.plan.clear]
                series = list(shaped.clear)
                if self._look.keyring is not None:
                    names += [item.name for item in shaper.plan.sealed]
                    series += shaped.sealed
                for number, row in enumerate(rows):
                    cells = {name: column[number] for name, column in zip(names, series, strict=True)}
                    yield self._image(control, started[place], record.position, row, cells)

    def _log(self) -> TableLog:
        return TableLog(
            kafka=self._look.kafka,
            migration=self._look.migration,
            keyring=self._look.keyring,
            log_id=self._progress.tenant.log_id,
        )

    def _image(self, control: ControlState, started: TableStarted, position: Position, row: int, cells: Cells) -> Image:
        generation = control.generations.get(started.generation)
        state = generation.tables.get(started.table) if generation is not None else None
        here = self._progress.generations.get(started.generation)
        applied = self._progress.positions.get((position.topic, position.partition))
        return Image(
            generation=started.generation,
            attempt=started.attempt,
            position=str(position),
            row=row,
            instant=started.instant,
            is_current=generation is not None
            and generation.abandoned is None
            and state is not None
            and state.attempt == started.attempt
            and not state.is_superseded,
            is_ended=here is not None and here.state is GenerationState.ENDED,
            is_applied=applied is not None and applied.next_offset > position.offset,
            cells=cells,
        )

    # ---------------------------------------------------------------- what it comes to

    def _facts(self, control: ControlState, key: Key, there: _Found | None, here: _Found | None) -> Facts:
        table, progress = self._mapping.table.name, self._progress
        keys = {key, *(found.key for found in (there, here) if found is not None)}  # citext, 1.0 and 1.00: one key
        images = sorted(self._images(control, keys), key=lambda image: (image.generation, image.attempt))
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
        )
        return replace(facts, seen=_seen(facts, control, int(there.stamp))) if there is not None else facts

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


def _only(plan: TablePlan, names: set[str]) -> TablePlan:
    """The plan of columns that a generation published."""
    return TablePlan(
        table=plan.table,
        schema=plan.schema,
        key=plan.key,
        clear=tuple(cell for cell in plan.clear if cell.name in names),
        sealed=tuple(item for item in plan.sealed if item.name in names),
        summed=(),
    )


def _places(frame: pl.DataFrame, schema: WireSchema, names: Sequence[str], keys: set[Key]) -> list[int]:
    columns = [text_series(frame.get_column(schema.field(name))).to_list() for name in names]
    return [row for row, key in enumerate(zip(*columns, strict=True)) if key in keys]


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
