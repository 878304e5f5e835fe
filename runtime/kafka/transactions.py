"""The producer's side of the log: everything goes in Kafka transactions, one producer a tenant.

A transaction opens only around values that are already encoded, so it lasts milliseconds. Being
fenced means that another producer of the tenant took over: this one must end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.kafka.admin import Admin
from runtime.kafka.client import (
    REACH_TIMEOUT_S,
    Partition,
    Reasons,
    configuration,
    explain,
    log,
    refused_configuration,
)
from runtime.settings import KafkaSettings
from schemas.errors import Fenced, LogError
from schemas.records import OVERHEAD_BYTES, Header

# What a transaction that failed for another reason says of each of its records.
_PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})
_COMMIT_TRIES = 5
_COMMIT_TIMEOUT_S = 60.0
_REASON_S = 5.0  # until the client has said why it cannot go on


class RecordTooLarge(LogError):
    """A record that the topic would refuse."""

    def __init__(self, topic: str, size_bytes: int, max_message_bytes: int) -> None:
        super().__init__(
            f"topic {topic}: a record of {size_bytes} bytes is over max.message.bytes ({max_message_bytes})"
        )
        self.size_bytes = size_bytes
        self.max_message_bytes = max_message_bytes


class Transactions:
    """A transactional producer. Not shared between threads."""

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        *,
        max_message_bytes: int,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self._id = transactional_id
        self._reasons = Reasons()
        self._settings = settings
        self._failed: KafkaError | None = None
        self._sent_to: set[str] = set()  # topics of the open transaction
        self._delivered_to: dict[Partition, int] = {}
        ours = {
            "transactional.id": transactional_id,
            "enable.idempotence": True,
            "acks": "all",
            "transaction.timeout.ms": 60_000,
            "message.max.bytes": max_message_bytes,
            "compression.type": "none",  # batches are compressed before they are sealed
            "linger.ms": 5,
            "batch.size": 1_000_000,
            # The queue must hold at least two of the largest records.
            "queue.buffering.max.kbytes": max(queue_bytes, 2 * max_message_bytes) // 1024,
            "queue.buffering.max.messages": 10_000,
        }
        try:
            self._producer = Producer(configuration(settings, ours, self._reasons))
        except KafkaException as error:
            raise refused_configuration(error) from None

    def init(self) -> None:
        """Become the only producer: older ones are fenced, a transaction they left open is ended."""
        try:
            self._producer.init_transactions(REACH_TIMEOUT_S * 2)
        except KafkaException as error:
            with suppress(KafkaException):  # a fatal error is told by every call
                self._producer.poll(0)  # hear the reason
            raise explain(error, f"producer {self._id}: starting", self._reasons) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All records sent inside become visible together, or none does.

        Raises:
            Fenced: another producer took over; nothing of this transaction is visible.
            LogError: the brokers refused; nothing of this transaction is visible.
        """
        self._failed = None
        self._sent_to.clear()
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise explain(error, f"producer {self._id}: beginning a transaction", self._reasons) from None
        try:
            yield
            self._commit()
        except BaseException:
            self._abort()
            raise

    def send(self, topic: str, partition: int, header: Header, value: bytes) -> None:
        """Put one record into the open transaction; waits while the queue is full.

        Raises:
            RecordTooLarge: known before anything is sent.
            Fenced, LogError: the producer cannot go on.
        """
        if len(value) + OVERHEAD_BYTES // 2 > self.max_message_bytes:
            raise RecordTooLarge(topic, len(value), self.max_message_bytes)
        headers = header.to_kafka()
        self._sent_to.add(topic)
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=value,
                    partition=partition,
                    headers=headers,  # type: ignore[arg-type]
                    on_delivery=self._delivered,
                )
                break
            except BufferError:
                self._poll(0.1)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RecordTooLarge(topic, len(value), self.max_message_bytes) from None
                if error.args[0].code() == KafkaError._FATAL:
                    self._poll(_REASON_S)  # raises what it was: produce says only that there is no going on
                raise explain(error, f"topic {topic}", self._reasons) from None
        self._poll(0)

    def _poll(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            raise explain(error, f"producer {self._id}", self._reasons) from None

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until readers of committed records see all that was committed: it becomes visible a moment later."""
        admin = Admin(self._settings)
        end = time.monotonic() + timeout_s
        waiting = dict(self._delivered_to)
        while waiting and time.monotonic() < end:
            ends = admin.ends({place.topic for place in waiting})
            waiting = {
                place: offset for place, offset in waiting.items() if ends[place.topic].get(place.number, 0) <= offset
            }
            if waiting:
                time.sleep(0.01)

    def close(self) -> None:
        """Leave without waiting for anything; an open transaction has been aborted before."""
        with suppress(KafkaException):  # a fatal error is told by every call
            self._producer.purge()
            self._producer.flush(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if topic is not None and partition is not None and offset is not None:
                self._delivered_to[Partition(topic, partition)] = offset
        elif self._failed is None and error.code() not in _PURGED:
            self._failed = error

    def _commit(self) -> None:
        for left in reversed(range(_COMMIT_TRIES)):
            try:
                self._producer.commit_transaction(_COMMIT_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].retriable() and left:
                    continue
                cause = self._failed if self._failed is not None and not self._is_fenced(error) else error
                where = f"producer {self._id}: writing to {', '.join(sorted(self._sent_to))}"
                raise explain(cause, where, self._reasons) from None
            return

    @staticmethod
    def _is_fenced(error: KafkaException) -> bool:
        return isinstance(explain(error, ""), Fenced)

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(REACH_TIMEOUT_S)
        except KafkaException as error:  # the broker ends it by its time-out, or the next producer does
            log.info("kafka: transaction not aborted: %s", error.args[0].str())
