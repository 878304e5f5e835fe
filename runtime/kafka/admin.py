"""Topics: made with the settings that the log's promises rest on, or refused when they differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from runtime.kafka.client import (
    DEFAULT_MAX_MESSAGE_BYTES,
    REACH_TIMEOUT_S,
    LeaderMoves,
    Partition,
    Reasons,
    configuration,
    explain,
    is_unknown_topic,
    is_unreachable,
    refused_configuration,
)
from runtime.settings import KafkaSettings
from schemas.errors import LogError

SAY_AFTER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it must be. `replication_factor` -1 leaves it to the broker."""

    name: str
    partitions: int = 1
    replication_factor: int = -1
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES

    @property
    def settings(self) -> dict[str, str]:
        """What the broker must say of it: kept for ever, records as large as the migration allows."""
        return {
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "cleanup.policy": "delete",
            "max.message.bytes": str(self.max_message_bytes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    """A topic as it is."""

    name: str
    partitions: int
    settings: Mapping[str, str]

    def differences(self, spec: TopicSpec) -> list[str]:
        """What is not as `spec` says, in words."""
        found = [
            f"{name} is {self.settings.get(name, 'unknown')}, must be {wanted}"
            for name, wanted in spec.settings.items()
            if self.settings.get(name) != wanted
        ]
        if self.partitions != spec.partitions:
            found.append(f"partitions are {self.partitions}, must be {spec.partitions}")
        return found


class Admin:
    """Questions about topics and groups, and the few changes we make to them."""

    def __init__(self, settings: KafkaSettings, *, timeout_s: float = REACH_TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._reasons = Reasons()
        properties = {"socket.connection.setup.timeout.ms": int(timeout_s * 1000), "retry.backoff.max.ms": 1000}
        try:
            self._client = AdminClient(configuration(settings, properties, self._reasons))
        except KafkaException as error:
            raise refused_configuration(error) from None

    def ping(self, say: Callable[[str], None] | None = None) -> None:
        """See that a broker answers; LogError with the reason after the time-out.

        When none has after two seconds, `say` is told what is waited for.
        """
        try:
            self._client.list_topics(timeout=min(SAY_AFTER_S, self._timeout_s))
        except KafkaException as error:
            self._client.poll(0)  # hear the reason
            if not is_unreachable(error):
                raise explain(error, f"Kafka {self._settings}", self._reasons) from None
            if say is not None:
                say(f"Kafka {self._settings}" + (f" ({self._reasons.last})" if self._reasons.last else ""))
            self._metadata(None)

    def topics(self) -> frozenset[str]:
        """Names of all topics that this principal may see."""
        return frozenset(self._metadata(None).topics)

    def exists(self, topic: str) -> bool:
        """Whether the topic exists."""
        return topic in self.topics()

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        """Partitions and settings of those of `topics` that exist."""
        wanted = set(topics)
        metadata = self._metadata(None).topics
        found = sorted(wanted & metadata.keys())
        if not found:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in found]
        answers = self._client.describe_configs(resources, request_timeout=self._timeout_s)
        described = {}
        for resource, future in answers.items():
            entries = self._result(future, f"topic {resource.name}: reading its settings")
            described[resource.name] = TopicDescription(
                name=resource.name,
                partitions=len(metadata[resource.name].partitions),
                settings={name: entry.value for name, entry in entries.items()},
            )
        return described

    def differences(self, specs: Iterable[TopicSpec]) -> list[str]:
        """Where existing topics differ from `specs`, one line a topic."""
        by_name = {spec.name: spec for spec in specs}
        lines = []
        for name, found in sorted(self.describe(by_name).items()):
            if wrong := found.differences(by_name[name]):
                lines.append(f"topic {name}: {'; '.join(wrong)}")
        return lines

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
        """Create the topics that are missing, and return their names.

        Raises:
            LogError: one exists with other settings (nothing is created), or creating is not allowed.
        """
        wanted = {spec.name: spec for spec in specs}
        if different := self.differences(wanted.values()):
            raise LogError(
                "topics have other settings than the log needs: " + " | ".join(different),
                hint="kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config NAME=VALUE puts a "
                "setting right; another number of partitions needs the migration changed, or `producer drop-log`",
            )
        present = self.topics()
        missing = [spec for spec in wanted.values() if spec.name not in present]
        if missing:
            self._create(missing)
        return tuple(spec.name for spec in missing)

    def _create(self, specs: list[TopicSpec]) -> None:
        topics = [
            NewTopic(
                spec.name,
                num_partitions=spec.partitions,
                replication_factor=spec.replication_factor,
                config=spec.settings,
            )
            for spec in specs
        ]
        answers = self._client.create_topics(
            topics, operation_timeout=self._timeout_s, request_timeout=2 * self._timeout_s
        )
        for name, future in answers.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue  # another process was quicker; its settings are the same
                raise explain(error, f"topic {name}: creating it", self._reasons) from None
        names = ", ".join(spec.name for spec in specs)
        self._wait(
            lambda: self._are_led(specs),
            f"topics {names}: created, but they cannot be seen, or have no leaders",
            hint="this principal needs the right to DESCRIBE them (docs/operations.md); else see the brokers' logs",
        )

    def _are_led(self, specs: list[TopicSpec]) -> bool:
        found = self._metadata(None).topics
        return all(
            spec.name in found
            and len(found[spec.name].partitions) == spec.partitions
            and all(partition.leader >= 0 for partition in found[spec.name].partitions.values())
            for spec in specs
        )

    def _wait(
        self, condition: Callable[[], bool], otherwise: str, hint: str = "see the brokers' logs, then start again"
    ) -> None:
        """Brokers learn of changes a moment later."""
        end = time.monotonic() + self._timeout_s
        while not condition():
            if time.monotonic() > end:
                raise LogError(otherwise, hint=hint)
            time.sleep(0.02)

    def delete_topics(self, topics: Iterable[str]) -> None:
        """Delete topics; one that is not there is no error."""
        names = sorted(topics)
        if not names:
            return
        answers = self._client.delete_topics(names, operation_timeout=self._timeout_s)
        for name, future in answers.items():
            try:
                future.result()
            except KafkaException as error:
                if not is_unknown_topic(error):
                    raise explain(error, f"topic {name}: deleting it", self._reasons) from None
        self._wait(lambda: not self.topics() & set(names), f"topics {', '.join(names)}: deleted, but still there")

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """First offset of each partition; above 0 when records were deleted."""
        return self.begins([topic])[topic]

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Offset after the last committed record (or transaction marker) of each partition."""
        return self.ends([topic])[topic]

    def begins(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """`begin_offsets` of many topics, asked at once."""
        return self._offsets(topics, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """`end_offsets` of many topics, asked at once."""
        return self._offsets(topics, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(self, topics: Iterable[str], spec: Any) -> dict[str, dict[int, int]]:
        """Ask the leaders, again while they change."""
        wanted = sorted(topics)
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._offsets_now(wanted, spec)
            except LeaderMoves:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _offsets_now(self, topics: list[str], spec: Any) -> dict[str, dict[int, int]]:
        asked: dict[TopicPartition, Any] = {}
        metadata = self._metadata(topics[0] if len(topics) == 1 else None).topics
        for topic in topics:
            found = metadata[topic] if topic in metadata else self._metadata(topic).topics[topic]
            if found.error is not None:
                raise explain(found.error, f"topic {topic}", self._reasons)
            asked |= {TopicPartition(topic, number): spec for number in found.partitions}
        offsets: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        if not asked:
            return offsets
        answers = self._client.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=self._timeout_s
        )
        for place, future in answers.items():
            offset = self._result(future, f"topic {place.topic}: reading its offsets").offset
            offsets[place.topic][place.partition] = offset
        return offsets

    def group_members(self, group: str) -> int:
        """How many members the group has now; 0 when there is no such group."""
        found = self._described(group, self._timeout_s)
        return 0 if found is None else len(found.members)

    def group_assignment(self, group: str, timeout_s: float) -> frozenset[Partition] | None:
        """Partitions that members of the group were given; None while it is not settled, or cannot be asked."""
        try:
            found = self._described(group, timeout_s)
        except LogError:
            return None
        if found is None or found.state is not ConsumerGroupState.STABLE:
            return None
        places = (place for member in found.members for place in member.assignment.topic_partitions)
        return frozenset(Partition(place.topic, place.partition) for place in places)

    def _described(self, group: str, timeout_s: float) -> Any:
        answers = self._client.describe_consumer_groups([group], request_timeout=timeout_s)
        try:
            return answers[group].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            raise explain(error, f"group {group}", self._reasons) from None

    def committed_offsets(self, group: str) -> dict[Partition, int]:
        """Offsets that the group has committed; for lag and for noticing that somebody set them back."""
        answers = self._client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=self._timeout_s
        )
        found = self._result(answers[group], f"group {group}: reading its offsets").topic_partitions
        return {Partition(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def _metadata(self, topic: str | None) -> Any:
        try:
            if topic is None:
                return self._client.list_topics(timeout=self._timeout_s)
            return self._client.list_topics(topic, timeout=self._timeout_s)
        except KafkaException as error:
            self._client.poll(0)  # hear the reason
            raise explain(error, f"Kafka {self._settings}", self._reasons) from None

    def _result(self, future: Any, where: str) -> Any:
        try:
            return future.result()
        except KafkaException as error:
            raise explain(error, where, self._reasons) from None
