"""Two consumers of one identity: the one that was there first ends, fenced, and does not fight for it."""

from __future__ import annotations

import time

import pytest

from runtime.kafka import Admin, Group, TopicSpec
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


def _own(group: Group, topic: str) -> None:
    group.subscribe([topic], lambda places: dict.fromkeys(places, 0), lambda _: None, lambda _: None)
    deadline = time.monotonic() + 60
    while not group.assigned:
        assert time.monotonic() < deadline
        group.poll(0.1)


def _poll_until_it_fails(group: Group) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        group.poll(0.1)
