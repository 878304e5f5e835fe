"""What a schema that somebody else made must become to take the tenant's rows, as statements. Pure.

A table may have more columns (nullable or with a default), other column order, names of its own for
constraints, and constraints that the source lacks. All else must be as the source and the migration
say, or reconcile would call it different. The statements stand in an order in which psql can run
them: types, tables, keys that go, columns, keys that come, other constraints and indexes, foreign keys.

While rows come the constraints stay on, so those that hold only of whole tables must be deferrable:
unique keys besides the one that upserts go by, and foreign keys of a table on itself or in a ring.
Triggers are to be off: they would change rows, or write rows that come by themselves. A
unique key that a foreign key points at cannot be (PostgreSQL refuses that): it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from schemas import definitions
from schemas.catalogue import Catalogue, Column, Key, Table, UserType, rings
from schemas.envelope import ENVELOPE_CHECK
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from schemas.sql import quote_ident


class _Step(IntEnum):
    """The order of statements."""

    TYPE = 1
    TABLE = 2
    POINTERS_GO = 3
    KEY_GOES = 4
    COLUMN = 5
    KEY_COMES = 6
    CONSTRAINT = 7
    FOREIGN_KEY = 8
    TRIGGER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands in the target's schema: tables and types by name, names of the rest, tables that have rows.

    `triggers` are those that fire when rows come, by table.
    """

    tables: Mapping[str, Table]
    types: Mapping[str, UserType]
    relations: Collection[str]
    collations: Collection[str] = frozenset()
    with_rows: Collection[str] = frozenset()
    triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    server_version: int = 0


def missing_statements(catalogue: Catalogue, mappings: Mapping[str, TableMapping], found: Found) -> list[str]:
    """All that must be run before the schema can take the rows; empty when it can."""
    fitting = _Fitting(catalogue=catalogue, mappings=mappings, found=found)
    ordered = sorted(enumerate(fitting.statements()), key=lambda item: (item[1][0], item[0]))
    return list(dict.fromkeys(f"{statement};" for _, (_, statement) in ordered))


_Statements = Iterator[tuple[_Step, str]]


