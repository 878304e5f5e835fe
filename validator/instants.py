"""Rows of the target that show an instant which no generation has.

No later image ever replaces such a row before that instant has come: the load would look complete and
stay stale. So an instant beyond the newest one is a difference, even while every value is right.
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


def strange_instant(plan: TablePlan, progress: Progress) -> str:
    """SQL over `t`: whether a row of the target shows an instant that no generation has; "" when that cannot be told."""
    known = [item.instant for item in progress.generations.values()]
    known += [item.instant for item in progress.tables.values() if item.instant is not None]
    if not known or plan.migrated_at is None:
        return ""
    column = f"t.{quote_ident(plan.migrated_at)}"
    return f"({column} > {quote_literal(instant_text(max(known)))} OR {column} IS NULL)"


def with_instants(
    finding: Finding,
    target: Connection,
    plan: TablePlan,
    *,
    progress: Progress,
    digest: Digest,
    most: int,
) -> Finding:
    """The finding of a table, with every row that is newer than all that was published."""
    condition = strange_instant(plan, progress)
    if not condition or plan.migrated_at is None:
        return finding
    key = ", ".join(cell.target for cell in plan.key) or "NULL"
    with named_errors("target", f'{plan.name}: "{plan.migrated_at}"'):
        rows = target.execute(
            f"SELECT count(*) OVER (), {key} FROM {plan.relation('target')} t WHERE {condition} LIMIT {most}".encode()
        ).fetchall()
    if not rows:
        return finding
    found = tuple(
        Difference(
            layer=finding.layer,
            table=plan.name,
            kind=Kind.VALUE_MISMATCH,
            columns=(plan.migrated_at,),
            key=digest(row[1:]) if plan.key else "",
            detail="shows an instant that no generation has: later snapshots would not replace the row",
        )
        for row in rows
    )
    return replace(finding, differences=(*finding.differences, *found), different=finding.total + int(rows[0][0]))
