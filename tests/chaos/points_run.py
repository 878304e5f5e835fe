"""Kills at named points: one trial each, or all of them (`./dev chaos --points`).

A trial takes a tenant of its own through two generations, kills a program at a point, starts it again, and asks
`tests.chaos.converged` what is not as it must be. The full count is every point at its first, second and
last time, with 1 and with 3 consumers. How often a point is reached is counted beforehand, for each number of
consumers; a run may reach it less often than that, and is then tried again with its own last time.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from tests import servers
from tests.chaos.converged import converged
from tests.chaos.dying import ALL, SESSION_TIMEOUT
from tests.chaos.points import BY_NAME, POINTS, Point, Program
from tests.chaos.tiny import SECOND, change, child_environment, publish, tiny_tenant
from tests.conftest import ROOT

ENDS_S = 300.0  # longer than anything a tiny tenant waits for, on the slowest machine
TRIES = 4
CONSUMERS = (1, 3)
TIMES = ("first", "second", "last")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where trials run; all of them at once share these."""

    postgres: str
    bootstrap: str
    session_timeout_s: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Kill at `point` when it is reached for the `count`-th time."""

    point: Point
    count: int
    consumers: int
    time: str = ""  # first, second or last

    def __str__(self) -> str:
        return f"{self.point.name}, time {self.count}{self.time and f' ({self.time})'}, {self.consumers} consumers"


@dataclass(slots=True)
class Outcome:
    """What came of a trial: nothing in `problems` when all is well."""

    trial: Trial
    reached: int = 0
    killed: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def open_servers() -> Iterator[Servers]:
    """The servers that tests run against."""
    with servers.postgres() as postgres, servers.kafka() as bootstrap:
        yield Servers(postgres, bootstrap, session_timeout_s(bootstrap))


def session_timeout_s(bootstrap: str) -> float:
    """As short as the broker allows: an heir has to wait for it."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    broker = ConfigResource(ResourceType.BROKER, str(min(client.list_topics(timeout=30).brokers)))
    answers = client.describe_configs([broker])
    least_ms = int(answers[broker].result()["group.min.session.timeout.ms"].value)
    return max(2.0, least_ms / 1000)


def run_trial(where: Servers, trial: Trial) -> Outcome:
    """Kill, start again, and look."""
    began = time.monotonic()
    outcome = Outcome(trial)
    with tempfile.TemporaryDirectory() as name, tiny_tenant(where.postgres, where.bootstrap, Path(name)) as environment:
        processes = Processes(where, trial, environment, Path(name), outcome)
        try:
            _play(processes, trial, environment)
        finally:
            processes.close()
        if not outcome.problems:
            outcome.problems += converged(environment)
        outcome.reached = processes.reached
    if outcome.reached >= trial.count > 0 and outcome.killed != 1:
        outcome.problems.append(f"{outcome.killed} processes were killed")
    outcome.seconds = time.monotonic() - began
    return outcome


def _play(processes: Processes, trial: Trial, environment: Mapping[str, str]) -> None:
    program = trial.point.program
    beside = trial.consumers if program == "producer" and trial.consumers > 1 else 0
    processes.start("consumer", beside)
    for script in ("", SECOND):
        if script:
            change(environment["POSTGRES_URL"], script)
        if program == "producer":
            processes.start("producer")
            processes.wait("producer")
        else:
            publish(environment)
        if processes.failed:
            return
    processes.wait("consumer")
    # Those beside the producer may have ended with the first generation.
    processes.start("consumer", trial.consumers if not beside else 1)
    processes.wait("consumer")
    if program == "validator":
        processes.start("validator")
        processes.wait("validator")


