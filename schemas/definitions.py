"""Definitions of a target table, as SQL text, from the catalogue and what the migration makes of each column.

Pure. Names are quoted; what the catalogue carries as PostgreSQL's own text (types, defaults,
expressions, constraints) is used as it is, read with the tenant's schema first on the search_path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.catalogue import Column, Constraint, ForeignKey, Index, Key, OwnPart, Partition, Table, UserType
from schemas.envelope import ENVELOPE_CHECK
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from schemas.sql import quote_ident, quote_literal

_VIRTUAL_SINCE = 180_000  # server that can compute a generated column when it is read


@dataclass(frozen=True, slots=True)
class Named:
    """A constraint or index to be made: its name, its table and the statement."""

    table: str
    name: str
    statement: str


def create_type(item: UserType) -> str:
    """The statement that makes an enum, a composite, a range or a domain."""
    word = "DOMAIN" if item.kind == "domain" else "TYPE"
    return f"CREATE {word} {quote_ident(item.name)} AS {item.definition}"


def create_table(mapping: TableMapping, *, server_version: int = 180_000) -> str:
    """The statement that makes the table with its primary key, or the key that names its rows, and its checks."""
    table = mapping.table
    treated = {column.name: column for column in mapping.columns}
    is_new = server_version >= _VIRTUAL_SINCE
    parts = [column_definition(item, treated.get(item.name), can_compute=is_new) for item in table.columns]
    parts += [f"{quote_ident(added.name)} {added.type}" for added in mapping.added]
    parts.append(f"{quote_ident(mapping.migrated_at)} timestamp with time zone NOT NULL")
    key = key_constraint(table)
    if key is not None:
        parts.append(f"CONSTRAINT {quote_ident(key.name)} {key.definition}")
    parts += [
        f"CONSTRAINT {quote_ident(check.name)} {check.definition}" for check in kept_checks(mapping) if check.validated
    ]
    parts += [
        f"CONSTRAINT {quote_ident(envelope_name(column.name))} CHECK ({ENVELOPE_CHECK(column.name)})"
        for column in mapping.columns
        if column.treatment is Treatment.ENCRYPT
    ]
    partitioned = f" PARTITION BY {table.partition_by}" if table.partition_by else ""
    return f"CREATE TABLE {quote_ident(table.name)} (\n  " + ",\n  ".join(parts) + f"\n){partitioned}"


def create_partitions(table: Table) -> tuple[Named, ...]:
    """The statements that make a table's partitions, each after what it hangs on."""
    return tuple(
        Named(
            table.name,
            item.name,
            f"CREATE TABLE {quote_ident(item.name)} PARTITION OF {quote_ident(item.parent)} {item.bound}"
            + (f" PARTITION BY {item.partition_by}" if item.partition_by else ""),
        )
        for item in table.partitions
    )


def own_parts(mapping: TableMapping, partition: Partition) -> tuple[OwnPart, ...]:
    """What a partition has otherwise than its table and still means something."""
    changed = changed_columns(mapping)
    return tuple(
        part
        for part in partition.own
        if not mentions_any(part.definition, changed) and not (part.kind == "default" and part.name in changed)
    )


def make_own_part(partition: str, part: OwnPart) -> str:
    """The statement that gives a partition something of its own."""
    table, name = f"ALTER TABLE {quote_ident(partition)}", quote_ident(part.name) if part.name else ""
    match part.kind:
        case "constraint" | "foreign key":
            return f"{table} ADD CONSTRAINT {name} {part.definition}"
        case "index":
            return part.definition
        case "default":
            return f"{table} ALTER COLUMN {name} " + (
                f"SET DEFAULT {part.definition}" if part.definition else "DROP DEFAULT"
            )
        case "not null":
            return f"{table} ALTER COLUMN {name} SET NOT NULL"
        case "unlogged":
            return f"{table} SET UNLOGGED"
        case _:
            raise ValueError(f"a partition is not given its {part.kind} by a statement")


def envelope_name(column: str) -> str:
    """Name of the CHECK that keeps plaintext out of an encrypted column; PostgreSQL cuts names at 63 bytes."""
    return f"{column}_sealed".encode()[-63:].decode("utf-8", "ignore")


