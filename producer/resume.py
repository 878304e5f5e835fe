"""Whether an unfinished generation may go on, and which of its tables are still what was published.

A generation that is resumed must equal one unbroken snapshot, namely its last. What was published
of a table is kept when `producer.unchanged` proves that it is still the same; else it is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from producer.source import SourceState, wal_bytes
from producer.unchanged import is_unchanged, snapshot_xmax
from runtime.postgres import Connection
from schemas.catalogue import Catalogue, Table
from schemas.control import GenerationState, TableState
from schemas.errors import Refused
from schemas.migration import Migration
from schemas.shape import changes

Fate = Literal["begin", "kept", "continue", "again"]

_RESTART = "`producer snapshot --restart` abandons the generation and begins the next"


@dataclass(frozen=True, slots=True)
class TableFate:
    """What is done with one table: begun, kept as it is, continued after its last key, or read again."""

    table: Table
    fate: Fate
    state: TableState | None = None

    @property
    def next_attempt(self) -> int:
        """Number of the attempt that reads it from the start."""
        return 1 if self.state is None else self.state.attempt + 1

    @property
    def published_rows(self) -> int:
        """Rows that are in the log already and stay."""
        return self.state.rows if self.state is not None and self.fate in ("kept", "continue") else 0


def check_resumable(
    generation: GenerationState,
    *,
    catalogue: Catalogue,
    migration: Migration,
    source: SourceState,
    tables: Sequence[str],
    is_partial: bool,
    plan: str = "",
) -> None:
    """See that source and migration are those the generation was begun with.

    Raises:
        Refused: they are not; names what differs.
    """
    began = generation.started
    name = f"generation {generation.number} is unfinished"
    problems: list[str] = []
    if began.plan and began.plan != plan:
        raise Refused(
            f"{name} and publishes the rows of a repair plan" + (", not of this one" if plan else ""),
            hint=f"finish it first (`producer snapshot --keys FILE` with the same plan), or: {_RESTART}",
        )
    if plan and not began.plan:
        raise Refused(
            f"{name}, and is not one of a repair plan",
            hint=f"finish it first (`producer snapshot`, without --keys), or: {_RESTART}",
        )
    if (began.is_partial, set(began.tables)) != (is_partial, set(tables)):
        asked = ", ".join(f"--table {table}" for table in began.tables) if began.is_partial else "no --table"
        raise Refused(
            f"{name} and reads other tables: {_listed(began.tables)}",
            hint=f"finish it first (`producer snapshot` with {asked}), or: {_RESTART}",
        )
    if began.migration_digest != migration.digest():
        what = changes(began.migration_parts, migration.parts())
        problems.append("the migration was changed in what shapes the data" + (f": {what}" if what else ""))
    if began.catalogue != catalogue.to_json():
        problems.append(_changed(Catalogue.from_json(began.catalogue), catalogue))
    if began.database != source.database or (
        began.system_identifier and source.system_identifier and began.system_identifier != source.system_identifier
    ):
        problems.append(
            f'it is another source: database "{source.database}" of system {source.system_identifier or "unknown"}, '
            f'was "{began.database}" of system {began.system_identifier or "unknown"}'
        )
    elif source.wal_bytes < wal_bytes(generation.snapshot.wal_position):
        problems.append(
            f"the source's WAL position {source.wal_position} lies before {generation.snapshot.wal_position}: "
            "a standby that lags, or an older copy"
        )
    if problems:
        raise Refused(f"{name} and cannot go on: {'; '.join(problems)}", hint=f"undo the change, or: {_RESTART}")


def is_same_history(generation: GenerationState, source: SourceState) -> bool:
    """Whether the source has only gone on since the old snapshot, so that its transaction ids still mean the same.

    A standby that was promoted, or a server restored to an earlier time, counts on from where it was then: it
    may have given ids that the old snapshot saw to other transactions.
    """
    old = generation.snapshot
    is_other_timeline = bool(old.timeline and source.timeline and old.timeline != source.timeline)
    return not is_other_timeline and snapshot_xmax(source.snapshot) >= snapshot_xmax(old.snapshot)


def fate_anew(table: Table, generation: GenerationState) -> TableFate:
    """What is done with a table of which nothing can be kept."""
    state = generation.tables.get(table.name)
    return TableFate(table, "begin" if state is None else "again", state)


def fate_of(connection: Connection, table: Table, rows_of: str, generation: GenerationState) -> TableFate:
    """Decide by the source, in its new snapshot, what is done with one table of an unfinished generation."""
    state = generation.tables.get(table.name)
    if state is None or state.is_superseded:
        return fate_anew(table, generation)
    old_snapshot = generation.snapshot.snapshot
    if state.is_finished:
        kept = is_unchanged(connection, table, rows_of, state, old_snapshot)
        return TableFate(table, "kept" if kept else "again", state)
    if state.last_key and is_unchanged(connection, table, rows_of, state, old_snapshot):
        return TableFate(table, "continue", state)
    return TableFate(table, "again", state)


def _changed(before: Catalogue, now: Catalogue) -> str:
    old = {table.name: table for table in before.tables}
    new = {table.name: table for table in Catalogue.from_json(now.to_json()).tables}
    facts = [
        ("lost the tables", sorted(old.keys() - new.keys())),
        ("has new tables", sorted(new.keys() - old.keys())),
        ("changed the tables", sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    ]
    words = [f"{what} {_listed(names)}" for what, names in facts if names]
    return "the source " + (" and ".join(words) or "changed its types, or the order of its tables")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
