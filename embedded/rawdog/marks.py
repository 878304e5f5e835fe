"""Marks in personal and secret columns, by which a leak is recognised.

One row of every table holds `canary-<table>-<column>` in each column that the
migration encrypts and whose type can hold text: wherever outside the source it
is found in clear, it has leaked. Columns that are personal and kept in clear
hold `kept-<table>-<column>` instead: it may stand in the target and in an
unsealed log, but never in a program's output.
"""

from __future__ import annotations

CANARY = "canary-"
KEPT_MARK = "kept-"
