"""Partitions that no member of the group was given, for longer than a group takes to settle.

Members with a `group.instance.id` can leave some behind. One gives partitions up for another member, and must
join once more before the group gives them out. If it dies in between and is started again before its session
is over, the broker takes it for the same one and asks nobody anew: the group is stable, and they are nobody's
for ever. So whoever sees it leaves the group and joins it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection

from runtime.kafka import Partition

ASK_S = 3.0
ORPHANED_S = 5.0
LONGEST_S = 120.0


class Orphans:
    """When to join anew; after each time later, and not all members at the same moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = clock() - ASK_S
        self._since: float | None = None
        self._times = 0
        self._patience_s = self._drawn()

    def look(
        self, unowned: Collection[Partition], given: Callable[[], frozenset[Partition] | None]
    ) -> tuple[Partition, ...]:
        """Partitions that were nobody's for too long: it is time to join anew.

        `unowned` are those without an owner in the target; `given` asks the broker for those that members have,
        None while the group is not settled. It is asked now and then, and only when some are unowned: the client
        does not survive every request that it makes while the broker is going away.
        """
        now = self._clock()
        if not unowned:
            self._since, self._times = None, 0
            return ()
        if now - self._asked_at < ASK_S:
            return ()
        self._asked_at = now
        settled = given()
        orphans = () if settled is None else tuple(sorted(set(unowned) - settled))
        if not orphans:
            self._since = None
            return ()
        self._since = now if self._since is None else self._since
        if now - self._since < self._patience_s:
            return ()
        self._since, self._times = None, self._times + 1
        self._patience_s = self._drawn()
        return orphans

    def _drawn(self) -> float:
        return min(ORPHANED_S * float(2**self._times), LONGEST_S) * random.uniform(1.0, 2.0)
