"""Rows of the target that show an instant which no generation has.

No later image ever replaces a row that shows one beyond the newest before that instant has come: the
load would look complete and stay stale. One between, or before the first, is replaced, and still is
what no load has written. So each is a difference, even while every value is right.
"""

from __future__ import annotations

from dataclasses import replace

from runtime.postgres import Connection
from runtime.progress import Progress, instant_text
from schemas.sql import quote_ident, quote_literal
from validator.checksums import Digest
from validator.plan import TablePlan
from validator.sides import named_errors
from validator.verdict import Difference, Finding, Kind

NEVER_REPLACED = "shows an instant that no generation has: later snapshots would not replace the row"
NOT_OF_A_LOAD = "shows an instant that no generation has: something else than a load wrote it"


def strange_instant(plan: TablePlan, progress: Progress) -> str:
    """SQL over `t`: whether a row of the target shows an instant that no generation has; "" when that cannot be told."""
    known = [item.instant for item in progress.generations.values()]
    known += [item.instant for item in progress.tables.values() if item.instant is not None]
    if not known or plan.migrated_at is None:
        return ""
    column = f"t.{quote_ident(plan.migrated_at)}"
    return f"({column} > {quote_literal(instant_text(max(known)))} OR {column} IS NULL)"


def unknown_instant(plan: TablePlan, progress: Progress) -> str:
    """SQL over `t`: whether a row shows an instant at which its table was never read.

    Progress keeps the last attempt of each generation. Where one had others before it, rows of those
    may rightly stand (a partial generation prunes none), and only an instant beyond the newest is told.
    """
    read = [item for item in progress.tables.values() if item.table_name == plan.name and item.attempt > 0]
    beyond = strange_instant(plan, progress)
    if not beyond or not read or any(item.instant is None or item.attempt > 1 for item in read):
        return beyond
    known = {item.instant for item in read} | {item.instant for item in progress.generations.values()}
    listed = ", ".join(quote_literal(instant_text(instant)) for instant in sorted(filter(None, known)))
    column = f"t.{quote_ident(plan.migrated_at or '')}"
    return f"({column} NOT IN ({listed}) OR {column} IS NULL)"


def with_instants(
    finding: Finding,
    target: Connection,
    plan: TablePlan,
    *,
    progress: Progress,
    digest: Digest,
    most: int,
) -> Finding:
    """The finding of a table, with every row that shows another instant than those that were published."""
    condition = unknown_instant(plan, progress)
    beyond = strange_instant(plan, progress)
    if not condition or plan.migrated_at is None:
        return finding
    key = ", ".join(cell.target for cell in plan.key) or "NULL"
    with named_errors("target", f'{plan.name}: "{plan.migrated_at}"'):
        rows = target.execute(
            f"SELECT count(*) OVER (), {beyond}, {key} FROM {plan.relation('target')} t"
            f" WHERE {condition} LIMIT {most}".encode()
        ).fetchall()
    if not rows:
        return finding
    found = tuple(
        Difference(
            layer=finding.layer,
            table=plan.name,
            kind=Kind.VALUE_MISMATCH,
            columns=(plan.migrated_at,),
            key=digest(row[2:]) if plan.key else "",
            detail=NEVER_REPLACED if row[1] else NOT_OF_A_LOAD,
        )
        for row in rows
    )
    return replace(finding, differences=(*finding.differences, *found), different=finding.total + int(rows[0][0]))
