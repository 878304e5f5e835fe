"""What all Kafka clients share: configuration, librdkafka's log, records, errors as ours."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from runtime.logs import LIBRARY_LOGGER
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, ContractError, Fenced, LogError
from schemas.records import Header, Position

log = logging.getLogger("kafka")
library_log = logging.getLogger(LIBRARY_LOGGER)

REACH_TIMEOUT_S = 15.0
TELL_AGAIN_S = 30.0
DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as it stands in the log; `value` is still sealed when the header names a key."""

    position: Position
    header: Header
    value: bytes
    timestamp_ms: int

    @property
    def partition(self) -> Partition:
        """Where it stands, without the offset."""
        return Partition(self.position.topic, self.position.partition)


class Reasons:
    """The last thing librdkafka said of a connection: why a time-out happened."""

    def __init__(self) -> None:
        self.last = ""
        self._told: dict[str, float] = {}

    def __call__(self, error: KafkaError) -> None:
        """Error callback: these are informational, the client retries by itself, ten times a second."""
        what = error.str().partition(" (after ")[0]
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = what
        now = time.monotonic()
        if now - self._told.get(what, -TELL_AGAIN_S) >= TELL_AGAIN_S:
            self._told[what] = now
            log.warning("kafka: %s", what)


def configuration(settings: KafkaSettings, ours: Mapping[str, Any], reasons: Reasons) -> dict[str, Any]:
    """The client's properties: the user's, then what correctness rests on and nobody may change."""
    return {
        "client.id": "tenant-replicator",
        **settings.properties,
        **ours,
        "bootstrap.servers": settings.bootstrap,
        "logger": library_log,
        "error_cb": reasons,
    }


def refused_configuration(error: KafkaException) -> ConfigurationError:
    """An unknown property or an impossible value. librdkafka quotes the value, which may be a secret: only names."""
    text = _error(error).str()
    named = re.search(r'propert(?:y|ies):? "?([a-z][a-z0-9.]*)', text) or re.search(r"`([a-z][a-z0-9.]*)`", text)
    what = f'the property "{named[1]}"' if named else "its properties"
    return ConfigurationError(
        f"Kafka client: {what} cannot be: " + ("unknown name" if text.startswith("No such") else "impossible value"),
        hint="correct the KAFKA_… variable or the line of the file in KAFKA_PROPERTIES",
    )


def _error(error: KafkaException | KafkaError) -> KafkaError:
    return error if isinstance(error, KafkaError) else error.args[0]


_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.TRANSACTION_COORDINATOR_FENCED,
    }
)
_NO_RIGHT = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_UNREACHABLE = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
)
_UNKNOWN_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


_MOVING = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})


_DAMAGED = frozenset({KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION})


class Damaged(ContractError):
    """What the broker keeps is not what was written: a checksum is wrong. It is one of some records in a row."""


def damage_in(message: Message) -> Damaged | None:
    """That there is damage, when a message that is an error says so.

    The client goes astray after it: nothing more of the partition may be polled from there.
    """
    error = message.error()
    if error is None or error.code() not in _DAMAGED:
        return None
    return Damaged(
        f"{position_of(message)}: damaged where the broker keeps it (its checksum is wrong)",
        hint="see the disk and the memory of the broker; put the partition back from a replica or a copy",
    )


class LeaderMoves(LogError):
    """A partition has no leader just now, or another than a moment ago; asking again helps."""


def is_unknown_topic(error: KafkaException | KafkaError) -> bool:
    """Whether the topic does not exist."""
    return _error(error).code() in _UNKNOWN_TOPIC


def is_unreachable(error: KafkaException | KafkaError) -> bool:
    """Whether no broker has answered."""
    return _error(error).code() in _UNREACHABLE


def explain(error: KafkaException | KafkaError, where: str, reasons: Reasons | None = None) -> LogError | Fenced:
    """One of our errors for one of Kafka's, with what to do next."""
    fact = _error(error)
    code = fact.code()
    if code in _FENCED:
        return Fenced(
            f"{where}: another producer of this tenant has started and taken over",
            hint="let that one finish; `producer status` shows how far the generation is",
        )
    if code in _NO_RIGHT:
        return LogError(
            f"{where}: not authorized ({fact.name()})",
            hint="the producer needs Create, Describe, DescribeConfigs, Read and Write on topics PREFIX.* and Write on the "
            "transactional id PREFIX-producer (Delete on topics for drop-log); consumers need Describe and Read on the "
            "topics and Read on their group",
        )
    if code in _UNKNOWN_TOPIC:
        return LogError(
            f"{where}: the topic does not exist",
            hint="`producer status` shows the log; a deleted log is begun anew by `producer drop-log` and "
            "`producer snapshot`, and `consumer rollback` on the target",
        )
    if code in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):
        return LogError(f"{where}: the broker refuses the credentials", hint="check sasl.username and sasl.password")
    if code in _UNREACHABLE:
        why = f" ({reasons.last})" if reasons is not None and reasons.last else f" ({fact.str()})"
        return LogError(
            f"{where}: the brokers do not answer{why}",
            hint="check KAFKA_BOOTSTRAP_SERVERS, security.protocol and that the brokers run",
        )
    family = LeaderMoves if code in _MOVING else LogError
    return family(f"{where}: {fact.name()}: {fact.str()}", hint="see the brokers' logs, then start again")


def position_of(message: Message) -> Position:
    """Where a polled message stands."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Position(topic, partition, offset)


def record_of(message: Message) -> LogRecord:
    """The record in a polled message.

    Raises:
        UnknownFormat: written by another format's build.
        ContractError: no record of ours.
    """
    position = position_of(message)
    header = Header.from_kafka(message.headers(), position)  # type: ignore[arg-type]
    value = message.value()
    if value is None:
        raise ContractError(f"{position}: record without a value", hint="see who else writes to this topic")
    return LogRecord(position, header, value, message.timestamp()[1])


def reading_properties(max_message_bytes: int) -> dict[str, Any]:
    """Properties of everything that reads the log: committed only, nothing skipped, memory bounded."""
    fetch_bytes = 8 * 1024 * 1024
    return {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "check.crcs": True,
        # A broker sends at least one record whatever its size, so only the response must fit.
        "fetch.max.bytes": fetch_bytes,
        "max.partition.fetch.bytes": 4 * 1024 * 1024,
        "receive.message.max.bytes": min(max_message_bytes + 2 * fetch_bytes + 1_000_000, 2_147_483_647),
        "queued.min.messages": 64,
        "queued.max.messages.kbytes": 16 * 1024,
        "fetch.wait.max.ms": 50,
        "fetch.queue.backoff.ms": 10,  # the queue is short: a full one must not pause fetching for a second
    }
