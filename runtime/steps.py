"""Steps: facts about each step that a batch takes, from the source into the log and from there into the target.

They are many and small (numbers and names, never a row's value): the terminal and the metrics ignore
them, a JSON log has them with --debug, and tests find by them every place where a process may die.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# ---------------------------------------------------------------- producer


@dataclass(frozen=True, slots=True)
class BatchesRead:
    """Rows of a table have come from the source, cut into batches."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class BatchesEncoded:
    """They are records now, sealed if there is a keyring."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RecordSent:
    """A record is in the open Kafka transaction."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class LogCommitting:
    """All records of a Kafka transaction are sent; what comes next is its commit."""

    records: int


@dataclass(frozen=True, slots=True)
class LogCommitted:
    """The records of a Kafka transaction are in the log."""

    records: int


# ---------------------------------------------------------------- consumer

Transaction = Literal["rows", "table started", "table finished", "passed over", "vanished rows"]


@dataclass(frozen=True, slots=True)
class RecordPolled:
    """A record of the log has come."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class BatchDecoded:
    """A batch is unsealed and decoded."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class BatchesTransformed:
    """Batches of a table are transformed, encrypted and printed for COPY."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class RowsCopied:
    """The target has taken rows by COPY, in a transaction that is still open."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class RowQuarantined:
    """A row is written into quarantine, in a transaction that is still open."""

    table: str


@dataclass(frozen=True, slots=True)
class TargetCommitting:
    """Everything of a transaction is written in the target; what comes next is its commit."""

    of: str
    what: Transaction


@dataclass(frozen=True, slots=True)
class TargetCommitted:
    """A transaction is committed in the target."""

    of: str
    what: Transaction


@dataclass(frozen=True, slots=True)
class OffsetsCommitted:
    """Kafka was told the positions of some partitions."""

    partitions: int


@dataclass(frozen=True, slots=True)
class PartitionsClaimed:
    """Partitions were assigned to this member, which owns them in the target now."""

    partitions: int


@dataclass(frozen=True, slots=True)
class PartitionsGivenUp:
    """Partitions were taken from this member; in the target it still owns them."""

    partitions: int


@dataclass(frozen=True, slots=True)
class IndexesMade:
    """A table has its unique constraints and indexes."""

    table: str


@dataclass(frozen=True, slots=True)
class ForeignKeyChecked:
    """A foreign key is there: valid, or not and why."""

    table: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class TableAnalyzed:
    """A table's sequences and statistics are as its rows are."""

    table: str


Step = (
    BatchesRead
    | BatchesEncoded
    | RecordSent
    | LogCommitting
    | LogCommitted
    | RecordPolled
    | BatchDecoded
    | BatchesTransformed
    | RowsCopied
    | RowQuarantined
    | TargetCommitting
    | TargetCommitted
    | OffsetsCommitted
    | PartitionsClaimed
    | PartitionsGivenUp
    | IndexesMade
    | ForeignKeyChecked
    | TableAnalyzed
)
