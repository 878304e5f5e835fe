"""Consumers come, are killed under load and are replaced: the work is shared, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.recovery import Size, differences, fleet, hurry, slow_down

SIZE = Size(customers=200, orders=10_000, pause_s=4.0)  # lasts a minute, until it may hurry


@pytest.mark.timeout(600)
def test_consumers_that_come_and_are_killed_under_load_share_the_work_and_lose_nothing(
    server_url: str, bootstrap: str, tmp_path: Path
) -> None:
    with fleet(server_url, bootstrap, tmp_path, partitions=3, size=SIZE) as one:
        with ThreadPoolExecutor(1) as pool:
            slowed = pool.submit(slow_down, one.tenant, SIZE)
            one.start(2)
            slowed.result()
        shared = one.shared()
        victim = max(one.lasts(), key=lambda name: len(one.lasts()[name]))

        one.recovery_s(victim)

        assert sorted(shared.values()) == [3, 3]  # of two tables with three partitions each
        assert victim not in one.shared()
        hurry(one.tenant)
        one.stop()
        one.tenant.load()
        assert not differences(one.tenant)
