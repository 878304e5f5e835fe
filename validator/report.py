"""The report: everything a run saw, as one JSON object, and read back from it.

The object carries a `version`; whoever reads it may rely on the names in `report.schema.json` for
as long as that number stays. It is written as a whole or not at all; a run that has not ended or was
cut short leaves `complete: false` and never the verdict equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from runtime.whole_file import write_whole
from schemas.errors import ConfigurationError, ReplicatorError
from validator.sides import Server
from validator.verdict import ABOUT, WHOLE, Difference, Finding, Judgement, Layer, Request, Verdict

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLoad:
    """What the target knows of a table's load, and what both sides hold."""

    name: str
    rows_source: int | None = None
    rows_target: int | None = None
    published: int | None = None
    applied: int | None = None
    quarantined: int = 0
    discarded: int = 0
    pruned: int = 0
    state: str = ""
    generation: int | None = None
    started_at: str = ""
    finished_at: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)  # of declared columns, at the source


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The generation that the target holds."""

    generation: int | None = None
    state: str = "none"
    whole: bool | None = None
    is_partial: bool = False
    instant: str = ""
    log_id: str = ""
    prepared_at: str = ""
    loaded_at: str = ""
    ended_at: str = ""
    positions: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of `validator reconcile`."""

    tenant: str
    schema: str
    migration: str
    migration_digest: str
    program_version: str
    complete: bool
    started_at: str
    ended_at: str
    seconds: float
    source: Server | None
    target: Server | None
    load: Load
    tables: tuple[TableLoad, ...]
    request: Request
    fail_on: tuple[str, ...]
    sample: int | None
    seed: int
    jobs: int
    findings: tuple[Finding, ...]
    judgement: Judgement
    settings: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object that is printed and saved."""
        return {
            "version": VERSION,
            "program": "validator",
            "program_version": self.program_version,
            "verdict": self.judgement.verdict.value,
            "exit_code": int(self.judgement.exit_code),
            "sentence": self.judgement.sentence,
            "next": self.judgement.next,
            "complete": self.complete,
            "tenant": self.tenant,
            "schema": self.schema,
            "migration": {"file": self.migration, "digest": self.migration_digest},
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "seconds": round(self.seconds, 3),
            "source": asdict(self.source) if self.source else None,
            "target": asdict(self.target) if self.target else None,
            "load": {
                **asdict(self.load),
                "positions": [
                    {"topic": topic, "partition": partition, "next_offset": offset}
                    for topic, partition, offset in self.load.positions
                ],
            },
            "request": {
                "layers": [layer.value for layer in self.request.layers],
                "tables": list(self.request.tables),
                "not_looked_at": list(self.request.left_out),
                "as_of_snapshot": self.request.is_as_of,
                "fail_on": list(self.fail_on),
                "sample": self.sample,
                "seed": self.seed,
                "jobs": self.jobs,
            },
            "layers": [
                {
                    "layer": layer.value,
                    "about": ABOUT[layer],
                    **_summary([f for f in self.findings if f.layer is layer]),
                }
                for layer in Layer
            ],
            "tables": [self._table(table) for table in self.tables],
            "whole": {f.layer.value: _finding(f) for f in self.findings if f.layer in WHOLE},
            "differences": [_difference(item) for finding in self.findings for item in finding.differences],
            "differences_total": sum(finding.total for finding in self.findings),
            "changed_since": [_difference(item) for finding in self.findings for item in finding.changed_since],
            "settings": dict(self.settings),
        }

    def _table(self, table: TableLoad) -> dict[str, Any]:
        found = {finding.layer: finding for finding in self.findings if finding.table == table.name}
        layers = {
            layer.value: _finding(found[layer]) if layer in found else {"verdict": Verdict.SKIPPED.value}
            for layer in Layer
            if layer not in WHOLE
        }
        return {**asdict(table), "layers": layers}


def _summary(findings: Sequence[Finding]) -> dict[str, Any]:
    verdicts = {finding.verdict for finding in findings}
    order = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUAL)
    return {
        "verdict": next((item for item in order if item in verdicts), Verdict.SKIPPED).value,
        "looked_at": sum(finding.looked_at for finding in findings),
        "there": sum(finding.there for finding in findings),
        "unit": findings[0].unit if findings else "",
        "seconds": round(sum(finding.seconds for finding in findings), 3),
        "different": sum(finding.total for finding in findings),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    sample = finding.sample
    return {
        "verdict": finding.verdict.value,
        "looked_at": finding.looked_at,
        "there": finding.there,
        "unit": finding.unit,
        "seconds": round(finding.seconds, 3),
        "different": finding.total,
        "listed": len(finding.differences),
        "changed_since": finding.changed,
        "unknown": list(finding.unknown),
        "notes": list(finding.notes),
        "sample": None
        if sample is None
        else {
            "rows": sample.rows,
            "population": sample.population,
            "seed": sample.seed,
            "confidence": 0.95,
            "bound": sample.bound,
            "says": str(sample),
        },
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "layer": difference.layer.value,
        "table": difference.table,
        "kind": difference.kind.value,
        "detail": difference.detail,
        "key": difference.key,
        "columns": list(difference.columns),
        "rows": difference.rows,
    }


def as_text(plain: Mapping[str, Any]) -> str:
    """The JSON text of a report, the same whether printed or saved."""
    return json.dumps(plain, ensure_ascii=False, indent=2)


def save(path: Path, text: str) -> None:
    """Write a file as a whole: a reader sees the old one or the new one, never half of it."""
    try:
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise CannotWrite(path, error) from None


def schema_text() -> str:
    """The JSON Schema that every report of this version keeps."""
    return (resources.files("validator") / "report.schema.json").read_text(encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A report that was saved before.

    Raises:
        ConfigurationError: it cannot be read, or is no report of the version that this build knows.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigurationError(
            f"{path}: no report can be read there", hint="validator reconcile --json-report FILE writes one"
        ) from None
    if not isinstance(plain, dict) or plain.get("program") != "validator" or "version" not in plain:
        raise ConfigurationError(
            f"{path}: no report of `validator reconcile`", hint="validator reconcile --json-report FILE writes one"
        )
    if plain["version"] != VERSION:
        raise ConfigurationError(
            f"{path}: a report of another version, this build reads version {VERSION}",
            hint="read it with the build that wrote it, or reconcile again",
        )
    if missing := [name for name in json.loads(schema_text())["required"] if name not in plain]:
        raise ConfigurationError(
            f"{path}: a report that lacks {', '.join(missing)}", hint="it was changed after it was written"
        )
    return plain


class CannotWrite(ReplicatorError):
    """The report cannot be written where it was asked for. The verdict stands on the terminal."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: the report cannot be written: {error.strerror}", hint="name another place")
