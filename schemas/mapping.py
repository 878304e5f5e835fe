"""What becomes of each column of a table: clear, encrypted or transformed; and columns that are added.

From catalogue and migration alone, so consumer and validator come to the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.catalogue import Column, Table
from schemas.errors import ConfigurationError
from schemas.leaving import leave_out
from schemas.migration_model import Migration, TableRules
from schemas.nearest import did_you_mean
from schemas.sql import quote_literal
from schemas.transforms import Transform, transform


class Treatment(StrEnum):
    """How a column travels into the target."""

    CLEAR = "clear"
    ENCRYPT = "encrypt"
    TRANSFORM = "transform"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """One column that travels. An encrypted one is bytea in the target, with a CHECK on the envelope."""

    name: str
    source_type: str
    target_type: str
    treatment: Treatment
    transform: Transform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedColumn:
    """A column that the target has and the source lacks: `value`, or `sql` when that is not None."""

    name: str
    type: str
    value: str | int | bool | None = None
    sql: str | None = None

    @property
    def constant(self) -> str | None:
        """The value as an SQL literal of unknown type; None when SQL computes it.

        >>> AddedColumn(name="tenant_id", type="text", value="rawdog").constant
        "'rawdog'"
        """
        if self.sql is not None:
            return None
        text = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return "NULL" if text is None else quote_literal(str(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """One table; `columns` are those that travel (generated ones do not), in the source's order."""

    table: Table
    columns: tuple[ColumnMapping, ...]
    added: tuple[AddedColumn, ...] = ()
    migrated_at: str = "migrated_at"
    sums: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)  # definitions that the migration leaves out: why

    def column(self, name: str) -> ColumnMapping:
        """The column of that name; KeyError if it does not travel."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def table_mapping(table: Table, migration: Migration) -> TableMapping:
    """What the migration makes of a table.

    `check_migration` tells all that cannot be, with lines; here the same is refused once more where
    going on would write plaintext or lose a row's name.

    Raises:
        ConfigurationError: a rule for a column that does not travel, or one that keys do not allow.
    """
    rules = migration.rules(table.name)
    for name in (*rules.encrypt, *rules.transform):
        _refuse_impossible(table, name, migration)
    return TableMapping(
        table=leave_out(table, rules.leave_out),
        columns=tuple(_column(column, rules) for column in table.stored),
        added=tuple(
            AddedColumn(name=name, type=rule.type, value=rule.value, sql=rule.sql) for name, rule in rules.add.items()
        ),
        migrated_at=rules.migrated_at,
        sums=rules.sums,
        left_out=rules.leave_out,
    )


def _column(column: Column, rules: TableRules) -> ColumnMapping:
    if column.name in rules.encrypt:
        return ColumnMapping(
            name=column.name, source_type=column.type, target_type="bytea", treatment=Treatment.ENCRYPT
        )
    if column.name in rules.transform:
        found = transform(rules.transform[column.name])
        return ColumnMapping(
            name=column.name,
            source_type=column.type,
            target_type=found.target_type,
            treatment=Treatment.TRANSFORM,
            transform=found,
        )
    return ColumnMapping(name=column.name, source_type=column.type, target_type=column.type, treatment=Treatment.CLEAR)


def _refuse_impossible(table: Table, name: str, migration: Migration) -> None:
    stored = [column.name for column in table.stored]
    why = ""
    if name not in stored:
        why = f"is no column that travels{did_you_mean(name, stored)}"
    elif name in table.key:
        why = "is part of the key that names rows, so it must stay clear"
    if why:
        raise ConfigurationError(
            f'{migration.where("table", table.name)}: "{table.name}"."{name}" {why}',
            hint="correct the migration file; producer plan checks it against the source",
        )
