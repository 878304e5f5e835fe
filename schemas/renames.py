"""Names of several source schemas in the tenant's one: what each thing is called there, and SQL text that follows.

Pure. The source prints its definitions with every name in its schema ("b.orders"); here the schemas
go and what the migration renames gets its new name. Two things of one name are told, with the
lines that part them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.toml_text import toml_key, toml_string

Space = Literal["relation", "type", "collation", "type in SQL"]  # a table's type is not meant by its bare name

_MOST_BYTES = 63  # of a name
_IDENT = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
_TOKEN = re.compile(
    rf"""(?P<literal>E?'(?:[^']|'')*')(?P<names>::reg[a-z]+)?
      | OPERATOR\((?P<home>{_IDENT})\.(?P<operator>[^()\s\w."]+)\)
      | (?P<schema>{_IDENT})\.(?P<name>{_IDENT})
      | {_IDENT}
      | \d[\w.]*""",
    re.VERBOSE,
)
_INDEX = re.compile(rf"(CREATE (?:UNIQUE )?INDEX )({_IDENT})")
_MULTIRANGE = re.compile(rf"(MULTIRANGE_TYPE_NAME = )({_IDENT})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that has a name of its own in the tenant's schema; `name` is that, `source_name` what it was."""

    kind: str  # table, index, sequence …
    schema: str
    source_name: str
    name: str
    spaces: tuple[Space, ...]  # in which no other thing may have the name


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What things of the source are called in the target.

    `schemas` are those whose names are printed with their schema; none when the source has but one.
    `printed` says how PostgreSQL prints each new name: quoted only when it must be.
    """

    schemas: frozenset[str] = frozenset()
    renamed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    printed: Mapping[str, str] = field(default_factory=dict)

    def of(self, schema: str, name: str) -> str:
        """The name in the target."""
        return self.renamed.get((schema, name), name)

    def text(self, text: str, table: tuple[str, str] | None = None) -> str:
        """SQL of PostgreSQL's own printing, as it would print it in the target.

        `table` is whose text it is: expressions over a whole row name their table without its schema.

        >>> names = Names(schemas=frozenset({"a", "b"}), renamed={("b", "mood"): "b_mood"}, printed={"b_mood": "b_mood"})
        >>> print(names.text("CHECK ((m <> 'b.mood'::b.mood) AND (n OPERATOR(a.=) '(1,2)'::a.pair))"))
        CHECK ((m <> 'b.mood'::b_mood) AND (n = '(1,2)'::pair))
        >>> names.text("nextval('b.mood'::regclass)"), names.text("(c).mood = c.d")
        ("nextval('b_mood'::regclass)", '(c).mood = c.d')
        """
        if not self.schemas:
            return text

        def one(match: re.Match[str]) -> str:
            if match["literal"] is not None:
                return self._literal(match["literal"], match["names"]) if match["names"] else match[0]
            if match["operator"] is not None:
                return match["operator"] if _bare(match["home"]) in self.schemas else match[0]
            if match["schema"] is not None and _bare(match["schema"]) in self.schemas:
                return self._print(_bare(match["schema"]), match["name"])
            if table is not None and _bare(match[0]) == table[1] and match.string.startswith(".*", match.end()):
                return self._print(table[0], match[0])
            return match[0]

        return _TOKEN.sub(one, text)

    def index(self, schema: str, table: str, definition: str) -> str:
        """A whole CREATE INDEX, which names the index without its schema."""
        if not self.schemas:
            return definition
        head = _INDEX.match(definition)
        if head is None:
            return self.text(definition, (schema, table))
        return f"{head[1]}{self._print(schema, head[2])}{self.text(definition[head.end() :], (schema, table))}"

    def type(self, schema: str, definition: str) -> str:
        """What follows CREATE TYPE name AS; a range names its multirange without a schema."""
        if not self.schemas:
            return definition
        return _MULTIRANGE.sub(lambda match: match[1] + self._print(schema, match[2]), self.text(definition))

    def _literal(self, literal: str, names: str) -> str:
        inner = literal[1:-1].replace("''", "'")
        return "'" + self.text(inner).replace("'", "''") + "'" + names

    def _print(self, schema: str, printed: str) -> str:
        new = self.renamed.get((schema, _bare(printed)))
        return printed if new is None else self.printed[new]


def _bare(printed: str) -> str:
    return printed[1:-1].replace('""', '"') if printed.startswith('"') else printed


def collisions(things: Iterable[Thing]) -> list[tuple[Thing, ...]]:
    """Things that would have one name in the tenant's schema, in the order they came."""
    found: dict[tuple[Space, str], dict[tuple[str, str, str], Thing]] = {}
    for thing in things:
        for space in thing.spaces:
            found.setdefault((space, thing.name), {}).setdefault((thing.schema, thing.source_name, thing.kind), thing)
    groups = [tuple(group.values()) for group in found.values() if len(group) > 1]
    return list(dict.fromkeys(groups))


def proposals(things: Iterable[Thing]) -> dict[str, dict[str, str]]:
    """New names, by schema and name, after which nothing collides; the first schema's things keep theirs.

    >>> def table(schema, name):
    ...     return Thing(kind="table", schema=schema, source_name=name, name=name, spaces=("relation", "type"))
    >>> proposals([table("a", "x"), table("b", "x"), table("a", "b_x"), table("b", "y")])
    {'b': {'x': 'b_x_2'}}
    """
    every = list(things)
    taken = {thing.name for thing in every}
    new: dict[str, dict[str, str]] = {}
    for group in collisions(every):
        for thing in group[1:]:
            of_schema = new.setdefault(thing.schema, {})
            if thing.source_name not in of_schema:
                of_schema[thing.source_name] = name = _free(f"{thing.schema}_{thing.source_name}", taken)
                taken.add(name)
    return new


def rename_lines(renames: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The lines of a migration that say so."""
    for schema, names in renames.items():
        yield f"[rename.{toml_key(schema)}]"
        yield from (f"{toml_key(name)} = {toml_string(new)}" for name, new in names.items())


def _free(wanted: str, taken: set[str]) -> str:
    name, number = _cut(wanted, _MOST_BYTES), 2
    while name in taken:
        end = f"_{number}"
        name, number = _cut(wanted, _MOST_BYTES - len(end)) + end, number + 1
    return name


def _cut(name: str, most: int) -> str:
    return name.encode()[:most].decode("utf-8", "ignore")
