"""What single partitions have otherwise than their table: taken down before rows come, made when they are in.

Indexes that a partition inherits get the names that they have at the source. What cannot be made is
told and left to `validator reconcile`, because the rows are in by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import psycopg
from psycopg import errors

from consumer.target import Target
from runtime.introspect import read_tables
from runtime.postgres import failure, is_transient
from runtime.reporting import Notice, Report
from schemas import definitions
from schemas.catalogue import OwnPart, Table
from schemas.errors import TargetError
from schemas.sql import quote_ident

Doubted = Callable[..., bool]  # of tables: whether they may lack rows or hold old ones

_UNDONE_FIRST = ("foreign key", "constraint", "index", "not null", "default", "unlogged")


def drop_own_parts(target: Target) -> None:
    """Take down what a good row could break before all are there, and what the source has no more."""
    there = _there(target)
    for table in target.catalogue.tables:
        wanted = {part.name: set(definitions.own_parts(target.mappings[table.name], part)) for part in table.partitions}
        for partition, found in there.get(table.name, {}).items():
            for part in sorted(found, key=lambda own: (_place(own), own.name)):
                if _stays(part) and part in wanted.get(partition, ()):
                    continue
                for statement in _undo(table, partition, part):
                    target.connection.execute(statement.encode())


def make_own_parts(target: Target, is_doubted: Doubted, report: Report) -> None:
    """Give each partition what the source's has.

    Raises:
        TargetError: rows break it, and nothing explains why.
    """
    there = _there(target)
    for table in target.catalogue.tables:
        for partition in table.partitions:
            found = there.get(table.name, {}).get(partition.name, frozenset())
            wanted = definitions.own_parts(target.mappings[table.name], partition)
            _rename_indexes(target, wanted, found)
            for part in sorted(wanted, key=lambda own: -_place(own)):
                if part not in found and part.kind in _UNDONE_FIRST:
                    _make(target, table, partition.name, part, is_doubted=is_doubted, report=report)


def _there(target: Target) -> Mapping[str, Mapping[str, frozenset[OwnPart]]]:
    """By table and partition, what the target's partitions have of their own now."""
    names = {table.name for table in target.catalogue.tables if table.partitions}
    if not names:
        return {}
    tables = read_tables(target.connection, [target.schema], names, side="target")
    return {table.name: {part.name: frozenset(part.own) for part in table.partitions} for table in tables}


def _make(target: Target, table: Table, partition: str, part: OwnPart, *, is_doubted: Doubted, report: Report) -> None:
    what = f'{table.name}: partition "{partition}": {part.kind} {part.name}'.rstrip()
    try:
        with target.connection.transaction():
            target.connection.execute(definitions.make_own_part(partition, part).encode())
    except errors.IntegrityError:
        if not is_doubted(table.name, *([part.parent] if part.parent else [])):
            raise TargetError(
                f"{what} does not hold in the target", hint="the target has rows that the source has not"
            ) from None
        report(Notice(f"{what} waits for the rows in quarantine"))
    except psycopg.Error as error:
        if is_transient(error):
            raise
        report(Notice(f"{what} is left out: {failure(error)}"))


def _rename_indexes(target: Target, wanted: tuple[OwnPart, ...], found: frozenset[OwnPart]) -> None:
    """In two steps, because names may have changed places."""
    now = {part.parent: part.name for part in found if part.kind == "index name"}
    moves = [
        (now[part.parent], part.name)
        for part in wanted
        if part.kind == "index name" and now.get(part.parent, part.name) != part.name
    ]
    with target.connection.transaction():
        for number, (old, _) in enumerate(moves):
            _rename(target, old, f"replicator renames {number}")
        for number, (_, new) in enumerate(moves):
            _rename(target, f"replicator renames {number}", new)


def _rename(target: Target, old: str, new: str) -> None:
    target.connection.execute(f"ALTER INDEX {quote_ident(old)} RENAME TO {quote_ident(new)}".encode())


def _place(part: OwnPart) -> int:
    return _UNDONE_FIRST.index(part.kind) if part.kind in _UNDONE_FIRST else len(_UNDONE_FIRST)


def _stays(part: OwnPart) -> bool:
    """Whether no row can break it."""
    return part.kind in {"default", "unlogged"} or (
        part.kind == "index" and not part.definition.startswith("CREATE UNIQUE")
    )


def _undo(table: Table, partition: str, part: OwnPart) -> Iterator[str]:
    place, name = f"ALTER TABLE {quote_ident(partition)}", quote_ident(part.name) if part.name else ""
    match part.kind:
        case "constraint" | "foreign key":
            yield f"{place} DROP CONSTRAINT IF EXISTS {name} CASCADE"
        case "index":
            yield f"DROP INDEX IF EXISTS {name}"
        case "not null":
            yield f"{place} ALTER COLUMN {name} DROP NOT NULL"
        case "default":
            given = next((column.default for column in table.columns if column.name == part.name), None)
            yield f"{place} ALTER COLUMN {name} " + ("DROP DEFAULT" if given is None else f"SET DEFAULT {given}")
        case "unlogged":
            yield f"{place} SET LOGGED"
        case _:
            return
