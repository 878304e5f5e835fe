"""What a log holds, read by fastavro: an independent reader beside the product's own."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
import psycopg

from runtime.control import open_value
from runtime.kafka import LogRecord, read_all
from runtime.keyring import Keyring
from runtime.settings import KafkaSettings
from schemas.avro import control_topic, topic_name
from schemas.records import Kind

Row = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Published:
    """The last attempt of a table's newest generation, as its topic holds it."""

    attempt: int
    rows: Counter[Row]
    started: Mapping[int, Mapping[str, Any]]  # by partition
    finished: Mapping[int, Mapping[str, Any]]


def published(
    bootstrap: str, prefix: str, table: str, *, tenant: str = "", keyring: Keyring | None = None
) -> Published:
    """Read a table's topic; sequences must be whole, and each batch where its number says."""
    topic = topic_name(prefix, table)
    records = list(read_all(KafkaSettings(bootstrap), topic))
    newest = max((record.header.generation, record.header.attempt) for record in records)
    ours = [record for record in records if (record.header.generation, record.header.attempt) == newest]

    def avro(record: LogRecord) -> list[dict[str, Any]]:
        return list(fastavro.reader(io.BytesIO(open_value(record, keyring, tenant))))  # type: ignore[arg-type]

    def markers(kind: Kind) -> dict[int, dict[str, Any]]:
        return {record.position.partition: avro(record)[0] for record in ours if record.header.kind is kind}

    started, finished = markers(Kind.TABLE_STARTED), markers(Kind.TABLE_FINISHED)
    batches = [record for record in ours if record.header.kind is Kind.BATCH]
    assert sorted(record.header.sequence for record in batches) == list(range(len(batches)))
    rows: Counter[Row] = Counter()
    for record in batches:
        assert record.position.partition == record.header.sequence % len(started)
        found = avro(record)
        assert len(found) == record.header.rows
        rows.update(tuple(sorted(row.items())) for row in found)
    for partition, marker in finished.items():
        here = [record for record in batches if record.position.partition == partition]
        assert marker["partition_batches"] == len(here)
        assert marker["partition_rows"] == sum(record.header.rows for record in here)
    return Published(newest[1], rows, started, finished)


def said(bootstrap: str, prefix: str) -> list[Kind]:
    """The kinds of the control records, in order."""
    return [record.header.kind for record in read_all(KafkaSettings(bootstrap), control_topic(prefix))]


def source_rows(url: str, table: str, columns: Mapping[str, str]) -> Counter[Row]:
    """The table as the source shows it; `columns` are SQL expressions by name."""
    chosen = ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row, options="-c TimeZone=UTC") as connection:
        rows = connection.execute(f"SELECT {chosen} FROM {table}".encode()).fetchall()
    return Counter(tuple(sorted(row.items())) for row in rows)
