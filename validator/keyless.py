"""Rows drawn at random of a table without a key, by their cells.

`compare_rows`: that a row was drawn more often than the source has it. Of encrypted cells that would say
little: one copied from a row with the same clear cells is one too many here and one too few elsewhere, and
both would have to be drawn to show it. So `compare_groups` compares with each row that is drawn all that have
the same clear cells, by what they add up to: every row that differs is seen when it is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from runtime.postgres import Connection
from schemas.canonical import fingerprint, fingerprint_sql, halves, sums_sql
from validator.cells import Opener, opened_rows
from validator.fetch import UNDECRYPTABLE, Draw, Fetcher, draw_texts
from validator.plan import TablePlan
from validator.scan import Sums
from validator.sides import named_errors

_NEVER = Sums(-1)  # of rows with a cell that does not open: no rows add up to it


def compare_rows(fetcher: Fetcher, draw: Draw, population: int) -> tuple[int, int]:
    """Rows drawn from the target of a table without a key, and how many of them the source has less often."""
    plan = fetcher.plan
    sealed = plan.sealed if fetcher.keyring is not None else ()
    columns = [*(cell.target for cell in plan.clear), *(item.cell for item in sealed)]
    drawn = draw_texts(fetcher.target, plan, columns, draw, population)
    rows: list[tuple[str | None, ...]] = [tuple(row) for row in drawn]
    if fetcher.keyring is not None and sealed:
        opened = Opener(fetcher.keyring, fetcher.tenant, plan).open(drawn, len(plan.clear))
        # A row with a cell that does not open equals no row of the source.
        rows = [(*row.bound, *row.opened) if not row.undecryptable else (UNDECRYPTABLE,) for row in opened]
    wanted = Counter(rows)
    texts = [*(cell.source for cell in plan.clear), *(item.source for item in sealed)]
    there = _in_source(fetcher.source, plan, texts, wanted)
    return len(rows), sum(number for row, number in wanted.items() if there[row] < number)


def _in_source(
    source: Connection, plan: TablePlan, texts: Sequence[str], wanted: Counter[tuple[str | None, ...]]
) -> Counter[tuple[str | None, ...]]:
    """How often the source has each of these rows: one pass; found by fingerprint, compared as text."""
    found: Counter[tuple[str | None, ...]] = Counter()
    if not wanted:
        return found
    names = ", ".join(f"c{number}" for number in range(len(texts)))
    inner = ", ".join(f"{text} AS c{number}" for number, text in enumerate(texts))
    query = (
        f"SELECT count(*), {names} FROM (SELECT {fingerprint_sql(list(texts))} AS f, {inner}"
        f" FROM {plan.relation('source')} t OFFSET 0) q".replace("%", "%%")
        + f" WHERE f = ANY (%s::bytea[]) GROUP BY {names}"
    )
    digests = [fingerprint(row) for row in wanted if len(row) == len(texts)]
    with named_errors("source", f"{plan.name}: rows of the sample"):
        for number, *cells in source.execute(query.encode(), (digests,)):
            found[tuple(cells)] = number
    return found


def compare_groups(fetcher: Fetcher, draw: Draw, population: int) -> tuple[int, int]:
    """Rows drawn from the target, and how many of them stand among rows that the source has otherwise."""
    clear = [cell.target for cell in fetcher.plan.clear]
    drawn = Counter(fingerprint(row) for row in draw_texts(fetcher.target, fetcher.plan, clear, draw, population))
    listed = ", ".join(f"'\\x{digest.hex()}'::bytea" for digest in drawn)
    if not listed:
        return 0, 0
    there, here = _source(fetcher, listed), _target(fetcher, listed)
    nothing = Sums()
    wrong = sum(n for digest, n in drawn.items() if there.get(digest, nothing) != here.get(digest, nothing))
    return drawn.total(), wrong


def _source(fetcher: Fetcher, listed: str) -> Mapping[bytes, Sums]:
    plan: TablePlan = fetcher.plan
    clear = [cell.source for cell in plan.clear]
    whole = fingerprint_sql([*clear, *(item.source for item in plan.sealed)])
    query = (
        f"SELECT g, count(*), {', '.join(sums_sql('f'))} FROM (SELECT {fingerprint_sql(clear)} AS g, {whole} AS f"
        f" FROM {plan.relation('source')} t WHERE {plan.has_sealed} OFFSET 0) q WHERE g IN ({listed}) GROUP BY g"
    )
    with named_errors("source", f"{plan.name}: rows of the sample"):
        rows = fetcher.source.execute(query.encode()).fetchall()
    return {digest: Sums(number, int(first), int(second)) for digest, number, first, second in rows}


def _target(fetcher: Fetcher, listed: str) -> Mapping[bytes, Sums]:
    assert fetcher.keyring is not None
    plan = fetcher.plan
    where = f"{fingerprint_sql([cell.target for cell in plan.clear])} IN ({listed})"
    found: dict[bytes, Sums] = {}
    for row in opened_rows(fetcher.target, plan, fetcher.keyring, fetcher.tenant, where=where):
        whole = _NEVER if row.undecryptable else Sums(1, *halves(fingerprint([*row.bound, *row.opened])))
        group = fingerprint(row.bound)
        found[group] = found.get(group, Sums()) + whole
    return found
