"""A row that cannot be applied, and why; never a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`row` is its place in the group of batches; `sqlstate` is "" when a transform refused it."""

    row: int
    sqlstate: str
    reason: str
    constraint: str | None = None
    column: str | None = None
