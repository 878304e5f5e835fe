"""Definitions out of the rows that the queries in `sql/` give, under the names that the target has for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.survey import FoundType
from schemas.catalogue import (
    Column,
    Constraint,
    ForeignKey,
    Identity,
    Index,
    Key,
    OwnPart,
    Partition,
    Table,
)
from schemas.renames import Names, Space, Thing

Row = Mapping[str, Any]

_IDENTITIES: dict[str, Identity] = {"": "", "a": "always", "d": "by default"}


def thing_of(kind: str, schema: str, name: str, names: Names, spaces: tuple[Space, ...] = ("relation",)) -> Thing:
    """A thing of the source with the name that it has in the target."""
    return Thing(kind=kind, schema=schema, source_name=name, name=names.of(schema, name), spaces=spaces)


@dataclass(frozen=True, slots=True)
class SourceTable:
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


def things_of(
    source: SourceTable, columns: Iterable[Row], behind: Iterable[Row], partitions: Iterable[Row]
) -> Iterator[Thing]:
    """What comes with a table and has a name of its own; keys have one as their indexes have."""
    schema, names = source.schema, source.names
    yield thing_of("table", schema, source.table, names, ("relation", "type"))
    for part in partitions:
        kind = part.get("kind", "partition")
        if kind == "partition":
            yield thing_of("partition", part["schema"], part["name"], names, ("relation", "type"))
        elif kind.startswith("index") or (part["definition"] or "").startswith(("PRIMARY", "UNIQUE", "EXCLUDE")):
            yield thing_of("index", part["schema"], part["name"], names)
    for row in behind:
        if row.get("kind", "i") in {"i", "p", "u", "x"}:
            yield thing_of("index", schema, row["name"], names)
    for column in columns:
        if column["sequence"]:
            yield thing_of("sequence", column["sequence_schema"], column["sequence"], names)


def table_of(
    row: Row,
    columns: list[Row],
    constraints: list[Row],
    *,
    indexes: list[Row],
    partitions: list[Row],
    own_parts: list[Row],
    source: SourceTable,
) -> Table:
    """A table of the rows that speak of it."""
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


def _column(row: Row, source: SourceTable) -> Column:
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
        read_as=row["read_as"],
        source_type=row["type"] if row["type"] != type_ else None,
    )


def _key(row: Row, source: SourceTable) -> Key:
    return Key(
        name=source.of(row["name"]),
        columns=tuple(row["columns"]),
        definition=source.text(row["definition"]),
        deferrable=row["is_deferrable"],
    )


def _foreign_key(row: Row, source: SourceTable) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        parent=source.other(row["parent_schema"], row["parent"]),
        parent_columns=tuple(row["parent_columns"]),
        definition=_as_valid(source.text(row["definition"])),
        validated=row["is_validated"],
        deferrable=row["is_deferrable"],
    )


def _own_part(row: Row, source: SourceTable) -> OwnPart:
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


def _constraint(row: Row, name: str, source: SourceTable) -> Constraint:
    return Constraint(name=name, definition=_as_valid(source.text(row["definition"])), validated=row["is_validated"])


def _as_valid(definition: str) -> str:
    return definition.removesuffix(" NOT VALID")  # `validated` says it


def found_type_of(row: Row, names: Names) -> FoundType:
    """A type of its row."""
    schema, name = row["schema"], row["name"]
    spaces: tuple[Space, ...] = ("type", "type in SQL")
    more: tuple[Space, ...] = ("relation",) if row["kind"] == "composite" else ()
    things = [] if row["extension"] else [thing_of("type", schema, name, names, (*spaces, *more))]
    if things and row["multirange"]:
        things.append(thing_of("type", schema, row["multirange"], names, spaces))
    return FoundType(
        name=names.of(schema, name),
        schema=row["schema"],
        kind=row["kind"],
        extension=row["extension"],
        definition=row["definition"] and names.type(schema, row["definition"]),
        labels=tuple(row["labels"]),
        needs=tuple(row["needs"]),
        is_doubtful=row["is_doubtful"],
        things=tuple(things),
    )
