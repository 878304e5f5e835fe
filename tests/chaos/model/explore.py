"""Every state that a machine can reach, the nearest first."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.model.machine import Machine
from tests.chaos.model.state import State, Violation

ENVIRONMENT = ("freezes", "dies", " gives ", "refused")


@dataclass(frozen=True, slots=True)
class Explored:
    """How much was looked at."""

    logs: int
    states: int
    steps: int
    at_rest: int
    seconds: float


def explore(machine: Machine) -> Explored:
    """Look at every state that can be reached, the nearest first.

    Raises:
        Violation: a promise is broken, with a shortest way there.
    """
    began = time.monotonic()
    with _without_collector():
        came, steps, at_rest = _explore(machine)
    return Explored(len(machine.worlds), len(came), steps, at_rest, time.monotonic() - began)


def _explore(machine: Machine) -> tuple[dict[State, tuple[State, str] | None], int, int]:
    came: dict[State, tuple[State, str] | None] = dict.fromkeys(machine.begin())
    queue = deque(came)
    steps = at_rest = 0
    while queue:
        state = queue.popleft()
        is_resting = True
        for label, after in machine.steps(state):
            steps += 1
            is_resting = is_resting and any(word in label for word in ENVIRONMENT)
            if after in came:
                continue
            came[after] = (state, label)
            if what := machine.broken_between(state, after) or machine.broken(after):
                raise Violation(what, _trace(machine, came, after))
            queue.append(after)
        if is_resting:
            at_rest += 1
            if what := machine.broken_at_rest(state):
                raise Violation(what, _trace(machine, came, state))
    return came, steps, at_rest


@contextmanager
def _without_collector() -> Iterator[None]:
    """No states go in rings; walking a million of them over and over would find none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _trace(machine: Machine, came: Mapping[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    while (before := came[state]) is not None:
        state, label = before
        labels.append(label)
    return (*machine.worlds[state.world].story, *reversed(labels))
