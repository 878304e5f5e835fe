"""A short soak of a fixed seed: kills, a full disk, crashes and broken networks; nothing lost, doubled or stale."""

from __future__ import annotations

import pytest

from tests.chaos.schedule import Fault, draw
from tests.chaos.soak import soak

SEED = 5


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_stale_whatever_is_killed() -> None:
    tally, _ = soak(draw(SEED, 1, is_short=True), SEED)

    assert tally.problems == []
    assert (tally.lost, tally.duplicated, tally.stale) == (0, 0, 0)
    assert tally.kills.total() >= 10
    assert set(tally.kills) == {"producer", "consumer"}
    assert tally.rows > 0
    assert tally.looks > 0
    assert tally.faults[Fault.FULL_DISK] == 1