@dataclass(kw_only=True)
class _Fitting:
    catalogue: Catalogue
    mappings: Mapping[str, TableMapping]
    found: Found
    _replaced: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)  # keys that go, by table and columns

    def __post_init__(self) -> None:
        groups = rings(self.catalogue.tables)
        self._ring_of = {name: ring for ring in groups for name in ring}
        tables = (*self.catalogue.tables, *self.found.tables.values())
        self._pointed_at = {
            (key.parent, frozenset(key.parent_columns)) for table in tables for key in table.foreign_keys
        }

    def statements(self) -> _Statements:
        for collation in self.catalogue.collations:
            if collation.name not in self.found.collations:
                yield _Step.TYPE, f"CREATE COLLATION {quote_ident(collation.name)} {collation.definition}"
        for item in self.catalogue.types:
            yield from self._type(item)
        for table in self.catalogue.tables:
            there = self.found.tables.get(table.name)
            mapping = self.mappings[table.name]
            if there is None:
                yield from self._make(mapping)
                there = Table(name=table.name)
            else:
                yield from self._columns(mapping, there)
                yield from self._primary_key(table, there)
                yield from self._checks(mapping, there)
                for trigger in self.found.triggers.get(table.name, ()):
                    name = quote_ident(table.name)
                    yield _Step.TRIGGER, f"ALTER TABLE {name} DISABLE TRIGGER {quote_ident(trigger)}"
            for part in definitions.create_partitions(table):
                if part.name not in self.found.relations:
                    yield _Step.TABLE, part.statement
            yield from self._uniques(mapping, there)
            yield from self._indexes(mapping, there)
        for table in self.catalogue.tables:  # when all keys that go are known
            yield from self._foreign_keys(table, self.found.tables.get(table.name, Table(name=table.name)))
        for stranger in self.found.tables.values():
            if stranger.name not in self.mappings:
                yield from self._keys_that_go(stranger)

    # ---------------------------------------------------------------- types

    def _type(self, item: UserType) -> _Statements:
        there = self.found.types.get(item.name)
        if there is None:
            yield _Step.TYPE, definitions.create_type(item)
        elif item.kind == there.kind == "enum" and there.labels and _agree(item.labels, there.labels):
            for statement in definitions.missing_labels(item, there.labels):
                yield _Step.TYPE, statement
        elif item.kind != there.kind or item.kind == "enum" or item.definition != there.definition:
            word = "DOMAIN" if there.kind == "domain" else "TYPE"
            old = quote_ident(_free(f"{item.name}_before", self.found.types))
            yield _Step.TYPE, f"ALTER {word} {quote_ident(item.name)} RENAME TO {old}"
            yield _Step.TYPE, definitions.create_type(item)
            for table in self.catalogue.tables:
                there_too = {column.name for column in self.found.tables.get(table.name, Table(name="")).columns}
                for column in table.columns:
                    if column.name in there_too and column.type.removesuffix("[]") in (
                        item.name,
                        quote_ident(item.name),
                    ):
                        yield from self._retype(table.name, column, column.type)

    # ---------------------------------------------------------------- tables and columns

    def _make(self, mapping: TableMapping) -> _Statements:
        table = mapping.table
        serial = definitions.serial_columns(table)
        for column in serial:
            yield from self._sequence(column)
        yield _Step.TABLE, definitions.create_table(mapping, server_version=self.found.server_version)
        if table.key_index is not None:
            yield _Step.KEY_COMES, table.key_index.definition
        for column in serial:
            if column.owns_sequence:
                yield _Step.TABLE, _owned(table.name, column)
        for column in table.columns:
            if _must_open(column, table):
                place = f"ALTER TABLE {quote_ident(table.name)} ALTER COLUMN {quote_ident(column.name)}"
                yield _Step.COLUMN, f"{place} SET GENERATED BY DEFAULT"
        for late in definitions.late_checks(mapping):
            yield _Step.CONSTRAINT, late.statement

    def _sequence(self, column: Column) -> _Statements:
        if column.sequence and column.sequence not in self.found.relations:
            yield _Step.TABLE, definitions.create_sequence(column)

    def _columns(self, mapping: TableMapping, there: Table) -> _Statements:
        name = quote_ident(there.name)
        columns = {column.name: column for column in there.columns}
        treated = {column.name: column for column in mapping.columns}
        for column in mapping.table.columns:
            if column.name in columns:
                yield from self._column(mapping, column, treated.get(column.name), columns[column.name])
                continue
            if not column.identity:
                yield from self._sequence(column)
            yield (
                _Step.COLUMN,
                f"ALTER TABLE {name} ADD COLUMN {definitions.column_definition(column, treated.get(column.name))}",
            )
            if column.sequence and not column.identity and column.owns_sequence:
                yield _Step.COLUMN, _owned(there.name, column)
        for added in mapping.added:
            if added.name not in columns:
                yield _Step.COLUMN, f"ALTER TABLE {name} ADD COLUMN {quote_ident(added.name)} {added.type}"
        yield from self._migrated_at(mapping, there, columns.get(mapping.migrated_at))
        known = {column.name for column in mapping.table.columns} | {added.name for added in mapping.added}
        for column in there.columns:
            is_filled = column.default is not None or column.identity or column.generated is not None
            if column.name not in known | {mapping.migrated_at} and column.not_null and not is_filled:
                drop = f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column.name)} DROP NOT NULL"
                yield _Step.COLUMN, drop  # or a default: nothing else fills it

    def _migrated_at(self, mapping: TableMapping, there: Table, column: Column | None) -> _Statements:
        name, instant = quote_ident(there.name), quote_ident(mapping.migrated_at)
        if column is None:
            # rows that are there are older than every snapshot
            given = " DEFAULT '-infinity'" if there.name in self.found.with_rows else ""
            yield _Step.COLUMN, f"ALTER TABLE {name} ADD COLUMN {instant} timestamp with time zone NOT NULL{given}"
            return
        if column.generated is not None:
            yield _Step.COLUMN, f"ALTER TABLE {name} ALTER COLUMN {instant} DROP EXPRESSION"
        if column.type != "timestamp with time zone":
            wanted = Column(name=mapping.migrated_at, type="timestamp with time zone")
            yield from self._retype(there.name, wanted, wanted.type, has_default=column.default is not None)
        if not column.not_null:
            yield _Step.COLUMN, f"ALTER TABLE {name} ALTER COLUMN {instant} SET NOT NULL"

    def _column(
        self, mapping: TableMapping, column: Column, treated: ColumnMapping | None, there: Column
    ) -> _Statements:
        table = mapping.table.name
        alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
        if column.generated is not None:
            is_other = column.generated != there.generated or column.type != there.type
            if is_other:
                yield _Step.COLUMN, f"ALTER TABLE {quote_ident(table)} DROP COLUMN {quote_ident(column.name)}"
                yield (
                    _Step.COLUMN,
                    f"ALTER TABLE {quote_ident(table)} ADD COLUMN {definitions.column_definition(column, None)}",
                )
            return
        if there.generated is not None:
            yield _Step.COLUMN, f"{alter} DROP EXPRESSION"
        is_clear = treated is None or treated.treatment is Treatment.CLEAR
        type_ = column.type if treated is None else treated.target_type
        has_default = there.default is not None and there.generated is None
        if there.type != type_ or (is_clear and there.collation != column.collation):
            if there.identity and type_ not in ("smallint", "integer", "bigint"):
                yield _Step.COLUMN, f"{alter} DROP IDENTITY"
            yield from self._retype(table, column, type_, has_default=has_default)
            has_default = False
        if column.not_null and not there.not_null:
            yield _Step.COLUMN, f"{alter} SET NOT NULL"
        if is_clear:
            wanted = column
            if _must_open(column, mapping.table):
                wanted = replace(column, identity="by default")
            yield from self._filling(table, wanted, there, has_default=has_default)
        elif has_default:
            yield _Step.COLUMN, f"{alter} DROP DEFAULT"
        if there.not_null and not column.not_null:
            yield _Step.COLUMN, f"{alter} DROP NOT NULL"

    def _filling(self, table: str, column: Column, there: Column, *, has_default: bool) -> _Statements:
        """What fills a column that an INSERT leaves out: an identity, a default, or nothing."""
        alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
        if there.identity and not column.identity:
            yield _Step.COLUMN, f"{alter} DROP IDENTITY"
        if column.identity:
            if has_default:
                yield _Step.COLUMN, f"{alter} DROP DEFAULT"
            if there.identity and there.identity != column.identity:
                yield _Step.COLUMN, f"{alter} SET GENERATED {column.identity.upper()}"
            elif not there.identity:
                yield _Step.COLUMN, f"{alter} ADD GENERATED {column.identity.upper()} AS IDENTITY"
        elif column.default is None:
            if has_default:
                yield _Step.COLUMN, f"{alter} DROP DEFAULT"
        elif not has_default or column.default != there.default:
            yield from self._sequence(column)
            yield _Step.COLUMN, f"{alter} SET DEFAULT {column.default}"
            if column.sequence and column.sequence not in self.found.relations and column.owns_sequence:
                yield _Step.COLUMN, _owned(table, column)

    def _retype(self, table: str, column: Column, type_: str, *, has_default: bool = False) -> _Statements:
        alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
        if has_default:
            yield _Step.COLUMN, f"{alter} DROP DEFAULT"
        name = quote_ident(column.name)
        if type_ == "bytea" and column.type != "bytea":
            yield _Step.COLUMN, f"{alter} TYPE bytea USING convert_to({name}::text, 'UTF8')"
            return
        collation = f" COLLATE {column.collation}" if column.collation and type_ == column.type else ""
        yield _Step.COLUMN, f"{alter} TYPE {type_}{collation} USING {name}::text::{type_}"

    # ---------------------------------------------------------------- keys and constraints

    def _primary_key(self, table: Table, there: Table) -> _Statements:
        wanted, found = definitions.key_constraint(table), there.primary_key
        if table.primary_key is None or wanted is None:
            return
        if found is not None and found.columns == wanted.columns and not found.deferrable:
            return
        place = f"ALTER TABLE {quote_ident(table.name)}"
        if found is not None:
            self._replaced.add((table.name, found.columns))
            yield _Step.KEY_GOES, f"{place} DROP CONSTRAINT {quote_ident(found.name)}"
            yield _Step.KEY_COMES, f"{place} ADD CONSTRAINT {quote_ident(found.name)} {wanted.definition}"
        else:
            name = _free(wanted.name, self.found.relations)
            yield _Step.KEY_COMES, f"{place} ADD CONSTRAINT {quote_ident(name)} {wanted.definition}"

    def _checks(self, mapping: TableMapping, there: Table) -> _Statements:
        place = f"ALTER TABLE {quote_ident(there.name)}"
        by_text = {check.definition: check for check in there.checks}
        taken = [*(check.name for check in there.checks), *(key.name for key in there.foreign_keys)]
        for check in definitions.kept_checks(mapping):
            found = by_text.get(check.definition)
            if found is None:
                late = "" if check.validated else " NOT VALID"
                name = quote_ident(_free(check.name, taken))
                yield _Step.CONSTRAINT, f"{place} ADD CONSTRAINT {name} {check.definition}{late}"
            elif check.validated and not found.validated:
                yield _Step.CONSTRAINT, f"{place} VALIDATE CONSTRAINT {quote_ident(found.name)}"
        for column in mapping.columns:
            if column.treatment is not Treatment.ENCRYPT:
                continue
            guards = [text for text in by_text if definitions.mentions_any(text, {column.name})]
            if not any("get_byte" in text and "254" in text for text in guards):
                name = quote_ident(_free(definitions.envelope_name(column.name), taken))
                guard = ENVELOPE_CHECK(column.name)
                yield _Step.CONSTRAINT, f"{place} ADD CONSTRAINT {name} CHECK ({guard})"

    def _uniques(self, mapping: TableMapping, there: Table) -> _Statements:
        table, place = mapping.table, f"ALTER TABLE {quote_ident(mapping.table.name)}"
        key = definitions.key_constraint(table)
        by_text = {_at_once(item.definition): item for item in there.uniques}
        excluded = {item.definition for item in there.exclusions}
        is_there = bool(there.columns)
        names = {item.name for item in table.uniques}
        for item in definitions.unique_constraints(mapping):
            if item.name in names:
                continue
            definition = item.statement.partition(f"ADD CONSTRAINT {quote_ident(item.name)} ")[2]
            if definition not in excluded:
                yield _Step.CONSTRAINT, item.statement
        changed = definitions.changed_columns(mapping)
        for unique in table.uniques:
            is_key = key is not None and unique.name == key.name
            if definitions.mentions_any(unique.definition, changed) or (is_key and not is_there):
                continue
            found = by_text.pop(_at_once(unique.definition), None)
            must = not is_key and not self._is_pointed_at(table.name, unique)
            if found is None:
                name = quote_ident(_free(unique.name, self.found.relations))
                given = _deferrable(unique.definition) if must else _at_once(unique.definition)
                yield _Step.KEY_COMES, f"{place} ADD CONSTRAINT {name} {given}"
            elif found.deferrable != must and (must or is_key):
                yield from self._again(table.name, found, is_deferrable=must)
        for extra in by_text.values():
            if not extra.deferrable and not self._is_pointed_at(table.name, extra):
                yield from self._again(table.name, extra, is_deferrable=True)

    def _again(self, table: str, key: Key, *, is_deferrable: bool) -> _Statements:
        place, name = f"ALTER TABLE {quote_ident(table)}", quote_ident(key.name)
        definition = _deferrable(key.definition) if is_deferrable else _at_once(key.definition)
        yield _Step.KEY_COMES, f"{place} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition}"

    def _is_pointed_at(self, table: str, key: Key) -> bool:
        return (table, frozenset(key.columns)) in self._pointed_at

    def _indexes(self, mapping: TableMapping, there: Table) -> _Statements:
        found = {(index.unique, _method(index.definition)) for index in there.indexes}
        changed = definitions.changed_columns(mapping)
        key = mapping.table.key_index
        if key is not None and there.columns and (True, _method(key.definition)) not in found:
            yield _Step.KEY_COMES, key.definition
        for unique in (True, False):
            for index in definitions.indexes(mapping, unique=unique):
                method = _method(index.statement)
                # over a column of another type now, an index may be impossible
                if (unique, method) not in found and not definitions.mentions_any(method, changed):
                    yield _Step.CONSTRAINT, index.statement

    def _foreign_keys(self, table: Table, there: Table) -> _Statements:
        place = f"ALTER TABLE {quote_ident(table.name)}"
        ring = self._ring_of[table.name]
        by_text = {_at_once(key.definition): key for key in there.foreign_keys}
        yield from self._keys_that_go(there)
        for key in there.foreign_keys:
            if (key.parent, key.parent_columns) in self._replaced:
                del by_text[_at_once(key.definition)]
            elif key.parent in ring and not key.deferrable:
                yield _Step.FOREIGN_KEY, f"{place} ALTER CONSTRAINT {quote_ident(key.name)} DEFERRABLE"
        taken = [key.name for key in by_text.values()]
        for key in table.foreign_keys:
            found = by_text.get(_at_once(key.definition))
            if found is None:
                name = quote_ident(_free(key.name, taken))
                definition = _deferrable(key.definition) if key.parent in ring else key.definition
                late = "" if key.validated else " NOT VALID"
                yield _Step.FOREIGN_KEY, f"{place} ADD CONSTRAINT {name} {definition}{late}"
            elif key.validated and not found.validated:
                yield _Step.FOREIGN_KEY, f"{place} VALIDATE CONSTRAINT {quote_ident(found.name)}"

    def _keys_that_go(self, there: Table) -> _Statements:
        """Foreign keys that point at a key which is replaced; those that the source has come again."""
        for key in there.foreign_keys:
            if (key.parent, key.parent_columns) in self._replaced:
                yield (
                    _Step.POINTERS_GO,
                    f"ALTER TABLE {quote_ident(there.name)} DROP CONSTRAINT {quote_ident(key.name)}",
                )


def _must_open(column: Column, table: Table) -> bool:
    """Whether no upsert could bring the column up to date: GENERATED ALWAYS, and no part of the key."""
    return column.identity == "always" and column.name not in table.key


def _owned(table: str, column: Column) -> str:
    place = f"{quote_ident(table)}.{quote_ident(column.name)}"
    return f"ALTER SEQUENCE {quote_ident(column.sequence or '')} OWNED BY {place}"


def _agree(labels: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether the labels that both have stand in the same order."""
    return [label for label in labels if label in others] == [label for label in others if label in labels]


def _at_once(definition: str) -> str:
    """The definition of a constraint without when it is looked at."""
    return re.sub(r"( NOT DEFERRABLE| DEFERRABLE)?( INITIALLY (DEFERRED|IMMEDIATE))?( NOT VALID)?$", "", definition)


def _deferrable(definition: str) -> str:
    return definition if definition != _at_once(definition) else f"{definition} DEFERRABLE"


def _method(definition: str) -> str:
    return definition.partition(" USING ")[2]


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or one beside it when something else has it."""
    return name if name not in taken else f"{name.encode()[:55].decode('utf-8', 'ignore')}_source"
