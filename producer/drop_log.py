"""Deleting a tenant's log: after cut-over personal data should not be kept longer than it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.kafka import Admin, Transactions, read_all
from runtime.settings import KafkaSettings
from schemas.avro import control_topic, table_of_topic
from schemas.errors import ContractError
from schemas.migration import Migration


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic under the tenant's prefix. `is_ours`: its first record is one of a replicator, or it has our settings."""

    name: str
    end_offset: int  # of all partitions; records and transaction markers
    is_ours: bool


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What dropping the log would delete, and what it would leave."""

    tenant: str
    topics: tuple[FoundTopic, ...]

    @property
    def deleted(self) -> tuple[str, ...]:
        """Topics that go."""
        return tuple(topic.name for topic in self.topics if topic.is_ours)

    def lines(self) -> Iterator[str]:
        """What will happen, for who is asked."""
        yield f'The log of tenant "{self.tenant}" is deleted. The target can then not be rebuilt by replay.'
        for topic in self.topics:
            if topic.is_ours:
                yield f"  delete {topic.name} (offsets up to {topic.end_offset:,})"
            else:
                yield f"  leave  {topic.name}: its records are somebody else's"


def plan_drop(admin: Admin, kafka: KafkaSettings, migration: Migration) -> DropPlan:
    """Look at every topic under the prefix; also those whose control topic is gone."""
    prefix = migration.log.prefix
    names = [
        name
        for name in sorted(admin.topics())
        if name == control_topic(prefix) or table_of_topic(prefix, name) is not None
    ]
    found = [FoundTopic(name, sum(admin.end_offsets(name).values()), _is_ours(admin, kafka, name)) for name in names]
    return DropPlan(migration.tenant, tuple(found))


def drop_log(admin: Admin, kafka: KafkaSettings, migration: Migration, plan: DropPlan) -> None:
    """Delete the topics; a producer that is at work is fenced first, lest it write into what is half gone."""
    log = migration.log
    transactions = Transactions(kafka, f"{log.prefix}-producer", max_message_bytes=log.max_message_bytes)
    try:
        transactions.init()
    finally:
        transactions.close()
    control = control_topic(log.prefix)
    # The control topic goes last: while it stands, what is left can be told to be ours.
    admin.delete_topics(name for name in plan.deleted if name != control)
    admin.delete_topics(name for name in plan.deleted if name == control)


def _is_ours(admin: Admin, kafka: KafkaSettings, topic: str) -> bool:
    try:
        if next(read_all(kafka, topic), None) is not None:
            return True
    except ContractError:
        return False
    # Empty: ours only if it was made for keeping everything, as nobody else's topic of that name would be.
    settings = admin.describe([topic])[topic].settings
    return settings.get("retention.ms") == "-1" and settings.get("cleanup.policy") == "delete"
