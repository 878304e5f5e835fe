"""Which of many keys are the same as one, though they may be written otherwise.

Most types print each value in one way, so that equal texts are equal keys. Others take several texts
for one value (citext in upper and lower case, 1.0 and 1.00, '30 days' and '1 mon', collations that are
not deterministic): of those the target's server says which are equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.postgres import Connection
from schemas.catalogue import Column
from validator.sides import named_errors

Key = tuple[str, ...]

_ONE_TEXT = re.compile(
    r"smallint|integer|bigint|oid|boolean|uuid|bytea|name|date|text|(character varying|character|bit|timestamp)\b[^\[]*"
)


def prints_one_way(column: Column) -> bool:
    """Whether equal values of the column are always the same text.

    >>> [prints_one_way(Column(name="k", type=name)) for name in ("text", "character(3)", "citext", "numeric", "text[]")]
    [True, True, False, False, False]
    """
    return column.collation is None and _ONE_TEXT.fullmatch(column.type) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualKeys:
    """Looks for one key; `columns` are the key's."""

    target: Connection
    columns: Sequence[Column]
    key: Key = field(repr=False)

    def places(self, keys: Sequence[Key]) -> list[int]:
        """Where it stands among `keys`, however it is written there."""
        if all(prints_one_way(column) for column in self.columns):
            return [place for place, key in enumerate(keys) if key == self.key]
        names = [f"k{number}" for number in range(len(self.columns))]
        same = " AND ".join(
            f"k.{name}::{column.type}{_collation(column)} = one.{name}::{column.type}{_collation(column)}"
            for name, column in zip(names, self.columns, strict=True)
        )
        one = ", ".join(f"%s::text AS {name}" for name in names)
        many = ", ".join("%s::text[]" for _ in names)
        query = (
            f"SELECT k.n FROM (SELECT {one}) AS one, unnest({many}) WITH ORDINALITY AS k({', '.join(names)}, n)"
            f" WHERE {same.replace('%', '%%')} ORDER BY k.n"
        )
        parameters = [[key[number] for key in keys] for number in range(len(names))]
        with named_errors("target", "target: keys of the log that are equal"):
            rows = self.target.execute(query.encode(), [*self.key, *parameters]).fetchall()
        return [place - 1 for (place,) in rows]


def _collation(column: Column) -> str:
    return "" if column.collation is None else f" COLLATE {column.collation}"
