"""Where encrypted cells are decrypted: small tables in the thread that asks, large ones in processes, in parts.

Python runs one thread at a time, and decrypting is the one layer that costs the validator itself
and not the servers: so a large table is cut into parts, and `jobs` processes take one after the other.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Self

from runtime.keyring import Keyring
from runtime.postgres import Connection
from validator.cells import Decrypted, Part, decrypt_part, decrypt_rows, parts_of
from validator.plan import TablePlan
from validator.sides import Moment

_PARTS_A_JOB = 8


class Decryption:
    """Decrypts tables; a process pool is made when the first large one comes."""

    def __init__(self, moment: Moment, keyring: Keyring | None, tenant: str, jobs: int) -> None:
        self._moment = moment
        self._keyring = keyring
        self._tenant = tenant
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._stopped = False

    def begin(self, connection: Connection, plan: TablePlan) -> list[Future[Decrypted]]:
        """Begin with a large table; an empty list says that `here` is the place for it."""
        if self._keyring is None or self._jobs < 2:
            return []
        parts = parts_of(connection, plan, self._jobs * _PARTS_A_JOB)
        if len(parts) < 2 or self._stopped:
            return []
        if self._pool is None:
            # Not fork: other threads of this process hold locks and connections.
            self._pool = ProcessPoolExecutor(self._jobs, mp_context=multiprocessing.get_context("spawn"))
        return [
            self._pool.submit(decrypt_part, self._moment, plan, part, self._keyring, self._tenant) for part in parts
        ]

    def here(self, connection: Connection, plan: TablePlan) -> Decrypted:
        """A small table, at once."""
        assert self._keyring is not None
        return decrypt_rows(connection, plan, Part(low=None, high=None), self._keyring, self._tenant)

    def stop(self) -> None:
        """Take no further parts."""
        self._stopped = True
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
