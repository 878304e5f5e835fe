"""The end of a generation: one consumer does it, the others wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.generation import lock_name
from runtime import advance
from runtime.reporting import TableDone, Waiting
from tests.world import CLICKS, World, clicks


@pytest.fixture
def world(bootstrap: str, target_url: str, prefix: str) -> Iterator[World]:
    made = World(bootstrap, target_url, prefix)
    yield made
    for log in made.logs:
        log.close()


def test_a_consumer_that_comes_while_another_ends_the_generation_waits_for_it(world: World) -> None:
    log = world.log(CLICKS)
    log.begin()
    log.whole("clicks", clicks(5))
    log.end()
    with world.session.connect() as other:
        lock = advance.advisory_lock(other, lock_name(world.session.tenant), wait=True)
        entered: list[bool] = []

        def enter_when_loaded(fact: object) -> None:
            if isinstance(fact, TableDone):
                entered.append(lock.__enter__())
            if isinstance(fact, Waiting) and "to be ended by another" in fact.for_what:
                first.stop.set()

        first = world.worker(report=enter_when_loaded)
        first.run()
        assert entered == [True]
        told: list[Waiting] = []

        def leave_when_waited_for(fact: object) -> None:
            if isinstance(fact, Waiting):
                told.append(fact)
                if len(told) == 1:
                    lock.__exit__(None, None, None)

        second = world.worker(report=leave_when_waited_for, until_complete=True)

        progress = second.run()

    assert "generation 1 to be ended by another process" in [fact.for_what for fact in told]
    assert progress is not None
    assert progress.newest is not None
    assert progress.newest.whole
