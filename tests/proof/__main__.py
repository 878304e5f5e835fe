"""`./dev proof`: every kind of corruption at many places, each repaired, and many equal pairs without a false alarm."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import servers
from tests.proof import matrix, random_pairs, repairs
from tests.proof.corruptions import KINDS, Corruption
from tests.proof.pair import original
from tests.types.matrix import any_seed

AT_ONCE = 2
PAIRS_A_DATABASE = 25
REPAIRS_A_LOG = 12  # each copy first applies what was published before it


def main() -> int:
    """Show the counts; 1 when a corruption was missed, misnamed, or an alarm was false."""
    parser = argparse.ArgumentParser(prog="./dev proof", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="each corruption at so many places (default: 20)")
    parser.add_argument("--pairs", type=int, default=500, help="so many random equal pairs (default: 500)")
    parser.add_argument("--no-repairs", action="store_true", help="do not repair each kind of row that differs")
    parser.add_argument("--seed", type=int, default=None, help="the same seed draws the same places and pairs")
    options = parser.parse_args()
    seed = any_seed() if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with servers.postgres() as server_url, servers.kafka() as bootstrap, tempfile.TemporaryDirectory() as folder:
        missed = corrupt(server_url, bootstrap, Path(folder), seed, options.times)
        left = 0 if options.no_repairs else repair(server_url, bootstrap, Path(folder), seed)
        wrong = compare(server_url, bootstrap, Path(folder), seed, options.pairs)
    return 1 if missed or left or wrong else 0


def corrupt(server_url: str, bootstrap: str, folder: Path, seed: int, times: int) -> int:
    """Every kind at `times` places; how many were not found, classed and named."""
    began = time.monotonic()
    missed = 0
    with original(server_url, bootstrap, folder) as pair, ThreadPoolExecutor(AT_ONCE) as pool:
        for kind in KINDS:
            looks = [pool.submit(matrix.problems, pair, kind, seed + number) for number in range(times)]
            failed = [problem for look in looks for problem in look.result()[:1]]
            missed += len(failed)
            print(f"{times - len(failed):>3} of {times} found  {kind.name}", flush=True)
            show(failed)
    print(f"{len(KINDS)} kinds, {len(KINDS) * times} corruptions, {missed} missed, {time.monotonic() - began:.0f} s")
    return missed


def repair(server_url: str, bootstrap: str, folder: Path, seed: int) -> int:
    """Each kind once, and back to equal as its plan says; how many did not come back."""
    began = time.monotonic()
    kinds = [kind for kind in KINDS if kind.name not in repairs.BY_HAND]
    left = done = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = [kinds[start : start + REPAIRS_A_LOG] for start in range(0, len(kinds), REPAIRS_A_LOG)]
        looks = [pool.submit(_repaired, server_url, bootstrap, folder, seed, part) for part in parts]
        for look in looks:
            for kind, problems in look.result():
                if problems is None:
                    continue
                done, left = done + 1, left + bool(problems)
                print(f"{'left' if problems else 'repaired':>10}  {kind.name}", flush=True)
                show(problems)
    print(f"{done} kinds of rows that differ, {left} not repaired, {time.monotonic() - began:.0f} s")
    return left


def _repaired(
    server_url: str, bootstrap: str, folder: Path, seed: int, kinds: Sequence[Corruption]
) -> list[tuple[Corruption, list[str] | None]]:
    place = Path(tempfile.mkdtemp(dir=folder))
    with original(server_url, bootstrap, place) as pair:
        return [(kind, repairs.problems(pair, kind, seed, place / "plan.json")) for kind in kinds]


def compare(server_url: str, bootstrap: str, folder: Path, seed: int, pairs: int) -> int:
    """So many random pairs, each before and after a random change; how many verdicts were wrong."""
    began = time.monotonic()
    wrong = done = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while done < pairs:
            count = min(PAIRS_A_DATABASE, pairs - done)
            with random_pairs.random_pairs(server_url, bootstrap, folder, seed + done, count) as made:
                looks = [pool.submit(_listed(made, table, seed)) for table in made.tables]
                failed = [problem for look in looks for problem in look.result()]
            done += count
            wrong += len(failed)
            print(f"{done:>4} pairs, {wrong} wrong verdicts", flush=True)
            show(failed)
    print(f"{done} equal pairs, each changed once, {wrong} wrong verdicts, {time.monotonic() - began:.0f} s")
    return wrong


def _listed(made: random_pairs.RandomPairs, table: random_pairs.RandomTable, seed: int) -> Callable[[], list[str]]:
    return lambda: list(random_pairs.problems(made, table, random.Random(f"{seed} {table.name}")))


def show(failed: Sequence[str]) -> None:
    """The first few, indented."""
    for problem in failed[:5]:
        print(f"      {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
