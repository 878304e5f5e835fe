"""What a soak counts, and the table it ends with."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.chaos.schedule import Fault

KILLED = -9
FEW = 3  # so often two of one kind may just miss each other
LEAST_KILLS = 200  # of a full soak


@dataclass
class Tally:
    """Counts of one soak; several threads count."""

    faults: Counter[Fault] = field(default_factory=Counter)
    missed: Counter[Fault] = field(default_factory=Counter)  # nobody was there to be hit
    kills: Counter[str] = field(default_factory=Counter)  # by program
    exits: Counter[tuple[str, int]] = field(default_factory=Counter)
    fences: Counter[str] = field(default_factory=Counter)  # by program: it said so, whoever killed it then
    generations: int = 0
    attempts: int = 0
    abandoned: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0
    rows: int = 0
    recoveries_s: list[float] = field(default_factory=list)  # from a kill of a consumer to the target's next movement
    converging_s: list[float] = field(
        default_factory=list
    )  # from the end of the faults of a round to the end of its load
    looks: int = 0
    looks_missed: int = 0
    largest_quarantine: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def happened(self, fault: Fault) -> None:
        """Count a fault that hit."""
        with self._lock:
            self.faults[fault] += 1

    def was_missed(self, fault: Fault) -> None:
        """Count a fault that found nobody."""
        with self._lock:
            self.missed[fault] += 1

    def killed(self, program: str) -> None:
        """Count a SIGKILL."""
        with self._lock:
            self.kills[program] += 1

    def ended(self, program: str, code: int) -> None:
        """Count how a process ended."""
        with self._lock:
            self.exits[program, code] += 1

    def fenced(self, program: str) -> None:
        """Count one that said that another one had taken over."""
        with self._lock:
            self.fences[program] += 1

    def problem(self, what: str) -> None:
        """Keep something that must not be."""
        with self._lock:
            self.problems.append(what)

    def see_kills(self) -> None:
        """A full soak must have killed as often as it says."""
        if self.kills.total() < LEAST_KILLS:
            self.problem(
                f"only {self.kills.total()} SIGKILLs hit a process, at least {LEAST_KILLS} belong to a full soak"
            )

    def see_fences(self) -> None:
        """Two of one kind must have led to one that gives way, and says so."""
        for fault, program in ((Fault.SECOND_PRODUCER, "producer"), (Fault.SAME_IDENTITY, "consumer")):
            if self.faults[fault] > FEW and not self.fences[program]:
                self.problem(f"{fault.value}: happened {self.faults[fault]} times, and nobody said that it was fenced")

    def show(self, console: Console, *, seed: int, disk: str, seconds: float) -> None:
        """Print the table."""
        table = Table(title=f"soak with seed {seed}, {seconds:.0f} s", title_justify="left", show_header=False)
        table.add_row("SIGKILLs", f"{self.kills.total()} ({_counts(self.kills)})")
        for fault in Fault:
            missed = f", {self.missed[fault]} found nobody" if self.missed[fault] else ""
            table.add_row(fault.value, f"{self.faults[fault]}{missed}")
        table.add_row("the full disk", disk)
        table.add_row("ends of processes", _counts({f"{name} {code}": n for (name, code), n in self.exits.items()}))
        table.add_row("generations complete in the target", str(self.generations))
        table.add_row("generations abandoned", str(self.abandoned))
        table.add_row("attempts of tables", str(self.attempts))
        table.add_row("rows compared at the ends of rounds", f"{self.rows:,}")
        table.add_row("lost, duplicated, stale", f"{self.lost}, {self.duplicated}, {self.stale}")
        table.add_row("kill of a consumer to next movement in the target", _times(self.recoveries_s))
        table.add_row("end of faults to end of load", _times(self.converging_s))
        table.add_row("looks of the observer", f"{self.looks:,} ({self.looks_missed} while the target was away)")
        table.add_row("rows in quarantine, at most", str(self.largest_quarantine))
        table.add_row("violations", str(len(self.problems)))
        console.print(table)


def _counts(counter: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counter.items()))


def _times(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s, of {len(seconds)}"
