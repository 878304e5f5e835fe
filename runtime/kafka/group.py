"""The consumers' side of the log: a group whose positions come from the target, not from Kafka.

Callbacks run inside `poll`. What a partition starts at stands inside the TopicPartitions of
`incremental_assign`, because a seek in the callback fails. Committed offsets follow for lag
tools; a commit that the group refuses is no error, for the database is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka.client import (
    DEFAULT_MAX_MESSAGE_BYTES,
    LogRecord,
    Partition,
    Reasons,
    configuration,
    damage_in,
    explain,
    log,
    position_of,
    reading_properties,
    record_of,
    refused_configuration,
)
from runtime.settings import KafkaSettings
from schemas.errors import ContractError, Fenced, LogError
from schemas.records import Poisoned

MAX_POLL_INTERVAL_S = 600

# A fatal error carries the one that caused it as text only.
_IDENTITY_TAKEN = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()

# What a commit says when the group moved on; the record's offset is in the database anyway.
_STALE = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._NO_OFFSET,
        KafkaError._STATE,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._WAIT_COORD,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
_INFORMATIONAL = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._MAX_POLL_EXCEEDED,  # the group gave our partitions away; they come back by the callbacks
    }
)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the owner of a group does when partitions come and go; each gets only the change.

    `assigned` answers with the offset each partition starts at; those it pauses (`Group.pause`)
    are paused before a record of them is delivered. `revoked` may still finish work; `lost`
    must not, another member may own the partitions already.
    """

    assigned: Callable[[tuple[Partition, ...]], Mapping[Partition, int]]
    revoked: Callable[[tuple[Partition, ...]], None]
    lost: Callable[[tuple[Partition, ...]], None]


