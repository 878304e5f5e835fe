"""Layers `counts`, `sums` and `envelopes`: what the two scans of a table say, compared. Pure."""

from __future__ import annotations

from validator.plan import TablePlan
from validator.scan import Column, Scan
from validator.verdict import Difference, Finding, Kind, Layer


def compare_counts(plan: TablePlan, source: Scan, target: Scan, in_quarantine: int) -> Finding:
    """Rows of both sides, counted by count(*)."""
    differences = []
    if source.rows != target.rows:
        explained = f", {in_quarantine:,} rows stand in quarantine" if in_quarantine else ""
        differences.append(
            Difference(
                layer=Layer.COUNTS,
                table=plan.name,
                kind=Kind.COUNT,
                rows=abs(source.rows - target.rows),
                detail=f"source {source.rows:,}, target {target.rows:,}{explained}",
            )
        )
    return Finding(
        layer=Layer.COUNTS,
        table=plan.name,
        looked_at=source.rows,
        there=source.rows,
        differences=tuple(differences),
    )


def compare_sums(plan: TablePlan, source: Scan, target: Scan) -> Finding:
    """Sum, number of values, NaN and infinities of every summed column; exact, compared as text."""
    differences = [
        Difference(
            layer=Layer.SUMS,
            table=plan.name,
            kind=Kind.SUM,
            columns=(item.name,),
            detail=_apart(source.columns[item.name], target.columns[item.name], is_declared=item.is_declared),
        )
        for item in plan.summed
        if source.columns[item.name] != target.columns[item.name]
    ]
    return Finding(
        layer=Layer.SUMS,
        table=plan.name,
        looked_at=len(source.columns),
        there=len(plan.summed),
        unit="columns",
        differences=tuple(differences),
        unknown=plan.left_out,
        notes=("no integer or numeric column",) if not plan.summed else (),
    )


def _apart(source: Column, target: Column, *, is_declared: bool) -> str:
    """What differs; totals only of columns whose sum the migration declares, others may be personal."""
    if source.values != target.values:
        return f"values that are not NULL: source {source.values:,}, target {target.values:,}"
    if source.specials != target.specials:
        return "numbers of NaN and infinities differ"
    return f"sum: source {source.total}, target {target.total}" if is_declared else "sums differ"


def compare_envelopes(plan: TablePlan, source: Scan, target: Scan) -> Finding:
    """NULL where the source has NULL and nowhere else, and of the others the form and the key id."""
    differences = []
    for name, found in target.envelopes.items():
        cells = source.envelopes[name].cells
        problems = []
        if found.cells != cells:
            problems.append(
                (abs(cells - found.cells), f"cells that are not NULL: source {cells:,}, target {found.cells:,}")
            )
        if found.malformed:
            problems.append((found.malformed, "cells that are no envelope"))
        if found.unknown_key:
            problems.append((found.unknown_key, "cells under a key that the keyring does not have"))
        differences += [
            Difference(
                layer=Layer.ENVELOPES, table=plan.name, kind=Kind.ENVELOPE, columns=(name,), rows=rows, detail=detail
            )
            for rows, detail in problems
        ]
    there = sum(found.cells for found in source.envelopes.values())
    return Finding(
        layer=Layer.ENVELOPES,
        table=plan.name,
        looked_at=sum(found.cells for found in target.envelopes.values()),
        there=there,
        unit="cells",
        differences=tuple(differences),
        unknown=plan.left_out,
        notes=("no encrypted column",) if not plan.sealed else (),
    )
