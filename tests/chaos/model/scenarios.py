"""What may go wrong, in each scenario, and the scenario in which the absence of each guard shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.chaos.model.machine import Machine
from tests.chaos.model.state import APART, TOGETHER, Guards, Moment, Scenario

# What the source shows, one moment after the other. A row is (the moment that wrote it, its parent's key).
GROWS: tuple[Moment, ...] = (
    ({1: (0, 0)}, {1: (0, 1)}),
    ({1: (0, 0), 2: (1, 0)}, {1: (0, 1), 2: (1, 2)}),
)
SHRINKS: tuple[Moment, ...] = (
    ({1: (0, 0), 2: (0, 0)}, {1: (0, 1)}),
    ({2: (1, 0)}, {1: (1, 2)}),
)
MOVES: tuple[Moment, ...] = (
    ({1: (0, 0)}, {1: (0, 1), 2: (0, 1)}),
    ({2: (1, 0)}, {1: (1, 2)}),
)
SMALL: tuple[Moment, ...] = (({1: (0, 0)}, {1: (0, 1)}),)
STAYS: tuple[Moment, ...] = (({1: (0, 0), 2: (0, 0)}, {1: (0, 1), 2: (0, 2)}),)

SCENARIOS: Mapping[str, Scenario] = {
    "a consumer freezes": Scenario(history=STAYS, freezes=1, shares=(*TOGETHER, (0, 1, 1))),
    "partitions change hands": Scenario(history=STAYS, moves=2),
    "a producer dies, rows come": Scenario(history=GROWS, crashes=1),
    "a producer dies, rows go": Scenario(history=SHRINKS, crashes=1, shares=((0, 1, 1),)),
    "two generations": Scenario(history=MOVES, generations=2, shares=APART),
    "two generations, a consumer freezes": Scenario(history=SMALL, generations=2, freezes=1),
    "two generations, a row is refused": Scenario(history=MOVES, generations=2, refusals=1),
    "two generations, the clock goes back": Scenario(history=MOVES, generations=2, clock_goes_back=True),
    "a generation is abandoned": Scenario(history=SMALL, generations=2, crashes=1, abandons=1),
}

# For each guard the scenario in which its absence shows.
SHOWN_BY: Mapping[str, str] = {
    "compare_and_set": "a consumer freezes",
    "rows_with_position": "a consumer freezes",
    "waits_for_parents": "partitions change hands",
    "every_partition": "partitions change hands",
    "waits_for_generation": "two generations",
    "prune_children_first": "two generations",
    "prune_waits_for_quarantine": "two generations, a row is refused",
    "prune_holds_parents": "two generations, a row is refused",
    "instants_never_back": "two generations, the clock goes back",
    "abandonment": "a generation is abandoned",
    "batch_before_checkpoint": "a producer dies, rows come",
    "checkpoint_with_batch": "a producer dies, rows come",
    "fencing": "a producer dies, rows come",
    "again_with_parent": "a producer dies, rows come",
    "ends_when_published": "a producer dies, rows come",
    "prune_by_attempt": "a producer dies, rows come",
    "looks_for_changes": "a producer dies, rows go",
    "same_attempt_everywhere": "a producer dies, rows go",
    "only_older_rows": "a producer dies, rows go",
}


def without(guard: str) -> Machine:
    """The protocol without one of its guards, where that shows."""
    return Machine(SCENARIOS[SHOWN_BY[guard]], replace(Guards(), **{guard: False}))
