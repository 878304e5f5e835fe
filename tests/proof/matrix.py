"""One corruption of a copy of the pair, and whether the report names it, all of it, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.proof.corruptions import Corruption, Found
from tests.proof.pair import Original

ROW_LAYERS = ("checksums", "cells")
SECRETS = ("@x.example", "Ännchen", "+49 30", "Way ", "t0ken", "Elsewhere")


def problems(original: Original, corruption: Corruption, seed: int) -> list[str]:
    """What the report of a corrupted pair fails to say; empty when the corruption is found, classed and named."""
    with original.copy() as pair:
        expected = corruption.act(pair, random.Random(f"{corruption.name} {seed}"))
        report = pair.reconcile()
    return [f"{corruption.name} (seed {seed}): {problem}" for problem in _problems(report, expected)]


def _problems(report: dict[str, Any], expected: Sequence[Found]) -> Iterator[str]:
    if (report["exit_code"], report["verdict"]) != (1, "different"):
        yield f"exit code {report['exit_code']}: {report['sentence']}"
    found = report["differences"]
    yield from (f"not found: {one}" for one in expected if not any(_names(item, one) for item in found))
    # rows of a layer that the corruption speaks of: these and no others
    for layer in ROW_LAYERS:
        named = {(one.table, one.key) for one in expected if one.layer == layer}
        tables = {table for table, _ in named}
        keyless = {table for table, key in named if not key}
        for item in found:
            if item["layer"] != layer or item["table"] in keyless:
                continue
            if item["table"] in tables and (item["table"], item["key"]) not in named:
                yield f"named besides: {item}"
    text = json.dumps(report, ensure_ascii=False)
    yield from ("a value stands in the report" for secret in SECRETS if secret in text)


def _names(item: dict[str, Any], one: Found) -> bool:
    return (
        (item["layer"], item["table"], item["kind"]) == (one.layer, one.table, one.kind)
        and tuple(item["columns"]) == one.columns
        and (not one.key or item["key"] == one.key)
        and one.says in item["detail"]
    )
