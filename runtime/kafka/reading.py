"""Readers without a group: the whole of a topic once, or its end as it grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.kafka.admin import Admin
from runtime.kafka.client import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Damaged,
    LogRecord,
    Reasons,
    configuration,
    damage_in,
    explain,
    position_of,
    reading_properties,
    record_of,
    refused_configuration,
)
from runtime.settings import KafkaSettings
from schemas.errors import ContractError, LogError
from schemas.records import Position

_SILENCE_S = 30.0
_UUID = frozenset("0123456789abcdef-")
_INFORMATIONAL = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)


def _reader(settings: KafkaSettings, reasons: Reasons, max_message_bytes: int, *, eof: bool) -> Consumer:
    ours = {
        **reading_properties(max_message_bytes),
        "group.id": "tenant-replicator-reader",  # asked for by the library; nothing is ever committed under it
        "enable.partition.eof": eof,
    }
    try:
        return Consumer(configuration(settings, ours, reasons))
    except KafkaException as error:
        raise refused_configuration(error) from None


def read_all(
    settings: KafkaSettings,
    topic: str,
    *,
    log: str | None = None,
    partitions: Iterable[int] | None = None,
    start: Mapping[int, int] | None = None,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> Iterator[LogRecord]:
    """Every committed record from the beginning (or `start`) to the end that is reached; then it ends.

    A topic that does not exist has no records. Partitions come mixed, each in order.

    Raises:
        LogError: a record of another log than `log`, or the brokers do not answer.
        ContractError: a record that is not ours, or damaged.
    """
    admin = Admin(settings)
    if not admin.exists(topic):
        return
    first = admin.begin_offsets(topic)
    wanted = sorted(first if partitions is None else partitions)
    reasons = Reasons()
    consumer = _reader(settings, reasons, max_message_bytes, eof=True)
    try:
        places = [TopicPartition(topic, number, (start or first).get(number, first[number])) for number in wanted]
        consumer.assign(places)
        unfinished = set(wanted)
        while unfinished:
            message = consumer.poll(_SILENCE_S)
            if message is None:
                raise LogError(f"topic {topic}: no answer for {_SILENCE_S:.0f} s", hint=reasons.last)
            error = message.error()
            if error is None:
                record = record_of(message)
                if log is not None and record.header.log != log:
                    raise foreign_log(record, log)
                yield record
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition() or 0)
            elif error.code() not in _INFORMATIONAL:
                raise damage_in(message) or explain(error, f"topic {topic}", reasons)
    finally:
        consumer.close()


def first_from(settings: KafkaSettings, start: Position) -> tuple[Position, LogRecord | None] | None:
    """The first record at `start` or after it, and what it is: None when it is no record of ours.

    None altogether when nothing stands there.

    Raises:
        LogError: the brokers do not answer.
        Damaged: nobody can say what stands there.
    """
    admin = Admin(settings)
    end = admin.end_offsets(start.topic).get(start.partition, 0)
    if start.offset >= end:
        return None
    reasons = Reasons()
    consumer = _reader(settings, reasons, DEFAULT_MAX_MESSAGE_BYTES, eof=True)
    try:
        consumer.assign([TopicPartition(start.topic, start.partition, start.offset)])
        while True:
            message = consumer.poll(_SILENCE_S)
            if message is None:
                raise LogError(f"topic {start.topic}: no answer for {_SILENCE_S:.0f} s", hint=reasons.last)
            error = message.error()
            if error is None:
                try:
                    return position_of(message), record_of(message)
                except ContractError:
                    return position_of(message), None
            if error.code() == KafkaError._PARTITION_EOF:
                return None
            if error.code() not in _INFORMATIONAL:
                raise damage_in(message) or explain(error, f"topic {start.topic}", reasons)
    finally:
        consumer.close()


def end_of_damage(settings: KafkaSettings, start: Position) -> Position:
    """Where the log can be read again after a damaged record: the records around it were written, and are lost, with it.

    Raises:
        LogError: the brokers do not answer.
    """
    end = Admin(settings).end_offsets(start.topic).get(start.partition, 0)
    for offset in range(start.offset + 1, end):
        position = replace(start, offset=offset)
        try:
            first_from(settings, position)
        except Damaged:
            continue
        return position
    return replace(start, offset=max(end, start.offset + 1))


def foreign_log(record: LogRecord, expected: str) -> LogError:
    """A record whose log identity is not the one that was begun with."""
    found = record.header.log
    named = f"log {found}" if len(found) <= 36 and set(found) <= _UUID else "another log"  # it may be any text
    return LogError(
        f"{record.position}: belongs to {named}, not to {expected}: the topics were made anew",
        hint="start over: `consumer rollback`, `producer drop-log`, then `producer snapshot`",
    )


class TailReader:
    """Reads one partition from `start` on and goes on as it grows; no group, nothing committed."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        *,
        partition: int = 0,
        start: int = 0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._topic = topic
        self._reasons = Reasons()
        self.position = Position(topic, partition, start)
        self._at_end = False
        self._consumer = _reader(settings, self._reasons, max_message_bytes, eof=True)
        self._consumer.assign([TopicPartition(topic, partition, start)])

    @property
    def is_at_end(self) -> bool:
        """Whether everything that was committed at the last poll has been read."""
        return self._at_end

    def poll(self, timeout_s: float) -> LogRecord | None:
        """The next record, None when none comes in time or the end is reached (`is_at_end`)."""
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is None:
            self._at_end = False
            record = record_of(message)
            self.position = Position(self._topic, record.position.partition, record.position.offset + 1)
            return record
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end = True
        elif error.code() not in _INFORMATIONAL:
            raise damage_in(message) or explain(error, f"topic {self._topic}", self._reasons)
        return None

    def close(self) -> None:
        """Give up the connection."""
        self._consumer.close()
