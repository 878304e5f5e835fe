"""One pass over a table on one side: count, sums, checksums and the form of encrypted cells together.

One statement reads every row once and answers four layers, so comparing costs less than loading.
Nothing but numbers leaves the server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runtime.postgres import Connection, Side
from schemas.canonical import Method, fingerprint_sql, sums_sql
from schemas.envelope import envelope_check
from validator.plan import Summed, TablePlan
from validator.sides import named_errors


@dataclass(frozen=True, slots=True, order=True)
class Sums:
    """What a set of rows adds up to: how many, and two sums of 64-bit halves of their fingerprints.

    All three are compared: equal sums of different numbers of rows are not equal.
    """

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.rows + other.rows, self.first + other.first, self.second + other.second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one summed column adds up to; as text, because it is exact."""

    total: str | None
    values: int
    specials: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelopes:
    """One encrypted column: cells that are not NULL, of these those of a wrong form, and of an unknown key."""

    cells: int
    malformed: int = 0
    unknown_key: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that one pass over one side of a table says."""

    rows: int
    clear: Sums | None
    sealed: Sums | None  # of key and plaintext; only the source can say it in SQL
    columns: Mapping[str, Column]
    envelopes: Mapping[str, Envelopes]
    noticed: tuple[int, ...]  # at the source: rows of each of the plan's notices
    seconds: float


_MOST_SUMMED = 300  # a statement has at most 1,664 outputs, and up to five are needed for each


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a pass adds up; the count always. Nothing is computed that nobody asked for."""

    clear: bool = True
    sealed: bool = True
    columns: bool = True
    envelopes: bool = True
    method: Method = Method.SHA256  # of the clear cells; what Python must make too is always SHA-256


def scan(connection: Connection, plan: TablePlan, side: Side, wanted: Wanted, known_kids: Sequence[int] = ()) -> Scan:
    """Read every row of one side once; where many columns are added up, once for each `_MOST_SUMMED` of them."""
    began = time.monotonic()
    if wanted.columns and len(plan.summed) > _MOST_SUMMED:
        first = scan(connection, replace(plan, summed=plan.summed[:_MOST_SUMMED]), side, wanted, known_kids)
        others = replace(plan, summed=plan.summed[_MOST_SUMMED:], noticed=())
        rest = scan(connection, others, side, Wanted(clear=False, sealed=False, envelopes=False))
        return replace(first, columns={**first.columns, **rest.columns}, seconds=time.monotonic() - began)
    with named_errors(side, f"{plan.name}: scan of the {side}"):
        row = connection.execute(scan_sql(plan, side, wanted, known_kids).encode()).fetchone()
    assert row is not None
    values = iter(row)
    rows = next(values)
    return Scan(
        rows=rows,
        clear=Sums(rows, *_halves(values)) if wanted.clear else None,
        sealed=Sums(next(values), *_halves(values)) if _sums_sealed(plan, side, wanted) else None,
        columns={item.name: _column(item, values) for item in plan.summed} if wanted.columns else {},
        envelopes={item.name: _envelopes(side, values) for item in plan.sealed} if wanted.envelopes else {},
        noticed=tuple(next(values) for _ in plan.noticed) if side == "source" else (),
        seconds=time.monotonic() - began,
    )


def _sums_sealed(plan: TablePlan, side: Side, wanted: Wanted) -> bool:
    return wanted.sealed and bool(plan.sealed) and side == "source"


def _halves(values: Iterator[str | None]) -> tuple[int, int]:
    return int(next(values) or 0), int(next(values) or 0)


def _column(item: Summed, values: Iterator[object]) -> Column:
    total, count = next(values), next(values)
    specials = tuple(int(str(next(values))) for _ in range(3)) if item.has_specials else ()
    return Column(total=None if total is None else str(total), values=int(str(count)), specials=specials)


def _envelopes(side: Side, values: Iterator[int]) -> Envelopes:
    if side == "source":
        return Envelopes(cells=next(values))
    return Envelopes(cells=next(values), malformed=next(values), unknown_key=next(values))


def scan_sql(plan: TablePlan, side: Side, wanted: Wanted, known_kids: Sequence[int]) -> str:
    """The statement of a pass; the outputs are in the order in which `scan` reads them."""
    inner = ["1 AS one"]
    outer = ["count(*)"]
    if wanted.clear:
        inner.append(f"{fingerprint_sql([getattr(cell, side) for cell in plan.clear], wanted.method)} AS clear")
        outer += sums_sql("clear", wanted.method)
    if _sums_sealed(plan, side, wanted):
        texts = [*(cell.source for cell in plan.bound), *(item.source for item in plan.sealed)]
        inner.append(f"CASE WHEN {plan.has_sealed} THEN {fingerprint_sql(texts)} END AS sealed")
        outer += ["count(sealed)", *sums_sql("sealed")]
    for number, item in enumerate(plan.summed if wanted.columns else ()):
        inner.append(f"{item.source if side == 'source' else item.target} AS n{number}")
        outer += item.outputs(f"n{number}")
    for number, sealed in enumerate(plan.sealed if wanted.envelopes else ()):
        # num_nonnulls, because of a composite value IS NOT NULL asks for each of its fields.
        inner.append(f"pg_catalog.num_nonnulls({sealed.cell}) AS g{number}")
        outer.append(f"coalesce(sum(g{number}), 0)::bigint")
        if side == "target":
            inner.append(f"{sealed.cell} AS e{number}")
            outer += _form(f"e{number}", known_kids)
    for number, notice in enumerate(plan.noticed if side == "source" else ()):
        inner.append(f"{notice.condition} AS w{number}")
        outer.append(f"count(*) FILTER (WHERE w{number})")
    # OFFSET 0 keeps the fingerprint from being computed once for each of its two halves.
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {plan.relation(side)} t OFFSET 0) q"


def _form(cell: str, known_kids: Sequence[int]) -> list[str]:
    """How many cells have not the form of an envelope, and how many name a key that the keyring lacks."""
    form = envelope_check("e").replace('"e"', cell)
    known = ", ".join(f"'\\x{kid:08x}'::bytea" for kid in known_kids)
    unknown = f"substr({cell}, 3, 4) NOT IN ({known})" if known else f"{cell} IS NOT NULL"
    return [f"count(*) FILTER (WHERE NOT ({form}))", f"count(*) FILTER (WHERE {unknown})"]
