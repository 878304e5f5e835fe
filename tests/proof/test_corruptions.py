"""Every kind of corruption once, with a fixed seed; the full counts are `./dev proof`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proof.corruptions import KINDS, Corruption
from tests.proof.matrix import problems
from tests.proof.pair import Original, original
from validator.verdict import Layer

SEED = 20261123


@pytest.fixture(scope="module")
def made(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    with original(server_url, bootstrap, tmp_path_factory.mktemp("proof")) as pair:
        yield pair


def test_the_pair_is_equal_before_anything_is_done_to_it(made: Original) -> None:
    with made.copy() as pair:
        report = pair.reconcile()

    assert (report["exit_code"], report["differences"]) == (0, [])


def test_there_are_more_than_40_kinds_and_no_name_twice() -> None:
    assert len({one.name for one in KINDS}) == len(KINDS) > 40


@pytest.mark.parametrize("corruption", KINDS, ids=[one.name for one in KINDS])
def test_every_corruption_is_found_classed_and_named(made: Original, corruption: Corruption) -> None:
    assert problems(made, corruption, SEED) == []


def test_a_cell_copied_among_rows_that_are_alike_is_seen_whichever_of_them_a_sample_draws(made: Original) -> None:
    """The copied cell alone is no row that the source has less often than the sample."""
    with made.copy() as pair:
        pair.run(
            "UPDATE touches SET ip = (SELECT ip FROM touches WHERE url LIKE '%/1' LIMIT 1)"
            " WHERE ctid = (SELECT ctid FROM touches WHERE url LIKE '%/1' OFFSET 1 LIMIT 1)"
        )
        verdicts = [pair.reconcile(layers=(Layer.CELLS,), sample=150, seed=seed)["verdict"] for seed in range(1, 6)]

    assert verdicts == ["different"] * 5
