"""Columns of a table that somebody else made, against those that the tenant's rows need. Pure.

A table may have more columns (nullable, or with a default) and another order of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from consumer.standing import Found, Statements, Step
from schemas import definitions
from schemas.catalogue import Column, Table
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from schemas.sql import quote_ident


@dataclass(frozen=True, slots=True)
class Columns:
    """Statements about columns, given what stands there."""

    found: Found

    def of_table(self, mapping: TableMapping, there: Table) -> Statements:
        """Those that a table there lacks, that differ, or that nothing would fill."""
        name = quote_ident(there.name)
        columns = {column.name: column for column in there.columns}
        treated = {column.name: column for column in mapping.columns}
        for column in mapping.table.columns:
            if column.name in columns:
                yield from self._column(mapping, column, treated.get(column.name), columns[column.name])
                continue
            if not column.identity:
                yield from self.sequence(column)
            if must_open(column, mapping.table):
                column = replace(column, identity="by default")  # noqa: PLW2901
            yield (
                Step.COLUMN,
                f"ALTER TABLE {name} ADD COLUMN {definitions.column_definition(column, treated.get(column.name))}",
            )
            if column.sequence and not column.identity and column.owns_sequence:
                yield Step.COLUMN, owned(there.name, column)
        for added in mapping.added:
            if added.name not in columns:
                yield Step.COLUMN, f"ALTER TABLE {name} ADD COLUMN {quote_ident(added.name)} {added.type}"
        yield from self._migrated_at(mapping, there, columns.get(mapping.migrated_at))
        known = {column.name for column in mapping.table.columns} | {added.name for added in mapping.added}
        for column in there.columns:
            is_filled = column.default is not None or column.identity or column.generated is not None
            if column.name not in known | {mapping.migrated_at} and column.not_null and not is_filled:
                drop = f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column.name)} DROP NOT NULL"
                yield Step.COLUMN, drop  # or a default: nothing else fills it

    def _migrated_at(self, mapping: TableMapping, there: Table, column: Column | None) -> Statements:
        name, instant = quote_ident(there.name), quote_ident(mapping.migrated_at)
        if column is None:
            # rows that are there are older than every snapshot
            given = " DEFAULT '-infinity'" if there.name in self.found.with_rows else ""
            yield Step.COLUMN, f"ALTER TABLE {name} ADD COLUMN {instant} timestamp with time zone NOT NULL{given}"
            return
        if column.generated is not None:
            yield Step.COLUMN, f"ALTER TABLE {name} ALTER COLUMN {instant} DROP EXPRESSION"
        if column.type != "timestamp with time zone":
            wanted = Column(name=mapping.migrated_at, type="timestamp with time zone")
            yield from retype(there.name, wanted, wanted.type, has_default=column.default is not None)
        if not column.not_null:
            yield Step.COLUMN, f"ALTER TABLE {name} ALTER COLUMN {instant} SET NOT NULL"

    def _column(
        self, mapping: TableMapping, column: Column, treated: ColumnMapping | None, there: Column
    ) -> Statements:
        table = mapping.table.name
        alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
        if column.generated is not None:
            is_other = column.generated != there.generated or column.type != there.type
            if is_other:
                yield Step.COLUMN, f"ALTER TABLE {quote_ident(table)} DROP COLUMN {quote_ident(column.name)}"
                yield (
                    Step.COLUMN,
                    f"ALTER TABLE {quote_ident(table)} ADD COLUMN {definitions.column_definition(column, None)}",
                )
            return
        if there.generated is not None:
            yield Step.COLUMN, f"{alter} DROP EXPRESSION"
        is_clear = treated is None or treated.treatment is Treatment.CLEAR
        type_ = column.type if treated is None else treated.target_type
        has_default = there.default is not None and there.generated is None
        if there.type != type_ or (is_clear and there.collation != column.collation):
            if there.identity and type_ not in ("smallint", "integer", "bigint"):
                yield Step.COLUMN, f"{alter} DROP IDENTITY"
            yield from retype(table, column, type_, has_default=has_default)
            has_default = False
        if column.not_null and not there.not_null:
            yield Step.COLUMN, f"{alter} SET NOT NULL"
        if is_clear and column.name not in mapping.left_out:
            wanted = column
            if must_open(column, mapping.table):
                wanted = replace(column, identity="by default")
            yield from self._filling(table, wanted, there, has_default=has_default)
        elif has_default and not is_clear:
            yield Step.COLUMN, f"{alter} DROP DEFAULT"
        if there.not_null and not column.not_null:
            yield Step.COLUMN, f"{alter} DROP NOT NULL"

    def _filling(self, table: str, column: Column, there: Column, *, has_default: bool) -> Statements:
        """What fills a column that an INSERT leaves out: an identity, a default, or nothing."""
        alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
        if there.identity and not column.identity:
            yield Step.COLUMN, f"{alter} DROP IDENTITY"
        if column.identity:
            if has_default:
                yield Step.COLUMN, f"{alter} DROP DEFAULT"
            if there.identity and there.identity != column.identity:
                yield Step.COLUMN, f"{alter} SET GENERATED {column.identity.upper()}"
            elif not there.identity:
                yield Step.COLUMN, f"{alter} ADD GENERATED {column.identity.upper()} AS IDENTITY"
        elif column.default is None:
            if has_default:
                yield Step.COLUMN, f"{alter} DROP DEFAULT"
        elif not has_default or column.default != there.default:
            yield from self.sequence(column)
            yield Step.COLUMN, f"{alter} SET DEFAULT {column.default}"
            if column.sequence and column.sequence not in self.found.relations and column.owns_sequence:
                yield Step.COLUMN, owned(table, column)

    def sequence(self, column: Column) -> Statements:
        """The sequence that a column draws from, when it is not there."""
        if column.sequence and column.sequence not in self.found.relations:
            yield Step.TABLE, definitions.create_sequence(column)


def retype(table: str, column: Column, type_: str, *, has_default: bool = False) -> Statements:
    """Give a column another type, by way of its text."""
    alter = f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(column.name)}"
    if has_default:
        yield Step.COLUMN, f"{alter} DROP DEFAULT"
    name = quote_ident(column.name)
    if type_ == "bytea" and column.type != "bytea":
        yield Step.COLUMN, f"{alter} TYPE bytea USING convert_to({name}::text, 'UTF8')"
        return
    collation = f" COLLATE {column.collation}" if column.collation and type_ == column.type else ""
    yield Step.COLUMN, f"{alter} TYPE {type_}{collation} USING {name}::text::{type_}"


def must_open(column: Column, table: Table) -> bool:
    """Whether no upsert could bring the column up to date: GENERATED ALWAYS, and no part of the key."""
    return column.identity == "always" and column.name not in table.key


def owned(table: str, column: Column) -> str:
    """Let the column own its sequence."""
    place = f"{quote_ident(table)}.{quote_ident(column.name)}"
    return f"ALTER SEQUENCE {quote_ident(column.sequence or '')} OWNED BY {place}"
