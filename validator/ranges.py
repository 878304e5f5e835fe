"""Where a table that differs is cut: ranges of one column of its key, alike on both sides.

Cuts are values drawn from the source. Every row falls between two of them, before the first or
behind the last, and rows without a value into a range of their own, so ranges are a partition of
everything on each side, whatever the cuts. Types that have one order everywhere are compared as
they are, so that rows of few ranges are found by the key's own index; every other type by its
text in byte order, which no collation touches: those rows are found by a scan that hashes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from runtime.postgres import Connection, Side
from schemas.catalogue import Table
from schemas.pgtypes import text_expression
from schemas.sql import quote_ident, quote_literal
from validator.plan import Cell, TablePlan
from validator.sides import named_errors

_SAME_ORDER = frozenset({"smallint", "integer", "bigint", "uuid", "date"})
_MOST = 4_096
_MOST_OF_TEXT = 256  # PostgreSQL walks an array of texts from its beginning
_NO_VALUE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Ranges between `cuts`, in their order; range 0 lies before the first cut, range n from cut n on."""

    source: str  # the column, as SQL over `t`
    target: str
    type: str
    cuts: tuple[str, ...]

    def number(self, side: Side) -> str:
        """SQL: the range of a row."""
        if not self.cuts:
            return "0"
        listed = ", ".join(quote_literal(cut) for cut in self.cuts)
        return f"coalesce(width_bucket({self._column(side)}, ARRAY[{listed}]::{self.type}[]), {_NO_VALUE})"

    def holds(self, side: Side, numbers: Collection[int]) -> str:
        """SQL: whether a row lies in one of these ranges; neighbours become one condition."""
        if not self.cuts:
            return "true"
        column = self._column(side)
        tests = [f"{column} IS NULL"] if _NO_VALUE in numbers else []
        for first, last in _runs(sorted(number for number in numbers if number != _NO_VALUE)):
            ends = []
            if first > 0:
                ends.append(f"{column} >= {self._literal(first - 1)}")
            if last < len(self.cuts):
                ends.append(f"{column} < {self._literal(last)}")
            tests.append(f"({' AND '.join(ends) or f'{column} IS NOT NULL'})")
        return f"({' OR '.join(tests) or 'false'})"

    def _column(self, side: Side) -> str:
        return self.source if side == "source" else self.target

    def _literal(self, cut: int) -> str:
        return f"{quote_literal(self.cuts[cut])}::{self.type}"


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each row of neighbours.

    >>> list(_runs([0, 1, 2, 5, 7, 8]))
    [(0, 2), (5, 5), (7, 8)]
    """
    for place, number in enumerate(numbers):
        if place == 0 or numbers[place - 1] != number - 1:
            first = number
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield first, number


def cut_ranges(source: Connection, plan: TablePlan, target: Table, rows: int) -> Ranges | None:
    """Ranges of the first column of the key that has values enough, else of the one that has most; None without a key."""
    best: Ranges | None = None
    for cell in plan.key:
        one, other, type_ = _as_compared(plan.table, target, cell)
        most = _MOST if type_ in _SAME_ORDER else _MOST_OF_TEXT
        drawn = _drawn(source, plan, one, rows, most)
        cuts = tuple(drawn[len(drawn) * number // most] for number in range(most)) if len(drawn) > most else drawn
        found = Ranges(source=one, target=other, type=type_, cuts=cuts)
        if best is None or len(found.cuts) > len(best.cuts):
            best = found
        if len(cuts) >= most // 2:
            return found
    return best


def _as_compared(table: Table, target: Table, cell: Cell) -> tuple[str, str, str]:
    column = table.column(cell.name)
    is_moved_as_it_is = cell.source == text_expression(column) and target.column(cell.name).type == column.type
    if column.type in _SAME_ORDER and is_moved_as_it_is:
        return f"t.{quote_ident(cell.name)}", f"t.{quote_ident(cell.name)}", column.type
    return f'({cell.source}) COLLATE "C"', f'({cell.target}) COLLATE "C"', "text"


def _drawn(source: Connection, plan: TablePlan, column: str, rows: int, most: int) -> tuple[str, ...]:
    """Different values of a column, in its order; of a large table those of some rows drawn at random."""
    share = min(100.0, 100.0 * 4 * most / max(rows, 1))
    query = (
        f"SELECT v::text FROM (SELECT DISTINCT {column} AS v FROM {plan.relation('source')} AS t"
        f" TABLESAMPLE BERNOULLI ({share:.6f}) REPEATABLE (0)) q WHERE v IS NOT NULL ORDER BY q.v"
    )
    with named_errors("source", f"{plan.name}: ranges of the key"):
        return tuple(row[0] for row in source.execute(query.encode()))
