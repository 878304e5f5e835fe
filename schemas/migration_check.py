"""Whether a migration fits the source: every problem with its line, its reason and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from schemas.catalogue import Catalogue, ImpossibleOrder, Table, check_order
from schemas.leaving import can_leave
from schemas.migration_model import Migration, TableRules
from schemas.nearest import did_you_mean

_WHOLE = re.compile(r"(smallint|integer|bigint)")
_EXACT = re.compile(r"(smallint|integer|bigint|numeric(\(.*\))?)")
_TEXT = re.compile(r"(text|citext|character varying(\(\d+\))?|character(\(\d+\))?)")
_FITS = {
    "bigint": (_EXACT, "numbers (smallint, integer, bigint, numeric)"),
    "percent": (_TEXT, "text"),
}


def check_migration(migration: Migration, catalogue: Catalogue, known: Iterable[str] = ()) -> list[str]:
    """What in the migration cannot be, given the source; empty when all is well.

    `known` are the names of all tables of the source, for "did you mean".
    """
    moved = {table.name: table for table in catalogue.tables}
    names = [*moved, *known]
    problems: list[str] = []
    if migration.tables != "*":
        for place, name in enumerate(migration.tables):
            if name not in moved:
                schemas = ", ".join(migration.source.schemas)
                problems.append(
                    f'{migration.where("tables", place)}: the source has no table "{name}" in {schemas}{did_you_mean(name, names)}'
                )
        try:
            check_order(moved[name] for name in migration.tables if name in moved)
        except ImpossibleOrder as error:
            place = migration.tables.index(error.child)
            problems.append(f"{migration.where('tables', place)}: {error}; {error.hint}")
    else:
        problems.extend(
            f'{migration.where("table", name)}: the source has no table "{name}"{did_you_mean(name, names)}'
            for name in migration.table
            if name not in moved
        )
    for table in catalogue.tables:
        problems.extend(_of_table(migration, table, catalogue))
    return problems


def check_left_out(migration: Migration, tables: Mapping[str, Table]) -> list[str]:
    """What under leave_out cannot be left out of these tables, as the source has them."""
    problems = []
    for name, rules in migration.table.items():
        possible = can_leave(tables[name]) if name in tables else tuple(rules.leave_out)
        problems += [
            f'{migration.where("table", name, "leave_out", given)}: "{name}" has no default, check, index or constraint '
            f'"{given}" that can be left out{did_you_mean(given, possible)}'
            for given in rules.leave_out
            if given not in possible
        ]
    return problems


def _of_table(migration: Migration, table: Table, catalogue: Catalogue) -> Iterator[str]:
    rules = migration.rules(table.name)
    columns = [column.name for column in table.columns]

    def at(*path: str | int) -> str:
        return migration.where("table", table.name, *path)

    for path, column in _named_columns(rules):
        if column not in columns:
            yield f'{at(*path)}: table "{table.name}" has no column "{column}"{did_you_mean(column, columns)}'
    bound = bindings(table, catalogue)
    for place, column in enumerate(rules.encrypt):
        if column in bound:
            yield (
                f'{at("encrypt", place)}: "{table.name}"."{column}" cannot be encrypted, it is {bound[column]}; '
                f"{_way_out(bound[column])}"
            )
    yield from _of_transforms(table, rules, bound, at("transform"), migration)
    for place, column in enumerate(rules.sums):
        type_ = table.column(column).type if column in columns else "integer"
        if not _EXACT.fullmatch(type_):
            yield f'{at("sums", place)}: "{table.name}"."{column}" is {type_}; exact sums need smallint, integer, bigint or numeric'
    for column in rules.add:
        if column in columns:
            yield f'{at("add", column)}: "{table.name}" has a column "{column}" already; add another name, or leave it out to move it'
    if rules.migrated_at in columns:
        yield (
            f'{at("migrated_at")}: "{table.name}" has a column "{rules.migrated_at}" of its own; '
            f'say migrated_at = "another_name" under [table.{table.name}]'
        )
    if not table.key and (rules.partitions or 1) > 1:
        yield f'{at("partitions")}: "{table.name}" has no key and is replaced whole, so its topic has one partition; leave it out'


def _named_columns(rules: TableRules) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, column in enumerate(rules.encrypt):
        yield ("encrypt", place), column
    for column in rules.keep:
        yield ("keep", column), column
    for column in rules.transform:
        yield ("transform", column), column
    for place, column in enumerate(rules.sums):
        yield ("sums", place), column


def _of_transforms(
    table: Table, rules: TableRules, bound: dict[str, str], at: str, migration: Migration
) -> Iterator[str]:
    types = {column.name: column.type for column in table.columns}
    for column, rule in rules.transform.items():
        where = migration.where("table", table.name, "transform", column) or at
        if column in bound and not bound[column].startswith("in "):
            yield (
                f'{where}: "{table.name}"."{column}" cannot be transformed, it is {bound[column]}; '
                f"{_way_out(bound[column], 'transform')}"
            )
        elif rule in _FITS and column in types and not _FITS[rule][0].fullmatch(types[column]):
            yield (
                f'{where}: transform "{rule}" takes {_FITS[rule][1]}, "{table.name}"."{column}" is {types[column]}; '
                'name another transform, or your own as "module:function"'
            )


def bindings(table: Table, catalogue: Catalogue) -> dict[str, str]:
    """Columns whose values the database itself relies on, each with what relies on it.

    Such a column cannot become ciphertext: equal values would differ, and checks and
    expressions would read envelopes.
    """
    found: dict[str, str] = {}
    for columns, why in (*_keys(table, catalogue), *_expressions(table)):
        for column in columns:
            found.setdefault(column, why)
    return found


def _keys(table: Table, catalogue: Catalogue) -> Iterator[tuple[Iterable[str], str]]:
    if table.primary_key is not None:
        yield table.primary_key.columns, "part of the primary key"
    for foreign in table.foreign_keys:
        yield foreign.columns, f'part of the foreign key "{foreign.name}"'
    for other in catalogue.tables:
        for foreign in other.foreign_keys:
            if foreign.parent == table.name:
                yield foreign.parent_columns, f'what the foreign key "{foreign.name}" of "{other.name}" points at'
    for key in table.uniques:
        yield key.columns, f'part of the unique constraint "{key.name}"'


def _expressions(table: Table) -> Iterator[tuple[Iterable[str], str]]:
    names = [column.name for column in table.columns]
    for index in table.indexes:
        if index.unique:
            definition = index.definition.partition(" USING ")[2]  # columns, expressions and predicate
            yield mentioned(definition, names), f'part of the unique index "{index.name}"'
    for column in table.columns:
        if column.generated is not None:
            yield [column.name], "a generated column, which the target computes itself"
            yield mentioned(column.generated, names), f'what the generated column "{column.name}" is computed from'
    for constraint in (*table.checks, *table.exclusions):
        yield mentioned(constraint.definition, names), f'in the constraint "{constraint.name}"'


def _way_out(why: str, way: str = "encrypt") -> str:
    if "generated column, which" in why:
        return f"take it out of {way}; treat the columns it is computed from"
    if "computed from" in why:
        return "make the generated column an ordinary one in the source first, or keep this one clear with a reason under keep"
    if "key" in why:
        return (
            f"take it out of {way}, and give a reason under keep if it is personal"
            if way == "encrypt"
            else "move it as it is"
        )
    return "drop that constraint or index in the source, or keep the column clear with a reason under keep"


_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | (?P<cast>::) | "(?P<quoted>(?:[^"]|"")*)" | (?P<plain>[^\W\d]\w*) (?P<call>\s*\()?""",
    re.VERBOSE,
)


def mentioned(definition: str, columns: Iterable[str]) -> list[str]:
    """Those of `columns` that an SQL text of PostgreSQL's own printing names; functions and casts do not count.

    >>> mentioned("CHECK ((lower(email) <> 'note'::text))", ["email", "note", "text", "lower"])
    ['email']
    """
    names: set[str] = set()
    after_cast = False
    for token in _TOKEN.finditer(definition):
        if token["quoted"] is not None:
            name = token["quoted"].replace('""', '"')
        else:
            name = "" if token["call"] else (token["plain"] or "")
        if not after_cast:
            names.add(name)
        after_cast = token["cast"] is not None
    return [column for column in columns if column in names]
