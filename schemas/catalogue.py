"""The catalogue: tables, columns, types and keys as read from the source, and the waves they load in.

Pure data. `runtime.introspect` reads it, the log carries it as JSON (`to_json`), the target
is built from it. All definitions are PostgreSQL's own text (`format_type`, `pg_get_expr`,
`pg_get_constraintdef`, `pg_get_indexdef`) printed while `search_path` is the table's source
schema, so that names of that schema stand unqualified and the text means the same in the
tenant's schema, read with the tenant's schema first on the `search_path`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from schemas.errors import ReplicatorError
from schemas.sql import quote_qualified

Identity = Literal["", "always", "by default"]
TypeKind = Literal["enum", "domain", "composite", "range"]
PartKind = Literal["constraint", "foreign key", "index", "index name", "default", "expression", "not null", "unlogged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; `generated` is the expression of a stored generated column, else None."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: str | None = None
    identity: Identity = ""
    collation: str | None = None
    sequence: str | None = None  # the sequence it draws from (its own, or a shared one), by name
    sequence_options: str = ""  # what follows CREATE SEQUENCE name
    owns_sequence: bool = True
    virtual: bool = False  # generated when read, not stored
    not_null_name: str | None = None  # of its NOT NULL constraint, when it is not the one that PostgreSQL gives
    source_type: str | None = None  # how a statement at the source names the type, when not as `type`
    read_as: str | None = None  # the type it is cast to for reading, where its output function leaves something out

    @property
    def type_at_source(self) -> str:
        """The type as a statement at the source names it."""
        return self.source_type or self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A primary key or unique constraint; `definition` is what follows ADD CONSTRAINT name."""

    name: str
    columns: tuple[str, ...]
    definition: str
    deferrable: bool = False

    @property
    def is_temporal(self) -> bool:
        """Whether it is one of periods (WITHOUT OVERLAPS): nothing can be upserted by it."""
        return " WITHOUT OVERLAPS" in self.definition


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key; `parent` is the table it points at: of a partition, the table whose rows it holds."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    definition: str
    validated: bool = True
    deferrable: bool = False

    @property
    def is_temporal(self) -> bool:
        """Whether its last columns are periods: the parent's, together, cover the child's."""
        return bool(re.match(r'FOREIGN KEY \((?:[^")]|"(?:[^"]|"")*")*, PERIOD ', self.definition))


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A CHECK or exclusion constraint."""

    name: str
    definition: str
    validated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that backs no constraint; `definition` is the whole CREATE INDEX."""

    name: str
    definition: str
    unique: bool = False
    columns: tuple[str, ...] = ()  # empty for expressions
    partial: bool = False  # over some rows only


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPart:
    """What one partition has otherwise than its table; `name` is a constraint's, an index's or a column's.

    `definition` is what follows ADD CONSTRAINT name, a whole CREATE INDEX, or a default ("" for none). An
    "index name" is what the partition calls its share of the index `parent`.
    """

    kind: PartKind
    name: str
    definition: str = ""
    parent: str = ""  # the table that a foreign key points at


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition, at any depth, after those it hangs on; `bound` is what follows PARTITION OF parent."""

    name: str
    parent: str
    bound: str
    partition_by: str | None = None  # what follows PARTITION BY, when it has partitions itself
    own: tuple[OwnPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserType:
    """An enum, domain, composite or range type that moved tables need.

    `definition` is what follows `CREATE TYPE name AS` or `CREATE DOMAIN name AS`.
    """

    name: str
    kind: TypeKind
    definition: str
    labels: tuple[str, ...] = ()  # of an enum, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Collation:
    """A collation that somebody made; `definition` is what follows CREATE COLLATION name."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One source table. `rows` and `bytes` are the source's estimates, for plans only."""

    name: str
    schema: str = "public"
    source_name: str | None = None  # at the source, when the migration renames it
    columns: tuple[Column, ...] = ()
    primary_key: Key | None = None
    uniques: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Constraint, ...] = ()
    exclusions: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    unlogged: bool = False
    partition_by: str | None = None  # what follows PARTITION BY
    partitions: tuple[Partition, ...] = ()
    inherits: tuple[str, ...] = ()  # tables whose scans show its rows too, in order
    rows: int = 0
    bytes: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that name a row: the primary key, else a unique key of NOT NULL columns, else none."""
        if self.primary_key is not None and self._upserts_by(self.primary_key.columns, self.primary_key):
            return self.primary_key.columns
        required = {column.name for column in self.stored if column.not_null}
        candidates = [key.columns for key in self.uniques if not key.deferrable and self._upserts_by(key.columns, key)]
        candidates += [index.columns for index in self.indexes if index.unique and index.columns and not index.partial]
        usable = [columns for columns in candidates if required.issuperset(columns)]
        return min(usable, key=lambda columns: (len(columns), columns), default=())

    def _upserts_by(self, columns: tuple[str, ...], key: Key) -> bool:
        return not key.is_temporal and {column.name for column in self.stored}.issuperset(columns)

    @property
    def key_index(self) -> Index | None:
        """The index behind `key` when no constraint is: it must stand before the rows come."""
        keys = self.uniques if self.primary_key is None else (self.primary_key, *self.uniques)
        if not self.key or any(key.columns == self.key and not key.is_temporal for key in keys):
            return None
        for index in self.indexes:
            if index.unique and not index.partial and index.columns == self.key:
                return index
        return None

    @property
    def at_source(self) -> str:
        """The table as a statement at the source names it."""
        return quote_qualified(self.schema, self.source_name or self.name)

    @property
    def only(self) -> str:
        """What stands before the name in FROM, so that rows of tables that inherit from it are not its own.

        A partitioned table has no rows but those of its partitions.
        """
        return "" if self.partition_by else "ONLY "

    @property
    def parents(self) -> frozenset[str]:
        """Tables that its foreign keys point at; itself left out, because that puts no order on tables."""
        own = {part.parent for item in self.partitions for part in item.own if part.kind == "foreign key"}
        return frozenset({key.parent for key in self.foreign_keys} | own) - {self.name}

    @property
    def stored(self) -> tuple[Column, ...]:
        """Columns that travel: all but generated ones."""
        return tuple(column for column in self.columns if column.generated is None)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything that is read of the source's definition, tables in the order they are moved."""

    tables: tuple[Table, ...]
    types: tuple[UserType, ...] = ()  # in dependency order
    extensions: tuple[str, ...] = ()  # that the tables' types come from, must be in the target
    collations: tuple[Collation, ...] = ()

    def table(self, name: str) -> Table:
        """The table of that name; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def to_json(self) -> str:
        """One line of JSON, the same for the same catalogue; estimates are left out, because they drift."""
        plain = asdict(self)
        for table in plain["tables"]:
            del table["rows"], table["bytes"]
            for part in (table, *table["columns"]):
                for name in ("source_name", "source_type", "not_null_name", "read_as"):
                    if part.get(name, "") is None:
                        del part[name]
        return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Catalogue:
        """The catalogue that `to_json` wrote; KeyError or TypeError if it is none."""
        plain = json.loads(text)
        return cls(
            tables=tuple(_table(table) for table in plain["tables"]),
            types=tuple(UserType(**_tuples(item)) for item in plain["types"]),
            extensions=tuple(plain["extensions"]),
            collations=tuple(Collation(**item) for item in plain.get("collations", ())),
        )


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def _table(plain: Mapping[str, Any]) -> Table:
    parts: dict[str, Any] = dict(plain)
    for name, kind in {
        "columns": Column,
        "uniques": Key,
        "foreign_keys": ForeignKey,
        "checks": Constraint,
        "exclusions": Constraint,
        "indexes": Index,
    }.items():
        parts[name] = tuple(kind(**_tuples(item)) for item in parts.get(name, ()))
    parts["partitions"] = tuple(
        Partition(**{**part, "own": tuple(OwnPart(**own) for own in part.get("own", ()))})
        for part in parts.get("partitions", ())
    )
    if parts["primary_key"] is not None:
        parts["primary_key"] = Key(**_tuples(parts["primary_key"]))
    return Table(**_tuples(parts))


class ImpossibleOrder(ReplicatorError):
    """The order asked for puts a child before its parent."""

    def __init__(self, child: str, parent: str) -> None:
        super().__init__(
            f'table "{child}" stands before its parent "{parent}"',
            hint=f'put "{parent}" before "{child}", or leave the order to the catalogue (tables = "*")',
        )
        self.child = child
        self.parent = parent


def load_waves(tables: Iterable[Table]) -> list[tuple[Table, ...]]:
    """Group tables into waves: every parent lies in an earlier wave than its child.

    Tables of a ring (foreign keys that lead back) lie in one wave together, because no order
    exists among them. Parents that are not among `tables` put no order on anything. Within a
    wave tables are sorted by name, so two runs plan the same snapshot.

    >>> def table(name, *parents):
    ...     keys = tuple(ForeignKey(name=f"{name}_{p}", columns=(p,), parent=p, parent_columns=("id",),
    ...                             definition="") for p in parents)
    ...     return Table(name=name, foreign_keys=keys)
    >>> waves = load_waves([table("order", "customer"), table("customer"), table("a", "b"), table("b", "a", "order")])
    >>> [[t.name for t in wave] for wave in waves]
    [['customer'], ['order'], ['a', 'b']]
    """
    by_name = {table.name: table for table in tables}
    depth: dict[str, int] = {}
    for ring in rings(by_name.values()):  # parents come first
        outside = {parent for name in ring for parent in by_name[name].parents & by_name.keys()} - ring
        level = 1 + max((depth[parent] for parent in outside), default=-1)
        depth.update(dict.fromkeys(ring, level))
    return [
        tuple(by_name[name] for name in sorted(depth) if depth[name] == level)
        for level in range(max(depth.values(), default=-1) + 1)
    ]


def rings(tables: Iterable[Table]) -> list[frozenset[str]]:
    """Strongly connected groups of tables, parents before children; a table in no ring stands alone.

    Tarjan's algorithm, without recursion: schemas with thousands of tables in a chain exist.
    """
    graph = {table.name: table.parents for table in tables}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_names: list[str] = []
    groups: list[frozenset[str]] = []
    for root in sorted(graph):
        if root in index:
            continue
        work = [(root, iter(sorted(graph[root] & graph.keys())))]
        index[root] = low[root] = len(index)
        open_names.append(root)
        while work:
            name, parents = work[-1]
            for parent in parents:
                if parent not in index:
                    index[parent] = low[parent] = len(index)
                    open_names.append(parent)
                    work.append((parent, iter(sorted(graph[parent] & graph.keys()))))
                    break
                if parent in open_names:
                    low[name] = min(low[name], index[parent])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = open_names.index(name)
                    groups.append(frozenset(open_names[cut:]))
                    del open_names[cut:]
    return groups


def check_order(tables: Iterable[Table]) -> None:
    """See that every parent stands before its child, rings apart.

    Raises:
        ImpossibleOrder: it does not; the error names the pair.
    """
    ordered = list(tables)
    place = {table.name: number for number, table in enumerate(ordered)}
    ring_of = {name: ring for ring in rings(ordered) for name in ring}
    for child in ordered:
        for parent in sorted(child.parents & place.keys()):
            if place[parent] > place[child.name] and parent not in ring_of[child.name]:
                raise ImpossibleOrder(child.name, parent)


def gates(tables: Iterable[Table]) -> dict[str, frozenset[str]]:
    """Of each table those that must be complete before it may be applied: its parents outside its own ring."""
    ordered = list(tables)
    ring_of = {name: ring for ring in rings(ordered) for name in ring}
    return {table.name: (table.parents & ring_of.keys()) - ring_of[table.name] for table in ordered}
