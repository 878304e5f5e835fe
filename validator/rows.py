"""Layers `rows` and, with `--sample`, `cells`: rows drawn at random and compared cell by cell.

Rows are drawn from the source and from the target separately, because rows that the target has
too many would never be drawn at the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from validator.fetch import Compared, Draw, Fetcher, draw_keys
from validator.generation import Quarantine
from validator.keyless import compare_groups, compare_rows
from validator.verdict import Difference, Finding, Kind, Layer, Sample

Digest = Callable[[Sequence[str]], str]


def look_at_rows(
    layer: Layer,
    fetcher: Fetcher,
    *,
    draw: Draw,
    populations: tuple[int, int],
    quarantine: Quarantine,
    digest: Digest,
    most: int,
) -> Finding:
    """Compare random rows of each side; `populations` are the rows at the source and in the target."""
    began = time.monotonic()
    plan = fetcher.plan
    notes = ("encrypted cells are left out: there is no keyring",) if plan.sealed and fetcher.keyring is None else ()
    population = max(populations)
    if not plan.key:
        by_groups = layer is Layer.CELLS and fetcher.keyring is not None
        looked_at, wrong = (compare_groups if by_groups else compare_rows)(fetcher, draw, populations[1])
        differences = []
        if wrong:
            differences.append(
                Difference(
                    layer=layer, table=plan.name, kind=Kind.EXTRA_IN_TARGET, rows=wrong, detail="rows of the sample"
                )
            )
        return Finding(
            layer=layer,
            table=plan.name,
            looked_at=looked_at,
            there=population,
            seconds=time.monotonic() - began,
            differences=tuple(differences),
            different=wrong,
            unknown=plan.left_out,
            sample=Sample(rows=looked_at, population=population, seed=draw.seed),
            notes=(*notes, "no key: rows were drawn from the target only"),
        )
    keys = dict.fromkeys(draw_keys(fetcher.source, plan, "source", draw, populations[0]))
    keys |= dict.fromkeys(draw_keys(fetcher.target, plan, "target", draw.other, populations[1]))
    found = [
        _difference(layer, plan.name, compared, quarantine, digest)
        for compared in fetcher.compare(list(keys))
        if not compared.is_equal
    ]
    return Finding(
        layer=layer,
        table=plan.name,
        looked_at=len(keys),
        there=population,
        seconds=time.monotonic() - began,
        differences=tuple(found[:most]),
        different=len(found),
        unknown=plan.left_out,
        sample=Sample(rows=min(len(keys), population), population=population, seed=draw.seed),
        notes=notes,
    )


def _difference(layer: Layer, table: str, compared: Compared, quarantine: Quarantine, digest: Digest) -> Difference:
    named = digest(compared.key)
    return Difference(
        layer=layer,
        table=table,
        kind=kind_of(compared, quarantine.find(table, named)),
        key=named,
        columns=compared.undecryptable or compared.columns,
    )


def kind_of(compared: Compared, in_quarantine: object) -> Kind:
    """How a row differs; a missing one that stands in quarantine is not lost."""
    if compared.undecryptable:
        return Kind.UNDECRYPTABLE
    if compared.in_source > compared.in_target:
        if in_quarantine is None:
            return Kind.MISSING_IN_TARGET
        return Kind.DISCARDED if getattr(in_quarantine, "state", "") == "discarded" else Kind.QUARANTINED
    return Kind.EXTRA_IN_TARGET if compared.in_target > compared.in_source else Kind.VALUE_MISMATCH
