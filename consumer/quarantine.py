"""Rows in quarantine: listed without a value, or discarded. Retrying them is `consumer.retry`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import psycopg

from runtime.advance import settle_quarantined
from runtime.postgres import Connection, explain
from runtime.progress import Progress, QuarantinedRow, instant_text, read_quarantine
from schemas.errors import ConfigurationError
from schemas.nearest import did_you_mean


def quarantined(
    connection: Connection,
    progress: Progress,
    *,
    tables: Sequence[str] = (),
    generation: int | None = None,
    state: str | None = None,
) -> tuple[QuarantinedRow, ...]:
    """Rows in quarantine, in the order of generations, tables and the log.

    Raises:
        ConfigurationError: a table that no generation has.
    """
    known = {name for item in progress.generations.values() for name in item.table_order}
    for name in tables:
        if name not in known:
            raise ConfigurationError(
                f'table "{name}" is in no generation{did_you_mean(name, known)}', hint="`consumer status` lists them"
            )
    try:
        rows = read_quarantine(connection, progress.tenant.tenant, generation=generation, state=state)
    except psycopg.Error as error:
        raise explain(error, "replicator.quarantine") from None
    order = {
        (number, name): place
        for number, item in progress.generations.items()
        for place, name in enumerate(item.table_order)
    }
    chosen = [row for row in rows if not tables or row.table_name in tables]
    return tuple(sorted(chosen, key=lambda row: (row.generation, order.get((row.generation, row.table_name), 0))))


def discard(connection: Connection, tenant: str, rows: Iterable[QuarantinedRow]) -> int:
    """Give rows up: what is sealed of them goes, their names stay so that reconcile can show them."""
    count = 0
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO on")
            for row in rows:
                settle_quarantined(connection, tenant, row.id, applied=False)
                count += 1
    except psycopg.Error as error:
        raise explain(error, "replicator.quarantine") from None
    return count


def plain(row: QuarantinedRow) -> dict[str, Any]:
    """A row as JSON has it."""
    return {**asdict(row), "at": instant_text(row.at)}


_HEADINGS = ("id", "table", "key", "reason", "position", "row", "generation", "state")


def lines(rows: Sequence[QuarantinedRow]) -> Iterator[str]:
    """Rows as aligned text, a heading first."""
    table = [_HEADINGS]
    for row in rows:
        cells = (
            str(row.id),
            row.table_name,
            row.key_digest or "-",
            row.reason,
            f"{row.topic}-{row.partition}@{row.offset}",
            str(row.row_index),
            str(row.generation),
            row.state,
        )
        table.append(cells)
    widths = [max(len(cells[place]) for cells in table) for place in range(len(_HEADINGS))]
    for cells in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
