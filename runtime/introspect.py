"""What a database says of its tables: read by the queries in `sql/`, each one for a whole schema.

The queries look at the first schema on the search_path, so anyone can run them in psql. No
query is asked table by table: a schema of 500 tables is read in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
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
    OwnPart,
    Partition,
    Table,
    UserType,
    load_waves,
)
from schemas.errors import ConfigurationError
from schemas.migration import Migration, MigrationError, check_migration
from schemas.migration_check import check_left_out
from schemas.nearest import did_you_mean
from schemas.renames import Names, Space, Thing, collisions, proposals, rename_lines
from schemas.sql import quote_ident, quote_literal

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
    things: tuple[Thing, ...] = ()  # what comes with it and has a name of its own, itself first


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
    things: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything in the source's schemas, moved or not."""

    schemas: tuple[str, ...]
    tables: tuple[Table, ...]  # by schema and name
    facts: Mapping[tuple[str, str], Facts]  # by schema and name
    types: Mapping[int, FoundType]
    not_moved: tuple[tuple[str, str], ...]  # kind, name
    collations: tuple[Collation, ...] = ()
    collation_things: tuple[Thing, ...] = ()

    def of(self, table: Table) -> Facts:
        """The facts of a table."""
        return self.facts[table.schema, table.name]

    def moved(self, migration: Migration) -> tuple[Table, ...]:
        """Tables that the migration names, in its order; all in the order of waves when it says "*".

        Names that the source lacks are left out: `check_migration` tells of them.

        Raises:
            ConfigurationError: things of two schemas have one name, and the target has one schema.
        """
        chosen = self._chosen(migration)
        if groups := collisions(self._things(chosen)):
            raise ConfigurationError(
                f"{migration.where('source', 'schemas')}: the tenant has one schema, where these would have one name:\n  "
                + "\n  ".join(", ".join(map(_told, group)) for group in groups),
                hint="give them names of your own choice in the migration, and use those names everywhere else in it:\n  "
                + "\n  ".join(rename_lines(proposals(self._things(chosen)))),
            )
        by_name = {table.name: table for table in chosen}
        if migration.tables == "*":
            return tuple(table for wave in load_waves(by_name.values()) for table in wave)
        return tuple(by_name[name] for name in dict.fromkeys(migration.tables) if name in by_name)

    def proposals(self, migration: Migration) -> dict[str, dict[str, str]]:
        """New names, by schema and name at the source, for what would have one name in the target."""
        return proposals(self._things(self._chosen(migration)))

    def _chosen(self, migration: Migration) -> list[Table]:
        """Those that the migration names; with "*" all but those of no columns, whose rows cannot travel."""
        if migration.tables == "*":
            return [table for table in self.tables if table.stored]
        return [table for table in self.tables if table.name in migration.tables]

    def _things(self, tables: Sequence[Table]) -> list[Thing]:
        """What comes with these tables and has a name of its own, the first schema's first."""
        found = [thing for table in tables for thing in self.of(table).things]
        found += [thing for needed in self.needed_types(tables) if _travels(needed) for thing in needed.things]
        place = {schema: number for number, schema in enumerate(self.schemas)}
        return sorted((*found, *self.collation_things), key=lambda thing: place.get(thing.schema, len(place)))

    def _unknown_renames(self, migration: Migration) -> Iterator[str]:
        """Names that the migration gives to nothing."""
        things = [thing for fact in self.facts.values() for thing in fact.things]
        things += [thing for found in self.types.values() for thing in found.things]
        known: dict[str, set[str]] = {}
        for thing in (*things, *self.collation_things):
            known.setdefault(thing.schema, set()).add(thing.source_name)
        for schema, names in migration.rename.items():
            for name in names:
                if name not in known.get(schema, ()):
                    yield (
                        f'{migration.where("rename", schema, name)}: nothing that could be moved is called "{name}" '
                        f'in the schema "{schema}" of the source{did_you_mean(name, known.get(schema, ()))}'
                    )

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
                    partitions=tuple(_within(part, names) for part in table.partitions),
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
        return [
            *self._unknown_renames(migration),
            *check_migration(migration, self.catalogue(migration), known),
            *check_left_out(migration, whole),
        ]


