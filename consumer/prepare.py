"""The second thread's work: unseal, decode, transform, encrypt, and print what COPY reads.

polars and libpq release the interpreter lock, so this runs beside the COPY of the group before.
Nothing here touches the target. What a group keeps are its records as they stand in the log and the
text for COPY; rows are decoded again when one of them is at fault, so that groups stay small.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from consumer.apply import Rows
from consumer.backlog import Work
from consumer.refusal import Refusal
from consumer.transform import TablePlan
from runtime.control import open_control, open_value
from runtime.kafka import LogRecord, Partition
from runtime.keyring import Keyring
from runtime.reporting import Report
from runtime.steps import BatchDecoded, BatchesTransformed
from schemas.batch import decode, to_copy_csv
from schemas.errors import ContractError, KeyringError
from schemas.records import Poisoned, Position, TableFinished, TableStarted

Marker = TableStarted | TableFinished

PIECE_BYTES = 4 * 1024 * 1024  # of a frame: what is decoded, encrypted and printed at once


@dataclass
class Decoder:
    """Records of one table into frames."""

    plan: TablePlan
    tenant: str
    keyring: Keyring | None
    report: Report
    _last: tuple[Position, pl.DataFrame] | None = None

    def pieces(self, records: Sequence[LogRecord]) -> Iterator[pl.DataFrame]:
        """Their rows in order, some records at a time: `PIECE_BYTES` at most, or one record that is larger."""
        frames: list[pl.DataFrame] = []
        size = 0
        for record in records:
            frame = self._decoded(record)
            if frames and size + frame.estimated_size() > PIECE_BYTES:
                yield _together(frames)
                size = 0
            size += int(frame.estimated_size())
            frames.append(frame)
            del frame
        if frames:
            yield _together(frames)

    def frame(self, record: LogRecord) -> pl.DataFrame:
        """The rows of a record; the last one's are kept, for rows at fault come in order."""
        if self._last is None or self._last[0] != record.position:
            self._last = record.position, self._decoded(record)
        return self._last[1]

    def _decoded(self, record: LogRecord) -> pl.DataFrame:
        try:
            frame = self._opened(record)
        except (ContractError, KeyringError) as error:
            raise Poisoned(record.position, error) from None
        self.report(BatchDecoded(self.plan.mapping.table.name, frame.height))
        return frame

    def _opened(self, record: LogRecord) -> pl.DataFrame:
        if record.header.schema != self.plan.schema.hash:
            raise ContractError(
                f"{record.position}: batch of other columns than its table-started record",
                hint="the record was written by another program or build; `consumer inspect` shows its headers",
            )
        frame = decode(open_value(record, self.keyring, self.tenant), self.plan.schema, record.position)
        if frame.height != record.header.rows:
            raise ContractError(
                f"{record.position}: {frame.height} rows, its header says {record.header.rows}",
                hint="the record is damaged or was written by another program; `consumer inspect` shows its headers",
            )
        return frame


def _together(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame of them; the list is emptied, so that nothing else holds them."""
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=False)
    frames.clear()
    return frame


@dataclass(frozen=True, kw_only=True)
class Group:
    """Batches of one table, ready: `rows` are those that a transform did not refuse."""

    work: Work
    plan: TablePlan
    rows: Rows
    refusals: tuple[Refusal, ...]
    decoder: Decoder

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        starts, row = [], 0
        for record in self.work.records:
            starts.append(row)
            row += record.header.rows
        return tuple(starts)

    @property
    def height(self) -> int:
        """Rows of the group, with those that were refused."""
        return self.rows.height + len(self.refusals)

    def source(self, row: int) -> pl.DataFrame:
        """A row of the group as it came."""
        number = bisect_right(self._starts, row) - 1
        return self.decoder.frame(self.work.records[number]).slice(row - self._starts[number], 1)

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


def prepare_group(work: Work, plan: TablePlan, tenant: str, keyring: Keyring | None, report: Report) -> Group:
    """Everything between the log and COPY.

    Raises:
        Poisoned: a record cannot be opened or decoded, or is not what its header and table-started say.
    """
    decoder = Decoder(plan, tenant, keyring, report)
    places: list[int] = []
    refusals: list[Refusal] = []
    csv: list[bytes] = []
    start = 0
    for source in decoder.pieces(work.records):
        ready, kept, refused = plan.shape(source)
        csv.append(to_copy_csv(ready))
        places += [start + row for row in kept]
        refusals += [replace(refusal, row=start + refusal.row) for refusal in refused]
        start += source.height
        del source, ready  # before the next piece is made

    def again() -> pl.DataFrame:
        return pl.concat([plan.shape(source)[0] for source in decoder.pieces(work.records)], rechunk=False)

    report(BatchesTransformed(plan.mapping.table.name, start))
    rows = Rows(plan=plan, places=places if refusals else range(start), csv=csv, again=again)
    return Group(work=work, plan=plan, rows=rows, refusals=tuple(refusals), decoder=decoder)


def prepare_markers(work: Work, plan: TablePlan, tenant: str, keyring: Keyring | None) -> tuple[Marker, ...]:
    """The markers, decoded, in the order of the records.

    Raises:
        Poisoned: a record cannot be opened or decoded, or is no marker of this table's attempt.
    """
    return tuple(_marker(record, plan.mapping.table.name, tenant, keyring) for record in work.records)


def _marker(record: LogRecord, table: str, tenant: str, keyring: Keyring | None) -> Marker:
    try:
        found = open_control(record, keyring, tenant)
    except (ContractError, KeyringError) as error:
        raise Poisoned(record.position, error) from None
    header = record.header
    place = (table, header.generation, header.attempt)
    if isinstance(found, TableStarted | TableFinished) and (found.table, found.generation, found.attempt) == place:
        return found
    out_of_place = ContractError(
        f"{record.position}: a {header.kind} record out of place",
        hint="the record was written by another program; `consumer inspect` shows it",
    )
    raise Poisoned(record.position, out_of_place)
