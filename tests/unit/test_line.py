"""The line of threads that publishes: in order, several parcels at once, and nothing after a failure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from producer.publish import Addressed, Parcel
from producer.tables import Line
from schemas.records import Header, Kind

HEADER = Header(kind=Kind.BATCH, log="log", generation=1, attempt=1, sequence=0)


class Publisher:
    """Sends parcels that are numbers; number `fails` fails."""

    def __init__(self, fails: int = -1) -> None:
        self.fails = fails
        self.sent: list[object] = []
        self.transactions = 0

    def publish(self, parcels: Sequence[Parcel]) -> list[object]:
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


def put(publisher: Publisher, count: int, *, prepare_fails: int = -1, size_bytes: int = 1) -> list[object]:
    with Line(publisher) as line:  # type: ignore[arg-type]
        for number in range(count):
            line.put(partial(parcel, number, size_bytes, fails=prepare_fails), size_bytes)
        return list(line.rest())


def test_everything_is_sent_in_order() -> None:
    publisher = Publisher()

    assert put(publisher, 1_000) == list(range(1_000))
    assert publisher.sent == list(range(1_000))


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
