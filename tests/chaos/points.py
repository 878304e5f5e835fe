"""The named places where a program is killed: each is a fact that the program reports there.

Nothing in the product knows of them. `what` are fields that the fact must have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from runtime.reporting import (
    BatchesPublished,
    GenerationEnded,
    GenerationStarted,
    RowsCompared,
    TableDone,
    TableTotals,
)
from runtime.steps import (
    BatchDecoded,
    BatchesEncoded,
    BatchesRead,
    BatchesTransformed,
    ForeignKeyChecked,
    IndexesMade,
    LogCommitted,
    LogCommitting,
    OffsetsCommitted,
    PartitionsClaimed,
    PartitionsGivenUp,
    RecordPolled,
    RecordSent,
    RowQuarantined,
    RowsCopied,
    TableAnalyzed,
    TargetCommitted,
    TargetCommitting,
)
from tests.chaos.tiny import LAST_TABLE

Program = Literal["producer", "consumer", "validator"]


@dataclass(frozen=True, slots=True)
class Point:
    """One place: reached whenever the program reports such a fact."""

    name: str
    program: Program
    fact: type
    what: Mapping[str, str] = field(default_factory=dict)

    def is_reached(self, fact: object) -> bool:
        """Whether the fact says that the program is there."""
        return type(fact) is self.fact and all(getattr(fact, name) == value for name, value in self.what.items())


POINTS = (
    Point("producer: generation begins", "producer", GenerationStarted),
    Point("producer: read", "producer", BatchesRead),
    Point("producer: encoded", "producer", BatchesEncoded),
    Point("producer: sent", "producer", RecordSent),
    Point("producer: before a commit", "producer", LogCommitting),
    Point("producer: after a commit", "producer", LogCommitted),
    Point("producer: batches published", "producer", BatchesPublished),
    Point("producer: table done", "producer", TableDone),
    Point("producer: after the last table", "producer", TableDone, {"table": LAST_TABLE}),
    Point("producer: generation ended", "producer", GenerationEnded),
    Point("consumer: generation prepared", "consumer", GenerationStarted),
    Point("consumer: polled", "consumer", RecordPolled),
    Point("consumer: decoded", "consumer", BatchDecoded),
    Point("consumer: transformed", "consumer", BatchesTransformed),
    Point("consumer: copied", "consumer", RowsCopied),
    Point("consumer: in quarantine", "consumer", RowQuarantined),
    Point("consumer: before the commit of rows", "consumer", TargetCommitting, {"what": "rows"}),
    Point("consumer: after the commit of rows", "consumer", TargetCommitted, {"what": "rows"}),
    Point("consumer: before the commit of table-started", "consumer", TargetCommitting, {"what": "table started"}),
    Point("consumer: after the commit of table-started", "consumer", TargetCommitted, {"what": "table started"}),
    Point("consumer: before the commit of table-finished", "consumer", TargetCommitting, {"what": "table finished"}),
    Point("consumer: after the commit of table-finished", "consumer", TargetCommitted, {"what": "table finished"}),
    Point("consumer: after the offset commit", "consumer", OffsetsCommitted),
    Point("consumer: in a rebalance, claimed", "consumer", PartitionsClaimed),
    Point("consumer: in a rebalance, giving up", "consumer", PartitionsGivenUp),
    Point("consumer: in prune, before its commit", "consumer", TargetCommitting, {"what": "vanished rows"}),
    Point("consumer: in prune, after its commit", "consumer", TargetCommitted, {"what": "vanished rows"}),
    Point("consumer: in post-data, indexes", "consumer", IndexesMade),
    Point("consumer: in post-data, foreign keys", "consumer", ForeignKeyChecked),
    Point("consumer: in post-data, statistics", "consumer", TableAnalyzed),
    Point("consumer: generation ended", "consumer", GenerationEnded),
    Point("validator: begins", "validator", TableTotals),
    Point("validator: compared rows", "validator", RowsCompared),
    Point("validator: table done", "validator", TableDone),
)
BY_NAME = {point.name: point for point in POINTS}
