"""Rows that vanished at the source: gone from a table when a complete generation has ended.

A row older than the instant at which its table's last attempt began was not in that attempt. A
table is left alone while it, or a table that references it, has rows in quarantine: the row in
quarantine may be what kept an old image alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg

from consumer.target import Target
from runtime.advance import note_pruned
from runtime.postgres import explain, is_transient
from runtime.progress import TableProgress
from runtime.reporting import Notice, Report
from runtime.steps import TargetCommitted, TargetCommitting
from schemas.catalogue import Catalogue
from schemas.sql import quote_ident


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many vanished rows of a table are gone from the target."""

    table: str
    rows: int


def held_back(catalogue: Catalogue, quarantined: Mapping[str, int]) -> frozenset[str]:
    """Tables that must not be pruned: those with rows in quarantine, and all they reference, however far.

    >>> from schemas.catalogue import ForeignKey, Table
    >>> key = ForeignKey(name="f", columns=("a",), parent="orders", parent_columns=("id",), definition="")
    >>> tables = Table(name="orders"), Table(name="items", foreign_keys=(key,)), Table(name="other")
    >>> sorted(held_back(Catalogue(tables=tables), {"items": 1}))
    ['items', 'orders']
    """
    held = {table for table, rows in quarantined.items() if rows}
    parents = {table.name: table.parents for table in catalogue.tables}
    reach = list(held)
    while reach:
        more = parents.get(reach.pop(), frozenset()) - held
        held |= more
        reach += more
    return frozenset(held)


def prune(
    target: Target, tenant: str, tables: Iterable[TableProgress], quarantined: Mapping[str, int], report: Report
) -> tuple[Pruned, ...]:
    """Delete vanished rows and count them in progress, children first.

    `tables` are those of the generation in the order they are moved.
    """
    held = held_back(target.catalogue, quarantined)
    pruned = []
    for item in reversed(tuple(tables)):
        if item.was_empty and item.attempt == 1 and item.generation == 1:
            # All its rows are of this attempt. A later generation's may not be, though it was empty: a batch of one
            # that was abandoned just now may have been on its way.
            continue
        mapping = target.mappings[item.table_name]
        # The statements have a parameter: a % in a name must not begin another.
        name = (mapping.table.only + quote_ident(item.table_name)).replace("%", "%%")
        column = quote_ident(mapping.migrated_at).replace("%", "%%")
        if item.table_name in held:
            if _has_older(target, name, column, item):
                report(Notice(f"{item.table_name}: vanished rows stay until the rows in quarantine are settled"))
            continue
        try:
            with target.connection.transaction():
                gone = target.connection.execute(f"DELETE FROM {name} WHERE {column} < %s".encode(), (item.instant,))
                if gone.rowcount:
                    note_pruned(target.connection, tenant, item.generation, item.table_name, gone.rowcount)
                report(TargetCommitting(item.table_name, "vanished rows"))
        except psycopg.Error as error:
            if is_transient(error):
                raise
            raise explain(error, f"{item.table_name}: deleting vanished rows") from None
        report(TargetCommitted(item.table_name, "vanished rows"))
        if gone.rowcount:
            pruned.append(Pruned(item.table_name, gone.rowcount))
    return tuple(pruned)


def _has_older(target: Target, name: str, column: str, item: TableProgress) -> bool:
    row = target.connection.execute(
        f"SELECT EXISTS (SELECT FROM {name} WHERE {column} < %s)".encode(), (item.instant,)
    ).fetchone()
    return row is not None and bool(row[0])
