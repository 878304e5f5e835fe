"""The heartbeat: fresh while the loop turns, and while something long is waited for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from runtime.health import Heartbeat, main


def test_it_beats_beside_something_that_takes_long_and_stops_with_it(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    heartbeat = Heartbeat(file)
    heartbeat.beat()
    os.utime(file, (0, 0))
    assert main([str(file)]) == 1

    with heartbeat.during():
        deadline = threading.Event()
        while main([str(file)]) and not deadline.wait(0.05):
            pass

    assert main([str(file)]) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_without_a_file_nothing_runs_beside() -> None:
    with Heartbeat(None).during():
        assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
