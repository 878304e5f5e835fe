"""What a database says of its tables: read by the queries in `sql/`, each one for a whole schema.

The queries look at the first schema on the search_path, so anyone can run them in psql. No
query is asked table by table: a schema of 500 tables is read in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from types import MappingProxyType

import psycopg
from psycopg.rows import dict_row

from runtime.catalogue_rows import Row, SourceTable, found_type_of, table_of, thing_of, things_of
from runtime.postgres import Connection, Side, explain, use_schema
from runtime.survey import Facts, FoundType, Survey
from schemas.catalogue import (
    Catalogue,
    Collation,
    Table,
)
from schemas.errors import ConfigurationError
from schemas.migration import Migration, MigrationError
from schemas.nearest import did_you_mean
from schemas.renames import Names, Thing
from schemas.sql import quote_ident, quote_literal

_COUNTED = {"smallint", "integer", "bigint", "numeric"}


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
    return read_survey(connection, wanted, rename=migration.rename)


def read_survey(
    connection: Connection,
    schemas: Sequence[str],
    *,
    side: Side = "source",
    rename: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Survey:
    """Everything in these schemas, under its new names; the session's search_path is as before afterwards.

    Of one schema definitions are read while it is the first on the search_path. Of several they are
    read with none of them there, so that every name says its schema, and `Names` takes it away again.
    """
    present = {row["name"] for row in _rows(connection, "SELECT nspname::text AS name FROM pg_namespace", side)}
    wanted = tuple(schema for schema in dict.fromkeys(schemas) if schema in present)
    before = _rows(connection, "SELECT current_setting('search_path') AS path", side)[0]["path"]
    tables: list[Table] = []
    facts: dict[tuple[str, str], Facts] = {}
    types: dict[int, FoundType] = {}
    left: list[tuple[str, str, str]] = []
    collations: dict[str, Collation] = {}
    collation_things: list[Thing] = []
    names = _names(connection, wanted, rename, side)
    try:
        for schema in wanted:
            if names.schemas:
                use_schema(connection, without=wanted)
            else:
                use_schema(connection, schema)
            for found_type in _rows(connection, _sql("types", schema), side):
                if found_type["schema"] == schema or found_type["oid"] not in types:
                    types[found_type["oid"]] = found_type_of(found_type, names)
            for table, fact in _tables(connection, schema, names, wanted, side):
                tables.append(table)
                facts[schema, table.name] = fact
            for row in _rows(connection, _sql("collations", schema), side):
                thing = thing_of("collation", schema, row["name"], names, ("collation",))
                collation_things.append(thing)
                collations.setdefault(thing.name, Collation(name=thing.name, definition=row["definition"]))
            left.extend(
                (schema, row["kind"], row["name"]) for row in _rows(connection, _sql("not_moved", schema), side)
            )
        hiding = _hiding(connection, side, [*_things(facts.values(), types.values()), *collation_things])
        connection.execute("SELECT set_config('search_path', %s, false)", (before,))
    except psycopg.Error as error:
        raise explain(error, f"{side}: reading the catalogue", side=side) from None
    return Survey(
        schemas=wanted,
        tables=tuple(tables),
        facts=facts,
        types=types,
        not_moved=_not_moved(left, facts.values()),
        collations=tuple(collations.values()),
        collation_things=tuple(collation_things),
        hiding=hiding,
    )


def _things(facts: Iterable[Facts], types: Iterable[FoundType]) -> Iterator[Thing]:
    for fact in facts:
        yield from fact.things
    for found in types:
        yield from found.things


def _hiding(connection: Connection, side: Side, things: Iterable[Thing]) -> tuple[Thing, ...]:
    """Things of pg_catalog with these names: it is searched first, whatever the search_path says."""
    listed = ", ".join(quote_literal(name) for name in sorted({thing.name for thing in things}))
    rows = _rows(connection, _text("hiding").replace("ARRAY[]", f"ARRAY[{listed}]"), side)
    return tuple(
        Thing(
            kind="PostgreSQL's own",
            schema="pg_catalog",
            source_name=row["name"],
            name=row["name"],
            spaces=(row["space"],),
        )
        for row in rows
    )


def _not_moved(left: Iterable[tuple[str, str, str]], facts: Iterable[Facts]) -> tuple[tuple[str, str], ...]:
    """Kinds and names of what stays; partitions of another schema's table come with that, when it is looked into."""
    come = {(thing.schema, thing.source_name) for fact in facts for thing in fact.things if thing.kind == "partition"}
    return tuple(
        dict.fromkeys(
            (kind, name)
            for schema, kind, name in left
            if not (kind.startswith("partition ") and (schema, name) in come)
        )
    )


def _names(
    connection: Connection, schemas: Sequence[str], rename: Mapping[str, Mapping[str, str]], side: Side
) -> Names:
    """What the source's things are called in the target; new names as this server prints them."""
    if len(schemas) < 2 and not rename:
        return Names()
    renamed = {(schema, name): new for schema, given in rename.items() for name, new in given.items()}
    listed = ", ".join(quote_literal(new) for new in dict.fromkeys(renamed.values()))
    rows = _rows(
        connection, f"SELECT name, quote_ident(name) AS printed FROM unnest(ARRAY[{listed}]::text[]) AS name", side
    )
    return Names(
        schemas=frozenset((*schemas, *rename)),
        renamed=renamed,
        printed={row["name"]: row["printed"] for row in rows},
    )


def _tables(
    connection: Connection, schema: str, names: Names, schemas: Collection[str], side: Side
) -> Iterator[tuple[Table, Facts]]:
    columns, constraints, indexes, needs, partitions, own_parts = (
        _by_table(_rows(connection, _sql(name, schema), side))
        for name in ("columns", "constraints", "indexes", "needs", "partitions", "own_parts")
    )
    for row in _rows(connection, _sql("tables", schema), side):
        oid = row["oid"]
        own = columns.get(oid, [])
        relied = needs.get(oid, [])
        source = SourceTable(schema, row["name"], names, frozenset(schemas))
        yield (
            replace(
                table_of(
                    row,
                    own,
                    constraints.get(oid, []),
                    indexes=indexes.get(oid, []),
                    partitions=partitions.get(oid, []),
                    own_parts=own_parts.get(oid, []),
                    source=source,
                ),
                schema=schema,
                source_name=row["name"] if source.of(row["name"]) != row["name"] else None,
            ),
            Facts(
                is_partitioned=row["is_partitioned"],
                is_unlogged=row["is_unlogged"],
                is_readable=row["is_readable"],
                hides_rows=row["hides_rows"],
                foreign_parts=tuple(row["foreign_parts"]),
                children=tuple(names.of(*child) for child in row["children"]),
                types=tuple(column["type_oid"] for column in own),
                extensions=tuple(sorted({need["extension"] for need in relied if need["extension"]})),
                calls=tuple((need["definition"], names.text(need["calls"])) for need in relied if need["calls"]),
                virtual=tuple(column["name"] for column in own if column["generated"] == "v"),
                counted_oddly=tuple(
                    column["name"]
                    for column in own
                    if column["sequence"] and column["type"].partition("(")[0] not in _COUNTED
                ),
                things=tuple(
                    things_of(
                        source,
                        own,
                        (*constraints.get(oid, []), *indexes.get(oid, [])),
                        (*partitions.get(oid, []), *own_parts.get(oid, [])),
                    )
                ),
            ),
        )


def _sql(name: str, schema: str) -> str:
    """A query, about a schema that need not be the first on the search_path."""
    return _text(name).replace("quote_ident(current_schema())", quote_literal(quote_ident(schema)))


@cache
def _text(name: str) -> str:
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
