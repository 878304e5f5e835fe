"""The protocol in every state that it can reach, and the same protocol without each of its guards."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.chaos.model.explore import explore
from tests.chaos.model.machine import Machine
from tests.chaos.model.scenarios import SCENARIOS, SHOWN_BY, without
from tests.chaos.model.state import Guards, Violation


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_promises_hold_in_every_state_that_can_be_reached(scenario: str) -> None:
    found = explore(Machine(SCENARIOS[scenario]))

    assert found.states > 1_000
    assert found.at_rest


@pytest.mark.parametrize("guard", SHOWN_BY)
def test_without_a_guard_a_promise_is_broken(guard: str) -> None:
    with pytest.raises(Violation) as broken:
        explore(without(guard))

    assert broken.value.trace


def test_every_guard_is_taken_away_once() -> None:
    assert {item.name for item in fields(Guards)} == set(SHOWN_BY)
