"""What a database says of its tables: read by the queries in `sql/`, each one for a whole schema.

The queries look at the first schema on the search_path, so anyone can run them in psql. No
query is asked table by table: a schema of 500 tables is read in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import dict_row

from runtime.postgres import Connection, Side, explain, use_schema
from schemas.catalogue import (
    Catalogue,
    Collation,
    Column,
    Constraint,
    ForeignKey,
    Identity,
    Index,
    Key,
    Partition,
    Table,
    UserType,
    load_waves,
)
from schemas.errors import ConfigurationError
from schemas.migration import Migration, MigrationError, check_migration
from schemas.migration_check import check_left_out
from schemas.nearest import did_you_mean

Row = Mapping[str, Any]

_COUNTED = {"smallint", "integer", "bigint", "numeric"}
_IDENTITIES: dict[str, Identity] = {"": "", "a": "always", "d": "by default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a table beside its definition."""

    is_partitioned: bool
    is_unlogged: bool
    is_readable: bool
    hides_rows: bool  # row security stands between this role and some rows
    children: tuple[str, ...]  # tables that inherit from it
    types: tuple[int, ...]  # object ids of its columns' types
    extensions: tuple[str, ...]  # that defaults, constraints and indexes rely on
    calls: tuple[tuple[str, str], ...]  # a definition, and what it calls that somebody made and nobody moves
    virtual: tuple[str, ...]  # generated columns that are not stored
    counted_oddly: tuple[str, ...]  # columns that make something else than a number of a sequence's values


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundType:
    """A type outside pg_catalog; `needs` are the types it is made of."""

    name: str
    schema: str
    kind: str
    extension: str | None
    definition: str | None
    labels: tuple[str, ...]
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything in the source's schemas, moved or not."""

    schemas: tuple[str, ...]
    tables: tuple[Table, ...]  # by schema and name
    facts: Mapping[tuple[str, str], Facts]  # by schema and name
    types: Mapping[int, FoundType]
    not_moved: tuple[tuple[str, str], ...]  # kind, name
    collations: tuple[Collation, ...] = ()

    def of(self, table: Table) -> Facts:
        """The facts of a table."""
        return self.facts[table.schema, table.name]

    def moved(self, migration: Migration) -> tuple[Table, ...]:
        """Tables that the migration names, in its order; all in the order of waves when it says "*".

        Names that the source lacks are left out: `check_migration` tells of them.

        Raises:
            ConfigurationError: two schemas have a table of one name, and the target has one schema.
        """
        by_name: dict[str, Table] = {}
        for table in self.tables:
            if migration.tables != "*" and table.name not in migration.tables:
                continue
            if migration.tables == "*" and not table.stored:
                continue  # a row of no columns cannot travel; the plan names the table
            if table.name in by_name:
                raise ConfigurationError(
                    f'{migration.where("source", "schemas")}: table "{table.name}" stands in '
                    f'"{by_name[table.name].schema}" and in "{table.schema}"; a tenant has one schema',
                    hint="list one of the schemas only, or move them as two tenants",
                )
            by_name[table.name] = table
        if migration.tables == "*":
            return tuple(table for wave in load_waves(by_name.values()) for table in wave)
        return tuple(by_name[name] for name in dict.fromkeys(migration.tables) if name in by_name)

    def catalogue(self, migration: Migration) -> Catalogue:
        """What is moved. Foreign keys that point at tables outside it are left out: nothing could hold them."""
        moved = self.moved(migration)
        names = {table.name for table in moved}
        types = list(self.needed_types(moved))
        extensions = {found.extension for found in types if found.extension is not None}
        for table in moved:
            extensions.update(self.of(table).extensions)
        return Catalogue(
            tables=tuple(
                replace(
                    table,
                    foreign_keys=tuple(key for key in table.foreign_keys if key.parent in names),
                    inherits=tuple(parent for parent in table.inherits if parent in names),
                )
                for table in moved
            ),
            types=tuple(_user_type(found) for found in types if found.extension is None and _travels(found)),
            extensions=tuple(sorted(extensions)),
            collations=self.collations,
        )

    def needed_types(self, tables: Iterable[Table]) -> Iterator[FoundType]:
        """Types that the tables' columns are made of, each after those it needs."""
        seen: set[int] = set()

        def walk(oid: int) -> Iterator[FoundType]:
            if oid in seen or oid not in self.types:
                return
            seen.add(oid)
            found = self.types[oid]
            for needed in found.needs:
                yield from walk(needed)
            if found.kind != "array":
                yield found

        for table in tables:
            for oid in self.of(table).types:
                yield from walk(oid)

    def problems(self, migration: Migration) -> list[str]:
        """What in the migration does not fit this source, each with its line."""
        whole = {table.name: table for table in self.moved(migration)}
        known = [table.name for table in self.tables]
        return [*check_migration(migration, self.catalogue(migration), known), *check_left_out(migration, whole)]


