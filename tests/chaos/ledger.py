"""What the source has been: its changes, and the keys that a tenant's log may hold because a producer saw them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import psycopg

from tests.chaos import shop
from tests.chaos.observer import Key
from tests.chaos.watching import source_keys

TRIES_S = 30.0
GHOSTS_STAY_S = 0.5


@dataclass
class Ledger:
    """The source by versions. A key may be published when some producer ran while it was there."""

    url: str
    version: int = 0
    complete_version: int = -1  # the newest that a complete generation shows at least
    _published: dict[str, dict[str, set[Key]]] = field(default_factory=dict)  # by tenant and table
    _running: int = 0
    _tenant: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, tenant: str) -> None:
        """From here on producers publish this tenant."""
        with self._lock:
            self._tenant, self.complete_version = tenant, -1
            self._published.setdefault(tenant, {table.name: set() for table in shop.TABLES})

    def published(self, tenant: str) -> Mapping[str, AbstractSet[Key]]:
        """Every key that the tenant's log may hold by now."""
        return self._published[tenant]

    def producer_starts(self) -> int:
        """Note that a producer may see the source from now on; returns the version that it finds."""
        with self._lock:
            self._patiently(self._see)
            self._running += 1
            return self.version

    def producer_ended(self, version: int, *, is_complete: bool) -> None:
        """Note that it sees no more."""
        with self._lock:
            self._running -= 1
            if is_complete:
                self.complete_version = max(self.complete_version, version)

    def change(self, statements: str) -> None:
        """Change the source in one transaction; what a running producer may see of it is noted before it commits."""

        def act(connection: psycopg.Connection[tuple[object, ...]]) -> None:
            with connection.transaction():
                connection.execute(statements.encode())
                if self._running:
                    self._note(source_keys(connection))

        with self._lock:
            self._patiently(act)
            self.version += 1

    def haunt(self, statements: str) -> None:
        """Let a transaction stand open for a while, and roll it back."""
        with psycopg.connect(self.url, autocommit=True) as connection, connection.transaction(force_rollback=True):
            connection.execute(statements.encode())
            time.sleep(GHOSTS_STAY_S)

    def _see(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with connection.transaction():
            self._note(source_keys(connection))

    def _note(self, keys: Mapping[str, set[Key]]) -> None:
        for table, found in keys.items():
            # a new set, never a changed one: the observer compares on another thread
            self._published[self._tenant][table] = self._published[self._tenant][table] | found

    def _patiently(self, act: object) -> None:
        """Do something at the source, again while the server is away: it crashes as part of the soak."""
        assert callable(act)
        end = time.monotonic() + TRIES_S
        while True:
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                    act(connection)
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
