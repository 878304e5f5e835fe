"""Single rows by their key, as text, cell by cell: a second path beside the sums.

Used to name the columns of rows that differ, and to compare rows drawn at random. Values live in
memory only for the comparison; what leaves this module are names of columns.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.keyring import Keyring
from runtime.postgres import Connection, Side
from schemas.sql import quote_ident
from validator.cells import Opener
from validator.plan import TablePlan
from validator.sides import named_errors

Key = tuple[str, ...]
Values = dict[str, str | None]

_AT_ONCE = 500
_BYTES_AT_ONCE = 4_000_000  # by the source's estimate of a row


@dataclass(frozen=True, slots=True)
class Compared:
    """One key on both sides: how many rows have it, and the columns in which they differ."""

    key: Key
    in_source: int
    in_target: int
    columns: tuple[str, ...] = ()
    undecryptable: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether there is one row on each side and every cell is the same."""
        return self.in_source == self.in_target == 1 and not self.columns and not self.undecryptable


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Reads rows of one table on both sides; without a keyring encrypted cells are left out."""

    source: Connection
    target: Connection
    plan: TablePlan
    keyring: Keyring | None
    tenant: str

    def compare(self, keys: Sequence[Key]) -> Iterator[Compared]:
        """Each key's row on both sides, in the order given."""
        # Documents of megabytes are fetched a few at a time: both sides are in memory as text.
        average = self.plan.table.bytes // max(self.plan.table.rows, 1)
        at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // max(average, 1)))
        for start in range(0, len(keys), at_once):
            some = keys[start : start + at_once]
            there, here = self._source(some), self._target(some)
            for key in some:
                yield compare_values(key, there.get(key, []), here.get(key, []))

    def _source(self, keys: Sequence[Key]) -> dict[Key, list[Values]]:
        plan = self.plan
        texts = {cell.name: cell.source for cell in plan.clear}
        if self.keyring is not None:
            texts |= {sealed.name: sealed.source for sealed in plan.sealed}
        found: dict[Key, list[Values]] = {}
        for row in self._rows(self.source, "source", list(texts.values()), keys):
            values: Values = dict(zip(texts, row[len(plan.key) :], strict=True))
            found.setdefault(tuple(row[: len(plan.key)]), []).append(values)
        return found

    def _target(self, keys: Sequence[Key]) -> dict[Key, list[Values]]:
        plan = self.plan
        sealed = [item.cell for item in plan.sealed] if self.keyring is not None else []
        rows = self._rows(self.target, "target", [*(cell.target for cell in plan.clear), *sealed], keys)
        names = [cell.name for cell in plan.clear]
        width = len(plan.key) + len(names)
        found: dict[Key, list[Values]] = {}
        opener = Opener(self.keyring, self.tenant, plan) if self.keyring is not None else None
        opened = opener.open(rows, width) if opener is not None else []
        for number, row in enumerate(rows):
            values: Values = dict(zip(names, row[len(plan.key) : width], strict=True))
            if opener is not None:
                values |= dict(zip((item.name for item in plan.sealed), opened[number].opened, strict=True))
                values |= dict.fromkeys(opened[number].undecryptable, UNDECRYPTABLE)
            found.setdefault(tuple(row[: len(plan.key)]), []).append(values)
        return found

    def _rows(
        self, connection: Connection, side: Side, texts: Sequence[str], keys: Sequence[Key]
    ) -> list[tuple[Any, ...]]:
        return rows_by_key(connection, self.plan, side, texts, keys)


def rows_by_key(
    connection: Connection, plan: TablePlan, side: Side, texts: Sequence[str], keys: Sequence[Key]
) -> list[tuple[Any, ...]]:
    """Rows of one side that have one of these keys: the key's own texts first, then `texts`, SQL over `t`."""
    names = [f"k{number}" for number in range(len(plan.key))]
    key = [plan.table.column(cell.name) for cell in plan.key]
    types = [column.type_at_source if side == "source" else column.type for column in key]
    on = " AND ".join(
        f"t.{quote_ident(cell.name)} = k.{name}::{type_}"
        for cell, name, type_ in zip(plan.key, names, types, strict=True)
    )
    on, relation = on.replace("%", "%%"), plan.relation(side).replace("%", "%%")
    columns = ", ".join([*(getattr(cell, side) for cell in plan.key), *texts]).replace("%", "%%")
    query = (
        f"SELECT {columns} FROM unnest({', '.join('%s::text[]' for _ in names)}) AS k({', '.join(names)})"
        f" JOIN {relation} t ON {on}"
    )
    parameters = [[one[number] for one in keys] for number in range(len(names))]
    with named_errors(side, f"{plan.name}: rows of the {side} by key"):
        return connection.execute(query.encode(), parameters).fetchall()


UNDECRYPTABLE = "\0undecryptable"  # no PostgreSQL text holds a NUL, so no value is this


def compare_values(key: Key, source: Sequence[Values], target: Sequence[Values]) -> Compared:
    """The rows that two sides have under one key."""
    if len(source) != 1 or len(target) != 1:
        return Compared(key, len(source), len(target))
    there, here = source[0], target[0]
    failed = tuple(name for name, value in here.items() if value == UNDECRYPTABLE)
    differing = tuple(name for name in there if name not in failed and there[name] != here.get(name))
    return Compared(key, 1, 1, differing, failed)


@dataclass(frozen=True, slots=True)
class Draw:
    """How many rows are drawn at random, and from which seed."""

    count: int
    seed: int

    @property
    def other(self) -> Draw:
        """As many rows, and other ones: for the other side."""
        return Draw(self.count, self.seed + 1)


def draw_keys(connection: Connection, plan: TablePlan, side: Side, draw: Draw, population: int) -> list[Key]:
    """Keys drawn at random from one side, every row with the same chance; all when there are no more."""
    rows = draw_texts(connection, plan, [getattr(cell, side) for cell in plan.key], draw, population, side=side)
    return [tuple(str(part) for part in row) for row in rows]


def draw_texts(
    connection: Connection,
    plan: TablePlan,
    columns: Sequence[str],
    draw: Draw,
    population: int,
    *,
    side: Side = "target",
) -> list[tuple[Any, ...]]:
    """These texts of rows drawn at random from one side, every row with the same chance."""
    # BERNOULLI looks at every row by itself; SYSTEM would take whole pages, whose rows are alike.
    wanted = draw.count + 4 * draw.count**0.5 + 10
    percent = 100.0 if population <= wanted else 100 * wanted / population
    sample = "" if percent >= 100 else f" TABLESAMPLE BERNOULLI ({percent:.10f}) REPEATABLE ({draw.seed})"
    with named_errors(side, f"{plan.name}: drawing rows"):
        query = f"SELECT {', '.join(columns)} FROM {plan.relation(side)} t{sample}"
        rows = connection.execute(query.encode()).fetchall()
    return random.Random(draw.seed).sample(rows, min(draw.count, len(rows)))