def _travels(found: FoundType) -> bool:
    return found.kind in {"enum", "domain", "composite", "range"}


def _user_type(found: FoundType) -> UserType:
    kind: Any = found.kind
    return UserType(name=found.name, kind=kind, definition=found.definition or "", labels=found.labels)


def read_tables(
    connection: Connection, schemas: Sequence[str], names: Collection[str] | None = None, *, side: Side = "source"
) -> tuple[Table, ...]:
    """Tables of these schemas, or those of them that `names` lists; by schema and name.

    A foreign key's parent outside of `schemas` is written "schema.table". Also for the target:
    a schema that does not exist has no tables.
    """
    tables = read_survey(connection, schemas, side=side).tables
    return tables if names is None else tuple(table for table in tables if table.name in names)


def read_catalogue(connection: Connection, migration: Migration) -> Catalogue:
    """The part of the source that the migration moves; see `Survey.catalogue`."""
    return read_source(connection, migration).catalogue(migration)


def read_checked_catalogue(connection: Connection, migration: Migration) -> Catalogue:
    """The catalogue, when the migration fits it.

    Raises:
        MigrationError: it does not; every problem is named with its line.
    """
    survey = read_source(connection, migration)
    if problems := survey.problems(migration):
        raise MigrationError(problems)
    return survey.catalogue(migration)


def read_source(connection: Connection, migration: Migration) -> Survey:
    """Everything in the migration's source schemas, which must be there and readable."""
    wanted = migration.source.schemas
    rows = _rows(
        connection,
        "SELECT nspname::text AS name, has_schema_privilege(oid, 'USAGE') AS usable FROM pg_namespace",
        "source",
    )
    usable = {row["name"]: row["usable"] for row in rows}
    for place, schema in enumerate(wanted):
        where = migration.where("source", "schemas", place)
        if schema not in usable:
            raise MigrationError([f'{where}: the source has no schema "{schema}"{did_you_mean(schema, usable)}'])
        if not usable[schema]:
            raise ConfigurationError(
                f'{where}: this role may not use the schema "{schema}" of the source',
                hint=f'GRANT USAGE ON SCHEMA "{schema}" TO the role that POSTGRES_URL names',
            )
    return read_survey(connection, wanted)


def read_survey(connection: Connection, schemas: Sequence[str], *, side: Side = "source") -> Survey:
    """Everything in these schemas; the session's search_path is as before afterwards."""
    present = {row["name"] for row in _rows(connection, "SELECT nspname::text AS name FROM pg_namespace", side)}
    wanted = tuple(schema for schema in dict.fromkeys(schemas) if schema in present)
    before = _rows(connection, "SELECT current_setting('search_path') AS path", side)[0]["path"]
    tables: list[Table] = []
    facts: dict[tuple[str, str], Facts] = {}
    types: dict[int, FoundType] = {}
    not_moved: list[tuple[str, str]] = []
    collations: dict[str, Collation] = {}
    try:
        for schema in wanted:
            use_schema(connection, schema, *(other for other in wanted if other != schema))
            for found_type in _rows(connection, _sql("types"), side):
                if found_type["schema"] == schema or found_type["oid"] not in types:
                    types[found_type["oid"]] = _found_type(found_type)
            for table, fact in _tables(connection, schema, wanted, side):
                tables.append(table)
                facts[schema, table.name] = fact
            for row in _rows(connection, _sql("collations"), side):
                collations.setdefault(row["name"], Collation(name=row["name"], definition=row["definition"]))
            not_moved.extend((row["kind"], row["name"]) for row in _rows(connection, _sql("not_moved"), side))
        connection.execute("SELECT set_config('search_path', %s, false)", (before,))
    except psycopg.Error as error:
        raise explain(error, f"{side}: reading the catalogue", side=side) from None
    return Survey(
        schemas=wanted,
        tables=tuple(tables),
        facts=facts,
        types=types,
        not_moved=tuple(dict.fromkeys(not_moved)),
        collations=tuple(collations.values()),
    )


