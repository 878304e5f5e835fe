"""What a schema that somebody else made must become to take the tenant's rows, as statements. Pure.

A table may have more columns, names of its own for constraints, and constraints that the source lacks.
All else must be as the source and the migration say, or reconcile would call it different. The statements
stand in an order in which psql can run them: what goes away, types, tables, keys that go, columns, keys
that come, other constraints and indexes, foreign keys, and what must be quiet while rows come: triggers
would change rows, or write rows that come by themselves; row security would hide some.

What no ALTER changes (a table partitioned otherwise, a view in a table's place) moves into a schema beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consumer.fitting_columns import Columns, must_open, owned, retype
from consumer.fitting_keys import Keys
from consumer.standing import Found, Statements, Step, free_name
from schemas import definitions
from schemas.catalogue import Catalogue, Constraint, Key, Partition, Table, UserType
from schemas.mapping import TableMapping
from schemas.sql import quote_ident


def missing_statements(catalogue: Catalogue, mappings: Mapping[str, TableMapping], found: Found) -> list[str]:
    """All that must be run before the schema can take the rows; empty when it can."""
    going = {table.name: _going_with(table, found) for table in catalogue.tables if _must_go(table, found)}
    gone = frozenset().union(*going.values())
    left = replace(
        found,
        tables={name: table for name, table in found.tables.items() if name not in going},
        relations=[name for name in found.relations if name not in gone],
    )
    fitting = _Fitting(catalogue=catalogue, mappings=mappings, found=left)
    statements = [
        *(statement for name in going for statement in _away(found, name)),
        *fitting.statements(),
    ]
    ordered = sorted(enumerate(statements), key=lambda item: (item[1][0], item[0]))
    return list(dict.fromkeys(f"{statement};" for _, (_, statement) in ordered))


def _must_go(table: Table, found: Found) -> bool:
    there = found.tables.get(table.name)
    if there is None:
        return table.name in found.relations  # a view, a partition, a sequence
    return there.partition_by != table.partition_by


def _going_with(table: Table, found: Found) -> frozenset[str]:
    """Names that are free once the table has gone."""
    there = found.tables.get(table.name, Table(name=table.name))
    keys: list[Key | Constraint] = [*there.uniques, *there.exclusions]
    if there.primary_key is not None:
        keys.append(there.primary_key)
    return frozenset(
        (
            table.name,
            *(part.name for part in there.partitions),
            *(index.name for index in there.indexes),
            *(key.name for key in keys),
            *(column.sequence for column in there.columns if column.sequence and column.owns_sequence),
        )
    )


def _away(found: Found, name: str) -> Statements:
    beside = quote_ident(f"{found.schema.encode()[:55].decode('utf-8', 'ignore')}_before")
    yield Step.AWAY, f"CREATE SCHEMA IF NOT EXISTS {beside}"
    there = found.tables.get(name)
    for other in found.tables.values():
        for key in other.foreign_keys:
            if key.parent == name and other.name != name:
                yield Step.AWAY, f"ALTER TABLE {quote_ident(other.name)} DROP CONSTRAINT {quote_ident(key.name)}"
    for part in there.partitions if there is not None else ():
        yield Step.AWAY, f"ALTER TABLE {quote_ident(part.name)} SET SCHEMA {beside}"
    yield Step.AWAY, f"ALTER TABLE {quote_ident(name)} SET SCHEMA {beside}"


@dataclass(slots=True, kw_only=True)
class _Fitting:
    catalogue: Catalogue
    mappings: Mapping[str, TableMapping]
    found: Found

    @property
    def _columns(self) -> Columns:
        return Columns(self.found)

    def statements(self) -> Statements:
        keys = Keys(catalogue=self.catalogue, found=self.found)
        for collation in self.catalogue.collations:
            if collation.name not in self.found.collations:
                yield Step.TYPE, f"CREATE COLLATION {quote_ident(collation.name)} {collation.definition}"
        for item in self.catalogue.types:
            yield from self._type(item)
        for table in self.catalogue.tables:
            there = self.found.tables.get(table.name)
            mapping = self.mappings[table.name]
            if there is None:
                yield from self._make(mapping)
                there = Table(name=table.name)
            else:
                yield from self._columns.of_table(mapping, there)
                yield from keys.primary_key(table, there)
                yield from keys.checks(mapping, there)
                yield from self._state(there)
            yield from self._partitions(table, there)
            yield from keys.uniques(mapping, there)
            yield from keys.indexes(mapping, there)
        for table in self.catalogue.tables:  # when all keys that go are known
            yield from keys.foreign_keys(table, self.found.tables.get(table.name, Table(name=table.name)))
        for stranger in self.found.tables.values():
            if stranger.name not in self.mappings:
                yield from keys.keys_that_go(stranger)

    def _state(self, there: Table) -> Statements:
        if there.unlogged:  # a crash would lose rows that count as applied
            yield Step.COLUMN, f"ALTER TABLE {quote_ident(there.name)} SET LOGGED"
        for statement in self.found.disturbing.get(there.name, ()):
            yield Step.QUIET, statement

    def _partitions(self, table: Table, there: Table) -> Statements:
        """Partitions that the source has and rows of the source need; theirs may have more."""
        theirs = {part.bound: part for part in there.partitions}
        for part, made in zip(table.partitions, definitions.create_partitions(table), strict=True):
            found = theirs.get(part.bound)
            if found is not None and found.partition_by == part.partition_by:
                continue
            for other in there.partitions:
                if other.name == part.name or (found is not None and other == found):
                    yield from self._detached(other)
            yield Step.TABLE, made.statement

    def _detached(self, part: Partition) -> Statements:
        beside = quote_ident(f"{self.found.schema.encode()[:55].decode('utf-8', 'ignore')}_before")
        yield Step.AWAY, f"CREATE SCHEMA IF NOT EXISTS {beside}"
        yield Step.AWAY, f"ALTER TABLE {quote_ident(part.parent)} DETACH PARTITION {quote_ident(part.name)}"
        yield Step.AWAY, f"ALTER TABLE {quote_ident(part.name)} SET SCHEMA {beside}"

    def _type(self, item: UserType) -> Statements:
        there = self.found.types.get(item.name)
        if there is None:
            yield Step.TYPE, definitions.create_type(item)
        elif item.kind == there.kind == "enum" and there.labels and _agree(item.labels, there.labels):
            for statement in definitions.missing_labels(item, there.labels):
                yield Step.TYPE, statement
        elif item.kind != there.kind or item.kind == "enum" or item.definition != there.definition:
            word = "DOMAIN" if there.kind == "domain" else "TYPE"
            old = quote_ident(free_name(f"{item.name}_before", self.found.types))
            yield Step.TYPE, f"ALTER {word} {quote_ident(item.name)} RENAME TO {old}"
            yield Step.TYPE, definitions.create_type(item)
            for table in self.catalogue.tables:
                there_too = {column.name for column in self.found.tables.get(table.name, Table(name="")).columns}
                for column in table.columns:
                    if column.name in there_too and column.type.removesuffix("[]") in (
                        item.name,
                        quote_ident(item.name),
                    ):
                        yield from retype(table.name, column, column.type)

    def _make(self, mapping: TableMapping) -> Statements:
        table = mapping.table
        serial = definitions.serial_columns(table)
        for column in serial:
            yield from self._columns.sequence(column)
        yield Step.TABLE, definitions.create_table(mapping, server_version=self.found.server_version)
        if table.key_index is not None:
            yield Step.KEY_COMES, table.key_index.definition
        for column in serial:
            if column.owns_sequence:
                yield Step.TABLE, owned(table.name, column)
        for column in table.columns:
            if must_open(column, table):
                place = f"ALTER TABLE {quote_ident(table.name)} ALTER COLUMN {quote_ident(column.name)}"
                yield Step.COLUMN, f"{place} SET GENERATED BY DEFAULT"
        for late in definitions.late_checks(mapping):
            yield Step.CONSTRAINT, late.statement


def _agree(labels: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether the labels that both have stand in the same order."""
    return [label for label in labels if label in others] == [label for label in others if label in labels]
