"""A server program as a process: started under its guard, known by pid and start time."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from embedded.account import Account
from schemas.errors import Unavailable

GUARD = Path(__file__).with_name("guard.py")
LOOPBACK = "127.0.0.1"
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> Running:
        """The process that has this id now."""
        return cls(pid, _start_time(pid))

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return self.started != "" and _start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Signal the process, if it is still the same one."""
        if self.is_alive:
            with suppress(ProcessLookupError):  # it may go between the question and the signal
                os.kill(self.pid, number)

    def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait for the process to end; False if it has not within `timeout_s`."""
        return wait_until(lambda: not self.is_alive, timeout_s)

    def end(self, number: signal.Signals, timeout_s: float) -> None:
        """Ask the process to end with `number`; make it end when it does not."""
        self.send(number)
        if not self.wait_until_gone(timeout_s):
            self.send(signal.SIGKILL)
            self.wait_until_gone(timeout_s)


@dataclass(slots=True)
class Process:
    """One run of a server program, with its log file.

    Unless it is told to `outlive` who starts it, the server dies with this Python
    process, however this process dies; `remove` then goes too.
    """

    name: str
    account: Account
    log: Path
    remove: Path | None = None
    outlive: bool = False
    running: Running | None = None
    _guard: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, command: Sequence[str], *, environment: dict[str, str], stop_signal: signal.Signals) -> None:
        """Start `command` as the account; `stop_signal` ends it when its starter has died."""
        guard = [sys.executable, "-I", "-S", str(GUARD), "--stop-signal", str(int(stop_signal))]
        if self.account.uid is not None:
            guard += ["--uid", str(self.account.uid), "--gid", str(self.account.gid)]
        if self.remove is not None:
            guard += ["--remove", str(self.remove)]
        if self.outlive:
            guard += ["--leave"]
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [*guard, "--", *command],
                cwd="/",
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # an interrupt on the terminal is for the starter alone
            )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        if not line.strip().isdigit():
            self._release()
            raise Unavailable(f"{self.name} could not be started: {self.log_tail()}", hint=f"the log is {self.log}")
        self.running = Running.find(int(line))
        if self.outlive:
            self._release()

    def wait_until_ready(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `is_ready`.

        Raises:
            Unavailable: the server ended, or did not answer within `timeout_s`; it is ended then.
        """
        running = self.running
        assert running is not None
        ready = wait_until(lambda: not running.is_alive or is_ready(), timeout_s)
        if ready and running.is_alive:
            return
        why = f"did not answer within {timeout_s:.0f} s" if running.is_alive else "ended while starting"
        tail = self.log_tail()
        self.end(signal.SIGKILL, 10)
        raise Unavailable(f"{self.name} {why}: {tail}", hint=f"the whole log is {self.log}")

    def end(self, number: signal.Signals, timeout_s: float) -> None:
        """End the server with `number`, by force after `timeout_s`; nothing happens when it is not running."""
        if self.running is not None:
            self.running.end(number, timeout_s)
            self.running = None
        self._release()

    def log_tail(self, max_lines: int = 12) -> str:
        """The last lines of the log, for an error message."""
        if not self.log.exists():
            return "it wrote no log"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-max_lines:]) or "its log is empty"

    def _release(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.wait()  # it goes with its server; closing its input earlier would tell it that we died
            for stream in (guard.stdin, guard.stdout):
                if stream is not None:
                    stream.close()


def wait_until(holds: Callable[[], bool], timeout_s: float) -> bool:
    """Ask again and again whether something holds; False when it does not within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def free_port(wanted: int | None = None) -> int:
    """A port of the loopback on which nothing listens; `wanted` if it is free.

    It lies below the ports that systems hand out to clients: a client that keeps trying a
    port of that range while its server is away can connect to itself and keep the server out.
    """
    candidates = [] if wanted is None else [wanted]
    for port in [*candidates, *random.sample(range(20_000, 32_000), 200)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise Unavailable(f"no free port between 20000 and 32000 on {LOOPBACK}", hint="stop some servers")


def _start_time(pid: int) -> str:
    """When the process began, in the system's own terms; empty if there is no such (living) process."""
    if Path("/proc/self/stat").exists():
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if after_name[0] == "Z" else after_name[19]
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()