def _tables(connection: Connection, schema: str, schemas: Collection[str], side: Side) -> Iterator[tuple[Table, Facts]]:
    columns, constraints, indexes, needs, partitions = (
        _by_table(_rows(connection, _sql(name), side))
        for name in ("columns", "constraints", "indexes", "needs", "partitions")
    )
    for row in _rows(connection, _sql("tables"), side):
        oid = row["oid"]
        own = columns.get(oid, [])
        relied = needs.get(oid, [])
        yield (
            replace(
                _table(
                    row,
                    own,
                    constraints.get(oid, []),
                    indexes=indexes.get(oid, []),
                    partitions=partitions.get(oid, []),
                    schemas=schemas,
                ),
                schema=schema,
            ),
            Facts(
                is_partitioned=row["is_partitioned"],
                is_unlogged=row["is_unlogged"],
                is_readable=row["is_readable"],
                hides_rows=row["hides_rows"],
                children=tuple(row["children"]),
                types=tuple(column["type_oid"] for column in own),
                extensions=tuple(sorted({need["extension"] for need in relied if need["extension"]})),
                calls=tuple((need["definition"], need["calls"]) for need in relied if need["calls"]),
                virtual=tuple(column["name"] for column in own if column["generated"] == "v"),
                counted_oddly=tuple(
                    column["name"]
                    for column in own
                    if column["sequence"] and column["type"].partition("(")[0] not in _COUNTED
                ),
            ),
        )


def _table(
    row: Row,
    columns: list[Row],
    constraints: list[Row],
    *,
    indexes: list[Row],
    partitions: list[Row],
    schemas: Collection[str],
) -> Table:
    by_kind: dict[str, list[Row]] = {}
    for constraint in constraints:
        by_kind.setdefault(constraint["kind"], []).append(constraint)
    primary = [_key(constraint) for constraint in by_kind.get("p", [])]
    return Table(
        name=row["name"],
        columns=tuple(_column(column) for column in columns),
        primary_key=primary[0] if primary else None,
        uniques=tuple(_key(constraint) for constraint in by_kind.get("u", [])),
        foreign_keys=tuple(_foreign_key(constraint, schemas) for constraint in by_kind.get("f", [])),
        checks=tuple(_constraint(constraint) for constraint in by_kind.get("c", [])),
        exclusions=tuple(_constraint(constraint) for constraint in by_kind.get("x", [])),
        indexes=tuple(
            Index(
                name=index["name"],
                definition=index["definition"],
                unique=index["is_unique"],
                columns=tuple(index["columns"]),
                partial=index["is_partial"],
            )
            for index in indexes
        ),
        unlogged=row["is_unlogged"],
        inherits=tuple(row["inherits"]),
        partition_by=row["partition_by"],
        partitions=tuple(
            Partition(name=part["name"], parent=part["parent"], bound=part["bound"], partition_by=part["partition_by"])
            for part in partitions
        ),
        rows=row["rows"],
        bytes=row["bytes"],
    )


def _column(row: Row) -> Column:
    generated = row["generated"] != ""
    return Column(
        name=row["name"],
        type=row["type"],
        not_null=row["not_null"],
        default=None if generated else row["expression"],
        generated=row["expression"] if generated else None,
        identity=_IDENTITIES[row["identity"]],
        collation=row["collation"],
        sequence=row["sequence"],
        sequence_options=row["sequence_options"] or "",
        owns_sequence=row["owns_sequence"] is not False,
        virtual=row["generated"] == "v",
    )


def _key(row: Row) -> Key:
    return Key(
        name=row["name"],
        columns=tuple(row["columns"]),
        definition=row["definition"],
        deferrable=row["is_deferrable"],
    )


def _foreign_key(row: Row, schemas: Collection[str]) -> ForeignKey:
    is_inside = row["parent_schema"] in schemas
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        parent=row["parent"] if is_inside else f"{row['parent_schema']}.{row['parent']}",
        parent_columns=tuple(row["parent_columns"]),
        definition=_as_valid(row["definition"]),
        validated=row["is_validated"],
        deferrable=row["is_deferrable"],
    )


def _constraint(row: Row) -> Constraint:
    return Constraint(name=row["name"], definition=_as_valid(row["definition"]), validated=row["is_validated"])


def _as_valid(definition: str) -> str:
    return definition.removesuffix(" NOT VALID")  # `validated` says it


def _found_type(row: Row) -> FoundType:
    return FoundType(
        name=row["name"],
        schema=row["schema"],
        kind=row["kind"],
        extension=row["extension"],
        definition=row["definition"],
        labels=tuple(row["labels"]),
        needs=tuple(row["needs"]),
    )


@cache
def _sql(name: str) -> str:
    return (resources.files("runtime") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _rows(connection: Connection, query: str, side: Side) -> list[Row]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(query.encode()))
    except psycopg.Error as error:
        raise explain(error, f"{side}: reading the catalogue", side=side) from None


def _by_table(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["oid"], []).append(row)
    return found
