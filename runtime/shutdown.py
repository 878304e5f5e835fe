"""Ending in order: the first signal asks the loop to stop, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from schemas.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class StopFlag:
    """Set by SIGTERM and SIGINT while it is entered; loops ask `is_set` between two batches.

    A second signal ends the process at once with 130 or 143: nothing is lost by that, because
    rows and positions move in one transaction. Outside the main thread no handler is installed
    and only `set` sets it.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_signalled = False
        self._code = ExitCode.DONE
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _CODES:
                self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._former.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        code = _CODES[signal.Signals(number)]
        if self._event.is_set() or self._is_signalled:
            os._exit(code)
        self._is_signalled = True  # before the event, whose lock a second signal within this call would wait for
        self._code = code
        self._event.set()

    def set(self, code: ExitCode = ExitCode.DONE) -> None:
        """Ask the loop to stop, from inside the program."""
        self._code = code
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the flag is set or the time is over; returns whether it is set."""
        return self._event.wait(timeout_s)

    @property
    def is_set(self) -> bool:
        """Whether the loop should end after what it has in hand."""
        return self._event.is_set()

    @property
    def exit_code(self) -> ExitCode:
        """130 or 143 after a signal, else 0; for programs whose work was cut short by it."""
        return self._code
