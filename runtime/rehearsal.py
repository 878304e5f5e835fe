"""A rehearsal: every definition that a target may lack something for is made there once, empty, and undone.

Functions, operator classes, collations, text search configurations, extensions, types, even syntax of
newer versions: only PostgreSQL itself can say whether they are there and may be used. So it is asked,
in one transaction that is rolled back: the schema that the definitions stand in never exists for
anybody else. Definitions that every PostgreSQL can make (plain columns, keys, indexes) are not tried.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from runtime.postgres import Connection, failure, use_schema
from schemas import definitions
from schemas.catalogue import Catalogue, Table
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from schemas.sql import quote_ident

_PLAIN_DEFAULT = re.compile(
    r"nextval\('[^']*'::regclass\)|now\(\)|CURRENT_\w+|'(?:[^']|'')*'::[a-z ]+(\(\d+\))?|NULL::[a-z ]+(\(\d+\))?"
    r"|-?[\d.]+|true|false"
)
_PLAIN_INDEX = re.compile(r'btree \(((?:"(?:[^"]|"")+"|[\w$]+)(?: DESC)?(?: NULLS (?:FIRST|LAST))?(?:, )?)+\)')
_PLAIN_KEY = re.compile(r"(PRIMARY KEY|UNIQUE) \([^()]+\)( NOT)?( DEFERRABLE)?( INITIALLY DEFERRED)?")
_NEW_FOREIGN_KEY = re.compile(r"PERIOD|NOT ENFORCED|SET (NULL|DEFAULT) \(")
_TELLS_NO_VALUE = ("42", "0A", "58", "3F")  # SQLSTATE classes whose messages name things, not values


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """One definition that the target cannot make; `leave_out` is its name under leave_out, if it may be left out."""

    table: str  # empty when it concerns several
    what: str
    why: str
    leave_out: str = ""
    way_out: str = ""  # when making it in the target is none

    def __str__(self) -> str:
        place = f"{self.table}: " if self.table else ""
        return f"{place}{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """One statement, what it makes, and by which name that may be left out."""

    what: str
    statement: str
    leave_out: str = ""


def find_lacking(
    connection: Connection, catalogue: Catalogue, mappings: Mapping[str, TableMapping], schema: str
) -> tuple[Lacking, ...]:
    """All that `schema` of this target could not be given; nothing is left behind.

    Raises:
        psycopg.errors.InsufficientPrivilege: this role may make no schema here, so nothing could be tried.
    """
    rehearsal = _Rehearsal(connection, catalogue, mappings, schema)
    with connection.transaction(force_rollback=True):
        return tuple(rehearsal.play())


@dataclass(slots=True)
class _Rehearsal:
    connection: Connection
    catalogue: Catalogue
    mappings: Mapping[str, TableMapping]
    schema: str
    _stage: str = field(default_factory=lambda: f"replicator_rehearsal_{secrets.token_hex(6)}", init=False)
    _bad_types: set[str] = field(default_factory=set, init=False)
    _absent: frozenset[str] = field(default=frozenset(), init=False)
    _collated: dict[tuple[str, str], str] = field(default_factory=dict, init=False)  # why not, by type and collation

    def play(self) -> Iterator[Lacking]:
        self.connection.execute(f"CREATE SCHEMA {quote_ident(self._stage)}".encode())
        yield from self._extensions()
        use_schema(self.connection, self._stage, self.schema)
        yield from self._hidden()
        yield from self._types()
        tables = tuple(self._worth_it())
        yield from self._columns()
        for table in tables:
            yield from self._make(table)
        for table in tables:
            yield from self._try(table.name, _parts(self.mappings[table.name]))
        for table in tables:
            keys = [key for key in table.foreign_keys if _NEW_FOREIGN_KEY.search(key.definition)]
            pieces = [definitions.add_foreign_key(table, key) for key in keys]
            yield from self._try(table.name, (_Piece(f'foreign key "{p.name}"', p.statement) for p in pieces))

    def _extensions(self) -> Iterator[Lacking]:
        rows = self.connection.execute("SELECT extname::text FROM pg_extension").fetchall()
        for name in self.catalogue.extensions:
            if (name,) not in rows:
                statement = f"CREATE EXTENSION {quote_ident(name)} SCHEMA public"
                yield from self._try("", [_Piece(f'extension "{name}"', statement)])

    def _hidden(self) -> Iterator[Lacking]:
        """Tables whose names PostgreSQL would take for its own; a newer one has more of these."""
        owners = {part.name: table.name for table in self.catalogue.tables for part in table.partitions}
        owners |= {table.name: table.name for table in self.catalogue.tables}
        rows = self.connection.execute(
            "SELECT relname::text FROM pg_catalog.pg_class "
            "WHERE relnamespace = 'pg_catalog'::regnamespace AND relname = ANY (%s)",
            (list(owners),),
        ).fetchall()
        for (name,) in rows:
            way = "give it another name under [rename.SCHEMA] of the migration"
            yield Lacking(table=owners[name], what=f'"{name}"', why="PostgreSQL has its own of this name", way_out=way)

    def _types(self) -> Iterator[Lacking]:
        for collation in self.catalogue.collations:
            statement = f"CREATE COLLATION {quote_ident(collation.name)} {collation.definition}"
            yield from self._try("", [_Piece(f'collation "{collation.name}"', statement)])
        for item in self.catalogue.types:
            piece = _Piece(f'type "{item.name}"', definitions.create_type(item))
            for lacking in self._try("", [piece]):
                self._bad_types |= {item.name, quote_ident(item.name)}
                yield lacking

    def _worth_it(self) -> Iterator[Table]:
        wanted = {table.name for table in self.catalogue.tables if not _is_plain(self.mappings[table.name])}
        wanted |= {key.parent for table in self.catalogue.tables if table.name in wanted for key in table.foreign_keys}
        return (table for table in self.catalogue.tables if table.name in wanted)

    def _columns(self) -> Iterator[Lacking]:
        """See that there are the types of all columns that travel."""
        wanted = {column.target_type for mapping in self.mappings.values() for column in mapping.columns}
        known = [type_ for type_ in sorted(wanted) if type_.removesuffix("[]") not in self._bad_types]
        rows = self.connection.execute(
            "SELECT t FROM unnest(%s::text[]) AS t WHERE to_regtype(t) IS NULL", (known,)
        ).fetchall()
        why = {type_: f"there is no type {type_}" for (type_,) in rows}
        self._absent = frozenset((wanted - set(known)) | why.keys())
        with_xml = [type_ for type_ in known if self._has_xml(type_)]
        if with_xml and not self._takes_xml():
            why |= dict.fromkeys(with_xml, "the server was built without libxml, it takes no values of xml")
        for table in self.catalogue.tables:
            for column in self.mappings[table.name].columns:
                if column.target_type in why:
                    what = f'column "{column.name}" ({column.target_type})'
                    way = "move into a server that has the type, or leave the table out"
                    yield Lacking(table=table.name, what=what, why=why[column.target_type], way_out=way)

    def _make(self, table: Table) -> Iterator[Lacking]:
        """An empty table of what columns there are types for."""
        mapping, name = self.mappings[table.name], quote_ident(table.name)
        bare: list[str] = []
        for column in mapping.columns:
            if column.target_type not in self._absent:
                collation, lacking = self._collation(table, column)
                yield from lacking
                bare.append(f"{quote_ident(column.name)} {column.target_type}{collation}")
        bare += [f"{quote_ident(added.name)} {added.type}" for added in mapping.added]
        inner = ", ".join(bare)
        made = [_Piece("its columns", f"CREATE TABLE {name} ({inner})")]
        if table.partition_by:
            whole = f"CREATE TABLE {name} ({inner}) PARTITION BY {table.partition_by}"
            made = [_Piece(f"PARTITION BY {table.partition_by}", whole)]
        failed = list(self._try(table.name, made))
        yield from failed
        if failed and table.partition_by:
            yield from self._try(table.name, [_Piece("its columns", f"CREATE TABLE {name} ({inner})")])
        for serial in definitions.serial_columns(table):
            what = f'sequence "{serial.sequence}"'
            row = self.connection.execute(
                "SELECT to_regclass(%s)", (f"{quote_ident(self._stage)}.{quote_ident(serial.sequence or '')}",)
            ).fetchone()
            if row is None or row[0] is None:
                yield from self._try(table.name, [_Piece(what, definitions.create_sequence(serial))])

    def _try(self, table: str, pieces: Iterator[_Piece] | list[_Piece]) -> Iterator[Lacking]:
        for piece in pieces:
            try:
                with self.connection.transaction():
                    self.connection.execute(piece.statement.encode())
            except psycopg.OperationalError:
                if self.connection.closed:
                    raise
                yield Lacking(table=table, what=piece.what, why="the server refused it", leave_out=piece.leave_out)
            except psycopg.Error as error:
                is_newer = isinstance(error, errors.SyntaxError)  # PostgreSQL itself has printed it
                way = "move into a PostgreSQL as new as the source's" if is_newer else ""
                yield Lacking(table=table, what=piece.what, why=_why(error), leave_out=piece.leave_out, way_out=way)

    def _collation(self, table: Table, column: ColumnMapping) -> tuple[str, tuple[Lacking, ...]]:
        """What follows the column's type; nothing when the target lacks the collation."""
        collation = table.column(column.name).collation
        if collation is None or column.treatment is not Treatment.CLEAR:
            return "", ()
        asked = (column.target_type, collation)
        if asked not in self._collated:
            piece = _Piece("", f"SELECT NULL::{column.target_type} COLLATE {collation}")
            self._collated[asked] = next((found.why for found in self._try("", [piece])), "")
        if why := self._collated[asked]:
            what = f'collation {collation} of column "{column.name}"'
            return "", (Lacking(table=table.name, what=what, why=why),)
        return f" COLLATE {collation}", ()

    def _has_xml(self, type_: str) -> bool:
        with_xml = {"xml"}
        for item in self.catalogue.types:  # in the order in which they need each other
            if item.kind in ("domain", "composite") and definitions.mentions_any(item.definition, with_xml):
                with_xml.add(item.name)
        return type_.removesuffix("[]").strip('"') in with_xml

    def _takes_xml(self) -> bool:
        try:
            with self.connection.transaction():
                self.connection.execute("SELECT '<a/>'::xml")
        except errors.FeatureNotSupported:
            return False
        return True


