"""The first migration of an unknown schema, as commented TOML: a proposal that a person reads and edits.

Pure: everything follows from a `Survey` and what was suspected. Columns that seem personal are
proposed as `encrypt`; where the database relies on a column's values it can only be kept, and the
line for that stays a comment until somebody has written the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from producer.oddities import find_oddities
from producer.plan import not_moved
from producer.plan_view import count, left_line, size
from runtime.survey import Survey
from schemas.catalogue import Table, load_waves, rings
from schemas.errors import ConfigurationError
from schemas.migration import Migration, parse_migration
from schemas.oddity import Severity
from schemas.renames import rename_lines
from schemas.suspicion import Proposal, Suspicion
from schemas.toml_text import toml_comment, toml_key, toml_string

_OTHER_NAMES = ("replicated_at", "moved_at", "migrated_at_2", "migrated_at_3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Who the tenant is and which schemas of the source are looked into."""

    tenant: str
    schemas: tuple[str, ...]
    renames: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by schema and name there

    def migration(self) -> Migration:
        """The migration that moves all of it as it is.

        Raises:
            ConfigurationError: this cannot be a tenant's name.
        """
        return parse_migration("\n".join([*self.lines(), 'tables = "*"', *self.source_lines()]), "--tenant")

    def lines(self) -> Iterator[str]:
        """The first keys of the file."""
        yield f"tenant = {toml_string(self.tenant)}"

    def source_lines(self) -> Iterator[str]:
        """What the file says of the source, when it is not the default."""
        if self.schemas != ("public",):
            yield "[source]"
            yield f"schemas = [{', '.join(map(toml_string, self.schemas))}]"
        if self.renames:
            yield ""
            yield from _comment(
                "The tenant has one schema: what would have one name with something else there gets another.",
                "Choose any; the rest of this file uses the new names.",
            )
            yield from rename_lines(self.renames)


def tenant_of(database: str) -> str:
    """A tenant's name made of a database's.

    >>> tenant_of("Shop.Prod"), tenant_of("2nd"), tenant_of("🦆")
    ('shop_prod', 't_2nd', 'tenant')
    """
    name = re.sub(r"[^a-z0-9_-]+", "_", database.lower()).strip("_-")
    return (name if name[:1].isalpha() else f"t_{name}" if name else "tenant")[:41]


def movable(survey: Survey, migration: Migration) -> tuple[Table, ...]:
    """Tables that have something to move, in the order of waves.

    Raises:
        ConfigurationError: there is none.
    """
    tables = tuple(table for table in survey.moved(migration) if table.stored)
    if not tables:
        raise ConfigurationError(
            f"there is no table with columns in {', '.join(survey.schemas) or 'these schemas'}",
            hint="name the schemas that hold the tables: --schema NAME, repeatable",
        )
    return tables


def first_migration(survey: Survey, naming: Naming, suspected: Iterable[Suspicion], source: str) -> str:
    """The text of the file; `source` is how the source may be shown."""
    migration = naming.migration()
    tables = movable(survey, migration)
    by_table: dict[str, list[Suspicion]] = {}
    for one in suspected:
        by_table.setdefault(one.table, []).append(one)
    parts = [
        _head(naming, migration, source),
        [*_tables(tables, naming)],
        [*naming.source_lines()],
        [*_odd(survey, migration)],
        [*_left(survey, migration)],
        *_sections(tables, by_table),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(naming: Naming, migration: Migration, source: str) -> list[str]:
    return [
        *_comment(
            f"What is moved out of {source}, and how: a proposal. Read it, edit it, then:",
            "    producer plan        what it means, and what is still wrong; writes nothing",
            "    producer snapshot    stops while a column that seems personal is neither encrypted nor kept for a reason",
            "Columns are judged by their names and a few values: look at those that nothing is said of, too.",
        ),
        "",
        *naming.lines(),
        f"schema = {toml_string(migration.schema_)} # in the target",
        '# grant_to = "app" # a role that may read the schema when it is complete',
    ]


def _tables(tables: Sequence[Table], naming: Naming) -> Iterator[str]:
    waves = load_waves(tables)
    yield from _comment(
        f"{count(len(tables))} tables in {len(waves)} waves, parents before children. Take out what the tenant does not need.",
        "Rows and sizes are the source's estimates.",
    )
    rings_of = {name: ring for ring in rings(tables) if len(ring) > 1 for name in ring}
    several = len(naming.schemas) > 1
    yield "tables = ["
    for number, wave in enumerate(waves, 1):
        yield f"    # wave {number}"
        for table in wave:
            ring = rings_of.get(table.name, frozenset())
            facts = [
                f"in {table.schema}" if several else "",
                f"about {count(table.rows)} rows",
                size(table.bytes),
                f"key {', '.join(table.key)}" if table.key else "no key: replaced whole by each generation",
                f"in a ring with {', '.join(sorted(ring - {table.name}))}" if ring else "",
                "points at itself" if any(key.parent == table.name for key in table.foreign_keys) else "",
            ]
            yield f"    {toml_string(table.name)}, # {toml_comment(', '.join(fact for fact in facts if fact))}"
    yield "]"


def _odd(survey: Survey, migration: Migration) -> Iterator[str]:
    found = [one for one in find_oddities(survey, migration) if one.severity is not Severity.NOTICE]
    if found:
        yield "# Odd in the source:"
    for one in found:
        hint = f". {one.hint[:1].upper()}{one.hint[1:]}" if one.hint else ""
        yield from _comment(f"  {one.severity.value}: {one.table + ': ' if one.table else ''}{one.text}{hint}")


def _left(survey: Survey, migration: Migration) -> Iterator[str]:
    left = [left_line(kind) for kind in not_moved(survey, migration)]
    if left:
        yield "# Not moved:"
    yield from _comment(*(f"  {line}" for line in left))


def _sections(tables: Sequence[Table], suspected: Mapping[str, Sequence[Suspicion]]) -> Iterator[list[str]]:
    for table in tables:
        lines = [*_suspected(suspected.get(table.name, ())), *_other_name(table)]
        if lines:
            yield [f"[table.{toml_key(table.name)}]", *lines]


def _suspected(found: Iterable[Suspicion]) -> Iterator[str]:
    suspects = list(found)
    encrypt = [one for one in suspects if one.proposal is Proposal.ENCRYPT]
    if encrypt:
        yield "encrypt = ["
        yield from (f"    {toml_string(one.column)}, # {one.kind}, {one.why}" for one in encrypt)
        yield "]"
    for one in suspects:
        if one.proposal is Proposal.KEEP:
            yield from _comment(
                f'"{one.column}": {one.kind}, {one.why}. It cannot be encrypted, it is {one.bound}. To keep it readable, say why:'
            )
            yield f'# keep.{toml_key(one.column)} = "…"'


def _other_name(table: Table) -> Iterator[str]:
    columns = {column.name for column in table.columns}
    if "migrated_at" in columns:
        name = next(name for name in _OTHER_NAMES if name not in columns)
        yield f"migrated_at = {toml_string(name)} # the table has a column migrated_at of its own"


def _comment(*lines: str) -> Iterator[str]:
    return (f"# {toml_comment(line)}" for line in lines)
