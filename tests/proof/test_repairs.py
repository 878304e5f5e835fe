"""A few kinds of corruption, from differing to equal by what the plan says; all of them are in `./dev proof`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof import repairs
from tests.proof.corruptions import KINDS
from tests.proof.pair import Original, original

SEED = 20261201
SOME = ("a row under another key", "an instant that no generation has")


@pytest.fixture(scope="module")
def made(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    with original(server_url, bootstrap, tmp_path_factory.mktemp("repairs")) as pair:
        yield pair


def test_a_repair_that_is_not_done_is_seen(made: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairs, "TURNS", 1)
    monkeypatch.setattr(repairs, "_turn", lambda *_: iter(()))
    (kind,) = (kind for kind in KINDS if kind.name == "a row deleted")

    problems = repairs.problems(made, kind, SEED, tmp_path / "plan.json")

    assert problems is not None
    assert "still, after 1 turns: Different" in problems[0]


def test_rows_that_differ_come_back_to_equal_by_what_the_plan_says(made: Original, tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if kind.name in SOME]

    found = {kind.name: repairs.problems(made, kind, SEED, tmp_path / "plan.json") for kind in kinds}

    assert found == {name: [] for name in SOME}
