"""Layer `schema`, what fills a column by itself: that its sequence counts as at the source, and stands past the rows.

A sequence is found by what the column owns, or else by what its default draws from: one that lost
its owner still fills the column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.postgres import Connection
from schemas.catalogue import Column, Table
from schemas.sql import quote_ident, quote_literal, quote_qualified
from validator.sides import named_errors

_SEQUENCE = """
SELECT s.oid::regclass::text FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_depend p ON (p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum
                     AND p.classid = 'pg_class'::regclass AND p.deptype IN ('a', 'i'))
                 OR (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
JOIN pg_class s ON s.oid IN (p.objid, p.refobjid) AND s.relkind = 'S'
WHERE a.attrelid = %s::regclass AND a.attname = %s
ORDER BY p.classid = 'pg_class'::regclass DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceState:
    """A sequence of the target and the last value, in its direction, of the column that it fills."""

    column: str
    next_value: int
    last_there: int | None  # the largest value, or the smallest when it counts down
    is_descending: bool = False
    is_unlogged: bool = False  # while its table is not

    @property
    def is_behind(self) -> bool:
        """Whether the next insert would take a value that a row already has, or has passed."""
        if self.last_there is None:
            return False
        return self.next_value >= self.last_there if self.is_descending else self.next_value <= self.last_there

    @property
    def problems(self) -> Iterator[str]:
        """What makes the next insert fail, now or after a crash of the server."""
        if self.is_behind:
            yield f"the sequence is behind: next value {self.next_value}, last value of a row {self.last_there}"
        if self.is_unlogged:
            yield "its sequence is unlogged: a crash of the server sets it back"


def sequence_problems(column: Column, found: Column) -> Iterator[str]:
    """What differs in the definition of the sequence that fills a clear column; that there is none, its default says."""
    if not column.sequence or not found.sequence:
        return
    there, wanted = _options(found.sequence_options), _options(column.sequence_options)
    for option in sorted(there.keys() | wanted.keys()):
        if there.get(option) != wanted.get(option):
            yield f"its sequence counts with {option} {there.get(option, 'none')}, must with {wanted.get(option, 'none')}"
    if found.owns_sequence != column.owns_sequence:
        yield f"its sequence is {'' if found.owns_sequence else 'not '}owned by the column, at the source it is{'' if column.owns_sequence else ' not'}"


def _options(text: str) -> dict[str, str]:
    """What follows CREATE SEQUENCE name, part by part.

    >>> _options("AS bigint INCREMENT BY 2 MINVALUE 1 CYCLE")
    {'AS': 'bigint', 'INCREMENT BY': '2', 'MINVALUE': '1', 'CYCLE': 'on'}
    """
    found = re.findall(r"(AS|INCREMENT BY|MINVALUE|MAXVALUE|START WITH|CACHE) (\S+)|(CYCLE)", text)
    return {name or word: value or "on" for name, value, word in found}


def read_sequences(target: Connection, table: Table, schema: str) -> list[SequenceState]:
    """Each sequence that fills a column, and the last value there in its direction; one that goes round is never behind."""
    found: list[SequenceState] = []
    relation = quote_qualified(schema, table.name)
    for column in table.columns:
        if not column.sequence:
            continue
        with named_errors("target", f'{table.name}: sequence of "{column.name}"'):
            named = target.execute(_SEQUENCE, (relation, column.name)).fetchone()
            if named is None:
                continue
            name = quote_ident(column.name)
            row = target.execute(
                f"""
                SELECT s.last_value::numeric + CASE WHEN s.is_called THEN q.seqincrement ELSE 0 END,  -- one that is used up has none
                       q.seqincrement < 0,
                       (SELECT CASE WHEN q.seqincrement < 0 THEN min({name}) ELSE max({name}) END
                        FROM {table.only}{relation} WHERE {name} BETWEEN q.seqmin AND q.seqmax AND NOT q.seqcycle),
                       c.relpersistence = 'u'
                FROM {named[0]} s, pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid
                WHERE q.seqrelid = {quote_literal(named[0])}::regclass
                """.encode()
            ).fetchone()
        if row is not None:
            found.append(
                SequenceState(
                    column=column.name,
                    next_value=int(row[0]),
                    is_descending=row[1],
                    last_there=row[2],
                    is_unlogged=row[3] and not table.unlogged,
                )
            )
    return found