def _within(part: Partition, moved: Collection[str]) -> Partition:
    """The partition without foreign keys of its own that point at tables that are not moved."""
    return replace(part, own=tuple(own for own in part.own if own.kind != "foreign key" or own.parent in moved))


def _told(thing: Thing) -> str:
    return f'{thing.kind} "{thing.schema}"."{thing.source_name}"'


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
                    types[found_type["oid"]] = _found_type(found_type, names)
            for table, fact in _tables(connection, schema, names, wanted, side):
                tables.append(table)
                facts[schema, table.name] = fact
            for row in _rows(connection, _sql("collations", schema), side):
                thing = _thing("collation", schema, row["name"], names, ("collation",))
                collation_things.append(thing)
                collations.setdefault(thing.name, Collation(name=thing.name, definition=row["definition"]))
            left.extend(
                (schema, row["kind"], row["name"]) for row in _rows(connection, _sql("not_moved", schema), side)
            )
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


def _thing(kind: str, schema: str, name: str, names: Names, spaces: tuple[Space, ...] = ("relation",)) -> Thing:
    return Thing(kind=kind, schema=schema, source_name=name, name=names.of(schema, name), spaces=spaces)


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
        source = _Source(schema, row["name"], names, frozenset(schemas))
        yield (
            replace(
                _table(
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
                    _things(
                        source,
                        own,
                        (*constraints.get(oid, []), *indexes.get(oid, [])),
                        (*partitions.get(oid, []), *own_parts.get(oid, [])),
                    )
                ),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """Whose definitions are read: the table, and what the source's names become."""

    schema: str
    table: str
    names: Names
    schemas: frozenset[str]

    def of(self, name: str) -> str:
        """The name that a relation of the table's schema has in the target."""
        return self.names.of(self.schema, name)

    def other(self, schema: str, name: str) -> str:
        """Another table: by its name in the target, or with its schema when that is not looked into."""
        return self.names.of(schema, name) if schema in self.schemas else f"{schema}.{name}"

    def text(self, text: str) -> str:
        """SQL text as the target prints it."""
        return self.names.text(text, (self.schema, self.table))


def _things(
    source: _Source, columns: Iterable[Row], behind: Iterable[Row], partitions: Iterable[Row]
) -> Iterator[Thing]:
    """What comes with a table and has a name of its own; keys have one as their indexes have."""
    schema, names = source.schema, source.names
    yield _thing("table", schema, source.table, names, ("relation", "type"))
    for part in partitions:
        kind = part.get("kind", "partition")
        if kind == "partition":
            yield _thing("partition", part["schema"], part["name"], names, ("relation", "type"))
        elif kind.startswith("index") or (part["definition"] or "").startswith(("PRIMARY", "UNIQUE", "EXCLUDE")):
            yield _thing("index", part["schema"], part["name"], names)
    for row in behind:
        if row.get("kind", "i") in {"i", "p", "u", "x"}:
            yield _thing("index", schema, row["name"], names)
    for column in columns:
        if column["sequence"]:
            yield _thing("sequence", column["sequence_schema"], column["sequence"], names)


def _table(
    row: Row,
    columns: list[Row],
    constraints: list[Row],
    *,
    indexes: list[Row],
    partitions: list[Row],
    own_parts: list[Row],
    source: _Source,
) -> Table:
    by_kind: dict[str, list[Row]] = {}
    for constraint in constraints:
        by_kind.setdefault(constraint["kind"], []).append(constraint)
    own_by_part: dict[tuple[str, str], list[Row]] = {}
    for own in own_parts:
        own_by_part.setdefault((own["schema"], own["partition"]), []).append(own)
    primary = [_key(constraint, source) for constraint in by_kind.get("p", [])]
    return Table(
        name=source.of(row["name"]),
        columns=tuple(_column(column, source) for column in columns),
        primary_key=primary[0] if primary else None,
        uniques=tuple(_key(constraint, source) for constraint in by_kind.get("u", [])),
        foreign_keys=tuple(_foreign_key(constraint, source) for constraint in by_kind.get("f", [])),
        checks=tuple(_constraint(constraint, constraint["name"], source) for constraint in by_kind.get("c", [])),
        exclusions=tuple(
            _constraint(constraint, source.of(constraint["name"]), source) for constraint in by_kind.get("x", [])
        ),
        indexes=tuple(
            Index(
                name=source.of(index["name"]),
                definition=source.names.index(source.schema, source.table, index["definition"]),
                unique=index["is_unique"],
                columns=tuple(index["columns"]),
                partial=index["is_partial"],
            )
            for index in indexes
        ),
        unlogged=row["is_unlogged"],
        inherits=tuple(source.other(*parent) for parent in row["inherits"]),
        partition_by=row["partition_by"] and source.text(row["partition_by"]),
        partitions=tuple(
            Partition(
                name=source.names.of(part["schema"], part["name"]),
                parent=source.names.of(part["parent_schema"], part["parent"]),
                bound=source.text(part["bound"]),
                partition_by=part["partition_by"] and source.text(part["partition_by"]),
                own=tuple(_own_part(row, source) for row in own_by_part.get((part["schema"], part["name"]), ())),
            )
            for part in partitions
        ),
        rows=row["rows"],
        bytes=row["bytes"],
    )


def _column(row: Row, source: _Source) -> Column:
    generated = row["generated"] != ""
    expression = row["expression"] and source.text(row["expression"])
    type_ = source.text(row["type"])
    return Column(
        name=row["name"],
        type=type_,
        not_null=row["not_null"],
        not_null_name=row["not_null_name"],
        default=None if generated else expression,
        generated=expression if generated else None,
        identity=_IDENTITIES[row["identity"]],
        collation=row["collation"] and source.text(row["collation"]),
        sequence=row["sequence"] and source.names.of(row["sequence_schema"], row["sequence"]),
        sequence_options=row["sequence_options"] or "",
        owns_sequence=row["owns_sequence"] is not False,
        virtual=row["generated"] == "v",
        source_type=row["type"] if row["type"] != type_ else None,
    )


def _key(row: Row, source: _Source) -> Key:
    return Key(
        name=source.of(row["name"]),
        columns=tuple(row["columns"]),
        definition=source.text(row["definition"]),
        deferrable=row["is_deferrable"],
    )


def _foreign_key(row: Row, source: _Source) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        parent=source.other(row["parent_schema"], row["parent"]),
        parent_columns=tuple(row["parent_columns"]),
        definition=_as_valid(source.text(row["definition"])),
        validated=row["is_validated"],
        deferrable=row["is_deferrable"],
    )


def _own_part(row: Row, source: _Source) -> OwnPart:
    """One row of `own_parts.sql`; names of a partition's indexes and keys are of its own schema."""
    schema, kind, definition = row["schema"], row["kind"], row["definition"] or ""
    name, parent = row["name"], row["parent"] or ""
    if kind == "index":
        definition = source.names.index(schema, row["partition"], definition)
    else:
        definition = source.names.text(definition, (schema, row["partition"]))
    if kind in {"index", "index name"} or definition.startswith(("PRIMARY", "UNIQUE", "EXCLUDE")):
        name = source.names.of(schema, name)
    if parent:
        parent = (
            source.other(row["parent_schema"], parent)
            if kind == "foreign key"
            else source.names.of(row["parent_schema"], parent)
        )
    return OwnPart(kind=kind, name=name, definition=definition, parent=parent)


def _constraint(row: Row, name: str, source: _Source) -> Constraint:
    return Constraint(name=name, definition=_as_valid(source.text(row["definition"])), validated=row["is_validated"])


def _as_valid(definition: str) -> str:
    return definition.removesuffix(" NOT VALID")  # `validated` says it


def _found_type(row: Row, names: Names) -> FoundType:
    schema, name = row["schema"], row["name"]
    spaces: tuple[Space, ...] = ("relation", "type") if row["kind"] == "composite" else ("type",)
    things = [] if row["extension"] else [_thing("type", schema, name, names, spaces)]
    if things and row["multirange"]:
        things.append(_thing("type", schema, row["multirange"], names, ("type",)))
    return FoundType(
        name=names.of(schema, name),
        schema=row["schema"],
        kind=row["kind"],
        extension=row["extension"],
        definition=row["definition"] and names.type(schema, row["definition"]),
        labels=tuple(row["labels"]),
        needs=tuple(row["needs"]),
        things=tuple(things),
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
