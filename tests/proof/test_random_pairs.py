"""Equal means equal: no false alarm, and nothing different called equal; the full counts are `./dev proof`."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.proof.random_pairs import RandomPairs, problems, random_pairs

SEED = 11
PAIRS = 12


@pytest.fixture(scope="module")
def pairs(server_url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RandomPairs]:
    with random_pairs(server_url, bootstrap, tmp_path_factory.mktemp("random"), SEED, PAIRS) as made:
        yield made


@pytest.mark.parametrize("number", range(PAIRS))
def test_a_pair_is_called_equal_exactly_when_the_oracle_says_so(pairs: RandomPairs, number: int) -> None:
    assert list(problems(pairs, pairs.tables[number], random.Random(SEED + number))) == []