class Processes:
    """The programs of one trial; whichever is killed is started again."""

    def __init__(
        self, where: Servers, trial: Trial, environment: Mapping[str, str], folder: Path, outcome: Outcome
    ) -> None:
        self._trial = trial
        self._environment = {**child_environment(environment), SESSION_TIMEOUT: str(where.session_timeout_s)}
        self._folder = folder
        self._outcome = outcome
        self._tally = folder / "tally"
        self._tally.touch()
        self._running: dict[Program, list[subprocess.Popen[bytes]]] = {}
        self._started = 0

    @property
    def reached(self) -> int:
        """How often the point was reached by all of them together."""
        return self._tally.stat().st_size

    @property
    def failed(self) -> bool:
        """Whether one of them has ended as it must not."""
        return bool(self._outcome.problems)

    @property
    def counts(self) -> Counter[str]:
        """How often each point was reached, when the trial counts."""
        return Counter(self._tally.read_text().splitlines())

    def start(self, program: Program, number: int = 1) -> None:
        """Start some processes of a program; they die at the trial's point if it is theirs."""
        trial = self._trial
        name, count = (ALL, 0) if trial.count == 0 else (trial.point.name, trial.count)
        for _ in range(number):
            self._started += 1
            with (self._folder / f"said-{self._started}").open("wb") as said:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.chaos.dying", program, name, str(count), str(self._tally)],
                    env=self._environment,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                )
            self._running.setdefault(program, []).append(process)

    def wait(self, program: Program) -> None:
        """Wait until all processes of a program have come to their end."""
        end = time.monotonic() + ENDS_S
        running = self._running.get(program, [])
        while running:
            process = running[0]
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._outcome.problems.append(f"{program} has not ended after {ENDS_S:.0f} s: {self._said()}")
                self.close()
                return
            running.pop(0)
            if process.returncode == -signal.SIGKILL and not self._outcome.killed:
                self._outcome.killed += 1
                self.start(program)
            elif process.returncode:
                self._outcome.problems.append(f"{program} ended with {process.returncode}: {self._said()}")

    def close(self) -> None:
        """End what still runs."""
        for processes in self._running.values():
            for process in processes:
                process.kill()
                process.wait()
            processes.clear()

    def _said(self) -> str:
        files = sorted(self._folder.glob("said-*"))
        return "\n".join(f"{file.name}: {file.read_text()[-2000:]}" for file in files)


def count_points(where: Servers, program: Program, consumers: int) -> Counter[str]:
    """How often the program's points are reached when nobody dies."""
    trial = Trial(next(point for point in POINTS if point.program == program), 0, consumers)
    outcome = Outcome(trial)
    with tempfile.TemporaryDirectory() as name, tiny_tenant(where.postgres, where.bootstrap, Path(name)) as environment:
        processes = Processes(where, trial, environment, Path(name), outcome)
        try:
            _play(processes, trial, environment)
        finally:
            processes.close()
        if problems := outcome.problems or converged(environment):
            raise RuntimeError(f"without any kill: {'; '.join(problems)}")
        return processes.counts


def run_until_reached(where: Servers, trial: Trial) -> Outcome:
    """Run a trial; when its point is reached less often than was counted, again with the last time of that run."""
    for _ in range(TRIES):
        outcome = run_trial(where, trial)
        if outcome.problems or outcome.killed:
            return outcome
        trial = replace(trial, count=max(1, outcome.reached))
    outcome.problems.append(f"the point was never reached: {trial}")
    return outcome


def all_trials(where: Servers, points: Sequence[Point], numbers: Sequence[int] = CONSUMERS) -> Iterator[Trial]:
    """Every point at its first, second and last time, with 1 and with 3 consumers."""
    for consumers in numbers:
        for program in ("producer", "consumer", "validator"):
            mine = [point for point in points if point.program == program]
            if not mine:
                continue
            counts = count_points(where, program, consumers)
            for point in mine:
                times = {1: TIMES[0], 2: TIMES[1], max(1, counts[point.name]): TIMES[2]}
                for count, name in sorted(times.items()):
                    if count <= max(1, counts[point.name]):
                        yield Trial(point, count, consumers, name)


def once_each(seed: int) -> list[Trial]:
    """Every point once: at which time and with how many consumers is drawn from the seed."""
    trials = []
    for point in POINTS:
        dice = random.Random(f"{seed}/{point.name}")
        trials.append(Trial(point, dice.choice((1, 2)), dice.choice((1, 1, 1, 3))))
    return trials


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the full count, or what is chosen of it; 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="./dev chaos --points", description=__doc__)
    parser.add_argument("--point", action="append", choices=sorted(BY_NAME), help="only this one; repeatable")
    parser.add_argument("--time", action="append", choices=TIMES, help="only at this time; repeatable")
    parser.add_argument("--consumers", action="append", type=int, help="only with so many; repeatable")
    parser.add_argument("--jobs", type=int, default=3, help="trials at once (an heir mostly waits)")
    chosen = parser.parse_args(arguments)
    points = [BY_NAME[name] for name in chosen.point] if chosen.point else list(POINTS)
    began, failed, kills = time.monotonic(), 0, 0
    with open_servers() as where, ThreadPoolExecutor(chosen.jobs) as pool:
        numbers, times = chosen.consumers or CONSUMERS, chosen.time or TIMES
        trials = [trial for trial in all_trials(where, points, numbers) if trial.time in times]
        waiting = [pool.submit(run_until_reached, where, trial) for trial in trials]
        for done, future in enumerate(as_completed(waiting), 1):
            outcome = future.result()
            kills += outcome.killed
            failed += bool(outcome.problems)
            print(
                f"{done}/{len(trials)} {outcome.trial}: {'; '.join(outcome.problems) or 'ok'}, {outcome.seconds:.1f} s"
            )
    print(f"{len(trials)} trials, {kills} kills, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
