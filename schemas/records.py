"""Control records and record headers: what producer, consumer and validator say through the log.

Every value in the log is an Avro object container file; the schemas of control records are
`records/*.avsc`, named after their kind. Batches are written column-wise (`schemas.batch`).
A header holds no row value. A record in the log is `Header` + value bytes, sealed when the
header names a key (`schemas.seal`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, ClassVar

import fastavro

from schemas.errors import ContractError, ReplicatorError

FORMAT = 1

OVERHEAD_BYTES = 2048  # what a record needs beside its encoded value: seal, headers and framing, generously


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: the offset of a record, or the next one to be read."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


class Kind(StrEnum):
    """What a record is."""

    BATCH = "batch"
    SNAPSHOT_STARTED = "snapshot-started"
    SNAPSHOT_RESUMED = "snapshot-resumed"
    TABLE_STARTED = "table-started"
    CHECKPOINT = "checkpoint"
    TABLE_FINISHED = "table-finished"
    SNAPSHOT_FINISHED = "snapshot-finished"
    SNAPSHOT_ABANDONED = "snapshot-abandoned"


class UnknownFormat(ContractError):
    """A record of a format that this build does not know."""

    def __init__(self, position: Position, found: str) -> None:
        if not (found.isdecimal() and len(found) < 10):
            what, hint = "record without a format", "another program wrote it: no two programs must share log.prefix"
        elif int(found) < FORMAT:
            what = f"record of the older format {found}"
            hint = "read it with the build that wrote it; or start over: `consumer rollback`, `producer drop-log`, `producer snapshot`"
        else:
            what = f"record of format {found}"
            hint = "upgrade the consumers and the validator before the producer, or read with the build that wrote it"
        super().__init__(f"{position}: {what}, this build reads format {FORMAT}", hint=hint)


class Poisoned(ContractError):
    """A record at which its partition stops; others go on. Whoever met it does not try it again."""

    def __init__(self, position: Position, error: ReplicatorError) -> None:
        text = str(error)
        super().__init__(text if text.startswith(str(position)) else f"{position}: {text}", hint=error.hint)
        self.position = position


_MOST = 2**31  # of any number in a header; the target keeps them as integers


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < _MOST:
        raise ValueError
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The Kafka headers of a record; text and numbers only, never a row's value.

    `sequence` counts the batches of a table's attempt from 0; of a marker it is the number of
    batches before it. `rows` are the rows of a batch. `schema` is the hash of the table's
    columns (`schemas.batch`), "" on control records. `kid` names the key that seals the value,
    "" when it is in clear.
    """

    kind: Kind
    log: str
    generation: int
    attempt: int = 0
    sequence: int = 0
    rows: int = 0
    schema: str = ""
    kid: str = ""
    format: int = FORMAT

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """Headers as Kafka takes them."""
        return [(item.name, str(getattr(self, item.name)).encode()) for item in fields(self)]

    @classmethod
    def from_kafka(cls, headers: Sequence[tuple[str, bytes | None]] | None, position: Position) -> Header:
        """Read what `to_kafka` wrote.

        Raises:
            UnknownFormat: another format; nothing else of the record is looked at.
            ContractError: the record has no such headers, so we did not write it.
        """
        found = {name: (value or b"").decode("utf-8", "replace") for name, value in headers or ()}
        if found.get("format") != str(FORMAT):
            raise UnknownFormat(position, found.get("format", "none"))
        try:
            return cls(
                kind=Kind(found["kind"]),
                log=found["log"],
                generation=_number(found["generation"]),
                attempt=_number(found["attempt"]),
                sequence=_number(found["sequence"]),
                rows=_number(found["rows"]),
                schema=found["schema"],
                kid=found["kid"],
            )
        except (KeyError, ValueError):
            raise ContractError(
                f"{position}: record without the headers of a replicator's log",
                hint="see who else writes to this topic; `consumer inspect` shows the record",
            ) from None

    def associated_data(self, topic: str, partition: int) -> bytes:
        """What a seal binds the value to: this log, this place, this header. Injective (JSON list)."""
        parts = [topic, partition, *(getattr(self, item.name) for item in fields(self))]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStarted:
    """A generation begins. `instant` is ISO 8601 in UTC with microseconds, as all instants."""

    kind: ClassVar[Kind] = Kind.SNAPSHOT_STARTED
    log: str
    tenant: str
    generation: int
    instant: str
    migration_digest: str
    migration_parts: Mapping[str, str] = field(default_factory=dict)  # `schemas.shape`; older builds wrote none
    system_identifier: str
    database: str
    server_version: int  # server_version_num
    wal_position: str  # pg_lsn
    snapshot: str  # pg_current_snapshot()
    tables: tuple[str, ...]  # in the order they are read
    is_partial: bool  # only some tables or rows: gates only on its own tables, never prunes
    catalogue: str  # Catalogue.to_json()
    timeline: int = 0  # of the WAL position; 0 in records of older builds
    plan: str = ""  # digest of the repair plan whose rows alone are published (`--keys`); "" for whole tables


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotResumed:
    """An unfinished generation goes on in a new snapshot."""

    kind: ClassVar[Kind] = Kind.SNAPSHOT_RESUMED
    generation: int
    instant: str
    wal_position: str
    snapshot: str
    kept: tuple[str, ...]  # tables (finished, or as far as published) proven unchanged
    again: tuple[str, ...]  # tables that changed: read again as their next attempt
    timeline: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WireColumn:
    """How one column travels: `field` is its Avro name, `wire` the Avro type (`schemas.pgtypes.Wire`)."""

    name: str
    type: str
    field: str
    wire: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStarted:
    """A table's attempt begins; stands on the control topic and on every partition of the table's topic.

    Rows of the attempt show the state of `instant`: it becomes their `migrated_at`, also after a resume.
    """

    kind: ClassVar[Kind] = Kind.TABLE_STARTED
    table: str
    generation: int
    attempt: int
    instant: str
    topic: str
    partitions: int
    columns: tuple[WireColumn, ...]
    schema: str  # hash of the columns, repeated in each batch's header
    key: tuple[str, ...]
    parents: tuple[str, ...]  # what its gate waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All batches below `sequence` of this attempt are in the log (same Kafka transaction). Control topic only.

    `last_key` are the key's column values as text, so checkpoints are sealed like batches; empty without a key.
    `partition_rows` are the rows on each partition, so that a resume can state each partition's share.
    """

    kind: ClassVar[Kind] = Kind.CHECKPOINT
    table: str
    generation: int
    attempt: int
    sequence: int
    rows: int
    bytes: int
    last_key: tuple[str, ...]
    partition_rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFinished:
    """A table's attempt is complete; on the control topic, and on every partition with that partition's share."""

    kind: ClassVar[Kind] = Kind.TABLE_FINISHED
    table: str
    generation: int
    attempt: int
    rows: int
    batches: int
    partition_rows: int  # on the control topic: the same as `rows`
    partition_batches: int
    sums: Mapping[str, str]  # column: exact sum of the declared and integer columns, as text


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFinished:
    """The generation is complete in the log and equals its last snapshot."""

    kind: ClassVar[Kind] = Kind.SNAPSHOT_FINISHED
    generation: int
    instant: str
    rows: Mapping[str, int]  # table: rows of its last attempt
    attempts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotAbandoned:
    """The generation will never be finished; what follows is the next one."""

    kind: ClassVar[Kind] = Kind.SNAPSHOT_ABANDONED
    generation: int
    instant: str
    reason: str


ControlRecord = (
    SnapshotStarted | SnapshotResumed | TableStarted | Checkpoint | TableFinished | SnapshotFinished | SnapshotAbandoned
)

_CLASSES: dict[Kind, type[Any]] = {
    record.kind: record
    for record in (
        SnapshotStarted,
        SnapshotResumed,
        TableStarted,
        Checkpoint,
        TableFinished,
        SnapshotFinished,
        SnapshotAbandoned,
    )
}


@cache
def avro_schema(kind: Kind) -> Any:
    """The parsed Avro schema of a control record."""
    text = resources.files("schemas").joinpath("records").joinpath(f"{kind}.avsc").read_text("utf-8")
    return fastavro.parse_schema(json.loads(text))


def encode(record: ControlRecord) -> bytes:
    """The record as an Avro object container file."""
    out = io.BytesIO()
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(record).items()}
    fastavro.writer(out, avro_schema(record.kind), [plain], codec="deflate")
    return out.getvalue()


def decode(kind: Kind, value: bytes, position: Position) -> ControlRecord:
    """The control record in `value`.

    Raises:
        ContractError: it is not an Avro container of that kind's record.
    """
    try:
        (plain,) = fastavro.reader(io.BytesIO(value), avro_schema(kind))
        parts = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}  # type: ignore[union-attr]
        if kind is Kind.TABLE_STARTED:
            parts["columns"] = tuple(WireColumn(**column) for column in parts["columns"])
        record: ControlRecord = _CLASSES[kind](**parts)
        return record
    except Exception:  # fastavro raises many kinds, some with the value in their text
        raise ContractError(
            f"{position}: {kind} record cannot be decoded",
            hint="the record is damaged or was written by another program; `consumer inspect` shows its headers",
        ) from None
