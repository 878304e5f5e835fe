"""Layer `foreign-keys`: no row without its parent, for every foreign key of the source's catalogue.

The keys are looked for with an anti-join on the target's rows, whatever constraints the target
has. An orphan is *inherited* when the source has it too, *waiting* when its parent stands in
quarantine, *lost* when its parent is at the source and not in the target. An orphan whose
parent key the source has never given to as many rows is none of these: somebody wrote it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runtime.postgres import Connection
from schemas.catalogue import Catalogue, ForeignKey, Table
from schemas.pgtypes import text_expression
from schemas.sql import quote_ident, quote_qualified
from validator.generation import Quarantine
from validator.sides import named_errors
from validator.verdict import Difference, Finding, Kind, Layer

Digest = Callable[[Sequence[str]], str]
Key = tuple[str, ...]

_BATCH = 5_000  # orphans in memory at a time, and asked of the source at once


@dataclass(frozen=True, slots=True)
class _Orphan:
    """A parent key that no row of the target has, with the number of its children."""

    values: Key
    children: int


@dataclass(frozen=True, slots=True)
class _AtSource:
    """What the source says of that key: children that have it there, and the parent's own key if it is there."""

    children: int
    parent: Key | None


@dataclass(slots=True)
class _Found:
    """Orphans of one table, classified."""

    differences: list[Difference] = field(default_factory=list)
    different: int = 0
    inherited: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKeyLook:
    """All that the layer needs beside the two connections."""

    catalogue: Catalogue
    schema: str
    quarantine: Quarantine
    digest: Digest
    most: int
    targets: Mapping[str, Table]

    def look_at(self, source: Connection, target: Connection, table: Table) -> Finding:
        """Every foreign key of one table. Rows are counted once for each key that they have."""
        began = time.monotonic()
        looked_at = 0
        found = _Found()
        notes: list[str] = []
        unknown: list[str] = []
        names = {item.name for item in self.catalogue.tables}
        for key in table.foreign_keys:
            if key.parent not in names:
                notes.append(f'foreign key "{key.name}": its parent "{key.parent}" is not in the migration')
                continue
            if not self._is_there(table, key):
                unknown.append(f'foreign key "{key.name}": its columns are missing in the target')
                continue
            looked_at += self._referring(target, table, key)
            before = found.inherited
            for orphans in self._orphans(target, table, key):
                self._classify(source, table, key, orphans, found)
            if found.inherited > before:
                count = found.inherited - before
                notes.append(f'foreign key "{key.name}": {count:,} inherited orphans, the source has them too')
        return Finding(
            layer=Layer.FOREIGN_KEYS,
            table=table.name,
            looked_at=looked_at,
            there=looked_at,
            unit="references",
            seconds=time.monotonic() - began,
            differences=tuple(found.differences),
            different=found.different,
            unknown=tuple(unknown),
            notes=tuple(notes),
        )

    def _is_there(self, table: Table, key: ForeignKey) -> bool:
        child, parent = self.targets.get(table.name), self.targets.get(key.parent)
        return (
            child is not None
            and parent is not None
            and {column.name for column in child.columns}.issuperset(key.columns)
            and {column.name for column in parent.columns}.issuperset(key.parent_columns)
        )

    def _referring(self, target: Connection, table: Table, key: ForeignKey) -> int:
        query = f"SELECT count(*) FROM {table.only}{quote_qualified(self.schema, table.name)} c WHERE {_given(key)}"
        with named_errors("target", f'{table.name}: foreign key "{key.name}"'):
            row = target.execute(query.encode()).fetchone()
        return row[0] if row else 0

    def _orphans(self, target: Connection, table: Table, key: ForeignKey) -> Iterator[list[_Orphan]]:
        """Keys that no parent has, some thousands at a time."""
        columns = ", ".join(f"c.{quote_ident(column)}" for column in key.columns)
        texts = ", ".join(text_expression(table.column(column), "c") for column in key.columns)
        parent = self.catalogue.table(key.parent).only + quote_qualified(self.schema, key.parent)
        given = [f"c.{quote_ident(child)}" for child in key.columns]
        query = (
            f"SELECT {texts}, count(*) FROM {table.only}{quote_qualified(self.schema, table.name)} c"
            f" WHERE {_given(key)} AND NOT {_has_parent(key, parent, given)} GROUP BY {columns}"
        )
        with (
            named_errors("target", f'{table.name}: foreign key "{key.name}"'),
            target.cursor(name="validator_orphans") as cursor,
        ):
            cursor.execute(query.encode())
            while rows := cursor.fetchmany(_BATCH):
                yield [_Orphan(tuple(row[:-1]), row[-1]) for row in rows]

    def _classify(
        self, source: Connection, table: Table, key: ForeignKey, orphans: Sequence[_Orphan], found: _Found
    ) -> None:
        parent = self.catalogue.table(key.parent)
        told = _ask_source(source, table, parent, key, orphans)
        for orphan, there in zip(orphans, told, strict=True):
            if there.parent is None and there.children >= orphan.children:
                found.inherited += orphan.children
                continue
            found.different += 1
            digest = self.digest(there.parent or orphan.values)
            kind = Kind.ORPHAN_NEW if there.parent is None else Kind.ORPHAN_LOST
            if kind is Kind.ORPHAN_LOST and self.quarantine.find(parent.name, digest) is not None:
                kind = Kind.ORPHAN_WAITING
            if len(found.differences) < self.most:
                found.differences.append(_difference(table, key, kind, digest, orphan.children))