def column_definition(column: Column, treated: ColumnMapping | None, *, can_compute: bool = True) -> str:
    """What follows ADD COLUMN: the name, the type and all that belongs to the column alone."""
    name = quote_ident(column.name)
    if column.generated is not None:
        kept = "VIRTUAL" if column.virtual and can_compute else "STORED"
        return f"{name} {column.type}{_collation(column)} GENERATED ALWAYS AS ({column.generated}) {kept}{_required(column)}"
    if treated is None or treated.treatment is Treatment.CLEAR:
        given = ""
        if column.identity:
            options = column.sequence_options.partition(" INCREMENT ")[1:]
            named = f"SEQUENCE NAME {quote_ident(column.sequence)}" if column.sequence else ""
            inner = f"{named}{''.join(options)}".strip()
            given = f" GENERATED {column.identity.upper()} AS IDENTITY" + (f" ({inner})" if inner else "")
        elif column.default is not None:
            given = f" DEFAULT {column.default}"
        return f"{name} {column.type}{_collation(column)}{given}{_required(column)}"
    # A default of the source's type would not fit, and would be plaintext in an encrypted column.
    return f"{name} {treated.target_type}{_required(column)}"


def _required(column: Column) -> str:
    named = "" if column.not_null_name is None else f" CONSTRAINT {quote_ident(column.not_null_name)}"
    return f"{named} NOT NULL" if column.not_null else ""


def _collation(column: Column) -> str:
    return "" if column.collation is None else f" COLLATE {column.collation}"


def serial_columns(table: Table) -> tuple[Column, ...]:
    """Columns that take their default from a sequence."""
    return tuple(column for column in table.columns if column.sequence and not column.identity)


def create_sequence(column: Column) -> str:
    """The statement that makes a serial column's sequence, of the column's width."""
    return f"CREATE SEQUENCE {quote_ident(column.sequence or '')} {column.sequence_options}"


def always_columns(mapping: TableMapping) -> tuple[str, ...]:
    """Columns that are GENERATED ALWAYS AS IDENTITY once the rows are in."""
    clear = {column.name for column in mapping.columns if column.treatment is Treatment.CLEAR}
    return tuple(
        column.name for column in mapping.table.columns if column.identity == "always" and column.name in clear
    )


def at_once(definition: str) -> str:
    """The definition of a constraint without when it is looked at."""
    return re.sub(r"( NOT DEFERRABLE| DEFERRABLE)?( INITIALLY (DEFERRED|IMMEDIATE))?( NOT VALID)?$", "", definition)


def key_constraint(table: Table) -> Key | None:
    """The constraint that upserts go by. Never deferrable: ON CONFLICT cannot go by a deferrable one."""
    key = table.primary_key
    if key is not None and key.columns == table.key and not key.is_temporal:
        return Key(name=key.name, columns=key.columns, definition=at_once(key.definition))
    for key in table.uniques:
        if table.key and key.columns == table.key and not key.deferrable and not key.is_temporal:
            return key
    return None


def kept_checks(mapping: TableMapping) -> tuple[Constraint, ...]:
    """CHECK constraints that still mean something: none over a column that is encrypted or changes its type."""
    changed = changed_columns(mapping)
    return tuple(check for check in mapping.table.checks if not mentions_any(check.definition, changed))


def late_checks(mapping: TableMapping) -> tuple[Named, ...]:
    """CHECK constraints that the source itself breaks (NOT VALID): they would refuse its rows, so they come last."""
    return tuple(
        _add(mapping.table, check.name, f"{check.definition}{' NOT VALID' if is_enforced(check.definition) else ''}")
        for check in kept_checks(mapping)
        if not check.validated
    )


def unique_constraints(mapping: TableMapping) -> tuple[Named, ...]:
    """Unique and exclusion constraints besides the key that upserts go by, and unique indexes."""
    table, changed = mapping.table, changed_columns(mapping)
    key = key_constraint(table)
    found = [
        _add(table, item.name, item.definition)
        for item in _named((table.primary_key,) if table.primary_key else (), table.uniques, table.exclusions)
        if (key is None or item.name != key.name) and not mentions_any(item.definition, changed)
    ]
    return tuple(found)


