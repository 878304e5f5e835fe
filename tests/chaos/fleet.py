"""The processes of a soak: producers and consumers that are started again whenever they die, as a service manager would.

A producer runs again and again: as soon as a generation is complete, the source is changed and the next
one is taken.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.server import wait_until
from schemas.errors import ExitCode
from tests.chaos.child import CLOCK_AHEAD, POLL_INTERVAL
from tests.chaos.tally import KILLED, Tally
from tests.conftest import READ_BY_PROGRAMS, ROOT

TICK_S = 0.05
BACK_OFF_S = 1.0
POLL_INTERVAL_S = 10
LASTING = 2
CLOCK_AHEAD_S = 3600
STOP_TIMEOUT_S = 40.0
SHOWN_CHARACTERS = 3000

TAKEN_OVER = "has started and taken over"  # what one that is fenced says
TOO_EARLY = -15  # SIGTERM met a Python that had not yet begun to listen to it

EXPECTED = {
    "producer": {KILLED, ExitCode.DONE, ExitCode.UNAVAILABLE, ExitCode.FENCED},
    "consumer": {KILLED, ExitCode.DONE, ExitCode.UNAVAILABLE, ExitCode.FENCED, TOO_EARLY},
}


@dataclass
class Program:
    """One process and the file that it speaks into."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path
    version: int = 0  # of the source, when it started
    started_at: float = field(default_factory=time.monotonic)

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is frozen."""
        return self.process.poll() is None

    @property
    def has_begun(self) -> bool:
        """Whether it has told of anything: a producer that has begun or goes on with a generation, not one that starts."""
        return self.said.stat().st_size > 0

    @property
    def age_s(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.started_at

    def send(self, number: signal.Signals) -> bool:
        """Signal it; False when it has ended."""
        if not self.is_alive:
            return False
        self.process.send_signal(number)
        return True

    def tail(self) -> str:
        """The end of what it said."""
        lines = self.said.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if " info: FAIL " not in line)[-SHOWN_CHARACTERS:].strip()


@dataclass
class Slot:
    """A place for a consumer; `identity` is the one that the group knows it by, however often it dies."""

    number: int
    identity: str = ""
    is_wanted: bool = True
    is_held: bool = False  # fenced: it waits until the other one has gone
    program: Program | None = None
    not_before: float = 0.0


@dataclass
class Fleet:
    """All processes of one tenant."""

    tenant: str
    environment: Mapping[str, str]
    logs: Path
    tally: Tally
    before_producer: Callable[[], int]  # called before a producer starts: the version of the source; and
    may_produce: Callable[[], bool]  # asked before each generation
    after_producer: Callable[[int, bool], None]  # after it ended: that version, and whether the generation is complete
    slots: list[Slot] = field(default_factory=list)
    producers: list[Program] = field(default_factory=list)
    is_producing: bool = True
    is_resuming: bool = False  # a generation may be unfinished
    abandons_next: bool = False
    clock_ahead_next: bool = False
    changes_source: bool = True  # between two generations
    peaceful_since: float | None = None
    interlopers: int = 0  # consumers that run under the identity of another

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._count = 0
        self._threads = [
            threading.Thread(target=self._supervise, name="consumers", daemon=True),
            threading.Thread(target=self._produce, name="producers", daemon=True),
        ]

    def start(self, consumers: int) -> None:
        """Start the first consumers and the producer. The first two consumers have lasting identities."""
        for number in range(consumers):
            self.slots.append(Slot(number, identity=f"{self.tenant}-{number}" if number < LASTING else ""))
        for thread in self._threads:
            thread.start()

    def spawn(self, program: str, *arguments: str, **changed: str) -> Program:
        """Start a process."""
        with self._lock:
            self._count += 1
            said = self.logs / f"{self._count:04}-{program}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_PROGRAMS)}
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.child", program, "--debug", *arguments],
                env={
                    **inherited,
                    "PYTHONPATH": str(ROOT),
                    POLL_INTERVAL: str(POLL_INTERVAL_S),
                    **self.environment,
                    **changed,
                },
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return Program(program, process, said)

    def spawn_producer(self, *arguments: str, **changed: str) -> Program:
        """Start a producer; what it may see is noted before."""
        version = self.before_producer()
        program = self.spawn("producer", "snapshot", "--progress", "none", *arguments, **changed)
        program.version = version
        with self._lock:
            self.producers.append(program)
        return program

    def end_producer(self, program: Program) -> int:
        """Wait for a producer and note how it ended."""
        code = program.process.wait()
        with self._lock:
            self.producers.remove(program)
        self._note(program, code)
        self.after_producer(program.version, code == ExitCode.DONE)
        return code

    def spawn_consumer(self, identity: str) -> Program:
        """Start a consumer, under an identity or none."""
        changed = {"KAFKA_GROUP_INSTANCE_ID": identity} if identity else {}
        return self.spawn("consumer", "run", "--progress", "none", **changed)

    @property
    def consumers(self) -> list[Program]:
        """Consumers that live now."""
        with self._lock:
            return [slot.program for slot in self.slots if slot.program is not None and slot.program.is_alive]

    @property
    def living_producers(self) -> list[Program]:
        """Producers that live now."""
        with self._lock:
            return [program for program in self.producers if program.is_alive]

    def kill(self, program: Program) -> bool:
        """SIGKILL; False when it had ended."""
        if not program.send(signal.SIGKILL):
            return False
        self.tally.killed(program.name)
        return True

    def join(self) -> bool:
        """One consumer more, if one had left or fewer than four are here."""
        with self._lock:
            for slot in self.slots:
                if not slot.is_wanted:
                    slot.is_wanted = True
                    return True
            if len(self.slots) >= 4:
                return False
            self.slots.append(Slot(len(self.slots)))
            return True

    def leave(self, whom: int) -> bool:
        """One consumer less, in order, unless it is the last one."""
        with self._lock:
            wanted = [slot for slot in self.slots if slot.is_wanted]
            if len(wanted) < 2:
                return False
            slot = wanted[whom % len(wanted)]
            slot.is_wanted = False
            return slot.program is not None and slot.program.send(signal.SIGTERM)

    def end_interloper(self, program: Program) -> None:
        """End a consumer that took the identity of another, if that one has not fenced it."""
        if program.send(signal.SIGTERM):
            program.process.wait(STOP_TIMEOUT_S)
        self._note(program, program.process.returncode)

    def thaw(self) -> None:
        """Let go on whoever is frozen."""
        for program in (*self.consumers, *self.living_producers):
            program.send(signal.SIGCONT)

    def stop_producing(self) -> bool:
        """Wait until the producer rests; False when it does not."""
        self.is_producing = False
        return wait_until(lambda: not self.producers, STOP_TIMEOUT_S)

    def stop_consuming(self) -> None:
        """End the consumers in order; each must end with 0."""
        with self._lock:
            for slot in self.slots:
                slot.is_wanted = False
        programs = self.consumers
        for program in programs:
            program.send(signal.SIGTERM)
        for program in programs:
            try:
                code = program.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.tally.problem(f"{program.said.name} does not end after SIGTERM: {program.tail()}")
                program.process.kill()
                continue
            if code not in (ExitCode.DONE, TOO_EARLY):
                self.tally.problem(f"{program.said.name} ended with {code} after SIGTERM: {program.tail()}")
        wait_until(lambda: all(slot.program is None for slot in self.slots), 5)

    def close(self) -> None:
        """Kill whatever is left."""
        self._stop.set()
        self.is_producing = False
        with self._lock:
            left = [*self.producers, *(slot.program for slot in self.slots if slot.program is not None)]
        for program in left:
            if program.is_alive:
                program.process.kill()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)

    def _note(self, program: Program, code: int) -> None:
        self.tally.ended(program.name, code)
        if code == ExitCode.FENCED or TAKEN_OVER in program.tail():
            self.tally.fenced(program.name)
        if "error: unexpected" in (tail := program.tail()):
            self.tally.problem(f"{program.said} ended with {code}: {tail}")
            return
        is_of_peace = self.peaceful_since is not None and program.started_at > self.peaceful_since
        if code not in EXPECTED[program.name] or (is_of_peace and code not in (ExitCode.DONE, KILLED, TOO_EARLY)):
            self.tally.problem(f"{program.said.name} ended with {code}: {program.tail()}")

    def _supervise(self) -> None:
        while not self._stop.wait(TICK_S):
            with self._lock:
                for slot in self.slots:
                    self._tend(slot)

    def _tend(self, slot: Slot) -> None:
        now = time.monotonic()
        if slot.program is not None and not slot.program.is_alive:
            code = slot.program.process.returncode
            self._note(slot.program, code)
            slot.program = None
            slot.is_held = code == ExitCode.FENCED
            if slot.is_held and not self.interlopers:
                self.tally.problem(f"{slot.number}: fenced, and nobody was there to fence it")
            slot.not_before = now + (0.0 if code == KILLED else BACK_OFF_S)
        slot.is_held = slot.is_held and self.interlopers > 0
        if slot.program is None and slot.is_wanted and not slot.is_held and now >= slot.not_before:
            slot.program = self.spawn_consumer(slot.identity)

    def _produce(self) -> None:
        while not self._stop.wait(TICK_S):
            if not self.is_producing or not (self.is_resuming or self.may_produce()):
                continue
            arguments, changed = [], {}
            if self.abandons_next:
                self.abandons_next = False
                arguments.append("--restart")
            if self.clock_ahead_next:
                self.clock_ahead_next = False
                changed[CLOCK_AHEAD] = str(CLOCK_AHEAD_S)
            code = self.end_producer(self.spawn_producer(*arguments, **changed))
            self.is_resuming = code != ExitCode.DONE
            if code == ExitCode.FENCED:
                wait_until(lambda: self._stop.is_set() or not self.producers, 60)
            elif code != KILLED:
                self._stop.wait(BACK_OFF_S)
