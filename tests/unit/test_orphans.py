"""Partitions that a settled group gave to nobody: joined anew, later each time, never while the group settles."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from consumer.orphans import ASK_S, LONGEST_S, ORPHANED_S, Orphans
from runtime.kafka import Partition

PLACES = tuple(Partition("t", number) for number in range(4))
MINE = frozenset(PLACES[:2])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def times(given: Callable[[float], frozenset[Partition] | None], until_s: float) -> list[float]:
    """When to join anew, looked for twice a second."""
    clock = Clock()
    orphans = Orphans(clock)
    found = []
    while clock.now < until_s:
        if told := orphans.look(PLACES, lambda: given(clock.now)):
            assert told == PLACES[2:]
            found.append(clock.now)
        clock.now += 0.5
    return found


def test_the_group_is_joined_anew_when_it_has_settled_and_left_some_to_nobody() -> None:
    (first, *_) = times(lambda _: MINE, 20)

    assert ORPHANED_S <= first <= 2 * ORPHANED_S + ASK_S


def test_not_while_it_settles_nor_for_what_is_given_in_time() -> None:
    assert times(lambda _: None, 100) == []
    assert times(lambda _: frozenset(PLACES), 100) == []
    assert times(lambda now: MINE if now < ORPHANED_S - 1 else frozenset(PLACES), 100) == []
    assert times(lambda now: None if now % 8 < 4 else MINE, 100) == []  # settles again and again


def test_each_time_is_later_than_the_last_up_to_a_longest() -> None:
    found = times(lambda _: MINE, 3000)
    waits = [later - one for one, later in pairwise(found)]

    assert waits[0] >= 2 * ORPHANED_S
    assert waits[2] >= 8 * ORPHANED_S
    assert LONGEST_S <= waits[-1] <= 2 * LONGEST_S + ASK_S


def test_the_broker_is_asked_now_and_then_and_only_when_some_are_unowned() -> None:
    clock = Clock()
    orphans = Orphans(clock)
    asked: list[float] = []

    def given() -> frozenset[Partition]:
        asked.append(clock.now)
        return MINE

    for _ in range(60):
        orphans.look((), given)
        clock.now += 0.5
    assert asked == []
    for _ in range(60):
        orphans.look(PLACES, given)
        clock.now += 0.5
    assert len(asked) <= 30 / ASK_S + 1
