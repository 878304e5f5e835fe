"""Layer `schema`, what the target has and neither the source nor the migration asks for. Pure.

A constraint too many refuses rows that the source takes, so it is a difference. An index too many
refuses nothing: it is told, and is the operators' own. In a schema that somebody else made all of
this is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.catalogue import Constraint, Key, Table
from schemas.envelope import envelope_check
from schemas.mapping import TableMapping, Treatment


def surplus_constraints(mapping: TableMapping, target: Table) -> Iterator[str]:
    """Keys, checks, exclusions and foreign keys that are in the target only."""
    table = mapping.table
    wanted: list[Key | Constraint] = [*table.uniques, *table.exclusions]
    found: list[Key | Constraint] = [*target.uniques, *target.exclusions]
    own = {item.definition for item in wanted}
    for item in found:
        if item.definition not in own:
            yield f'constraint "{item.name}" is in the target only: {item.definition}'
    foreign = {without_state(item.definition) for item in table.foreign_keys}
    for reference in target.foreign_keys:
        if without_state(reference.definition) not in foreign:
            yield f'foreign key "{reference.name}" is in the target only: {without_state(reference.definition)}'
    checks = {without_state(item.definition) for item in table.checks}
    guards = {_bare(f"CHECK {envelope_check(name)}") for name in _encrypted(mapping)}
    for check in target.checks:
        if without_state(check.definition) not in checks and _bare(check.definition) not in guards:
            yield f'check "{check.name}" is in the target only'
    indexes = {method(index.definition) for index in table.indexes if index.unique}
    for index in target.indexes:
        if index.unique and method(index.definition) not in indexes:
            yield f'unique index "{index.name}" is in the target only: {method(index.definition)}'


def surplus_indexes(mapping: TableMapping, target: Table) -> list[str]:
    """Names of indexes that refuse nothing and are in the target only."""
    wanted = {method(index.definition) for index in mapping.table.indexes}
    return sorted(index.name for index in target.indexes if not index.unique and method(index.definition) not in wanted)


def is_guard(definition: str, column: str) -> bool:
    """Whether a CHECK, as PostgreSQL prints it, lets nothing but envelopes into a column.

    >>> text = "CHECK (((a IS NULL) OR ((octet_length(a) >= 34) AND (get_byte(a, 0) = 254) AND (get_byte(a, 1) = 1))))"
    >>> is_guard(text, "a"), is_guard(text[:-1] + " OR true)", "a"), is_guard(text, "b")
    (True, False, False)
    """
    return _bare(definition) == _bare(f"CHECK {envelope_check(column)}")


def method(definition: str) -> str:
    """What follows USING: the name, the schema and the table are not part of what an index means."""
    return definition.partition(" USING ")[2]


def without_state(definition: str) -> str:
    """A constraint without whether it was validated."""
    return re.sub(r"\s+NOT VALID\s*$", "", definition)


def _bare(definition: str) -> str:
    """Without what PostgreSQL adds when it prints an expression: parentheses, blanks, quotes that need not be."""
    return re.sub(r'[()\s"]', "", without_state(definition))


def _encrypted(mapping: TableMapping) -> Iterator[str]:
    return (column.name for column in mapping.columns if column.treatment is Treatment.ENCRYPT)
