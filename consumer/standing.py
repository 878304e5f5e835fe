"""What stands in a schema that somebody else made, and in which order statements change it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from schemas.catalogue import Table, UserType
from schemas.definitions import at_once


class Step(IntEnum):
    """The order of statements."""

    AWAY = 0
    TYPE = 1
    TABLE = 2
    POINTERS_GO = 3
    KEY_GOES = 4
    COLUMN = 5
    KEY_COMES = 6
    CONSTRAINT = 7
    FOREIGN_KEY = 8
    QUIET = 9


Statements = Iterator[tuple[Step, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands in the target's schema: tables and types by name, names of the rest, tables that have rows.

    `disturbing` are statements that keep the server from changing, hiding or refusing rows when they come
    (triggers, rules, row security, rights), by table.
    """

    tables: Mapping[str, Table]
    types: Mapping[str, UserType]
    relations: Collection[str]
    schema: str = ""
    collations: Collection[str] = frozenset()
    with_rows: Collection[str] = frozenset()
    disturbing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    server_version: int = 0


def deferrable(definition: str) -> str:
    """The definition of a constraint that may be looked at when a transaction ends."""
    return definition if definition != at_once(definition) else f"{definition} DEFERRABLE"


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, or one beside it when something else has it."""
    return name if name not in taken else f"{name.encode()[:55].decode('utf-8', 'ignore')}_source"
