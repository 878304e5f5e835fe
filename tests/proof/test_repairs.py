"""A few kinds of corruption, from differing to equal by what the plan says; all of them are in `./dev proof`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proof import repairs
from tests.proof.corruptions import KINDS
from tests.proof.pair import original

SEED = 20261201
SOME = ("a row under another key", "an instant that no generation has")


def test_rows_that_differ_come_back_to_equal_by_what_the_plan_says(
    server_url: str, bootstrap: str, tmp_path: Path
) -> None:
    with original(server_url, bootstrap, tmp_path) as made:
        kinds = [kind for kind in KINDS if kind.name in SOME]
        found = {kind.name: repairs.problems(made, kind, SEED, tmp_path / "plan.json") for kind in kinds}

    assert found == {name: [] for name in SOME}


def test_a_repair_that_is_not_done_is_seen(
    server_url: str, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairs, "_turn", lambda *_: iter(()))
    (kind,) = (kind for kind in KINDS if kind.name == "a row deleted")
    with original(server_url, bootstrap, tmp_path) as made:
        problems = repairs.problems(made, kind, SEED, tmp_path / "plan.json")

    assert problems is not None
    assert "still, after 2 turns: Different" in problems[0]
