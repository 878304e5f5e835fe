"""A table read in part is not continued when a parent of it is read again. Pure.

A consumer that has not seen the resume yet still takes the parent for complete. It would apply what
follows of the table before the parent's new rows. The next attempt of a table is another matter:
nobody applies it who has not seen that the parent is read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from producer.resume import TableFate


def after_parents(fates: Sequence[TableFate], gates: Mapping[str, frozenset[str]]) -> list[TableFate]:
    """The fates of all tables, as they may stand beside each other; `gates` are the parents each waits for."""
    again = {fate.table.name for fate in fates if fate.fate == "again"}
    return [
        replace(fate, fate="again") if fate.fate == "continue" and gates[fate.table.name] & again else fate
        for fate in fates
    ]
