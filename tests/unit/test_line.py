"""The line of threads that publishes: in order, and nothing after a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from producer.tables import Line


class Publisher:
    """Chunks are numbers here; preparing or sending number `fails` fails."""

    def __init__(self, *, prepare_fails: int = -1, publish_fails: int = -1) -> None:
        self.prepare_fails = prepare_fails
        self.publish_fails = publish_fails
        self.sent: list[Any] = []

    def prepare(self, _run: object, chunk: int) -> int:
        if chunk == self.prepare_fails:
            raise LookupError
        return chunk

    def publish(self, prepared: int) -> int:
        if prepared == self.publish_fails:
            raise LookupError
        self.sent.append(prepared)
        return prepared


def put_ten(publisher: Publisher) -> list[object]:
    with Line(publisher) as line:  # type: ignore[arg-type]
        for number in range(10):
            line.put(SimpleNamespace(), number)  # type: ignore[arg-type]
        line.then(lambda: publisher.sent.append("end"))
        return list(line.facts(0))


def test_everything_is_sent_in_order() -> None:
    publisher = Publisher()

    assert put_ten(publisher) == list(range(10))
    assert publisher.sent == [*range(10), "end"]


@pytest.mark.parametrize("fails", ["prepare_fails", "publish_fails"])
def test_nothing_is_sent_after_a_failure(fails: str) -> None:
    # A later checkpoint would say that everything before it is in the log.
    publisher = Publisher(**{fails: 3})

    with pytest.raises(LookupError):
        put_ten(publisher)

    assert publisher.sent == [0, 1, 2]
