"""The second thread's work: unseal, decode, transform, encrypt, and print what COPY reads.

polars and libpq release the interpreter lock, so this runs beside the COPY of the group before.
Nothing here touches the target.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from consumer.apply import Rows
from consumer.backlog import Work
from consumer.refusal import Refusal
from consumer.transform import TablePlan
from runtime.control import open_control, open_value
from runtime.kafka import LogRecord, Partition
from runtime.keyring import Keyring
from schemas.batch import decode, to_copy_csv
from schemas.errors import ContractError
from schemas.records import ControlRecord, Position


@dataclass(frozen=True, kw_only=True)
class Group:
    """Batches of one table, ready: `source` are all rows as they came, `rows` those that a transform did not refuse."""

    work: Work
    plan: TablePlan
    source: pl.DataFrame
    rows: Rows
    refusals: tuple[Refusal, ...]

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        starts, row = [], 0
        for record in self.work.records:
            starts.append(row)
            row += record.header.rows
        return tuple(starts)

    def place(self, row: int) -> tuple[Position, int]:
        """Where a row of the group stands in the log: its batch, and its index there."""
        number = bisect_right(self._starts, row) - 1
        return self.work.records[number].position, row - self._starts[number]

    def rows_by_partition(self) -> dict[Partition, tuple[int, int]]:
        """For each partition the rows and the batches of the group."""
        found: dict[Partition, tuple[int, int]] = {}
        for record in self.work.records:
            rows, batches = found.get(record.partition, (0, 0))
            found[record.partition] = (rows + record.header.rows, batches + 1)
        return found


def prepare_group(work: Work, plan: TablePlan, tenant: str, keyring: Keyring | None) -> Group:
    """Everything between the log and COPY.

    Raises:
        ContractError: a record cannot be decoded, or is not what its header and table-started say.
        KeyringError: a key is missing.
    """
    frames = [_frame(record, plan, tenant, keyring) for record in work.records]
    source = frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=False)
    ready, places, refusals = plan.shape(source)
    rows = Rows(plan=plan, frame=ready, places=places, csv=to_copy_csv(ready))
    return Group(work=work, plan=plan, source=source, rows=rows, refusals=refusals)


def prepare_markers(work: Work, tenant: str, keyring: Keyring | None) -> tuple[ControlRecord, ...]:
    """The markers, decoded, in the order of the records."""
    return tuple(open_control(record, keyring, tenant) for record in work.records)


def _frame(record: LogRecord, plan: TablePlan, tenant: str, keyring: Keyring | None) -> pl.DataFrame:
    if record.header.schema != plan.schema.hash:
        raise ContractError(
            f"{record.position}: batch of other columns than its table-started record",
            hint="the record was written by another program or build; `consumer inspect` shows its headers",
        )
    frame = decode(open_value(record, keyring, tenant), plan.schema, record.position)
    if frame.height != record.header.rows:
        raise ContractError(
            f"{record.position}: {frame.height} rows, its header says {record.header.rows}",
            hint="the record is damaged or was written by another program; `consumer inspect` shows its headers",
        )
    return frame
