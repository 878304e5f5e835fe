"""A log made by hand: each record when the test wants it, as the producer would write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.kafka import Admin, Transactions
from runtime.kafka.admin import TopicSpec
from runtime.settings import KafkaSettings
from schemas import records
from schemas.avro import control_topic, topic_name
from schemas.batch import WireSchema, encode
from schemas.catalogue import Catalogue, Column, ForeignKey, Key, Table, gates
from schemas.migration import Migration
from schemas.records import (
    ControlRecord,
    Header,
    Kind,
    SnapshotAbandoned,
    SnapshotFinished,
    SnapshotStarted,
    TableFinished,
    TableStarted,
)

Spoil = Callable[[Header, bytes], tuple[Header, bytes]]

LOG = "6f1c1f5e-2f54-4c5e-9d1e-0d2f5a3b7c11"


def instant(second: int) -> str:
    """An instant; a later second is later."""
    return f"2026-01-01T00:00:{second:02d}.000000Z"


def table(name: str, *columns: str, key: str | None = "id", parent: str | None = None, **more: Any) -> Table:
    """A table of `name type` columns; with a `parent` its column parent_id points there."""
    parts = [column.partition(" ")[::2] for column in columns]
    primary = key and Key(name=f"{name}_pkey", columns=(key,), definition=f"PRIMARY KEY ({key})")
    foreign = parent and ForeignKey(
        name=f"{name}_parent_fkey",
        columns=("parent_id",),
        parent=parent,
        parent_columns=("id",),
        definition=f"FOREIGN KEY (parent_id) REFERENCES {parent}(id)",
    )
    return Table(
        name=name,
        columns=tuple(Column(name=column, type=type_, not_null=column == key) for column, type_ in parts),
        primary_key=primary or None,
        foreign_keys=(foreign,) if foreign else (),
        **more,
    )


class MadeLog:
    """Writes one record after the other; batches go to the partitions in turn."""

    def __init__(self, kafka: KafkaSettings, migration: Migration, tables: Sequence[Table], *, log: str = LOG) -> None:
        self.catalogue = Catalogue(tables=tuple(tables))
        self.migration = migration
        self._log = log
        self._bootstrap = kafka.bootstrap
        self._prefix = migration.log.prefix
        self._partitions = {item.name: migration.partitions_of(item) for item in tables}
        specs = [TopicSpec(name=control_topic(self._prefix), replication_factor=1)]
        specs += [
            TopicSpec(name=topic_name(self._prefix, name), partitions=count, replication_factor=1)
            for name, count in self._partitions.items()
        ]
        Admin(kafka).ensure_topics(specs)
        self._transactions = Transactions(kafka, self._prefix, max_message_bytes=1_000_000)
        self._transactions.init()
        self._generation, self._instant = 0, ""
        self._rows: dict[str, list[list[int]]] = {}  # rows of each batch, by partition
        self._attempts: dict[str, int] = {}

    def close(self) -> None:
        self._transactions.close()

    def begin(self, generation: int = 1, *, second: int = 1, only: Sequence[str] = ()) -> None:
        """A generation begins, partial with `only`."""
        self._generation, self._instant = generation, instant(second)
        self._attempts = {}
        self._control(
            SnapshotStarted(
                log=self._log,
                tenant=self.migration.tenant,
                generation=generation,
                instant=self._instant,
                migration_digest=self.migration.digest(),
                migration_parts=self.migration.parts(),
                system_identifier="1",
                database="source",
                server_version=150000,
                wal_position="0/0",
                snapshot="1:1:",
                tables=tuple(only) or tuple(item.name for item in self.catalogue.tables),
                is_partial=bool(only),
                catalogue=self.catalogue.to_json(),
            )
        )

    def start(self, name: str, *, second: int | None = None) -> None:
        """A table's next attempt begins."""
        item = self.catalogue.table(name)
        schema = WireSchema.of(item)
        self._attempts[name] = self._attempts.get(name, 0) + 1
        self._rows[name] = [[] for _ in range(self._partitions[name])]
        marker = TableStarted(
            table=name,
            generation=self._generation,
            attempt=self._attempts[name],
            instant=self._instant if second is None else instant(second),
            topic=topic_name(self._prefix, name),
            partitions=self._partitions[name],
            columns=schema.columns,
            schema=schema.hash,
            key=item.key,
            parents=tuple(sorted(gates(self.catalogue.tables)[item.name])),
        )
        self._control(marker)
        for partition in range(self._partitions[name]):
            self._send(topic_name(self._prefix, name), partition, marker)

    def batch(self, name: str, rows: Sequence[Mapping[str, Any]], spoil: Spoil | None = None) -> None:
        """One batch; `spoil` makes a damaged record of it."""
        schema = WireSchema.of(self.catalogue.table(name))
        frame = pl.DataFrame([dict(row) for row in rows], schema=schema.polars)
        sequence = sum(map(len, self._rows[name]))
        partition = sequence % self._partitions[name]
        self._rows[name][partition].append(len(rows))
        header = Header(
            kind=Kind.BATCH,
            log=self._log,
            generation=self._generation,
            attempt=self._attempts[name],
            sequence=sequence,
            rows=len(rows),
            schema=schema.hash,
        )
        value = encode(frame, schema)
        header, value = spoil(header, value) if spoil else (header, value)
        with self._transactions.transaction():
            self._transactions.send(topic_name(self._prefix, name), partition, header, value)

    def header(self, name: str, kind: Kind, **changed: Any) -> Header:
        """A header of a table's attempt, as it would be."""
        plain = {"log": self._log, "generation": self._generation, "attempt": self._attempts[name]}
        return Header(kind=kind, **{**plain, **changed})

    def marker(self, name: str, partition: int, record: ControlRecord) -> None:
        """A marker on a single partition."""
        self._send(topic_name(self._prefix, name), partition, record)

    def foreign(self, name: str, partition: int, headers: list[tuple[str, bytes]], value: bytes | None) -> None:
        """A record that another program writes into a table's topic."""
        self._write(topic_name(self._prefix, name), partition, headers, value)

    def foreign_control(self, headers: list[tuple[str, bytes]], value: bytes) -> None:
        """A record that another program writes into the control topic."""
        self._write(control_topic(self._prefix), 0, headers, value)

    def _write(self, topic: str, partition: int, headers: list[tuple[str, bytes]], value: bytes | None) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap})
        producer.produce(topic, partition=partition, headers=headers, value=value)  # type: ignore[arg-type]
        assert producer.flush(30) == 0

    def delete_records(self, name: str, partition: int) -> None:
        """What retention does: all records so far of a partition are gone."""
        place = TopicPartition(topic_name(self._prefix, name), partition, -1)
        client = AdminClient({"bootstrap.servers": self._bootstrap})
        for future in client.delete_records([place]).values():
            future.result()

    def finish(self, name: str) -> None:
        """The attempt is complete."""
        batches = self._rows[name]
        rows, count = sum(map(sum, batches)), sum(map(len, batches))

        def marker(partition_rows: int, partition_batches: int) -> TableFinished:
            return TableFinished(
                table=name,
                generation=self._generation,
                attempt=self._attempts[name],
                rows=rows,
                batches=count,
                partition_rows=partition_rows,
                partition_batches=partition_batches,
                sums={},
            )

        for partition, share in enumerate(batches):
            self._send(topic_name(self._prefix, name), partition, marker(sum(share), len(share)))
        self._control(marker(rows, count))

    def whole(self, name: str, *batches: Sequence[Mapping[str, Any]]) -> None:
        """A table from its beginning to its end."""
        self.start(name)
        for rows in batches:
            self.batch(name, rows)
        self.finish(name)

    def end(self) -> None:
        """The generation is complete."""
        self._control(
            SnapshotFinished(
                generation=self._generation,
                instant=self._instant,
                rows={name: sum(map(sum, self._rows[name])) for name in self._attempts},
                attempts=dict(self._attempts),
            )
        )
        self._transactions.settle()

    def abandon(self) -> None:
        """The generation will never be complete."""
        self._control(SnapshotAbandoned(generation=self._generation, instant=self._instant, reason="test"))
        self._transactions.settle()

    def settle(self) -> None:
        """Wait until readers see all of it."""
        self._transactions.settle()

    def _control(self, record: ControlRecord) -> None:
        self._send(control_topic(self._prefix), 0, record)

    def _send(self, topic: str, partition: int, record: ControlRecord) -> None:
        header = Header(
            kind=record.kind,
            log=self._log,
            generation=record.generation,
            attempt=getattr(record, "attempt", 0),
        )
        with self._transactions.transaction():
            self._transactions.send(topic, partition, header, records.encode(record))
