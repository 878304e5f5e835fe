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
from schemas.sql import quote_ident, quote_literal, quote_qualified
from validator.access import Access, read_access
from validator.schema import SequenceState, changed_types, compare_schema
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
        types = changed_types(self.catalogue, self._types, mapping.table, is_theirs=is_theirs)
        sequences = _sequences(target, found, self.schema) if found is not None else []
        finding = compare_schema(mapping, found, types=types, sequences=sequences, is_theirs=is_theirs)
        if found is not None and not is_theirs:
            finding = _with_access(finding, read_access(target, self.schema, found.name, self.grant_to), self.grant_to)
        return replace(finding, seconds=time.monotonic() - began)

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


def _sequences(target: Connection, table: Table, schema: str) -> list[SequenceState]:
    """Each sequence that fills a column, and the last value there in its direction; none that goes round."""
    found: list[SequenceState] = []
    relation = quote_qualified(schema, table.name)
    for column in table.columns:
        if not column.sequence:
            continue
        sequence = f"pg_get_serial_sequence({quote_literal(relation)}, {quote_literal(column.name)})"
        with named_errors("target", f'{table.name}: sequence of "{column.name}"'):
            named = target.execute(f"SELECT {sequence}".encode()).fetchone()
            if named is None or named[0] is None:
                continue
            name = quote_ident(column.name)
            row = target.execute(
                f"""
                SELECT s.last_value + CASE WHEN s.is_called THEN q.seqincrement ELSE 0 END, q.seqincrement < 0,
                       (SELECT CASE WHEN q.seqincrement < 0 THEN min({name}) ELSE max({name}) END
                        FROM {table.only}{relation} WHERE {name} BETWEEN q.seqmin AND q.seqmax)
                FROM {named[0]} s, pg_sequence q
                WHERE q.seqrelid = {quote_literal(named[0])}::regclass AND NOT q.seqcycle
                """.encode()
            ).fetchone()
        if row is not None:
            found.append(SequenceState(column=column.name, next_value=row[0], is_descending=row[1], last_there=row[2]))
    return found
