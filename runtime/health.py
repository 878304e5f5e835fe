"""The heartbeat: a worker touches a file, and `python -m runtime.health` says whether it lately did.

A container's HEALTHCHECK has no other way to see that a loop turns: the process may live and hang.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT_FILE = "HEARTBEAT_FILE"
DEFAULT_MAX_AGE_S = 60.0


class Heartbeat:
    """Touches its file at most once a second; without a file it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next = 0.0

    @classmethod
    def of(cls, path: Path | None, environment: Mapping[str, str] | None = None) -> Heartbeat:
        """The heartbeat of a flag, else of HEARTBEAT_FILE, else none."""
        given = os.environ if environment is None else environment
        named = given.get(HEARTBEAT_FILE)
        return cls(path or (Path(named) if named else None))

    def beat(self) -> None:
        """Say that the loop turns. A disk that refuses ends nothing: the check will say it."""
        if self._path is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1.0
        try:
            self._path.touch()
        except OSError:
            return

    @contextmanager
    def during(self) -> Iterator[None]:
        """Beat beside something that takes as long as it takes: one statement of the target may run for hours."""
        if self._path is None:
            yield
            return
        is_over = threading.Event()

        def beat() -> None:
            while not is_over.wait(1.0):
                self.beat()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def age_s(path: Path) -> float | None:
    """Seconds since the last beat, None when there has been none."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


def main(arguments: list[str] | None = None) -> int:
    """0 when the file was touched within MAX_AGE_S seconds: `python -m runtime.health [FILE] [MAX_AGE_S]`."""
    given = sys.argv[1:] if arguments is None else arguments
    file = given[0] if given else os.environ.get(HEARTBEAT_FILE, "")
    max_age_s = float(given[1]) if len(given) > 1 else DEFAULT_MAX_AGE_S
    found = age_s(Path(file)) if file else None
    if found is None:
        sys.stderr.write(f"no heartbeat: {HEARTBEAT_FILE} is not set or its file is not there\n")
        return 1
    if found > max_age_s:
        sys.stderr.write(f"last heartbeat {found:.0f} s ago, at most {max_age_s:.0f} s are healthy\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
