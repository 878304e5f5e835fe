"""Definitions that the migration leaves out by name: defaults, checks, exclusions, indexes, unique constraints. Pure.

They travel in the log's catalogue and are taken out of what the target is to have, so another choice
needs no new snapshot. The reasons are shown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from schemas.catalogue import Table


def can_leave(table: Table) -> tuple[str, ...]:
    """What may be left out: all that rows do not depend on. A default goes by the name of its column."""
    by_key = {table.key_index.name} if table.key_index is not None else set()
    return (
        *(column.name for column in table.columns if column.default is not None),
        *(check.name for check in table.checks),
        *(exclusion.name for exclusion in table.exclusions),
        *(unique.name for unique in table.uniques if unique.columns != table.key),
        *(index.name for index in table.indexes if index.name not in by_key),
    )


def leave_out(table: Table, names: Collection[str]) -> Table:
    """The table without these definitions; what may not be left out stays (`can_leave`)."""
    going = frozenset(names).intersection(can_leave(table))
    if not going:
        return table
    return replace(
        table,
        columns=tuple(
            replace(column, default=None, sequence=None, sequence_options="", owns_sequence=True)
            if column.name in going and column.default is not None
            else column
            for column in table.columns
        ),
        checks=tuple(item for item in table.checks if item.name not in going),
        exclusions=tuple(item for item in table.exclusions if item.name not in going),
        uniques=tuple(item for item in table.uniques if item.name not in going),
        indexes=tuple(item for item in table.indexes if item.name not in going),
    )
