"""`python -m tests.chaos.model`: every state of every scenario, and what breaks without each guard."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

from tests.chaos.model.explore import explore
from tests.chaos.model.machine import Machine
from tests.chaos.model.scenarios import SCENARIOS, SHOWN_BY, without
from tests.chaos.model.state import Violation


def _holds(name: str) -> tuple[bool, str]:
    try:
        found = explore(Machine(SCENARIOS[name]))
    except Violation as broken:
        return False, f"BROKEN  {name}: {broken}"
    seen = f"{found.logs} logs, {found.states:,} states, {found.steps:,} steps, {found.seconds:.1f} s"
    return True, f"holds   {name}: {seen}"


def _fails(guard: str) -> tuple[bool, str]:
    try:
        explore(without(guard))
    except Violation as broken:
        return True, f"fails without {guard} ({SHOWN_BY[guard]}): {broken}"
    return False, f"BROKEN  {SHOWN_BY[guard]} holds without {guard}: the check cannot fail there"


def main() -> int:
    """Look at every state of every scenario, then at the protocol without each guard; 1 when that is not as it must be."""
    is_as_it_must_be = True
    with ProcessPoolExecutor() as pool:
        looks = [
            *(pool.submit(_holds, name) for name in SCENARIOS),
            *(pool.submit(_fails, guard) for guard in SHOWN_BY),
        ]
        for look in looks:
            is_right, line = look.result()
            print(line, flush=True)
            is_as_it_must_be &= is_right
    return 0 if is_as_it_must_be else 1


if __name__ == "__main__":
    sys.exit(main())
