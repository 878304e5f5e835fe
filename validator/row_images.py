"""Every image of one row that the log holds, from all generations and attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from runtime.control import open_control
from runtime.postgres import Connection
from runtime.progress import GenerationState, Progress
from schemas.batch import WireSchema
from schemas.catalogue import Column
from schemas.control import ControlState
from schemas.mapping import TableMapping
from schemas.records import Kind, Position, TableStarted
from validator.equal_keys import EqualKeys
from validator.one_row import Key
from validator.plan import TablePlan
from validator.published import TableLog
from validator.reason import Cells, Image
from validator.texts import Shaper, text_series, travelled_only


@dataclass(frozen=True, slots=True, kw_only=True)
class RowImages:
    """Where images of a table's rows are looked for: all of its topic, one pass."""

    log: TableLog
    control: ControlState
    progress: Progress
    mapping: TableMapping
    plan: TablePlan
    target: Connection  # its server computes transforms

    def of(self, key: Key) -> Iterator[Image]:
        """Images of rows with this key, however it is written, in the order of the log of each partition."""
        equals = EqualKeys(target=self.target, columns=self._key_columns, key=key)
        table, log, generations = self.mapping.table.name, self.log, self.control.generations
        topics = {item.tables[table].started.topic for item in generations.values() if table in item.tables}
        for topic in sorted(topics):
            started: dict[tuple[int, int], TableStarted] = {}
            for record in log.records(topic):
                place = record.header.generation, record.header.attempt
                if record.header.kind is Kind.TABLE_STARTED and place not in started:
                    marker = open_control(record, log.keyring, log.migration.tenant)
                    assert isinstance(marker, TableStarted)
                    started[place] = marker
                if record.header.kind is not Kind.BATCH or place not in started:
                    continue
                schema = WireSchema(started[place].columns)
                frame = log.frame(record, schema)
                written = _written(frame, schema, self.mapping.table.key)
                rows = equals.places(written)
                if not rows:
                    continue
                for row, cells in self._cells(frame[rows], schema):
                    image = self._image(started[place], record.position, rows[row], cells)
                    yield replace(image, key=written[rows[row]])

    @property
    def _key_columns(self) -> tuple[Column, ...]:
        return tuple(self.mapping.table.column(name) for name in self.mapping.table.key)

    def _cells(self, frame: pl.DataFrame, schema: WireSchema) -> Iterator[tuple[int, Cells]]:
        """Each row of the frame, in the target's terms; columns that its generation did not publish are left out."""
        plan, _ = travelled_only(self.plan, self.mapping)
        known = {column.name for column in schema.columns} | {added.name for added in self.mapping.added}
        shaper = Shaper(target=self.target, mapping=self.mapping, plan=_only(plan, known), schema=schema)
        shaped = shaper.shape(frame)
        names = [cell.name for cell in shaper.plan.clear]
        series = list(shaped.clear)
        if self.log.keyring is not None:
            names += [item.name for item in shaper.plan.sealed]
            series += shaped.sealed
        for row in range(frame.height):
            yield row, {name: column[row] for name, column in zip(names, series, strict=True)}

    def _image(self, started: TableStarted, position: Position, row: int, cells: Cells) -> Image:
        generation = self.control.generations.get(started.generation)
        state = generation.tables.get(started.table) if generation is not None else None
        here = self.progress.generations.get(started.generation)
        applied = self.progress.positions.get((position.topic, position.partition))
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


def _only(plan: TablePlan, names: set[str]) -> TablePlan:
    """The plan of columns that a generation published."""
    return replace(
        plan,
        clear=tuple(cell for cell in plan.clear if cell.name in names),
        sealed=tuple(item for item in plan.sealed if item.name in names),
    )


def _written(frame: pl.DataFrame, schema: WireSchema, names: Sequence[str]) -> list[Key]:
    columns = [text_series(frame.get_column(schema.field(name))).to_list() for name in names]
    return list(zip(*columns, strict=True))
