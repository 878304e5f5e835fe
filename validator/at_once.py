"""Tables looked at in a few threads: the largest first, and one that fails ends all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from schemas.catalogue import Table
from validator.decrypt import Decryption
from validator.sides import Readers


def largest_first(tables: Iterable[Table]) -> list[Table]:
    """The order in which the last of them ends earliest, by the source's estimates."""
    return sorted(tables, key=lambda table: -table.bytes)


def await_tables(
    looks: Mapping[str, Future[None]], done: Callable[[str], None], decryption: Decryption, *sides: Readers
) -> None:
    """Wait for every table and tell of each; an error or a signal ends all of them."""
    names = {look: name for name, look in looks.items()}
    waiting = set(names)
    try:
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for look in ended:
                look.result()
                done(names[look])
    except BaseException:
        decryption.stop()
        _stop(names, *sides)
        raise


def _stop(looks: Iterable[Future[None]], *sides: Readers) -> None:
    """End the threads: each one's statement is cancelled, and the next one if it was between two."""
    running = [look for look in looks if not look.cancel()]
    while wait(running, timeout=0.2).not_done:
        for side in sides:
            side.cancel()
