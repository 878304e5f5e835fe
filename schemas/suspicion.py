"""Columns that seem personal or secret, by their name, type and a few values, and what to do about them.

A suspicion is a question to the person who writes the migration: encrypt the column, or keep it
readable for a stated reason. What names tell is in `schemas.telltale_names`, what values
tell in `schemas.telltale`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.catalogue import Catalogue, Column, Table
from schemas.migration_check import bindings
from schemas.migration_model import Migration
from schemas.telltale import kind_of_values
from schemas.telltale_names import Form, kind_of_name

Samples = Mapping[str, Sequence[str | None]]  # a column's name -> some of its values as text


class Proposal(StrEnum):
    """What is proposed for a suspicious column."""

    ENCRYPT = "encrypt"
    KEEP = "keep"  # it cannot be encrypted: the database itself relies on its values


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One column that seems personal or secret; `bound` says why it cannot be encrypted, else it is empty."""

    table: str
    column: str
    kind: str
    why: str  # "by its name", "by its values"
    proposal: Proposal
    bound: str = ""


def suspicions(table: Table, catalogue: Catalogue, samples: Samples, settled: Iterable[str] = ()) -> list[Suspicion]:
    """The suspicious ones of a table's stored columns, save those in `settled`, in the table's order."""
    found: list[tuple[str, str, str]] = []
    decided = set(settled)
    for column in table.stored:
        if column.name in decided:
            continue
        if kind := kind_of_name(column.name, form_of(column, catalogue), table.name):
            found.append((column.name, kind, "by its name"))
        elif kind := kind_of_values(samples.get(column.name, ())):
            found.append((column.name, kind, "by its values"))
    bound = bindings(table, catalogue) if found else {}
    return [
        Suspicion(
            table=table.name,
            column=name,
            kind=kind,
            why=why,
            proposal=Proposal.KEEP if name in bound else Proposal.ENCRYPT,
            bound=bound.get(name, ""),
        )
        for name, kind, why in found
    ]


def settled_columns(table: Table, migration: Migration) -> frozenset[str]:
    """Columns that the migration has decided about."""
    rules = migration.rules(table.name)
    return frozenset((*rules.encrypt, *rules.keep, *rules.transform))


def worth_sampling(table: Table, catalogue: Catalogue, settled: Iterable[str] = ()) -> list[str]:
    """Columns whose values could tell more than their names."""
    decided = set(settled)
    return [
        column.name
        for column in table.stored
        if column.name not in decided
        and form_of(column, catalogue) in {Form.TEXT, Form.DOCUMENT, Form.NETWORK}
        and kind_of_name(column.name, form_of(column, catalogue), table.name) is None
    ]


# ---------------------------------------------------------------- what a type can hold


_FORMS = (
    (Form.TEXT, re.compile(r"(text|citext|name|bpchar|\"char\"|character( varying)?)(\(\d+\))?")),
    (Form.DOCUMENT, re.compile(r"jsonb?|hstore|xml|(text|citext|jsonb?|character varying|character)(\(\d+\))?\[\]")),
    (Form.BYTES, re.compile(r"bytea")),
    (Form.NUMBER, re.compile(r"integer|bigint|numeric(\(.*\))?")),
    (Form.DATE, re.compile(r"date|timestamp.*")),
    (Form.NETWORK, re.compile(r"inet|cidr|macaddr8?")),
)


def form_of(column: Column, catalogue: Catalogue) -> Form:
    """What a column's type can hold; a domain can hold what its base can."""
    return _form(column.type, catalogue)


def _form(type_: str, catalogue: Catalogue) -> Form:
    for form, pattern in _FORMS:
        if pattern.fullmatch(type_):
            return form
    plain = type_.rpartition(".")[2].strip('"').replace('""', '"')
    for made in catalogue.types:
        if made.name == plain:
            if made.kind == "domain":
                base = re.match(
                    r"[^\W\d][\w ]*?(?=\(| COLLATE| DEFAULT| NOT | NULL| CONSTRAINT| CHECK|$)", made.definition
                )
                base_type = base.group().strip() if base else ""
                return Form.NOTHING if base_type in {"", made.name} else _form(base_type, catalogue)
            return Form.BYTES if made.kind == "composite" else Form.NOTHING
    return Form.NOTHING
