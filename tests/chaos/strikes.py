"""How each fault of a schedule is done to a running soak."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import psycopg

from embedded.server import wait_until
from tests.chaos import shop
from tests.chaos.arena import SLOW, Arena
from tests.chaos.fleet import Fleet, Program
from tests.chaos.ledger import Ledger
from tests.chaos.schedule import Event, Fault, Network
from tests.chaos.tally import Tally

VICTIM_COMES_S = 8.0
PATIENCE_S = 20.0
LATER_S = 0.25
CONSUMER_STARTS_S = 4.0
INTERLOPER_STAYS_S = 30.0  # a program may take most of it to start, on a machine that has much to do

Living = Callable[[], list[Program]]


@dataclass
class Striker:
    """Does what events say; each call may run on a thread of its own."""

    arena: Arena
    fleet: Fleet
    ledger: Ledger
    tally: Tally
    seed: int
    consumer_kills: list[float] = field(default_factory=list)  # when, by the monotonic clock

    def strike(self, event: Event) -> None:
        """Do it, and count it as hit or missed. Where no producer is to be killed, a consumer is."""
        if self._acts[event.fault](event):
            self.tally.happened(event.fault)
            return
        self.tally.was_missed(event.fault)
        if event.fault is Fault.KILL_PRODUCER:
            self.strike(replace(event, fault=Fault.KILL_CONSUMER))

    @property
    def _acts(self) -> Mapping[Fault, Callable[[Event], bool]]:
        return {
            Fault.KILL_PRODUCER: self._kill_producer,
            Fault.KILL_CONSUMER: self._kill_consumer,
            Fault.KILL_ALL_CONSUMERS: self._kill_all_consumers,
            Fault.JOIN: lambda event: self.fleet.join(),
            Fault.LEAVE: lambda event: self.fleet.leave(event.whom),
            Fault.FREEZE_CONSUMER: self._freeze_consumer,
            Fault.FREEZE_LONG: self._freeze_consumer,
            Fault.FREEZE_PRODUCER: self._freeze_producer,
            Fault.KILL_BROKER: lambda event: self._crash(Network.KAFKA),
            Fault.CRASH_SOURCE: lambda event: self._crash(Network.SOURCE),
            Fault.CRASH_TARGET: lambda event: self._crash(Network.TARGET),
            Fault.CUT: self._cut,
            Fault.DELAY: self._delay,
            Fault.BLACK_HOLE: self._black_hole,
            Fault.FULL_DISK: self._fill_disk,
            Fault.SECOND_PRODUCER: self._second_producer,
            Fault.SAME_IDENTITY: self._same_identity,
            Fault.CLOCK_AHEAD: self._clock_ahead,
            Fault.ABANDON: self._abandon,
            Fault.CHANGE: self._change,
            Fault.GHOST: self._haunt,
        }

    def _kill_producer(self, event: Event) -> bool:
        """Two of three hit a producer that is at work, the others whoever is there, perhaps just starting."""
        return self._kill(event, lambda: self.fleet.living_producers, lambda program: program.has_begun)

    def _kill_consumer(self, event: Event) -> bool:
        hit = self._kill(event, lambda: self.fleet.consumers, lambda program: program.age_s > CONSUMER_STARTS_S)
        if hit:
            self.consumer_kills.append(time.monotonic())
        return hit

    def _kill(self, event: Event, living: Living, is_at_work: Callable[[Program], bool]) -> bool:
        """Another kill may be quicker: then the next one who comes is hit."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            victim = _victim(living, event.whom, is_at_work)
            if victim is not None and self.fleet.kill(victim):
                return True
        return False

    def _kill_all_consumers(self, event: Event) -> bool:  # noqa: ARG002
        hits = [self.fleet.kill(victim) for victim in self.fleet.consumers]
        if any(hits):
            self.consumer_kills.append(time.monotonic())
        return any(hits)

    def _freeze_consumer(self, event: Event) -> bool:
        return _freeze(_victim(lambda: self.fleet.consumers, event.whom), event.lasts_s)

    def _freeze_producer(self, event: Event) -> bool:
        return _freeze(_victim(lambda: self.fleet.living_producers, event.whom), event.lasts_s)

    def _crash(self, network: Network) -> bool:
        self.arena.crash(network)
        return True

    def _cut(self, event: Event) -> bool:
        assert event.network is not None
        proxy = self.arena.proxies[event.network]
        if event.whom % 3 == 0:  # once, and everybody may come back at once
            proxy.break_connections()
            return True
        proxy.cut()
        time.sleep(event.lasts_s)
        proxy.heal()
        return True

    def _delay(self, event: Event) -> bool:
        assert event.network is not None
        proxy = self.arena.proxies[event.network]
        proxy.delay(SLOW)
        time.sleep(event.lasts_s)
        proxy.heal()
        return True

    def _black_hole(self, event: Event) -> bool:
        """Half of them end as a network that comes back does, half in a broken connection."""
        assert event.network is not None
        proxy = self.arena.proxies[event.network]
        proxy.black_hole()
        time.sleep(event.lasts_s)
        if event.whom % 2:
            proxy.break_connections()
        proxy.heal()
        return True

    def _fill_disk(self, event: Event) -> bool:
        """A server that crashes meanwhile could not come back before there is room: that one waits."""
        with self.arena.locks[Network.TARGET]:
            self.arena.disk.fill()
            time.sleep(event.lasts_s)
            self.arena.disk.free()
        return True

    def _second_producer(self, event: Event) -> bool:
        """The first stands still until the second has begun: it would be done before, on a machine that has much to do."""
        first = _victim(lambda: self.fleet.living_producers, event.whom)
        if first is None or not first.send(signal.SIGSTOP):
            return False
        second = self.fleet.spawn_producer()
        wait_until(lambda: second.has_begun or not second.is_alive, INTERLOPER_STAYS_S)
        first.send(signal.SIGCONT)
        self.fleet.end_producer(second)
        return True

    def _same_identity(self, event: Event) -> bool:
        """Somebody takes the identity of a consumer that lives, until one of the two has ended."""
        slots = [slot for slot in self.fleet.slots if slot.identity and slot.program is not None]
        if not slots:
            return False
        slot = slots[event.whom % len(slots)]
        self.fleet.interlopers += 1
        try:
            program = self.fleet.spawn_consumer(slot.identity)
            wait_until(lambda: not program.is_alive or slot.is_held, INTERLOPER_STAYS_S + event.lasts_s)
            self.fleet.end_interloper(program)
        finally:
            self.fleet.interlopers -= 1
        return True

    def _clock_ahead(self, event: Event) -> bool:  # noqa: ARG002
        self.fleet.clock_ahead_next = True
        return True

    def _abandon(self, event: Event) -> bool:
        self.fleet.abandons_next = True
        return self._kill_producer(event)

    def _change(self, event: Event) -> bool:
        self.ledger.change(shop.change(self.seed * 1000 + int(event.at_s * 1000)))
        return True

    def _haunt(self, event: Event) -> bool:
        try:
            self.ledger.haunt(shop.ghosts(int(event.at_s * 1000)))
        except psycopg.OperationalError:
            return False  # the source crashed under it: rolled back all the same
        return True


def _victim(living: Living, whom: int, is_at_work: Callable[[Program], bool] = lambda _: True) -> Program | None:
    """Whom to hit: for two of three somebody at work, who is waited for and hit some while later."""
    wanted = is_at_work if whom % 3 else lambda _: True
    if not any(map(wanted, living())):
        wait_until(lambda: any(map(wanted, living())), VICTIM_COMES_S)
        time.sleep(whom * LATER_S)
    found = [program for program in living() if wanted(program)]
    return found[whom % len(found)] if found else None


def _freeze(program: Program | None, lasts_s: float) -> bool:
    if program is None or not program.send(signal.SIGSTOP):
        return False
    time.sleep(lasts_s)
    program.send(signal.SIGCONT)
    return True
