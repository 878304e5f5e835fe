"""How each cell of a table is read on both sides, as SQL text. Pure.

A cell is read as PostgreSQL's own text, on the source through the transform that the migration
declares, so that equal text means equal cell. Encrypted cells are read as text at the source and
as ciphertext in the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.catalogue import Column, Table
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from schemas.pgtypes import text_expression
from schemas.sql import quote_ident, quote_qualified

_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_NUMERIC = re.compile(r"numeric(\(.*\))?")
_CAST_TO_SUM = frozenset({"real", "double precision", "money"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One column that is compared: its text on both sides."""

    name: str
    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One encrypted column. `is_binary`: its plaintext is the bytes of a bytea, not their text."""

    name: str
    source: str
    is_binary: bool = False

    @property
    def cell(self) -> str:
        """The column itself: in the target the ciphertext."""
        return f"t.{quote_ident(self.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summed:
    """One column that is added up, and how its value is read on both sides."""

    name: str
    source: str
    target: str
    is_declared: bool
    has_specials: bool  # NaN and the infinities, which would swallow the sum

    def outputs(self, alias: str) -> list[str]:
        """Aggregates over `alias`, all as text: sum, values that are not NULL, and each special's number."""
        if not self.has_specials:
            return [f"sum({alias})::text", f"count({alias})"]
        specials = ("NaN", "Infinity", "-Infinity")
        listed = ", ".join(f"'{name}'" for name in specials)
        counts = [f"count(*) FILTER (WHERE {alias} = '{name}')" for name in specials]
        return [f"(sum({alias}) FILTER (WHERE {alias} NOT IN ({listed})))::text", f"count({alias})", *counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Rows of the source that a transform converts and that are worth telling; `condition` is SQL."""

    column: str
    text: str
    condition: str
    is_listed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """How one table is compared. `left_out` are columns that cannot be, with the reason.

    `not_compared` are columns for which nothing says what must be there: worth telling, no verdict.
    """

    table: Table
    schema: str
    key: tuple[Cell, ...]
    clear: tuple[Cell, ...]  # with the key's columns
    sealed: tuple[Sealed, ...]
    summed: tuple[Summed, ...]
    noticed: tuple[Noticed, ...] = ()
    left_out: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    migrated_at: str | None = None  # the column of the target that shows a row's instant, if it is there

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    def relation(self, side: str) -> str:
        """What follows FROM on one side: the table, quoted, without what inherits from it."""
        at = self.table.at_source if side == "source" else quote_qualified(self.schema, self.name)
        return self.table.only + at

    @property
    def bound(self) -> tuple[Cell, ...]:
        """Clear cells that stand beside the encrypted ones when those are compared.

        The key, which says whose cells they are; without a key every clear cell, or else a
        ciphertext moved to another row would not be seen.
        """
        return self.key or self.clear

    @property
    def has_sealed(self) -> str:
        """SQL, on both sides: whether any encrypted cell of a row is not NULL.

        Rows without one are left out on both sides: the other rows, their number and their sums
        being the same says that these are the same rows too.
        """
        return f"pg_catalog.num_nonnulls({', '.join(item.cell for item in self.sealed)}) > 0"


def table_plan(mapping: TableMapping, target: Table, schema: str) -> TablePlan:
    """The plan of one table; columns that the target lacks are left out and said."""
    table = mapping.table
    there = {column.name: column for column in target.columns}
    treated = {column.name: column for column in mapping.columns}
    clear: list[Cell] = []
    sealed: list[Sealed] = []
    summed: list[Summed] = []
    left_out: list[str] = []
    for column in table.columns:
        if column.name not in there:
            left_out.append(f'column "{column.name}" is missing in the target')
            continue
        how = treated.get(column.name)
        if how is not None and how.treatment is Treatment.ENCRYPT:
            if there[column.name].type != "bytea":
                left_out.append(f'column "{column.name}" is not bytea in the target')
                continue
            sealed.append(Sealed(name=column.name, source=text_expression(column), is_binary=column.type == "bytea"))
            continue
        cell = _cell(column, how, there[column.name])
        clear.append(cell)
        if (add := _summed(column, how, is_declared=column.name in mapping.sums)) is not None:
            summed.append(add)
    for added in mapping.added:
        if added.name not in there:
            left_out.append(f'added column "{added.name}" is missing in the target')
        elif added.constant is not None:
            value = f"({added.constant})::{added.type}"
            clear.append(
                Cell(name=added.name, source=text_of(value, added.type), target=text_expression(there[added.name]))
            )
    by_name = {cell.name: cell for cell in clear}
    key = tuple(by_name[name] for name in table.key if name in by_name)
    return TablePlan(
        table=table,
        schema=schema,
        key=key if len(key) == len(table.key) else (),
        clear=tuple(clear),
        sealed=tuple(sealed),
        summed=tuple(summed),
        noticed=tuple(_noticed(mapping)),
        left_out=tuple(left_out),
        not_compared=tuple(
            f'added column "{added.name}" is filled by SQL and was not compared'
            for added in mapping.added
            if added.constant is None and added.name in there
        ),
        migrated_at=mapping.migrated_at if mapping.migrated_at in there else None,
    )


def text_of(expression: str, type_: str) -> str:
    """The text of an SQL expression of some type, as its output function prints it.

    >>> text_of("a + b", "bigint")
    '(a + b)::text'
    """
    return text_expression(Column(name="x", type=type_), "").replace('"x"', f"({expression})")


def _cell(column: Column, how: ColumnMapping | None, found: Column) -> Cell:
    target = text_expression(found)
    if how is None or how.transform is None:
        return Cell(name=column.name, source=text_expression(column), target=target)
    return Cell(name=column.name, source=text_of(_transformed(column, how), how.target_type), target=target)


def _transformed(column: Column, how: ColumnMapping) -> str:
    """The transform's SQL; it gives NULL for a cell that it refuses, whose row is not in the target."""
    assert how.transform is not None
    return how.transform.sql(f"t.{quote_ident(column.name)}")


def _summed(column: Column, how: ColumnMapping | None, *, is_declared: bool) -> Summed | None:
    type_ = column.type if how is None else how.target_type
    target = f"t.{quote_ident(column.name)}"
    source = target if how is None or how.transform is None else _transformed(column, how)
    numeric = bool(_NUMERIC.fullmatch(type_))
    if type_ in _CAST_TO_SUM and is_declared:
        source, target = f"({source})::numeric", f"({target})::numeric"
    elif type_ not in _INTEGERS and not numeric:
        return None
    return Summed(
        name=column.name,
        source=source,
        target=target,
        is_declared=is_declared,
        has_specials=type_ not in _INTEGERS and type_ != "money",
    )


def _noticed(mapping: TableMapping) -> Iterator[Noticed]:
    for column in mapping.columns:
        for notice in column.transform.notices if column.transform is not None else ():
            condition = notice.sql(f"t.{quote_ident(column.name)}")
            yield Noticed(column=column.name, text=notice.text, condition=condition, is_listed=notice.is_listed)
