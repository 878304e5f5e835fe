"""Random values of every type are the same after the whole way, from every version of PostgreSQL to every other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.types.matrix import Server, cross, every_server
from tests.types.tables import COLUMNS

pytestmark = pytest.mark.timeout(240)

ROWS = 40  # of each table; ./dev types moves a million cells


@pytest.fixture(scope="module")
def found() -> Iterator[list[Server]]:
    with every_server() as servers:
        yield servers


def test_random_cells_are_exact_between_all_versions(found: list[Server], bootstrap: str) -> None:
    others = [(source, target) for source in found for target in found if source != target]
    for source, target in others or [(found[0], found[0])]:
        crossing = cross(source, target, bootstrap, rows=ROWS, seed=1)

        assert crossing.moved.differences == (), f"{source.version} to {target.version}"
        assert crossing.moved.verdict == "equal"
        assert crossing.cells >= ROWS * COLUMNS


def test_every_type_of_the_page_is_in_the_list_of_edge_values() -> None:
    page = (ROOT / "docs" / "types.md").read_text()
    script = (ROOT / "tests" / "everything" / "types.sql").read_text()
    named = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]

    assert len(named) > 70
    assert [name for name in named if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", script)] == []
