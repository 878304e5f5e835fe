"""The report as one self-contained HTML page: no script, no network, light, dark and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from validator.verdict import ABOUT, WHOLE, Layer

MARKS = {"equal": "✓", "different": "✗", "inconclusive": "?", "skipped": "–"}

HEADINGS = {
    Layer.GENERATION: "Load",
    Layer.SCHEMA: "Schema",
    Layer.COUNTS: "Counts",
    Layer.PUBLISHED: "Published",
    Layer.SUMS: "Sums",
    Layer.CHECKSUMS: "Checksums",
    Layer.FOREIGN_KEYS: "Foreign keys",
    Layer.ENVELOPES: "Envelopes",
    Layer.CELLS: "Cells",
    Layer.ROWS: "Rows",
    Layer.ORGANIZATION: "Organization",
}


def render(report: Mapping[str, Any]) -> str:
    """The page of one report (the object of `Report.to_json`); every value is escaped."""
    environment = Environment(
        loader=PackageLoader("validator"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, instant=instant, duration=duration, digits=digits)
    return environment.get_template("report.html.j2").render(
        report=report,
        said=_said(report["sentence"]),
        marks=MARKS,
        columns=[(layer.value, HEADINGS[layer], ABOUT[layer]) for layer in Layer if layer not in WHOLE],
        headings={layer.value: HEADINGS[layer] for layer in Layer},
        tiles=_tiles(report),
        loads=_loads(report),
        all=_all(report),
        positions=_positions(report),
        notes=remarks(report),
        changed=changed_since(report),
        sums=[(table["name"], column, total) for table in report["tables"] for column, total in table["sums"].items()],
    )


def number(value: float | None) -> str:
    r"""With thin spaces between thousands; a dash for what is not known.

    >>> number(1234567)
    '1\u202f234\u202f567'
    """
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def digits(total: str) -> str:
    r"""An exact number in text, its whole part in groups of three.

    >>> digits("-1234567.50")
    '-1\u202f234\u202f567.50'
    """
    whole, point, fraction = total.partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(whole):,}{point}{fraction}".replace(",", "\u202f") if whole.isdigit() else total


def instant(text: str) -> str:
    """An instant for people: seconds, UTC; a dash when there is none."""
    return f"{text[:19].replace('T', ' ')} UTC" if text else "–"


def duration(seconds: float | None) -> str:
    """Seconds for people.

    >>> duration(0.123), duration(75.2), duration(7260)
    ('0.12 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def between(start: str, end: str) -> float | None:
    """Seconds from one instant to another; None when either is missing."""
    if not start or not end:
        return None
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)


def _tiles(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    tables = report["tables"]
    layers = {item["layer"]: item for item in report["layers"]}
    applied = sum(table["applied"] or 0 for table in tables)
    load = report["load"]
    loading = between(load["prepared_at"], load["loaded_at"] or load["ended_at"])
    tiles = [
        ("tables", number(len(tables))),
        ("rows compared", number(layers["checksums"]["looked_at"] or layers["counts"]["looked_at"])),
        ("rows sampled" if report["request"]["sample"] else "cells decrypted", number(layers["cells"]["looked_at"])),
        ("differences", number(report["differences_total"])),
    ]
    if loading:
        tiles.append(("rows a second, load", number(round(applied / loading))))
    tiles.append(("time to compare", duration(report["seconds"])))
    return tiles


def _loads(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    most = max((table["applied"] or 0 for table in report["tables"]), default=0) or 1
    loads = []
    for table in report["tables"]:
        seconds = between(table["started_at"], table["finished_at"])
        applied = table["applied"]
        rate = round(applied / seconds) if applied and seconds else None
        loads.append({**table, "seconds": seconds, "rate": rate, "width": round(100 * (applied or 0) / most, 1)})
    return loads


def _said(sentence: str) -> str:
    """The verdict's sentence without the verdict, which stands above it."""
    rest = sentence
    for verdict in ("Equal: ", "Inconclusive: ", "Different: ", "Different "):
        rest = rest.removeprefix(verdict)
    return rest[:1].upper() + rest[1:]


def _all(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The load of all tables together; None when nothing was loaded."""
    load, tables = report["load"], report["tables"]
    if load["generation"] is None or len(tables) < 2:
        return None
    names = ("published", "applied", "quarantined", "discarded", "pruned")
    summed: dict[str, Any] = {name: sum(table[name] or 0 for table in tables) for name in names}
    seconds = between(load["prepared_at"], load["loaded_at"] or load["ended_at"])
    return {**summed, "seconds": seconds, "rate": round(summed["applied"] / seconds) if seconds else None}


def _positions(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    by_topic: dict[str, list[str]] = {}
    for item in report["load"]["positions"]:
        by_topic.setdefault(item["topic"], []).append(number(item["next_offset"]))
    return [(topic, ", ".join(offsets)) for topic, offsets in by_topic.items()]


def changed_since(report: Mapping[str, Any]) -> int:
    """How many rows of all layers the source changed since the snapshot, listed or not."""
    findings = [*report["whole"].values(), *(found for table in report["tables"] for found in table["layers"].values())]
    return sum(finding.get("changed_since", 0) for finding in findings)


def remarks(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was said beside the verdicts, each once a table: samples with their bounds, reasons, facts."""
    found: dict[tuple[str, str], str] = {}
    places = [("", layer, finding) for layer, finding in report["whole"].items()]
    places += [
        (table["name"], layer, finding) for table in report["tables"] for layer, finding in table["layers"].items()
    ]
    for table, layer, finding in places:
        # That a table has nothing of a kind to look at is in the JSON; here it would only be noise.
        texts = [
            *finding.get("unknown", ()),
            *(text for text in finding.get("notes", ()) if not text.startswith("no ")),
        ]
        if finding.get("sample") and layer == Layer.CELLS.value:
            texts.append(finding["sample"]["says"])
        for text in texts:
            found.setdefault((table, text), HEADINGS[Layer(layer)])
    return [(table, heading, text) for (table, text), heading in found.items()]
