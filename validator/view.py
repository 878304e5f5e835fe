"""The report on a terminal: tables and layers, then what differs, then the verdict and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from runtime.display import shown
from validator.page import MARKS, changed_since, duration, remarks
from validator.verdict import WHOLE, Layer

_STYLES = {"equal": "green", "different": "bold red", "inconclusive": "yellow", "skipped": "dim"}
_SHOWN = 50

# Columns of the matrix are narrow, so that twelve of them fit on eighty columns.
_SHORT = {
    Layer.SCHEMA: "schema",
    Layer.COUNTS: "counts",
    Layer.PUBLISHED: "pub-\nlished",
    Layer.SUMS: "sums",
    Layer.CHECKSUMS: "check-\nsums",
    Layer.FOREIGN_KEYS: "foreign\nkeys",
    Layer.ENVELOPES: "enve-\nlopes",
    Layer.CELLS: "cells",
    Layer.ROWS: "rows",
}


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    console.print(Group(*_parts(report)))


def _parts(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield _matrix(report)
    yield Text()
    if report["differences"]:
        yield _differences(report)
        more = report["differences_total"] - min(len(report["differences"]), _SHOWN)
        if more > 0:
            yield Text(f"… and {more:,} more; --json-report and --report list them", style="dim")
        yield Text()
    if report.get("changed_since"):
        yield Text("changed at the source since the snapshot; the target holds what was published:", style="dim")
        yield _differences({"differences": report["changed_since"]})
        more = changed_since(report) - min(len(report["changed_since"]), _SHOWN)
        if more > 0:
            yield Text(f"… and {more:,} more; --json-report and --report list them", style="dim")
        yield Text()
    notes = list(_notes(report))
    if notes:
        yield from notes
        yield Text()
    yield from _verdict(report)


def _matrix(report: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("table", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    layers = [layer for layer in Layer if layer not in WHOLE]
    for layer in layers:
        table.add_column(_SHORT[layer], justify="center")
    for item in report["tables"]:
        rows = item["rows_target"] if item["rows_target"] is not None else item["rows_source"]
        cells = [_mark(item["layers"][layer.value]["verdict"]) for layer in layers]
        table.add_row(_text(item["name"]), "–" if rows is None else f"{rows:,}", *cells)
    return table


def _text(name: str, style: str = "") -> Text:
    """Names are whatever somebody called a thing: no markup, and nothing that a terminal obeys."""
    return Text(shown(name), style=style)


def _mark(verdict: str) -> Text:
    return Text(MARKS[verdict], style=_STYLES[verdict])


def _differences(report: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("table", no_wrap=True)
    table.add_column("layer", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("key", no_wrap=True)
    table.add_column("where and why", overflow="fold")
    for item in report["differences"][:_SHOWN]:
        columns = ", ".join(item["columns"])
        detail = ": ".join(part for part in (columns, item["detail"]) if part)
        rows = f" × {item['rows']:,}" if item["rows"] > 1 else ""
        style = (
            _STYLES["inconclusive"]
            if item["kind"] in ("quarantined", "discarded", "orphan_waiting", "changed_since")
            else "red"
        )
        table.add_row(
            _text(item["table"] or "–"),
            Text(item["layer"]),
            Text(item["kind"].replace("_", " ") + rows, style=style),
            Text(item["key"] or "–"),
            _text(detail or "–"),
        )
    return table


def _notes(report: Mapping[str, Any]) -> Iterator[Text]:
    found = remarks(report)
    for table, heading, text in found[:_SHOWN]:
        yield _text(f"{table or heading.lower()}: {text}", style="dim")
    if len(found) > _SHOWN:
        yield Text(f"… and {len(found) - _SHOWN:,} more remarks; --json-report and --report list them", style="dim")


def _verdict(report: Mapping[str, Any]) -> Iterator[Text]:
    verdict = report["verdict"]
    line = Text(f"{MARKS[verdict]} ", style=_STYLES[verdict])
    line.append(shown(report["sentence"]), style=_STYLES[verdict])
    yield line
    load, source = report["load"], report["source"]
    if load["generation"] is not None and source is not None:
        yield Text(
            f"generation {load['generation']} shows the source at {load['instant']},"
            f" compared with the source at {source['instant']}, in {duration(report['seconds'])}",
            style="dim",
        )
    elif load["generation"] is not None and report["request"].get("as_of_snapshot"):
        yield Text(
            f"generation {load['generation']} shows the source at {load['instant']}, compared with the log"
            f" in {duration(report['seconds'])}",
            style="dim",
        )
    if report["next"]:
        yield Text.assemble(("next: ", "dim"), report["next"])
