"""Keys, constraints and indexes of tables that somebody else made, against those of the source. Pure.

While rows come the constraints stay on, so those that hold only of whole tables must be deferrable:
unique keys besides the one that upserts go by, and foreign keys of a table on itself or in a ring.
A unique index cannot be deferrable, a constraint that means the same can. A unique key that a foreign
key points at cannot be either (PostgreSQL refuses that): it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consumer.standing import Found, Statements, Step, deferrable, free_name
from schemas import definitions
from schemas.catalogue import Catalogue, Key, Table, rings
from schemas.deferred import constraint_of
from schemas.definitions import at_once
from schemas.envelope import ENVELOPE_CHECK
from schemas.mapping import TableMapping, Treatment
from schemas.sql import quote_ident


@dataclass(kw_only=True)
class Keys:
    """Statements about keys and constraints; `replaced` are keys that go, by table and columns."""

    catalogue: Catalogue
    found: Found
    replaced: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)

    def __post_init__(self) -> None:
        groups = rings(self.catalogue.tables)
        self._ring_of = {name: ring for ring in groups for name in ring}
        tables = (*self.catalogue.tables, *self.found.tables.values())
        self._pointed_at = {
            (key.parent, frozenset(key.parent_columns)) for table in tables for key in table.foreign_keys
        }

    def primary_key(self, table: Table, there: Table) -> Statements:
        """The key that upserts go by."""
        wanted, found = definitions.key_constraint(table), there.primary_key
        if table.primary_key is None or wanted is None:
            return
        if found is not None and found.definition == at_once(wanted.definition):
            return
        place = f"ALTER TABLE {quote_ident(table.name)}"
        if found is not None:
            self.replaced.add((table.name, found.columns))
            yield Step.KEY_GOES, f"{place} DROP CONSTRAINT {quote_ident(found.name)}"
            yield Step.KEY_COMES, f"{place} ADD CONSTRAINT {quote_ident(found.name)} {wanted.definition}"
        else:
            name = free_name(wanted.name, self.found.relations)
            yield Step.KEY_COMES, f"{place} ADD CONSTRAINT {quote_ident(name)} {wanted.definition}"

    def checks(self, mapping: TableMapping, there: Table) -> Statements:
        """CHECK constraints, and what keeps plaintext out of encrypted columns."""
        place = f"ALTER TABLE {quote_ident(there.name)}"
        by_text = {check.definition: check for check in there.checks}
        taken = [*(check.name for check in there.checks), *(key.name for key in there.foreign_keys)]
        for check in definitions.kept_checks(mapping):
            found = by_text.get(check.definition)
            if found is None:
                late = "" if check.validated else " NOT VALID"
                name = quote_ident(free_name(check.name, taken))
                yield Step.CONSTRAINT, f"{place} ADD CONSTRAINT {name} {check.definition}{late}"
            elif check.validated and not found.validated:
                yield Step.CONSTRAINT, f"{place} VALIDATE CONSTRAINT {quote_ident(found.name)}"
        for column in mapping.columns:
            if column.treatment is not Treatment.ENCRYPT:
                continue
            guards = [text for text in by_text if definitions.mentions_any(text, {column.name})]
            if not any("get_byte" in text and "254" in text for text in guards):
                name = quote_ident(free_name(definitions.envelope_name(column.name), taken))
                guard = ENVELOPE_CHECK(column.name)
                yield Step.CONSTRAINT, f"{place} ADD CONSTRAINT {name} CHECK ({guard})"

    def uniques(self, mapping: TableMapping, there: Table) -> Statements:
        """Unique and exclusion constraints: there, and deferrable."""
        table, place = mapping.table, f"ALTER TABLE {quote_ident(mapping.table.name)}"
        key = definitions.key_constraint(table)
        by_text = {at_once(item.definition): item for item in there.uniques}
        excluded = {item.definition for item in there.exclusions}
        is_there = bool(there.columns)
        names = {item.name for item in table.uniques}
        for item in definitions.unique_constraints(mapping):
            if item.name in names:
                continue
            definition = item.statement.partition(f"ADD CONSTRAINT {quote_ident(item.name)} ")[2]
            if definition not in excluded:
                yield Step.CONSTRAINT, item.statement
        changed = definitions.changed_columns(mapping)
        for unique in table.uniques:
            is_key = key is not None and unique.name == key.name
            if definitions.mentions_any(unique.definition, changed) or (is_key and not is_there):
                continue
            found = by_text.pop(at_once(unique.definition), None)
            must = not is_key and not self._is_pointed_at(table.name, unique)
            if found is None:
                name = quote_ident(free_name(unique.name, self.found.relations))
                given = deferrable(unique.definition) if must else at_once(unique.definition)
                yield Step.KEY_COMES, f"{place} ADD CONSTRAINT {name} {given}"
            elif found.deferrable != must and (must or is_key):
                yield from self._again(table.name, found, is_deferrable=must)
        for extra in by_text.values():
            if not extra.deferrable and not self._is_pointed_at(table.name, extra):
                yield from self._again(table.name, extra, is_deferrable=True)

    def _again(self, table: str, key: Key, *, is_deferrable: bool) -> Statements:
        place, name = f"ALTER TABLE {quote_ident(table)}", quote_ident(key.name)
        definition = deferrable(key.definition) if is_deferrable else at_once(key.definition)
        yield Step.KEY_COMES, f"{place} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition}"

    def _is_pointed_at(self, table: str, key: Key) -> bool:
        return (table, frozenset(key.columns)) in self._pointed_at

    def indexes(self, mapping: TableMapping, there: Table) -> Statements:
        """Indexes: there; unique ones as constraints that can wait for the end of a transaction."""
        table, changed = mapping.table, definitions.changed_columns(mapping)
        place = f"ALTER TABLE {quote_ident(table.name)}"
        key = table.key_index
        found = {(index.unique, _method(index.definition)) for index in there.indexes}
        if key is not None and there.columns and (True, _method(key.definition)) not in found:
            yield Step.KEY_COMES, key.definition
        waiting = {at_once(item.definition) for item in (*there.uniques, *table.uniques)}
        waiting |= {at_once(item.definition) for item in there.exclusions}
        for index in there.indexes:
            is_key = index.columns == table.key and not index.partial
            if not index.unique or is_key or (table.name, frozenset(index.columns)) in self._pointed_at:
                continue
            constraint = constraint_of(index)
            yield Step.KEY_GOES, f"DROP INDEX {quote_ident(index.name)}"
            if constraint not in waiting:
                waiting.add(constraint)
                yield Step.KEY_COMES, f"{place} ADD CONSTRAINT {quote_ident(index.name)} {deferrable(constraint)}"
        for named in definitions.indexes(mapping, unique=True):
            (index,) = (item for item in table.indexes if item.name == named.name)
            constraint = constraint_of(index)
            if definitions.mentions_any(_method(index.definition), changed) or constraint in waiting:
                continue
            if (table.name, frozenset(index.columns)) in self._pointed_at:
                if (True, _method(index.definition)) not in found:
                    yield Step.KEY_COMES, index.definition
                continue
            name = quote_ident(free_name(index.name, self.found.relations))
            yield Step.CONSTRAINT, f"{place} ADD CONSTRAINT {name} {deferrable(constraint)}"
        for named in definitions.indexes(mapping, unique=False):
            method = _method(named.statement)
            # over a column of another type now, an index may be impossible
            if (False, method) not in found and not definitions.mentions_any(method, changed):
                yield Step.CONSTRAINT, named.statement

    def foreign_keys(self, table: Table, there: Table) -> Statements:
        """Foreign keys: there, validated, and deferrable where rows may come before their parents."""
        place = f"ALTER TABLE {quote_ident(table.name)}"
        ring = self._ring_of[table.name]
        by_text = {at_once(key.definition): key for key in there.foreign_keys}
        yield from self.keys_that_go(there)
        for key in there.foreign_keys:
            if (key.parent, key.parent_columns) in self.replaced:
                del by_text[at_once(key.definition)]
            elif key.parent in ring and not key.deferrable:
                yield Step.FOREIGN_KEY, f"{place} ALTER CONSTRAINT {quote_ident(key.name)} DEFERRABLE"
        taken = [key.name for key in by_text.values()]
        for key in table.foreign_keys:
            found = by_text.get(at_once(key.definition))
            if found is None:
                name = quote_ident(free_name(key.name, taken))
                definition = deferrable(key.definition) if key.parent in ring else key.definition
                late = "" if key.validated else " NOT VALID"
                yield Step.FOREIGN_KEY, f"{place} ADD CONSTRAINT {name} {definition}{late}"
            elif key.validated and not found.validated:
                yield Step.FOREIGN_KEY, f"{place} VALIDATE CONSTRAINT {quote_ident(found.name)}"

    def keys_that_go(self, there: Table) -> Statements:
        """Foreign keys that point at a key which is replaced; those that the source has come again."""
        for key in there.foreign_keys:
            if (key.parent, key.parent_columns) in self.replaced:
                yield (
                    Step.POINTERS_GO,
                    f"ALTER TABLE {quote_ident(there.name)} DROP CONSTRAINT {quote_ident(key.name)}",
                )


def _method(definition: str) -> str:
    return definition.partition(" USING ")[2]
