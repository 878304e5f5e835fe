"""Layer `schema` of one table: what the catalogue says must be there, and what the target has."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from runtime.postgres import Connection
from runtime.progress import Progress
from runtime.survey import Survey
from schemas.catalogue import Catalogue, Table, TypeKind, UserType
from schemas.mapping import TableMapping
from validator.access import Access, read_access
from validator.schema import compare_schema
from validator.schema_around import changed_collations, changed_types
from validator.sequences import read_sequences
from validator.sides import named_errors
from validator.verdict import TABLE_LAYERS, Difference, Finding, Kind, Layer


@dataclass(frozen=True, kw_only=True)
class SchemaLook:
    """What it takes to look at the definitions of tables."""

    schema: str
    catalogue: Catalogue
    survey: Survey  # of the target
    progress: Progress | None
    grant_to: str | None

    def look_at(self, target: Connection, mapping: TableMapping) -> Finding:
        """The layer's finding; a table that is not there at all is one difference."""
        began = time.monotonic()
        found = self.targets.get(mapping.table.name)
        is_theirs = self.progress is not None and not self.progress.tenant.made_schema
        around = [*changed_types(self.catalogue, self._types, mapping.table, is_theirs=is_theirs)]
        around += changed_collations(self.catalogue, self.survey.collations, mapping.table)
        sequences = read_sequences(target, found, self.schema) if found is not None else []
        finding = compare_schema(
            mapping,
            found,
            around=around,
            sequences=sequences,
            added_types=_added_types(target, mapping),
            heirs=self._heirs(found) if found is not None else (),
            is_theirs=is_theirs,
        )
        if found is not None and not is_theirs:
            finding = _with_access(finding, read_access(target, self.schema, found.name, self.grant_to), self.grant_to)
        return replace(finding, seconds=time.monotonic() - began)

    def _heirs(self, found: Table) -> list[str]:
        """Tables of any schema of the target that inherit from this one, and none of the source's does so."""
        known = {table.name for table in self.catalogue.tables if found.name in table.inherits}
        return [name for name in self.survey.of(found).children if name not in known]

    @cached_property
    def targets(self) -> dict[str, Table]:
        """The target's tables by name."""
        return {table.name: table for table in self.survey.tables}

    @cached_property
    def _types(self) -> dict[str, UserType]:
        return {
            found.name: UserType(
                name=found.name,
                kind=cast("TypeKind", found.kind),
                definition=found.definition or "",
                labels=found.labels,
            )
            for found in self.survey.types.values()
            if found.schema in self.survey.schemas
        }


def _with_access(finding: Finding, access: Access, grant_to: str | None) -> Finding:
    differences = tuple(
        Difference(layer=Layer.SCHEMA, table=finding.table, kind=Kind.SCHEMA, detail=problem)
        for problem in access.problems(grant_to)
    )
    return replace(
        finding,
        looked_at=finding.looked_at + 1,
        there=finding.there + 1,
        differences=(*finding.differences, *differences),
        notes=(*finding.notes, *access.notes(grant_to)),
    )


def nothing_there(table: str, asked: tuple[Layer, ...]) -> list[Finding]:
    """Findings of a table that the target lacks: every layer of it is different, and none may look equal."""
    return [
        Finding(
            layer=layer,
            table=table,
            differences=(
                Difference(layer=layer, table=table, kind=Kind.SCHEMA, detail="the table is missing in the target"),
            ),
        )
        for layer in TABLE_LAYERS
        if layer is not Layer.SCHEMA and layer in asked
    ]


def _added_types(target: Connection, mapping: TableMapping) -> dict[str, str]:
    """What the server calls the types of added columns, as the migration names them."""
    if not mapping.added:
        return {}
    nothing = ", ".join(f"NULL::{added.type}" for added in mapping.added)
    with named_errors("target", f"{mapping.table.name}: types of added columns"):
        result = target.execute(f"SELECT {nothing} LIMIT 0".encode()).pgresult
        assert result is not None
        places = range(len(mapping.added))
        asked = [result.ftype(place) for place in places], [result.fmod(place) for place in places]
        rows = target.execute(
            "SELECT format_type(t, m) FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS x(t, m, n) ORDER BY n", asked
        )
        return {added.name: row[0] for added, row in zip(mapping.added, rows, strict=True)}
