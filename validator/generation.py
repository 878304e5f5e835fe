"""Layers `generation` and `published`: what the target's own progress says of the load.

Read in the target's snapshot, so it is of one moment with the rows. A load that has not ended
is neither equal nor different: it is inconclusive, and says what it waits for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.progress import GenerationState, Progress, QuarantinedRow, TableProgress, TableState, instant_text
from validator.report import Load, TableLoad
from validator.verdict import Difference, Finding, Kind, Layer

AT_SOURCE = "rows at the source"
_ORDINARY = frozenset({TableState.COMPLETE, TableState.APPLIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Rows that were not applied, by table: keyed digest of the key → what is known of the row."""

    rows: tuple[QuarantinedRow, ...]

    def of(self, table: str, *, state: str | None = None) -> tuple[QuarantinedRow, ...]:
        """The rows of one table."""
        return tuple(row for row in self.rows if row.table_name == table and state in (None, row.state))

    def find(self, table: str, digest: str) -> QuarantinedRow | None:
        """The row of that key; None when it does not stand in quarantine."""
        found = [row for row in self.rows if row.table_name == table and row.key_digest == digest and digest]
        return min(found, key=lambda row: row.state == "discarded", default=None)  # an open one says more


def current(rows: Sequence[QuarantinedRow], progress: Progress) -> Quarantine:
    """Of all quarantine the rows that still matter: those since each table's newest complete generation.

    A partial one supersedes nothing: it may have published other rows of the table only.
    """
    complete: dict[str, int] = {}
    for (number, table), item in progress.tables.items():
        if not progress.generations[number].is_partial and item.state is not TableState.WAITING:
            complete[table] = max(complete.get(table, 0), number)
    return Quarantine(rows=tuple(row for row in rows if row.generation >= complete.get(row.table_name, 0)))


def look_at_generation(progress: Progress | None, tenant: str, quarantine: Quarantine, most: int) -> Finding:
    """Whether there is an ended load, and what it left in quarantine."""
    if progress is None:
        return _undecided(f'the target knows no tenant "{tenant}"')
    newest = progress.newest
    if newest is None:
        return _undecided("nothing has been loaded yet")
    if newest.state is GenerationState.RUNNING:
        tables = progress.tables_of(newest.generation)
        done = sum(table.state in _ORDINARY for table in tables)
        published = "" if newest.is_published else ", and the producer has not finished publishing it"
        return _undecided(
            f"generation {newest.generation} has not ended ({done} of {len(tables)} tables are complete{published})",
            looked_at=done,
            there=len(tables),
        )
    waiting = quarantine.rows
    opened = [row for row in waiting if row.state == "open"]
    ordered = [*opened, *(row for row in waiting if row.state != "open")]
    differences = tuple(
        Difference(
            layer=Layer.GENERATION,
            table=row.table_name,
            kind=Kind.QUARANTINED if row.state == "open" else Kind.DISCARDED,
            key=row.key_digest,
            columns=(row.column_name,) if row.column_name else (),
            detail=reason_of(row),
        )
        for row in ordered[:most]
    )
    notes = []
    if newest.is_partial:
        notes.append(f"generation {newest.generation} is partial: other tables, or other rows, are of an earlier one")
    return Finding(
        layer=Layer.GENERATION,
        looked_at=len(newest.table_order),
        there=len(newest.table_order),
        unit="tables",
        differences=differences,
        different=len(ordered),
        notes=tuple(notes),
    )


def reason_of(row: QuarantinedRow) -> str:
    """Why a row stands in quarantine, and where it stands in the log."""
    code = f", SQLSTATE {row.sqlstate}" if row.sqlstate else ""
    constraint = f', constraint "{row.constraint_name}"' if row.constraint_name else ""
    return f"{row.reason} ({row.topic}-{row.partition}@{row.offset} row {row.row_index}{code}{constraint})"


def _undecided(reason: str, *, looked_at: int = 0, there: int = 0) -> Finding:
    return Finding(layer=Layer.GENERATION, looked_at=looked_at, there=there, unit="tables", unknown=(reason,))


def look_at_published(progress: Progress, table: str, rows_source: int | None, quarantine: Quarantine) -> Finding:
    """Whether published = applied + quarantined = rows at the source, for one table, and quarantine holds as many."""
    found = progress.newest_table(table)
    if found is None or found.state not in _ORDINARY or found.published is None:
        state = "has never been loaded" if found is None else f"is {found.state.value} in generation {found.generation}"
        return Finding(layer=Layer.PUBLISHED, table=table, unknown=(f'table "{table}" {state}',))
    told = found.applied + found.quarantined
    details = []
    if told != found.published:
        details.append(
            f"published {found.published:,}, but applied {found.applied:,} + quarantined {found.quarantined:,} = {told:,}"
        )
    aside = sum((row.generation, row.attempt) == (found.generation, found.attempt) for row in quarantine.of(table))
    if found.quarantined != aside:
        details.append(f"{found.quarantined:,} were quarantined, but {aside:,} stand there")
    is_partial = progress.generations[found.generation].is_partial
    if rows_source is not None and found.published != rows_source and not is_partial:
        details.append(f"published {found.published:,}, {AT_SOURCE} {rows_source:,}")
    differences = tuple(
        Difference(layer=Layer.PUBLISHED, table=table, kind=Kind.COUNT, detail=detail) for detail in details
    )
    unknown = ("rows at the source were not counted",) if rows_source is None else ()
    return Finding(
        layer=Layer.PUBLISHED,
        table=table,
        looked_at=told,
        there=found.published,
        differences=differences,
        unknown=unknown,
        notes=(f"loaded by the partial generation {found.generation}",) if is_partial else (),
    )


def load_of(progress: Progress | None) -> Load:
    """What the report says of the generation."""
    if progress is None or progress.newest is None:
        return Load(log_id=progress.tenant.log_id if progress else "")
    newest = progress.newest
    return Load(
        generation=newest.generation,
        state=newest.state.value,
        whole=newest.whole,
        is_partial=newest.is_partial,
        instant=instant_text(newest.instant),
        log_id=progress.tenant.log_id,
        prepared_at=instant_text(newest.prepared_at) if newest.prepared_at else "",
        loaded_at=instant_text(newest.loaded_at) if newest.loaded_at else "",
        ended_at=instant_text(newest.ended_at) if newest.ended_at else "",
        positions=tuple(
            (position.topic, position.partition, position.next_offset)
            for _, position in sorted(progress.positions.items())
        ),
    )


def table_load(
    name: str,
    progress: Progress | None,
    quarantine: Quarantine,
    counts: Mapping[str, int | None],
    sums: Mapping[str, str],
) -> TableLoad:
    """What the report says of one table."""
    found: TableProgress | None = progress.newest_table(name) if progress else None
    rows = quarantine.of(name)
    if found is None:
        return TableLoad(name=name, rows_source=counts.get("source"), rows_target=counts.get("target"), sums=sums)
    return TableLoad(
        name=name,
        rows_source=counts.get("source"),
        rows_target=counts.get("target"),
        published=found.published,
        applied=found.applied,
        quarantined=sum(row.state == "open" for row in rows),
        discarded=sum(row.state == "discarded" for row in rows),
        pruned=found.pruned,
        state=found.state.value,
        generation=found.generation,
        started_at=instant_text(found.started_at) if found.started_at else "",
        finished_at=instant_text(found.finished_at) if found.finished_at else "",
        sums=sums,
    )
