"""What was found in the source's schemas, and what of it a migration moves. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.catalogue import (
    Catalogue,
    Collation,
    Partition,
    Table,
    UserType,
    load_waves,
)
from schemas.errors import ConfigurationError
from schemas.migration import Migration, check_migration
from schemas.migration_check import check_left_out
from schemas.nearest import did_you_mean
from schemas.renames import Thing, collisions, proposals, rename_lines


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
    foreign_parts: tuple[str, ...] = ()  # partitions whose rows stand on another server
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
    is_doubtful: bool = False  # a domain with a check that was never validated
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
    hiding: tuple[Thing, ...] = ()  # PostgreSQL's own things that would be meant by a name of these schemas

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
                f"{migration.where('source', 'schemas')}: these would have one name in the tenant's schema:\n  "
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
        found = sorted((*found, *self.collation_things), key=lambda thing: place.get(thing.schema, len(place)))
        return [*self.hiding, *found]

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

    def is_made_of(self, oid: int, wanted: Collection[int]) -> bool:
        """Whether a type is one of these, or has one inside."""
        found = self.types.get(oid)
        return oid in wanted or (found is not None and any(self.is_made_of(part, wanted) for part in found.needs))

    def unused_types(self, tables: Iterable[Table]) -> tuple[str, ...]:
        """Types of these schemas that somebody made and no column of these tables is made of."""
        needed = {(found.schema, found.name) for found in self.needed_types(tables)}
        return tuple(
            found.name
            for found in self.types.values()
            if found.schema in self.schemas
            and found.extension is None
            and _travels(found)
            and (found.schema, found.name) not in needed
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