def _is_plain(mapping: TableMapping) -> bool:
    """Whether every PostgreSQL can make the table's definitions."""
    table = mapping.table
    keys = [key for key in (table.primary_key, *table.uniques) if key is not None]
    return (
        table.partition_by is None
        and not table.checks
        and not table.exclusions
        and all(column.generated is None and column.collation is None for column in table.columns)
        and all(column.default is None or _PLAIN_DEFAULT.fullmatch(column.default) for column in table.columns)
        and all(_PLAIN_KEY.fullmatch(key.definition) for key in keys)
        and all(_PLAIN_INDEX.fullmatch(index.definition.partition(" USING ")[2]) for index in table.indexes)
        and not any(_NEW_FOREIGN_KEY.search(key.definition) for key in table.foreign_keys)
    )


def _parts(mapping: TableMapping) -> Iterator[_Piece]:
    """Everything of a table but its plain columns."""
    table, changed = mapping.table, definitions.changed_columns(mapping)
    place = f"ALTER TABLE {quote_ident(table.name)}"
    yield from _parts_of_columns(mapping)
    key = definitions.key_constraint(table)
    if key is not None:
        yield _Piece(f'key "{key.name}"', f"{place} ADD CONSTRAINT {quote_ident(key.name)} {key.definition}")
    for check in definitions.kept_checks(mapping):
        statement = f"{place} ADD CONSTRAINT {quote_ident(check.name)} {check.definition}"
        yield _Piece(f'constraint "{check.name}", which is {check.definition}', statement, check.name)
    for item in definitions.unique_constraints(mapping):
        definition = item.statement.partition(" ADD CONSTRAINT ")[2]
        yield _Piece(f"constraint {definition}", item.statement, item.name)
    for is_unique in (True, False):
        for item in definitions.indexes(mapping, unique=is_unique):
            method = item.statement.partition(" USING ")[2]
            if not definitions.mentions_any(method, changed):
                yield _Piece(f'index "{item.name}" using {method}', item.statement, item.name)
    if table.key_index is not None:
        yield _Piece(f'index "{table.key_index.name}"', table.key_index.definition)
    for item in definitions.create_partitions(table):
        yield _Piece(f'partition "{item.name}"', item.statement)
    for partition in table.partitions:
        for part in definitions.own_parts(mapping, partition):
            if part.kind in ("constraint", "index", "default"):
                named = f"{part.kind} of column" if part.kind == "default" else part.kind
                what = (
                    f'{named} "{part.name}" of its partition "{partition.name}", which is {part.definition or "none"}'
                )
                yield _Piece(what, definitions.make_own_part(partition.name, part))


def _parts_of_columns(mapping: TableMapping) -> Iterator[_Piece]:
    table = mapping.table
    place = f"ALTER TABLE {quote_ident(table.name)}"
    clear = {column.name for column in mapping.columns if column.treatment is Treatment.CLEAR}
    for column in table.columns:
        name = quote_ident(column.name)
        if column.generated is not None:
            what = f'generated column "{column.name}", which is {column.generated}'
            yield _Piece(what, f"{place} ADD COLUMN {definitions.column_definition(column, None, can_compute=False)}")
        if column.name in clear and column.default is not None and not column.identity:
            what = f'default of column "{column.name}", which is {column.default}'
            yield _Piece(what, f"{place} ALTER COLUMN {name} SET DEFAULT {column.default}", column.name)


def _why(error: psycopg.Error) -> str:
    """The server's words when they name things only; else the kind of failure."""
    if (error.sqlstate or "")[:2] in _TELLS_NO_VALUE and error.diag.message_primary:
        return error.diag.message_primary
    return failure(error)
