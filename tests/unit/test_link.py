"""The consumer's connection to the target: failures are waited out with growing pauses, and said once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest

from consumer.link import CALM_S, GIVE_UP_S, Link
from consumer.session import Session
from runtime.postgres import SourceUnreachable, TargetUnreachable, explain
from runtime.reporting import Notice, Waiting
from runtime.shutdown import StopFlag
from schemas.errors import ReplicatorError


class Connection:
    """One that is always lost."""

    closed = True

    def close(self) -> None: ...

    def execute(self, *_: object) -> Any:
        """Its backend is known, and no other is left."""
        return self

    def fetchone(self) -> Any:
        return (1, None)

    def fetchall(self) -> Any:
        return []


@dataclass
class Down:
    """A session whose target cannot be reached for some tries, and a clock that only waiting moves."""

    tries: int
    tenant: str = "shop"
    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)
    facts: list[object] = field(default_factory=list)
    is_set: bool = False

    def connect(self) -> Any:
        self.tries -= 1
        if self.tries > 0:
            raise TargetUnreachable("target: nothing listens there")
        return Connection()

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return False

    def link(self) -> Link:
        link = Link(cast("Session", self), "member", self.facts.append, cast("StopFlag", self))
        link.clock = lambda: self.now
        link.connection = cast("Any", Connection())
        return link


def test_a_target_that_is_down_is_waited_for_with_growing_pauses_that_differ_between_members() -> None:
    one, other = Down(tries=12), Down(tries=12)

    one.link().recover(psycopg.OperationalError())
    other.link().recover(psycopg.OperationalError())

    assert len(one.pauses) == 12
    assert all(0.1 * 2**n * 0.5 <= pause <= 0.1 * 2**n for n, pause in enumerate(one.pauses[:6], start=1))
    assert all(5.0 <= pause <= 10.0 for pause in one.pauses[7:])
    assert one.pauses != other.pauses


def test_each_reason_is_said_once_and_the_end_of_it_too() -> None:
    down = Down(tries=40)
    link = down.link()

    link.recover(psycopg.OperationalError())
    link.recover(psycopg.errors.AdminShutdown())
    link.recover(psycopg.OperationalError())
    link.succeeded()
    link.succeeded()

    assert down.facts == [
        Waiting("the target (SQLSTATE none: connection lost)"),
        Waiting("the target (SQLSTATE 57P01)"),
        Notice("the target is there again, after 42 tries"),
    ]


def test_a_target_that_stays_away_ends_the_consumer() -> None:
    down = Down(tries=10_000)

    with pytest.raises(ReplicatorError, match="no success for 600 s"):
        down.link().recover(psycopg.OperationalError())

    assert sum(down.pauses) < GIVE_UP_S + 11


def test_a_failure_long_after_another_is_a_new_one_though_nothing_was_written_between() -> None:
    down = Down(tries=1)
    link = down.link()
    link.recover(psycopg.OperationalError())
    down.now += GIVE_UP_S + CALM_S

    link.recover(psycopg.OperationalError())

    assert [type(fact) for fact in down.facts] == [Waiting, Waiting]


def test_asked_to_stop_it_does_not_wait_for_a_target_that_is_down() -> None:
    down = Down(tries=10_000, is_set=True)

    down.link().recover(psycopg.OperationalError())

    assert down.tries == 10_000


def test_what_passes_while_the_session_is_being_set_up_is_waited_for_too() -> None:
    assert isinstance(explain(psycopg.errors.AdminShutdown(), "target: session settings"), TargetUnreachable)
    assert isinstance(explain(psycopg.errors.CrashShutdown(), "source", side="source"), SourceUnreachable)
    assert not isinstance(explain(psycopg.errors.DiskFull(), "target"), TargetUnreachable)


def test_what_does_not_pass_is_not_tried_again() -> None:
    down = Down(tries=1)

    with pytest.raises(ReplicatorError, match="SQLSTATE 42501"):
        down.link().recover(psycopg.errors.InsufficientPrivilege())

    assert down.pauses == []
