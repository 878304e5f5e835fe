"""Seconds, CPU seconds and peak memory of commands and of the servers behind them."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one way. CPU seconds by process name; memory is the peak of each of our processes, MB."""

    seconds: float
    rows: int
    cells: int = 0  # encrypted ones that were decrypted and compared
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    peak_mb: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows_per_s(self) -> float:
        """Rows moved (or looked at) in a second."""
        return self.rows / self.seconds


class CommandFailed(Exception):
    """A command of the bench ended with an error; its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What one process cost: CPU seconds (user and system) and peak resident memory in MB."""

    cpu_s: float
    peak_mb: float


@dataclass(slots=True)
class Command:
    """A process that is started, and waited for with its cost."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] | None = None
    log: Path = Path(os.devnull)

    def start(self, stdin: int | None = None, stdout: int | None = None) -> Started:
        """Start it; output goes to `log` unless `stdout` is given."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.arguments,
                env=self.environment,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
            )
        return Started(self, process)

    def run(self) -> Ended:
        """Start it and wait."""
        return self.start().wait()


@dataclass(slots=True)
class Started:
    """A running command."""

    command: Command
    process: subprocess.Popen[bytes]

    def wait(self) -> Ended:
        """Wait for its end.

        Raises:
            CommandFailed: it did not end with 0; the log's last lines are told.
        """
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            said = self.command.log.read_text(errors="replace")[-2000:] if self.command.log.is_file() else ""
            raise CommandFailed(f"{shlex.join(self.command.arguments)}: exit {self.process.returncode}\n{said}")
        return Ended(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Meter:
    """Wall seconds and the servers' CPU seconds between its making and `stop`.

    A server is its process and all below it: ended backends are in their parent's account.
    """

    def __init__(self, servers: Mapping[str, int]) -> None:
        self._servers = servers
        self._before = {name: tree_cpu_s(pid) for name, pid in servers.items()}
        self._started = time.perf_counter()

    def stop(self, rows: int, ended: Mapping[str, Ended]) -> Measured:
        """The figures of what ran since, `ended` being our own processes."""
        seconds = time.perf_counter() - self._started
        servers = {name: tree_cpu_s(pid) - self._before[name] for name, pid in self._servers.items()}
        return Measured(
            seconds=seconds,
            rows=rows,
            cpu_s={**{name: end.cpu_s for name, end in ended.items()}, **servers},
            peak_mb={name: end.peak_mb for name, end in ended.items()},
        )


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process, its live descendants, and the ended ones they have waited for."""
    return _cpu_s(pid) + sum(tree_cpu_s(child) for child in _children(pid))


def _cpu_s(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended; its parent's account has it
        return 0.0
    return sum(map(int, after_name[11:15])) / TICKS_PER_S


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
