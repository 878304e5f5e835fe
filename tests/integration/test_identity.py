"""Members with an identity: one whose identity another takes ends, fenced; one that leaves and joins again is heard."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from runtime.kafka import Admin, Group, Partition, TopicSpec
from runtime.settings import KafkaSettings
from schemas.errors import ExitCode, Fenced


def test_a_consumer_whose_identity_another_takes_is_fenced(bootstrap: str, prefix: str) -> None:
    Admin(KafkaSettings(bootstrap)).ensure_topics([TopicSpec(name=f"{prefix}.t", partitions=1)])
    same = KafkaSettings(bootstrap, {"group.instance.id": "twin"})
    first, second = (Group(same, prefix, session_timeout_s=6) for _ in range(2))
    try:
        _own(first, f"{prefix}.t")
        _own(second, f"{prefix}.t")

        with pytest.raises(Fenced, match=r"same group\.instance\.id") as fenced:
            _poll_until_it_fails(first)
    finally:
        first.close()
        second.close()

    assert fenced.value.exit_code is ExitCode.FENCED


def test_a_member_leaves_and_joins_again_also_with_an_identity_and_everything_is_given_out_anew(
    bootstrap: str, prefix: str
) -> None:
    topic = f"{prefix}.t"
    admin = Admin(KafkaSettings(bootstrap))
    admin.ensure_topics([TopicSpec(name=topic, partitions=4)])
    member = Group(KafkaSettings(bootstrap, {"group.instance.id": "one"}), prefix, session_timeout_s=6)
    came: list[tuple[Partition, ...]] = []
    went: list[tuple[Partition, ...]] = []

    def assigned(places: tuple[Partition, ...]) -> dict[Partition, int]:
        came.append(places)
        return dict.fromkeys(places, 0)

    assert admin.group_assignment(prefix, 10) is None
    try:
        member.subscribe([topic], assigned, went.append, went.append)
        _poll_until(member, lambda: len(came) == 1)
        member.unsubscribe()
        member.subscribe([topic], assigned, went.append, went.append)
        _poll_until(member, lambda: len(came) == 2)
        assert member.assigned == admin.group_assignment(prefix, 10) == {Partition(topic, n) for n in range(4)}
    finally:
        member.close()

    assert came == [went[0]] * 2


def _own(group: Group, topic: str) -> None:
    group.subscribe([topic], lambda places: dict.fromkeys(places, 0), lambda _: None, lambda _: None)
    _poll_until(group, lambda: bool(group.assigned))


def _poll_until(group: Group, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        group.poll(0.1)


def _poll_until_it_fails(group: Group) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        group.poll(0.1)
