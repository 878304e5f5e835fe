"""A program of the product as the soak runs it: `python -m tests.chaos.child PROGRAM ARGUMENTS...`.

Two of its constants are set from the environment, because a soak cannot wait ten minutes for a
member to be late, nor turn the clock of a server:

- `SOAK_POLL_INTERVAL_S`: how long a member of the group may be busy before it is taken for lost;
- `SOAK_CLOCK_AHEAD_S`: how far the source's clock is ahead, as the producer sees it.

Asked by SIGUSR1 it prints where its threads are.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime, timedelta

from producer import snapshot
from producer.source import SourceState
from runtime.kafka import group
from runtime.postgres import Connection

POLL_INTERVAL = "SOAK_POLL_INTERVAL_S"
CLOCK_AHEAD = "SOAK_CLOCK_AHEAD_S"
STACKS = signal.SIGUSR1


def main() -> None:
    """Set what is to be set, then be the program."""
    program = sys.argv.pop(1)
    faulthandler.register(STACKS)
    if interval := os.environ.get(POLL_INTERVAL):
        group.MAX_POLL_INTERVAL_S = int(interval)
    if ahead := os.environ.get(CLOCK_AHEAD):
        _turn_clock(float(ahead))
    if program == "producer":
        from producer.cli import main as run  # noqa: PLC0415 - each process is one program
    else:
        from consumer.cli import main as run  # noqa: PLC0415
    run()


def _turn_clock(ahead_s: float) -> None:
    honest = snapshot.read_state

    def ahead(connection: Connection) -> SourceState:
        state = honest(connection)
        clock = datetime.fromisoformat(state.clock) + timedelta(seconds=ahead_s)
        return replace(state, clock=clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    snapshot.read_state = ahead


if __name__ == "__main__":
    main()
