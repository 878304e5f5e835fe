"""What a person may choose of a run of reconcile."""

from __future__ import annotations

from dataclasses import dataclass

from validator.fail_on import Failure
from validator.verdict import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose. `most` is how many differences a table and layer list; all are counted."""

    layers: tuple[Layer, ...] = tuple(Layer)
    tables: tuple[str, ...] = ()
    sample: int | None = None
    rows: int = 100
    seed: int = 0
    jobs: int = 2
    most: int = 1_000
    as_of: bool = False  # compare with the log, not with the source
    keeps_keys: bool = False  # of rows that are named, for a repair plan
    fail_on: tuple[Failure, ...] = (Failure.ANY,)
