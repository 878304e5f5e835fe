"""Layers `checksums` and `cells` of one table: sums compared, and if they differ the rows named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from validator.drill import Fingerprints, Found, differing_rows
from validator.fetch import Compared, Key
from validator.generation import Quarantine
from validator.plan import TablePlan
from validator.rows import kind_of
from validator.verdict import Difference, Finding, Kind, Layer

Digest = Callable[[Sequence[str]], str]

_TELLS: dict[Kind, str] = {
    Kind.MISSING_IN_TARGET: "rows of the source that the target has not",
    Kind.EXTRA_IN_TARGET: "rows of the target that the source has not",
    Kind.VALUE_MISMATCH: "rows that differ",
}


@dataclass(slots=True)
class _Listed:
    """Rows that differ: some in full, the rest counted."""

    keyed: list[Found] = field(default_factory=list)
    keyless: dict[Kind, int] = field(default_factory=dict)
    total: int = 0


class Comparing(Protocol):
    """Compares single rows by their key, on a second path beside the sums."""

    def compare(self, keys: Sequence[Key]) -> Iterator[Compared]:
        """Each key's row on both sides, in the order given."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What it takes to name rows that differ."""

    plan: TablePlan
    fetcher: Comparing
    quarantine: Quarantine
    digest: Digest
    most: int

    def name(
        self, layer: Literal[Layer.CHECKSUMS, Layer.CELLS], source: Fingerprints, target: Fingerprints
    ) -> tuple[tuple[Difference, ...], int]:
        """The differences to list, and how many rows differ in all."""
        return self.name_found(layer, differing_rows(source, target))

    def name_found(
        self, layer: Literal[Layer.CHECKSUMS, Layer.CELLS], found: Iterable[Found]
    ) -> tuple[tuple[Difference, ...], int]:
        """The same, of rows that are known to differ."""
        listed = self._listed(found)
        compared = {item.key: item for item in self.fetcher.compare([row.key for row in listed.keyed])}
        differences = [self._difference(layer, row, compared[row.key]) for row in listed.keyed]
        differences += [
            Difference(
                layer=layer, table=self.plan.name, kind=kind, rows=rows, detail=_TELLS[kind] + " (no key names them)"
            )
            for kind, rows in listed.keyless.items()
        ]
        return tuple(differences), listed.total

    def _listed(self, found: Iterable[Found]) -> _Listed:
        listed = _Listed()
        for row in found:
            listed.total += row.rows
            if not row.key:
                listed.keyless[row.kind] = listed.keyless.get(row.kind, 0) + row.rows
            elif len(listed.keyed) < self.most:
                listed.keyed.append(row)
        return listed

    def _difference(self, layer: Layer, row: Found, compared: Compared) -> Difference:
        named = self.digest(row.key)
        found = self.quarantine.find(self.plan.name, named)
        # The second path sees whole rows; the first one's word stands where it sees nothing wrong.
        kind = row.kind if compared.is_equal else kind_of(compared, found)
        return Difference(
            layer=layer,
            table=self.plan.name,
            kind=kind,
            key=named,
            columns=compared.undecryptable or compared.columns,
            rows=row.rows,
            detail=f"in quarantine: {found.reason}" if found and kind in (Kind.QUARANTINED, Kind.DISCARDED) else "",
        )


def as_finding(
    layer: Layer,
    plan: TablePlan,
    *,
    looked_at: int,
    there: int,
    unit: str,
    seconds: float,
    is_equal: bool,
    named: tuple[tuple[Difference, ...], int] = ((), 0),
    notes: tuple[str, ...] = (),
) -> Finding:
    """The finding of a layer that compared sums; unequal sums are different even if no row could be named."""
    differences, total = named
    return Finding(
        layer=layer,
        table=plan.name,
        looked_at=looked_at,
        there=there,
        unit=unit,
        seconds=seconds,
        differences=differences,
        different=0 if is_equal else max(total, 1),
        unknown=plan.left_out,
        notes=notes,
    )
