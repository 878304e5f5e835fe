"""Random histories, many of them; each prints what it did when it diverges, and is lived again by its seed.

python -m tests.chaos.histories --seed 1 --count 200
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests import servers
from tests.chaos.history import Diverged, Lived, live


def main(arguments: Sequence[str] | None = None) -> int:
    """Live many, two at a time; tells each that diverged, and ends with 1 if there was one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="the first history's")
    parser.add_argument("--count", type=int, default=100, help="how many, each with the next seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    asked = parser.parse_args(arguments)
    print(f"histories from seed {asked.seed}", flush=True)
    began, kills, checks, diverged = time.monotonic(), 0, 0, []
    with servers.postgres() as server_url, servers.kafka() as bootstrap:
        one = partial(_safely, server_url=server_url, bootstrap=bootstrap)
        with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            seeds = range(asked.seed, asked.seed + asked.count)
            for number, result in enumerate(pool.map(one, seeds), start=1):
                if isinstance(result, Lived):
                    kills, checks = kills + result.kills, checks + result.checks
                else:
                    diverged.append(result[0])
                    print(result[1], flush=True)
                if number % 25 == 0:
                    print(f"{number} lived after {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"{asked.count} histories, {kills} kills, {checks} comparisons in {time.monotonic() - began:.0f} s: "
        + (f"{len(diverged)} diverged, seeds {diverged}" if diverged else "all converged")
    )
    return 1 if diverged else 0


def _safely(seed: int, server_url: str, bootstrap: str) -> Lived | tuple[int, str]:
    try:
        return live(seed, server_url, bootstrap)
    except Exception as error:  # told by who called; the others go on
        return seed, f"{error}" if isinstance(error, Diverged) else traceback.format_exc()


if __name__ == "__main__":
    sys.exit(main())