class Group:
    """One member of a consumer group (classic protocol, cooperative-sticky)."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        *,
        session_timeout_s: float = 10.0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._group = group
        self._reasons = Reasons()
        self._assigned: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._is_closing = False
        ours = {
            **reading_properties(max_message_bytes),
            "group.id": group,
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(session_timeout_s * 1000),
            "heartbeat.interval.ms": int(min(session_timeout_s / 3, 2.0) * 1000),
            "max.poll.interval.ms": max(MAX_POLL_INTERVAL_S, int(session_timeout_s)) * 1000,
        }
        try:
            self._consumer = Consumer(configuration(settings, ours, self._reasons))
        except KafkaException as error:
            raise refused_configuration(error) from None

    @property
    def assigned(self) -> frozenset[Partition]:
        """Partitions that this member owns now."""
        return frozenset(self._assigned)

    @property
    def paused(self) -> frozenset[Partition]:
        """Owned partitions that deliver nothing until `resume`."""
        return frozenset(self._paused & self._assigned)

    def subscribe(
        self,
        topics: Iterable[str],
        on_assign: Callable[[tuple[Partition, ...]], Mapping[Partition, int]],
        on_revoke: Callable[[tuple[Partition, ...]], None],
        on_lost: Callable[[tuple[Partition, ...]], None],
    ) -> None:
        """Join the group for `topics`; may be called again with more of them. See `Callbacks`."""
        callbacks = Callbacks(on_assign, on_revoke, on_lost)

        def assign(consumer: Consumer, given: list[TopicPartition]) -> None:
            if self._is_closing:
                return  # came too late to be polled: revoked again in a moment, and never claimed
            places = tuple(sorted(Partition(place.topic, place.partition) for place in given))
            starts = callbacks.assigned(places)
            self._assigned.update(places)
            consumer.incremental_assign([_place(place, starts[place]) for place in places])
            if held := [_place(place) for place in places if place in self._paused]:
                consumer.pause(held)

        def leave(tell: Callable[[tuple[Partition, ...]], None]) -> Callable[[Consumer, list[TopicPartition]], None]:
            def gone(consumer: Consumer, given: list[TopicPartition]) -> None:
                places = tuple(sorted(Partition(place.topic, place.partition) for place in given))
                try:
                    tell(places)
                finally:
                    self._assigned.difference_update(places)
                    self._paused.difference_update(places)
                    consumer.incremental_unassign(given)

            return gone

        try:
            self._consumer.subscribe(
                list(topics),
                on_assign=assign,
                on_revoke=leave(callbacks.revoked),
                on_lost=leave(callbacks.lost),
            )
        except KafkaException as error:
            raise explain(error, f"group {self._group}: subscribing", self._reasons) from None

    def unsubscribe(self) -> None:
        """Leave the group, also with a `group.instance.id`; what is owned is revoked. `subscribe` joins it again."""
        self._consumer.unsubscribe()

    def poll(self, timeout_s: float) -> LogRecord | None:
        """The next record, None when none came in time. Callbacks run in here, and their errors come out of it.

        Raises:
            LogError: an offset that the log does not have, a missing topic or right.
            Fenced: another member has this one's `group.instance.id`.
            Poisoned: a record that is not ours, and the next call gives the one after it; or records are damaged, and
                the partition must be paused.
        """
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is None:
            try:
                return record_of(message)
            except ContractError as poison:
                raise Poisoned(position_of(message), poison) from None
        if self._is_of_paused(message):
            return None  # it tells of what came before the pause; damage leads the client astray
        if (damage := damage_in(message)) is not None:
            raise Poisoned(position_of(message), damage)
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise LogError(
                f"{message.topic()}-{message.partition()}: the log does not have the offset that the target expects",
                hint="the topics were made anew or records were deleted; start over: `consumer rollback`, "
                "`producer drop-log`, then `producer snapshot`",
            )
        if error.code() in _INFORMATIONAL:
            self._reasons(error)  # said once in a while, not at each poll
            return None
        if error.code() == KafkaError._FATAL and _IDENTITY_TAKEN in error.str():
            raise Fenced(
                f"group {self._group}: another consumer with the same group.instance.id has started and taken over",
                hint="give each consumer a group.instance.id of its own, or none; what this one had is applied",
            )
        where = f"topic {message.topic()}" if message.topic() else f"group {self._group}"
        raise explain(error, where, self._reasons)

    def _is_of_paused(self, message: Message) -> bool:
        topic, number = message.topic(), message.partition()
        return topic is not None and number is not None and Partition(topic, number) in self._paused

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Deliver nothing of them until `resume`; what was fetched already is dropped and comes again."""
        wanted = set(partitions) - self._paused
        self._paused |= wanted
        if now := wanted & self._assigned:
            self._consumer.pause([_place(place) for place in sorted(now)])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Deliver them again from where they were paused."""
        wanted = set(partitions) & self._paused
        self._paused -= wanted
        if now := wanted & self._assigned:
            self._consumer.resume([_place(place) for place in sorted(now)])

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on with `offset`. Not inside a callback: answer with the offset there."""
        try:
            self._consumer.seek(_place(partition, offset))
        except KafkaException as error:
            raise explain(error, f"{partition}: seeking to {offset}", self._reasons) from None

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = False) -> bool:
        """Tell Kafka the next offsets, for lag tools; returns whether it took them, with `wait`.

        A group that moved on meanwhile is no error.
        """
        if not offsets:
            return True
        places = [_place(place, offset) for place, offset in sorted(offsets.items())]
        try:
            if wait:
                self._consumer.commit(offsets=places, asynchronous=False)
            else:
                self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            fact = error.args[0]
            if fact.code() not in _STALE and not fact.retriable():
                raise explain(error, f"group {self._group}: committing offsets", self._reasons) from None
            log.info("kafka: offsets not committed: %s", fact.str())
            return False
        return True

    def close(self) -> None:
        """Leave the group, so that others take over at once. Revocation callbacks run in here."""
        self._is_closing = True
        self._consumer.close()


def _place(partition: Partition, offset: int | None = None) -> TopicPartition:
    if offset is None:
        return TopicPartition(partition.topic, partition.number)
    return TopicPartition(partition.topic, partition.number, offset)
