"""Records of the log as an independent reader sees them: headers, schema and rows, by fastavro.

Whatever wrote a record, another decoder than the consumer's reads it here. Values of rows and
keys are shown only when explicitly asked for; a sealed record that cannot be opened says so.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import fastavro

from runtime.control import open_value
from runtime.kafka import Admin, LogRecord, read_all
from runtime.keyring import Keyring
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, ContractError
from schemas.records import Kind, Position

# Fields of control records that are long, or hold values of keys.
_LONG = ("catalogue", "columns")
_VALUES = ("last_key",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """One record. `columns` and `rows` are None when it could not be opened; `values` unless asked for."""

    position: Position
    instant: str
    header: Mapping[str, Any]
    size_bytes: int
    is_sealed: bool
    columns: Mapping[str, str] | None = None
    rows: int | None = None
    record: Mapping[str, Any] | None = None
    values: tuple[Mapping[str, Any], ...] | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        plain = {**asdict(self), "position": str(self.position)}
        return json.dumps({key: value for key, value in plain.items() if value is not None}, ensure_ascii=False)

    def lines(self) -> Iterator[str]:
        """As a person reads it."""
        header = dict(self.header)
        kind, sealed = header.pop("kind"), f"sealed with key {header['kid']}" if self.is_sealed else "not sealed"
        yield f"{self.position}  {kind}  {self.instant}  {self.size_bytes:,} bytes  {sealed}"
        yield "  " + "  ".join(f"{name} {value}" for name, value in header.items() if value != "")
        if self.columns is None and self.record is None:
            yield "  its content was not opened" + (
                ": that needs KEYRING and KEYRING_KEK_FILE" if self.is_sealed else ""
            )
        if self.columns is not None:
            yield f"  {self.rows:,} rows of {len(self.columns)} columns:"
            yield "  " + ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        if self.record is not None:
            yield "  " + json.dumps(self.record, ensure_ascii=False)
        for row in self.values or ():
            yield "  " + json.dumps(row, ensure_ascii=False)


def read_records(settings: KafkaSettings, start: Position | None, topic: str, limit: int) -> Iterator[LogRecord]:
    """The record at `start`, or the first `limit` of a topic, partition after partition.

    Raises:
        ConfigurationError: there is no record at `start`.
    """
    if start is None:
        yield from islice(read_all(settings, topic), limit)
        return
    record = record_at(settings, start)
    if record is None:
        raise ConfigurationError(
            f"{start}: no record there or after it", hint="`consumer status` shows how far each partition reaches"
        )
    if record.position.offset != start.offset:
        raise ConfigurationError(
            f"{start}: no record there; the next one is {record.position}",
            hint="offsets have gaps where Kafka keeps its transaction markers",
        )
    yield record


def record_at(settings: KafkaSettings, position: Position, *, log: str | None = None) -> LogRecord | None:
    """The record at `position`, or the first one after it; None when there is none."""
    place, admin = position.partition, Admin(settings)
    if not admin.exists(position.topic):
        return None
    begin, end = admin.begin_offsets(position.topic), admin.end_offsets(position.topic)
    if not begin.get(place, 0) <= position.offset < end.get(place, 0):  # asking for it would be an error
        return None
    found = read_all(settings, position.topic, log=log, partitions=[place], start={place: position.offset})
    try:
        return next(found, None)
    finally:
        found.close()  # type: ignore[attr-defined]  # a generator; its reader must not live on


def inspect_record(record: LogRecord, keyring: Keyring | None, tenant: str, *, values: bool = False) -> Inspected:
    """Look into one record.

    Raises:
        ContractError: it is damaged, or the key is the wrong one.
        KeyringError: it is sealed with a key that the keyring lacks.
    """
    outside = headers_of(record)
    if record.header.kid and keyring is None:
        return outside
    schema, rows = _decode(open_value(record, keyring, tenant), record.position)
    if record.header.kind is not Kind.BATCH:
        return replace(outside, record=_shown(rows[0], values=values))
    columns = {field["name"]: _type_name(field["type"]) for field in schema["fields"]}
    shown = tuple(_plain(row) for row in rows) if values else None
    return replace(outside, columns=columns, rows=len(rows), values=shown)


def headers_of(record: LogRecord) -> Inspected:
    """What can be said of a record without opening it."""
    return Inspected(
        position=record.position,
        instant=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        header={name: str(v) if isinstance(v, Kind) else v for name, v in asdict(record.header).items()},
        size_bytes=len(record.value),
        is_sealed=bool(record.header.kid),
    )


def _decode(value: bytes, position: Position) -> tuple[Any, list[Any]]:
    try:
        reader = fastavro.reader(io.BytesIO(value))
        return reader.writer_schema, list(reader)
    except Exception:  # of many kinds, some with the value in their text
        raise ContractError(
            f"{position}: no Avro container file", hint="the record is damaged or was written by another program"
        ) from None


def _shown(record: Mapping[str, Any], *, values: bool) -> dict[str, Any]:
    shown = dict(record)
    for name in _LONG:
        if name in shown and not values:
            shown[name] = f"({len(shown[name]):,} {'characters' if isinstance(shown[name], str) else 'entries'})"
    for name in _VALUES:
        if shown.get(name) and not values:
            shown[name] = "(hidden)"
    return shown


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in row.items()
    }


def _type_name(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_type_name(part) for part in schema)
    return str(schema["type"] if isinstance(schema, dict) else schema)
