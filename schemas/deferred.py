"""A unique index as a constraint of the same meaning, because an index alone cannot wait for the end of a transaction. Pure."""

from __future__ import annotations

import re

from schemas.catalogue import Index


def constraint_of(index: Index) -> str:
    """What follows ADD CONSTRAINT name, as PostgreSQL prints it: UNIQUE, or EXCLUDE for expressions and some rows only.

    >>> constraint_of(Index(name="i", definition="CREATE UNIQUE INDEX i ON t USING btree (a, b)", columns=("a", "b")))
    'UNIQUE (a, b)'
    >>> constraint_of(Index(name="i", definition="CREATE UNIQUE INDEX i ON t USING btree (a, lower(b)) WHERE (a > 1)"))
    'EXCLUDE USING btree (a WITH =, lower(b) WITH =) WHERE ((a > 1))'
    """
    method, _, rest = index.definition.partition(" USING ")[2].partition(" (")
    inner, after = _inside(rest)
    if index.columns and not index.partial and not re.search(r" (COLLATE|DESC|ASC|\w+_ops)\b", inner):
        nulls = " NULLS NOT DISTINCT" if " NULLS NOT DISTINCT" in after else ""
        return f"UNIQUE{nulls} ({inner}){after.replace(' NULLS NOT DISTINCT', '')}"
    elements = ", ".join(f"{element} WITH =" for element in _elements(inner))
    included, _, condition = after.partition(" WHERE ")
    included = included.replace(" NULLS NOT DISTINCT", "")
    return f"EXCLUDE USING {method} ({elements}){included}" + (f" WHERE ({condition})" if condition else "")


def _inside(text: str) -> tuple[str, str]:
    """What stands before the bracket that closes the one before `text`, and what after it."""
    depth, place = 1, 0
    for place, part in _parts(text):  # noqa: B007 - used after the loop
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth == 0:
            break
    return text[:place], text[place + 1 :]


def _elements(inner: str) -> list[str]:
    depth, begin, found = 0, 0, []
    for place, part in _parts(inner):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "," and depth == 0:
            found.append(inner[begin:place].strip())
            begin = place + 1
    return [*found, inner[begin:].strip()]


def _parts(text: str) -> list[tuple[int, str]]:
    """Places of characters that are not inside quotes."""
    quoted = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
    bare = quoted.sub(lambda found: " " * len(found.group()), text)
    return list(enumerate(bare))
