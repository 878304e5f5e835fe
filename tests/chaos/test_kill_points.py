"""Killed at each named point once, and started again, everything is there once; the full count is `./dev chaos`."""

from __future__ import annotations

import pytest

from tests.chaos.points_run import Servers, Trial, once_each, run_until_reached, session_timeout_s

SEED = 5


@pytest.fixture(scope="module")
def where(server_url: str, bootstrap: str) -> Servers:
    return Servers(server_url, bootstrap, session_timeout_s(bootstrap))


@pytest.mark.parametrize("trial", once_each(SEED), ids=str)
def test_killed_there_and_started_again_it_converges(where: Servers, trial: Trial) -> None:
    outcome = run_until_reached(where, trial)

    assert outcome.problems == []
    assert outcome.killed == 1