def _difference(table: Table, key: ForeignKey, kind: Kind, digest: str, children: int) -> Difference:
    why = {
        Kind.ORPHAN_LOST: f'the parent in "{key.parent}" is at the source and not in the target',
        Kind.ORPHAN_WAITING: f'the parent in "{key.parent}" stands in quarantine',
        Kind.ORPHAN_NEW: f'there is no parent in "{key.parent}", and the source has fewer such rows',
    }[kind]
    return Difference(
        layer=Layer.FOREIGN_KEYS,
        table=table.name,
        kind=kind,
        key=digest,
        columns=key.columns,
        rows=children,
        detail=f'foreign key "{key.name}": {why} (the digest is of the parent)',
    )


def _given(key: ForeignKey) -> str:
    """MATCH SIMPLE: a row with a NULL in its key refers to nothing."""
    return " AND ".join(f"c.{quote_ident(column)} IS NOT NULL" for column in key.columns)


def _has_parent(key: ForeignKey, parent: str, given: Sequence[str]) -> str:
    """SQL: whether the key leads to rows of `parent`; a PERIOD is covered by all of them together."""
    pairs = list(zip(key.parent_columns, given, strict=True))
    same = pairs[:-1] if key.is_temporal else pairs
    match = " AND ".join(f"p.{quote_ident(column)} = {value}" for column, value in same) or "true"
    if key.is_temporal:
        column, value = pairs[-1]
        return f"coalesce({value} <@ (SELECT range_agg(p.{quote_ident(column)}) FROM {parent} p WHERE {match}), false)"
    return f"EXISTS (SELECT FROM {parent} p WHERE {match})"


def _plain(sql: str) -> str:
    """Text for a statement with parameters, where a % in a name must not begin one."""
    return sql.replace("%", "%%")


def _ask_source(
    source: Connection, table: Table, parent: Table, key: ForeignKey, orphans: Sequence[_Orphan]
) -> list[_AtSource]:
    """For each key: how many children have it at the source, and which parent it leads to there."""
    numbers = range(len(key.columns))
    types = [table.column(column).type_at_source for column in key.columns]
    casts = ", ".join(f"k{number}::{_plain(types[number])} AS k{number}" for number in numbers)
    child = " AND ".join(f"c.{_plain(quote_ident(key.columns[number]))} = asked.k{number}" for number in numbers)
    last = numbers[-1] if key.is_temporal else None
    to_parent = " AND ".join(
        f"p.{_plain(quote_ident(key.parent_columns[number]))} {'&&' if number == last else '='} asked.k{number}"
        for number in numbers
    )
    of_child = _plain(table.at_source)
    of_parent = _plain(parent.at_source)
    covered = _plain(_has_parent(key, f"{parent.only}{parent.at_source}", [f"asked.k{number}" for number in numbers]))
    named = parent.key or key.parent_columns
    parent_texts = _plain(", ".join(text_expression(parent.column(column), "p") for column in named))
    arrays = ", ".join("%s::text[]" for _ in numbers)
    query = f"""
        WITH asked AS MATERIALIZED (
          SELECT n, {casts} FROM unnest({arrays}) WITH ORDINALITY AS k({", ".join(f"k{number}" for number in numbers)}, n)
        ), children AS (
          SELECT asked.n, count(*) AS rows FROM asked
          JOIN {table.only}{of_child} c ON {child} GROUP BY asked.n
        ), parents AS (
          SELECT DISTINCT ON (asked.n) asked.n, ARRAY[{parent_texts}] AS key FROM asked
          JOIN {parent.only}{of_parent} p ON {to_parent} WHERE {covered}
        )
        SELECT coalesce(children.rows, 0), parents.key
        FROM asked LEFT JOIN children USING (n) LEFT JOIN parents USING (n) ORDER BY asked.n
    """
    parameters = [[orphan.values[number] for orphan in orphans] for number in numbers]
    with named_errors("source", f'{table.name}: foreign key "{key.name}"'):
        rows = source.execute(query.encode(), parameters).fetchall()
    return [_AtSource(children, None if parent_key is None else tuple(parent_key)) for children, parent_key in rows]
