"""From a corruption back to equal, by the programs as processes, doing what the repair plan says and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from schemas.repair import RowKind
from tests.proof.corruptions import Corruption
from tests.proof.pair import Original, Pair
from tests.tenant import QUIET, Tenant
from validator.repair import ROW_LAYERS
from validator.verdict import Kind, Layer, Verdict

TURNS = 2  # of planning and doing; after those every row must be equal
SNAPSHOT = ("producer", "snapshot", "--accept-unclassified", *QUIET)
BY_HAND = frozenset({"a row twice, its key without a constraint"})  # the key has to be made again before a row can come
_ROWS = {*ROW_LAYERS, Layer.COUNTS, Layer.SUMS, Layer.ENVELOPES}


def problems(original: Original, corruption: Corruption, seed: int, file: Path) -> list[str] | None:
    """What went otherwise than the plan says, from the corruption of a copy on; None when no row of it differs."""
    with original.copy() as pair, closing(Tenant(original.tenant.name, pair.environment)) as tenant:
        tenant.load()  # what the repairs of other copies have published
        corruption.act(pair, random.Random(f"{corruption.name} {seed}"))
        if not _rows_differ(_planned(tenant, file)):
            return None
        found = list(_follow(pair, tenant, file))
    return [f"{corruption.name} (seed {seed}): {problem}" for problem in found]


def _follow(pair: Pair, tenant: Tenant, file: Path) -> Iterator[str]:
    for _ in range(TURNS):
        said = yield from _turn(pair, tenant, file)
        report = _planned(tenant, file)
        if not _rows_differ(report):
            return
        if said == "repaired":
            yield f"called repaired, and then: {report['sentence']}"
            return
    yield f"still, after {TURNS} turns: {report['sentence']} {_different(report)}"


def _turn(pair: Pair, tenant: Tenant, file: Path) -> Iterator[str]:
    """Do what the plan says; returns what the validator then calls its rows."""
    plan = json.loads(file.read_text())
    rows = [(name, row) for name, table in plan["tables"].items() for row in table["rows"]]
    whole = [name for name, table in plan["tables"].items() if table["whole"]]
    if not rows and not whole:
        yield f"nothing is advised: {plan['other']}"
        return ""
    for name, row in rows:
        if row["kind"] == RowKind.STUCK:
            _delete(pair, name, row["digest"])
    if any(RowKind(row["kind"]).is_published for _, row in rows):
        tenant(*SNAPSHOT, "--keys", str(file))
        tenant.load()
    if whole:
        tenant(*SNAPSHOT, *(word for name in whole for word in ("--table", name)))
        tenant.load()
    if any(row["kind"] == RowKind.EXTRA for _, row in rows):
        tenant(*SNAPSHOT)
        tenant.load()
    again = tenant.end(tenant.start("validator", "reconcile", "--keys", str(file), "--json", *QUIET), 1, 3, 5)
    verdict = str(json.loads(again.stdout)["verdict"])
    if verdict == Verdict.INCONCLUSIVE:
        yield f"looked at again: {again.stdout}"
    return verdict


def _delete(pair: Pair, table: str, digest: str) -> None:
    """What an operator does with a row that no image replaces."""
    columns = pair.run(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        f" WHERE i.indisprimary AND i.indrelid = '{table}'::regclass ORDER BY array_position(i.indkey, a.attnum)"
    )
    names = [name for (name,) in columns]
    for place, *key in pair.run(f"SELECT ctid, {', '.join(names)} FROM {table}"):
        if pair.digest(*key) == digest:
            pair.run(f"DELETE FROM {table} WHERE ctid = '{place}'")


def _planned(tenant: Tenant, file: Path) -> dict[str, Any]:
    """The report of a run that makes the plan."""
    said = tenant.end(tenant.start("validator", "reconcile", "--plan", str(file), "--json", *QUIET), 0, 1)
    report: dict[str, Any] = json.loads(said.stdout)
    return report


def _rows_differ(report: dict[str, Any]) -> bool:
    """Whether rows differ, or their instants; definitions and numbers of progress are not mended by publishing rows."""
    differ = any(
        item["layer"] in _ROWS or (item["layer"] == Layer.PUBLISHED and item["kind"] == Kind.VALUE_MISMATCH)
        for item in report["differences"]
    )
    return differ or report["verdict"] == Verdict.INCONCLUSIVE


def _different(report: dict[str, Any]) -> list[str]:
    return [f"{item['layer']} {item['table']} {item['kind']} {item['detail']}" for item in report["differences"]][:5]
