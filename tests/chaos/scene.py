"""What stands where, when a load does not come to its end: written beside what the programs said."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from confluent_kafka.admin import AdminClient

from consumer.session import group_id
from runtime.settings import kafka_settings
from tests.chaos.child import STACKS
from tests.chaos.fleet import Fleet

STACKS_S = 1.0

_POSITIONS = """
SELECT p.topic, p.partition, p.next_offset, p.owner_member, p.owner_pid, a.pid IS NOT NULL AS is_alive, p.updated_at
FROM replicator.positions p
LEFT JOIN pg_stat_activity a ON a.pid = p.owner_pid AND a.backend_start = p.owner_backend_start
WHERE p.tenant = %s ORDER BY 1, 2
"""
_BACKENDS = """
SELECT pid, application_name, state, wait_event_type, wait_event, state_change, pg_blocking_pids(pid), left(query, 200)
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid
"""


def write_scene(fleet: Fleet, path: Path, environment: Mapping[str, str], target_url: str) -> None:
    """Write members of the group, positions and backends there; programs that live add their stacks to what they said."""
    for program in fleet.consumers:
        program.send(STACKS)
    time.sleep(STACKS_S)
    path.write_text("\n".join(_lines(fleet, environment, target_url)), encoding="utf-8")


def _lines(fleet: Fleet, environment: Mapping[str, str], target_url: str) -> Iterator[str]:
    for slot in fleet.slots:
        said = slot.program.said.name if slot.program is not None else "nobody"
        yield f"{said}: {slot}"
    name = group_id(fleet.tenant)
    admin = AdminClient({"bootstrap.servers": kafka_settings(environment).bootstrap})
    group = admin.describe_consumer_groups([name], request_timeout=10)[name].result()
    yield f"group {name}: {group.state}"
    for member in group.members:
        places = ", ".join(f"{place.topic}-{place.partition}" for place in member.assignment.topic_partitions)
        yield f"member {member.member_id} {member.group_instance_id}: {places or 'nothing'}"
    with psycopg.connect(target_url, autocommit=True) as connection:
        for what, rows in (
            ("position", connection.execute(_POSITIONS, (fleet.tenant,))),
            ("backend", connection.execute(_BACKENDS)),
        ):
            yield from (" ".join([what, *map(str, row)]) for row in rows)