def indexes(mapping: TableMapping, *, unique: bool) -> tuple[Named, ...]:
    """Indexes that back no constraint; none over an encrypted column."""
    encrypted = encrypted_columns(mapping)
    return tuple(
        Named(mapping.table.name, index.name, index.definition)
        for index in mapping.table.indexes
        if index.unique == unique and not _is_over(index, encrypted) and index != mapping.table.key_index
    )


def dropped(mapping: TableMapping) -> tuple[str, ...]:
    """Names of constraints and indexes that the migration makes meaningless."""
    table, changed, encrypted = mapping.table, changed_columns(mapping), encrypted_columns(mapping)
    constraints = _named(table.checks, table.uniques, table.exclusions)
    return tuple(
        [item.name for item in constraints if mentions_any(item.definition, changed)]
        + [index.name for index in table.indexes if _is_over(index, encrypted)]
    )


def _named(*groups: Iterable[Key | Constraint]) -> tuple[Key | Constraint, ...]:
    return tuple(item for group in groups for item in group)


def _is_over(index: Index, columns: frozenset[str]) -> bool:
    return bool(columns.intersection(index.columns)) or mentions_any(index.definition.partition(" USING ")[2], columns)


def add_foreign_key(table: Table, key: ForeignKey, partitioned: frozenset[str] = frozenset()) -> Named:
    """The statement that adds a foreign key without looking at the rows.

    From or to one of the `partitioned` tables it looks: PostgreSQL has no other way before 18, and
    validates only a part of such a key later.
    """
    looks = table.name in partitioned or (key.parent in partitioned and key.validated)
    looks = looks or not is_enforced(key.definition)
    return _add(table, key.name, key.definition if looks else f"{key.definition} NOT VALID")


def is_enforced(definition: str) -> bool:
    """Whether PostgreSQL ever checks the constraint (18 has some that it does not)."""
    return not definition.endswith(" NOT ENFORCED")


def _add(table: Table, name: str, definition: str) -> Named:
    statement = f"ALTER TABLE {quote_ident(table.name)} ADD CONSTRAINT {quote_ident(name)} {definition}"
    return Named(table.name, name, statement)


def encrypted_columns(mapping: TableMapping) -> frozenset[str]:
    """Columns whose cells are encrypted."""
    return frozenset(column.name for column in mapping.columns if column.treatment is Treatment.ENCRYPT)


def changed_columns(mapping: TableMapping) -> frozenset[str]:
    """Columns that do not hold the source's value as it is."""
    return frozenset(column.name for column in mapping.columns if column.treatment is not Treatment.CLEAR)


def mentions_any(definition: str, columns: Iterable[str]) -> bool:
    """Whether a definition names one of the columns.

    >>> mentions_any("CHECK ((email)::text ~ 'phone'::text)", ["phone"])
    False
    >>> mentions_any('CHECK ("Phone" > 1)', ["Phone"])
    True
    """
    bare = re.sub(r"'(?:[^']|'')*'", "''", definition)
    quoted = {found.replace('""', '"') for found in re.findall(r'"((?:[^"]|"")*)"', bare)}
    words = set(re.findall(r"[^\W\d][\w$]*", re.sub(r'"(?:[^"]|"")*"', " ", bare)))
    return any(column in quoted or column in words for column in columns)


def missing_labels(item: UserType, found: Sequence[str]) -> list[str]:
    """Statements that add the labels an enum has gained since, each in its place."""
    statements = []
    present = list(found)
    for place, label in enumerate(item.labels):
        if label not in present:
            before = item.labels[place - 1] if place else None
            where = f"AFTER {quote_literal(before)}" if before is not None else f"BEFORE {quote_literal(present[0])}"
            statements.append(
                f"ALTER TYPE {quote_ident(item.name)} ADD VALUE IF NOT EXISTS {quote_literal(label)} {where}"
            )
            present.append(label)
    return statements
