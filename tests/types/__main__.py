"""`./dev types`: a million random cells of every type through the whole pipeline, between all versions found."""

from __future__ import annotations

import argparse
import sys
import time

from tests import servers
from tests.types.matrix import any_seed, cross, every_server
from tests.types.tables import COLUMNS


def main() -> int:
    """Move the cells from each version to each; 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="./dev types", description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000, help="at least so many in all (default: 1,000,000)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same cells")
    options = parser.parse_args()
    seed = any_seed() if options.seed is None else options.seed
    began = time.monotonic()
    with every_server() as found, servers.kafka() as bootstrap:
        print(f"PostgreSQL {', '.join(server.version for server in found)}; seed {seed}", flush=True)
        pairs = [(source, target) for source in found for target in found]
        rows = -(-options.cells // (COLUMNS * len(pairs)))
        cells = differences = 0
        for number, (source, target) in enumerate(pairs):
            crossing = cross(source, target, bootstrap, rows=rows, seed=seed + number)
            moved = crossing.moved
            cells += crossing.cells
            differences += len(moved.differences)
            print(
                f"{source.version} to {target.version}{' with xml' if source.has_xml and target.has_xml else ''}: "
                f"{crossing.cells:,} cells, {len(moved.differences)} differences, reconcile says {moved.verdict}",
                flush=True,
            )
            for line in moved.differences:
                print(f"  {line}", flush=True)
    print(f"{cells:,} cells, {differences} differences, {time.monotonic() - began:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
