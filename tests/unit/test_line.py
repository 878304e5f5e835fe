"""The line of threads that publishes: in order, several parcels at once, and nothing after a failure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Event

import pytest

from producer.publish import Addressed, Parcel
from producer.tables import Line
from schemas.records import Header, Kind

HEADER = Header(kind=Kind.BATCH, log="log", generation=1, attempt=1, sequence=0)


class Publisher:
    """Sends parcels that are numbers; number `fails` fails."""

    def __init__(self, fails: int = -1, waits_for: int = 0) -> None:
        self.fails = fails
        self.waits_for = waits_for  # parcels that must have been made before the first is sent
        self.made: set[int] = set()
        self.all_made = Event()
        self.sent: list[object] = []
        self.transactions = 0

    def publish(self, parcels: Sequence[Parcel]) -> list[object]:
        if self.waits_for:
            self.all_made.wait(30)
        numbers = [parcel.fact() for parcel in parcels]
        if self.fails in numbers:
            raise LookupError
        self.transactions += bool(numbers)
        self.sent += numbers
        return numbers


def parcel(number: int, size_bytes: int = 1, *, fails: int = -1) -> Parcel:
    if number == fails:
        raise LookupError
    return Parcel((Addressed("topic", 0, HEADER, b"x" * size_bytes),), lambda: number)


def made(publisher: Publisher, number: int, size_bytes: int, *, fails: int) -> Parcel:
    found = parcel(number, size_bytes, fails=fails)
    publisher.made.add(number)
    if len(publisher.made) == publisher.waits_for:
        publisher.all_made.set()
    return found


def put(publisher: Publisher, count: int, *, prepare_fails: int = -1, size_bytes: int = 1) -> list[object]:
    with Line(publisher) as line:  # type: ignore[arg-type]
        for number in range(count):
            line.put(partial(made, publisher, number, size_bytes, fails=prepare_fails), size_bytes)
        return list(line.rest())


def test_everything_is_sent_in_order() -> None:
    publisher = Publisher()

    assert put(publisher, 1_000) == list(range(1_000))
    assert publisher.sent == list(range(1_000))


def test_what_is_ready_is_sent_in_one_transaction() -> None:
    # Committing costs milliseconds, and small tables have three parcels each.
    publisher = Publisher(waits_for=200)

    put(publisher, 200)

    assert publisher.sent == list(range(200))
    assert publisher.transactions <= 2


def test_large_parcels_have_transactions_of_their_own() -> None:
    publisher = Publisher()

    put(publisher, 5, size_bytes=8_000_000)

    assert publisher.transactions == 5


def test_everything_before_a_parcel_that_cannot_be_made_is_sent() -> None:
    publisher = Publisher()

    with pytest.raises(LookupError):
        put(publisher, 10, prepare_fails=3)

    assert publisher.sent == [0, 1, 2]


def test_nothing_is_sent_after_a_failure() -> None:
    # A later checkpoint would say that everything before it is in the log.
    publisher = Publisher(fails=3)

    with pytest.raises(LookupError):
        put(publisher, 10)

    assert publisher.sent in ([], [0], [0, 1], [0, 1, 2])  # as many as were not in its transaction
