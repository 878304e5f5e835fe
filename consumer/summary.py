"""What a run has done and how a tenant stands, as text and as JSON; counts and times only. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from consumer.gate import Gate
from consumer.stall import stall_lines, still_s, waits
from consumer.stops import stopped_lines
from runtime.kafka import Partition
from runtime.progress import GenerationProgress, GenerationState, Progress, TableProgress, instant_text


def seconds_of(generation: GenerationProgress) -> float | None:
    """How long a generation took from its first row to its end (or to its last row)."""
    until = generation.ended_at or generation.loaded_at
    if generation.prepared_at is None or until is None:
        return None
    return max((until - generation.prepared_at).total_seconds(), 0.0)


def plain_table(table: TableProgress) -> dict[str, Any]:
    """One table as JSON has it."""
    return {
        "table": table.table_name,
        "state": str(table.state),
        "attempt": table.attempt,
        "published": table.published,
        "applied": table.applied,
        "quarantined": table.quarantined,
        "pruned": table.pruned,
        "seconds": _seconds(table.started_at, table.finished_at),
    }


def plain_generation(progress: Progress, number: int) -> dict[str, Any]:
    """One generation as JSON has it."""
    generation = progress.generations[number]
    tables = progress.tables_of(number)
    applied, seconds = sum(table.applied for table in tables), seconds_of(generation)
    return {
        "tenant": progress.tenant.tenant,
        "schema": progress.tenant.schema_name,
        "generation": number,
        "instant": instant_text(generation.instant),
        "state": str(generation.state),
        "whole": generation.whole,
        "partial": generation.is_partial,
        "published": _sum(table.published for table in tables),
        "applied": applied,
        "quarantined": sum(table.quarantined for table in tables),
        "pruned": sum(table.pruned for table in tables),
        "seconds": seconds,
        "rows_per_second": round(applied / seconds) if seconds else None,
        "tables": [plain_table(table) for table in tables],
        "foreign_keys": [
            {"table": key.table_name, "name": key.name, "parent": key.parent, "state": key.state}
            for key in progress.foreign_keys
            if key.state != "valid"
        ],
    }


def _sum(values: Any) -> int | None:
    found = list(values)
    return None if None in found else sum(found)


def summary_json(progress: Progress, number: int) -> str:
    """The summary of a generation as one JSON object."""
    return json.dumps(plain_generation(progress, number), ensure_ascii=False, indent=2)


def summary_lines(progress: Progress, number: int) -> Iterator[str]:
    """The summary of a generation as text."""
    generation = progress.generations[number]
    tables = progress.tables_of(number)
    yield from _head(progress, generation)
    rows = [("table", "published", "applied", "quarantined", "seconds")]
    rows += [
        (
            table.table_name,
            _number(table.published),
            _number(table.applied),
            _number(table.quarantined),
            _duration(_seconds(table.started_at, table.finished_at)),
        )
        for table in tables
    ]
    rows.append(
        (
            "all",
            _number(_sum(table.published for table in tables)),
            _number(sum(table.applied for table in tables)),
            _number(sum(table.quarantined for table in tables)),
            _duration(seconds_of(generation)),
        )
    )
    yield from _aligned(rows)
    seconds, applied = seconds_of(generation), sum(table.applied for table in tables)
    if seconds:
        yield f"{applied / seconds:,.0f} rows per second"
    pruned = sum(table.pruned for table in tables)
    if pruned:
        yield f"{pruned:,} rows that had vanished at the source were deleted"
    yield from _troubles(progress, generation, sum(table.quarantined for table in tables))


def _head(progress: Progress, generation: GenerationProgress) -> Iterator[str]:
    part = ", partial" if generation.is_partial else ""
    yield (
        f"tenant {progress.tenant.tenant} in schema {progress.tenant.schema_name}: "
        f"generation {generation.generation}{part}, {_state(generation)}, shows {instant_text(generation.instant)}"
    )


def _state(generation: GenerationProgress) -> str:
    if generation.state is GenerationState.ENDED:
        return "ended, whole" if generation.whole else "ended, not whole"
    return str(generation.state)


def _troubles(progress: Progress, generation: GenerationProgress, quarantined: int) -> Iterator[str]:
    for key in progress.foreign_keys:
        if key.state != "valid":
            why = (
                "it is NOT VALID at the source too" if key.state == "inherited" else "rows it needs stand in quarantine"
            )
            yield f"foreign key {key.name} of {key.table_name} stays NOT VALID ({key.state}): {why}"
    if quarantined:
        yield f"errors: {quarantined:,} rows stand in quarantine; `consumer quarantine list` says why"
    elif generation.state is GenerationState.ENDED:
        yield "errors: none"


def status_lines(progress: Progress, lag: Mapping[Partition, int]) -> Iterator[str]:
    """How a tenant stands now."""
    number = _shown(progress)
    if number is None:
        yield f"tenant {progress.tenant.tenant}: no generation yet"
        return
    generation = progress.generations[number]
    yield from _head(progress, generation)
    closed = Gate(progress).waits_for()
    rows = [("table", "state", "published", "applied", "quarantined", "waits for")]
    rows += [
        (
            table.table_name,
            str(table.state),
            _number(table.published),
            _number(table.applied),
            _number(table.quarantined),
            ", ".join(closed.get(table.table_name, ())) if table.state == "waiting" else "",
        )
        for table in progress.tables_of(number)
    ]
    yield from _aligned(rows)
    owners = {item.owner_member for item in progress.positions.values() if item.owner_member}
    behind = sum(lag.values())
    yield f"{len(owners)} consumers own partitions; {behind:,} offsets behind the log's end"
    yield from stall_lines(progress, lag)
    for line in stopped_lines(progress.stops):
        yield f"stopped: {line}"
    yield from _troubles(progress, generation, sum(table.quarantined for table in progress.tables_of(number)))


def status_json(progress: Progress, lag: Mapping[Partition, int]) -> str:
    """How a tenant stands now, as one JSON object."""
    number = _shown(progress)
    shown = {} if number is None else plain_generation(progress, number)
    return json.dumps(
        {
            "tenant": progress.tenant.tenant,
            "schema": progress.tenant.schema_name,
            "log": progress.tenant.log_id,
            "generations": {str(n): str(item.state) for n, item in sorted(progress.generations.items())},
            "current": shown or None,
            "waits_for": {table: list(names) for table, names in Gate(progress).waits_for().items()},
            "still_seconds": still_s(progress),
            "waits": [{"who": wait.who, "for": wait.for_what} for wait in waits(progress, lag)],
            "stopped": [
                {
                    "topic": stop.topic,
                    "partition": stop.partition,
                    "offset": stop.offset,
                    "table": stop.table_name,
                    "since": instant_text(stop.since),
                    "reason": stop.reason,
                    "hint": stop.hint,
                    "tried_again": not stop.is_held,
                }
                for stop in progress.stops
            ],
            "positions": [
                {
                    "topic": item.topic,
                    "partition": item.partition,
                    "next_offset": item.next_offset,
                    "behind": lag.get(Partition(item.topic, item.partition)),
                    "owner": item.owner_member,
                }
                for item in progress.positions.values()
            ],
        },
        ensure_ascii=False,
        indent=2,
    )


def _shown(progress: Progress) -> int | None:
    current = progress.running or progress.newest
    return None if current is None else current.generation


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:,.1f}"


_TEXTS = ("table", "state", "waits for")


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns under the headings of the first row; numbers to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if heading in _TEXTS else cell.rjust(width)
            for cell, width, heading in zip(row, widths, rows[0], strict=True)
        ]
        yield "  ".join(cells).rstrip()
