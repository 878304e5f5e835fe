"""`./dev chaos`: kills at random over everything, and a proof afterwards that nothing was lost, doubled or left old."""

from __future__ import annotations

import argparse
import random
import sys
import time
from importlib import import_module

from rich.console import Console

from tests.chaos.schedule import FULL_ROUNDS, draw
from tests.chaos.soak import soak


def main() -> int:
    """Run what the command line says; 1 when something was violated."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed draws the same faults (default: a random one, printed)")
    parser.add_argument("--rounds", type=int, default=FULL_ROUNDS, help=f"of the soak (default {FULL_ROUNDS})")
    parser.add_argument("--short", action="store_true", help="short rounds, as in the tests")
    parser.add_argument("--schedule", action="store_true", help="print what the seed draws, and do nothing")
    parser.add_argument("--points", action="store_true", help="kill at every named place instead (own options: --help)")
    parser.add_argument("--recovery", action="store_true", help="measure how long recovery takes instead")
    parser.add_argument(
        "--histories", action="store_true", help="random histories of writes, kills and resumes instead"
    )
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    console = Console(width=None if sys.stdout.isatty() else 150)
    rounds = draw(seed, options.rounds, is_short=options.short)
    console.print(f"seed {seed}, {len(rounds)} rounds", highlight=False)
    if options.schedule:
        for drawn in rounds:
            console.print(f"round {drawn.number}: fresh {drawn.is_fresh}, {drawn.consumers} consumers", highlight=False)
            for event in drawn.events:
                console.print(f"  {event.at_s:5.1f} s  {event.fault.value}  {event.network or ''}", highlight=False)
        return 0
    began = time.monotonic()
    tally, disk = soak(rounds, seed, lambda line: console.print(line, highlight=False))
    if options.rounds >= FULL_ROUNDS and not options.short:
        tally.see_kills()
    tally.show(console, seed=seed, disk=disk, seconds=time.monotonic() - began)
    for problem in tally.problems:
        console.print(f"violation: {problem}", highlight=False)
    return 1 if tally.problems else 0


# What else `./dev chaos` does, by the option that asks for it.
OTHERS = {
    "--points": "tests.chaos.points_run",
    "--recovery": "tests.chaos.recovery",
    "--histories": "tests.chaos.histories",
}


def dispatch() -> int:
    """Another part of the chaos when it is named, else the soak."""
    for option, module in OTHERS.items():
        if option in sys.argv[1:]:
            sys.argv.remove(option)
            return int(import_module(module).main() or 0)
    return main()


if __name__ == "__main__":
    sys.exit(dispatch())
