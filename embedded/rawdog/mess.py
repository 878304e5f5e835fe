"""What `--mess` adds, as a list: the rows that cannot be converted, and the foreign keys left waiting for them.

The keys are fixed, so a test or a reader of a report can name each row. The rows
themselves are in `mess/*.sql`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that no conversion takes: it must stand in quarantine, and nowhere else."""

    table: str
    key: tuple[str, ...]
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class WaitingKey:
    """A foreign key that stays NOT VALID in the target, because rows of `table` point at a quarantined parent."""

    table: str
    columns: tuple[str, ...]
    parent: str
    rows: int


def _order(key: str, reason: str) -> QuarantinedRow:
    return QuarantinedRow("orders", (key,), "gross_sales_cents", reason)


def _creator(key: str) -> QuarantinedRow:
    return QuarantinedRow("creators", (key,), "commission_percent", "not a percentage")


MESS: Final = (
    _order("mess_nan", "not a number"),
    _order("mess_infinity", "out of range"),
    _order("mess_minus_infinity", "out of range"),
    _order("mess_beyond_bigint", "out of range"),
    _order("mess_below_bigint", "out of range"),
    _order("mess_rounds_beyond_bigint", "out of range"),
    _creator("mess_not_available"),
    _creator("mess_word"),
    _creator("mess_version"),
)

WAITING: Final = (
    WaitingKey("creators", ("referred_by",), "creators", rows=1),
    WaitingKey("creator_projects", ("creator_id",), "creators", rows=2),
    WaitingKey("balance_transactions", ("creator_id",), "creators", rows=2),
    WaitingKey("withdrawal_requests", ("creator_id",), "creators", rows=1),
)


def expected_quarantine() -> list[tuple[str, tuple[str, ...], str]]:
    """List what a run over a messy source must leave in quarantine, whatever seed and scale: table, key, reason."""
    return [(row.table, row.key, row.reason) for row in MESS]
