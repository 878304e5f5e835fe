"""What happens to a soak, drawn in advance: a pure function of the seed.

The schedule says when, what and whom; which line of which program it hits is the machine's, so a
replay meets the same faults in the same order, not the same instruction.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

FULL_ROUNDS = 8
STORM_S = 52.0
KILLS_A_ROUND = 27


class Fault(StrEnum):
    """Everything that may happen."""

    KILL_PRODUCER = "SIGKILL of a producer"
    KILL_CONSUMER = "SIGKILL of a consumer"
    KILL_ALL_CONSUMERS = "SIGKILL of all consumers at once"
    JOIN = "a consumer joins"
    LEAVE = "a consumer leaves"
    FREEZE_CONSUMER = "SIGSTOP of a consumer"
    FREEZE_LONG = "SIGSTOP of a consumer, longer than the poll interval"
    FREEZE_PRODUCER = "SIGSTOP of a producer"
    KILL_BROKER = "SIGKILL of the broker"
    CRASH_SOURCE = "immediate restart of the source"
    CRASH_TARGET = "immediate restart of the target"
    CUT = "connections cut"
    DELAY = "network slow"
    BLACK_HOLE = "network black hole"
    FULL_DISK = "target disk full"
    SECOND_PRODUCER = "second producer"
    SAME_IDENTITY = "second consumer of the same identity"
    CLOCK_AHEAD = "snapshot with the clock ahead"
    ABANDON = "generation abandoned"
    CHANGE = "source changed"
    GHOST = "source changed and rolled back"


class Network(StrEnum):
    """The connections that go by a proxy."""

    KAFKA = "kafka"
    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Event:
    """One fault: when (seconds into the storm), for how long, whom (to be taken modulo who is there)."""

    at_s: float
    fault: Fault
    lasts_s: float = 0.0
    whom: int = 0
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A storm: its faults in order of time. `is_fresh` begins with a tenant of its own, that is with a first generation."""

    number: int
    is_fresh: bool
    consumers: int
    storm_s: float
    events: tuple[Event, ...]


def draw(seed: int, rounds: int = FULL_ROUNDS, *, is_short: bool = False) -> tuple[Round, ...]:
    """The rounds of a soak.

    Over a full soak every fault happens; a short round has kills, changes and one fault of each group.

    >>> draw(7) == draw(7)
    True
    """
    return tuple(_round(seed, number, is_short=is_short) for number in range(rounds))


def _round(seed: int, number: int, *, is_short: bool) -> Round:
    dice = random.Random(f"{seed}/{number}")
    storm_s = 25.0 if is_short else STORM_S
    events = sorted(
        [*_kills(dice, 12 if is_short else KILLS_A_ROUND, storm_s), *_others(dice, number, storm_s, is_short=is_short)],
        key=lambda event: event.at_s,
    )
    is_fresh = number == 0 or dice.random() < 0.5
    return Round(number, is_fresh, dice.randint(2, 3), storm_s, tuple(events))


def _kills(dice: random.Random, count: int, storm_s: float) -> Iterator[Event]:
    """Random times; after half of the producers that die, the source is changed before the next one reads it."""
    for _ in range(count):
        fault = dice.choice((Fault.KILL_PRODUCER, Fault.KILL_CONSUMER))
        at_s = dice.uniform(0.5, storm_s)
        yield Event(at_s, fault, whom=dice.randrange(12))
        if fault is Fault.KILL_PRODUCER and dice.random() < 0.5:
            yield Event(at_s + dice.uniform(0.05, 0.5), Fault.CHANGE)  # the resume must notice
    yield Event(dice.uniform(0.3 * storm_s, storm_s), Fault.KILL_ALL_CONSUMERS)


def _others(dice: random.Random, number: int, storm_s: float, *, is_short: bool) -> Iterator[Event]:
    def event(fault: Fault, low_s: float = 0.0, high_s: float = 0.0, network: Network | None = None) -> Event:
        lasts_s = dice.uniform(low_s, high_s)
        return Event(dice.uniform(1.0, storm_s - 0.3 * lasts_s), fault, lasts_s, dice.randrange(12), network)

    for _ in range(4 if is_short else 9):
        yield event(Fault.CHANGE)
    yield event(Fault.GHOST)
    for fault in (Fault.JOIN, Fault.LEAVE):
        yield event(fault)
    # Every round has some of each group; the groups go round, so that a full soak has all of everything.
    networks = list(Network)
    yield event(Fault.CUT, 0.0, 3.0, networks[number % 3])
    yield event(Fault.BLACK_HOLE, 2.0, 8.0, networks[(number + 1) % 3])
    servers = (Fault.KILL_BROKER, Fault.CRASH_TARGET, Fault.CRASH_SOURCE)
    yield event(servers[(number + 1) % 3])
    if is_short:
        yield event(Fault.FULL_DISK, 2.0, 3.0)
        yield event(Fault.SECOND_PRODUCER)
        return
    yield event(servers[(number + 2) % 3])
    yield event(Fault.DELAY, 4.0, 10.0, networks[(number + 2) % 3])
    yield event(Fault.FREEZE_CONSUMER, 7.0, 11.0)  # longer than the session
    yield event(Fault.FREEZE_PRODUCER, 1.0, 5.0)
    yield event(Fault.SECOND_PRODUCER)
    yield event(Fault.SAME_IDENTITY, 3.0, 6.0)
    turn = (Fault.FULL_DISK, Fault.CLOCK_AHEAD, Fault.ABANDON)
    yield event(turn[number % 3], 2.0, 5.0)
    yield event(turn[(number + 1) % 3], 2.0, 5.0)
    if number % 4 == 1:
        yield event(Fault.FREEZE_LONG, 11.0, 14.0)
