"""The consumer's connection to the target: when it is lost, waited for with growing pauses, and made again.

What this member owned is owned again under the new connection, unless an heir has claimed it. The
backend behind the lost one may not have noticed and is ended: its locks would hold us up, for hours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from consumer.session import Session
from consumer.writer import Writer
from runtime import ownership
from runtime.health import Heartbeat
from runtime.kafka import Partition
from runtime.ownership import Backend
from runtime.postgres import Connection, TargetUnreachable, explain, is_transient
from runtime.reporting import Notice, Report, Waiting
from runtime.shutdown import StopFlag

GIVE_UP_S = 600.0
CALM_S = 60.0  # without a failure for so long, the next one is a new one

T = TypeVar("T")


class Link:
    """Connection and writer of one member; the writer comes when the target knows the tenant."""

    connection: Connection

    def __init__(
        self, session: Session, member: str, report: Report, stop: StopFlag, heartbeat: Heartbeat | None = None
    ) -> None:
        self.member = member
        self.clock: Callable[[], float] = time.monotonic
        self.writer: Writer | None = None
        self._session = session
        self._report = report
        self._stop = stop
        self._heartbeat = heartbeat or Heartbeat(None)
        self._failing_since: float | None = None
        self._failed_at = 0.0
        self._failures = 0
        self._told: set[str | None] = set()  # SQLSTATEs of this failure
        self._backend: Backend | None = None

    def open(self) -> None:
        """Connect, and end the backend of a connection that was lost before."""
        connection = self._session.connect()
        try:
            backend = ownership.backend_of(connection)
            if self._backend is not None:
                ownership.end_backend(connection, self._backend)
        except BaseException:
            connection.close()
            raise
        self.connection, self._backend = connection, backend

    def close(self) -> None:
        """Give the connection up, and with it whatever it owned."""
        self.connection.close()

    def succeeded(self) -> None:
        """Note that something was written: the next failure is a new one."""
        if self._failing_since is not None:
            self._report(Notice(f"the target is there again, after {self._failures} tries"))
            self._forget_failures()

    def _forget_failures(self) -> None:
        self._failing_since, self._failures = None, 0
        self._told.clear()

    def recover(self, error: psycopg.Error) -> None:
        """After a transient failure of the target: pause, connect again, own again what is ours.

        Asked to stop meanwhile, it leaves that to who starts next.

        Raises:
            ReplicatorError: the failure is not transient, or has lasted too long.
        """
        while True:
            self._back_off(error)
            if self._stop.is_set:
                return
            if error.sqlstate is None:
                self.connection.close()  # no word of the server's: broken, though libpq may take it for an open one
            try:
                self._reconnect()
                return
            except psycopg.Error as again:
                error = again
            except TargetUnreachable:
                error = psycopg.OperationalError()

    def patiently(self, act: Callable[[], T]) -> T:
        """Do something that must not fail for a passing reason, because it runs inside a callback of Kafka."""
        while True:
            try:
                return act()
            except psycopg.Error as error:
                if self._stop.is_set:
                    raise
                self.recover(error)

    def _back_off(self, error: psycopg.Error) -> None:
        if not is_transient(error):
            raise explain(error, f'tenant "{self._session.tenant}"') from None
        now = self.clock()
        if self._failing_since is not None and now - self._failed_at > CALM_S:
            self._forget_failures()  # though nothing had to be written meanwhile
        self._failing_since = now if self._failing_since is None else self._failing_since
        if now - self._failing_since > GIVE_UP_S:
            raise explain(error, f"target: no success for {GIVE_UP_S:.0f} s") from None
        self._failures += 1
        if error.sqlstate not in self._told:  # each reason once, not each try
            self._told.add(error.sqlstate)
            self._report(Waiting(f"the target (SQLSTATE {error.sqlstate or 'none: connection lost'})"))
        self._heartbeat.beat()
        self._failed_at = now
        self._stop.wait(min(0.1 * 2 ** min(self._failures, 7), 10.0) * random.uniform(0.5, 1.0))

    def _reconnect(self) -> None:
        """A new connection under which what we own is owned again."""
        if self.connection.closed:
            self.open()
        if self.writer is None:
            return
        held = list(self.writer.positions)
        self.writer.use(self.connection)
        found = ownership.reclaim(self.connection, self._session.tenant, held, self.member)
        self.writer.positions = {Partition(*place): offset for place, offset in found.items()}
