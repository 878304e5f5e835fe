"""What a migration file may say: models, defaults, and the digest of what shapes the data.

The models check one value at a time; what only several values together can break is checked in
`schemas.migration` (inside the file) and `schemas.migration_check` (against the source).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, StrictInt, StringConstraints

from schemas.catalogue import Table
from schemas.shape import parts_of
from schemas.toml_lines import Path, line_of

NAMED_TRANSFORMS = ("bigint", "percent")

# System columns, which no table may have again.
_SYSTEM_COLUMNS = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}
_RESERVED_SCHEMAS = {"public", "replicator", "information_schema"}


def _identifier(value: object) -> object:
    if isinstance(value, str):
        if not value or "\0" in value:
            raise ValueError("a name must not be empty")
        if len(value.encode()) > 63:
            raise ValueError("a name has at most 63 bytes in PostgreSQL")
    return value


def _new_column(value: object) -> object:
    if value in _SYSTEM_COLUMNS:
        raise ValueError(f'"{value}" is a system column of every table; choose another name')
    return _identifier(value)


def _target_schema(value: object) -> object:
    if isinstance(value, str) and (value in _RESERVED_SCHEMAS or value.startswith("pg_")):
        raise ValueError(
            f'"{value}" cannot be a tenant\'s schema, because rollback drops it; say for example tenant_NAME'
        )
    return _identifier(value)


def _tables(value: object) -> object:
    if value == "*" or (
        isinstance(value, list | tuple) and value and all(isinstance(name, str) and name for name in value)
    ):
        return value
    raise ValueError('must be a list of table names, parents first, or "*" for every table')


def _scalar(value: object) -> object:
    if isinstance(value, str | int):
        return value
    raise ValueError("must be text, a whole number, true or false")


def _token(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", value):
        return value
    raise ValueError('must say where the token is: "env:NAME" or "file:PATH", never the token itself')


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Identifier = Annotated[str, BeforeValidator(_identifier)]
NewColumn = Annotated[str, BeforeValidator(_new_column)]
Scalar = Annotated[str | int | bool, BeforeValidator(_scalar)]
Reason = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Token = Annotated[str, BeforeValidator(_token)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True)


class Source(_Part):
    """Which schemas of the source are looked into."""

    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1)] = ("public",)


class Log(_Part):
    """How the topics are made."""

    prefix: str = ""  # the tenant's name when empty
    partitions: Annotated[StrictInt, Field(ge=1, le=1000)] = 3
    max_message_bytes: Annotated[StrictInt, Field(ge=1_048_576, le=1_073_741_824)] = 67_108_864
    replication_factor: Annotated[StrictInt, Field(ge=-1, le=32)] = 1  # -1: what the broker has by default


class Batch(_Part):
    """A batch is closed by whichever limit it meets first; bytes count before compression."""

    max_rows: Annotated[StrictInt, Field(ge=1, le=1000)] = 1000
    max_bytes: Annotated[StrictInt, Field(ge=1000, le=64_000_000)] = 1_000_000


class Apply(_Part):
    """Limits of the consumer."""

    max_quarantined: Annotated[StrictInt, Field(ge=0)] = 10_000


class AddedColumnRule(_Part):
    """A column that the target has and the source lacks: a constant, or an SQL expression."""

    type: Annotated[str, StringConstraints(min_length=1)]
    value: Scalar | None = None
    sql: Annotated[str, StringConstraints(min_length=1)] | None = None


class TableRules(_Part):
    """What becomes of one table's columns; columns that are not named travel as they are."""

    encrypt: tuple[Identifier, ...] = ()
    keep: dict[Identifier, Reason] = {}
    transform: dict[Identifier, str] = {}
    add: dict[NewColumn, AddedColumnRule] = {}
    sums: tuple[Identifier, ...] = ()
    partitions: Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    migrated_at: NewColumn = "migrated_at"
    leave_out: dict[Identifier, Reason] = {}  # indexes, constraints, and columns whose default is meant


class Organization(_Part):
    """The tenant's row in the target's table of organizations."""

    table: Annotated[str, StringConstraints(pattern=r"^[^.]+(\.[^.]+)?$")] = "public.organizations"
    key: Annotated[tuple[Identifier, ...], BeforeValidator(_one_or_more), Field(min_length=1)] = ("slug",)
    values: dict[Identifier, Scalar] = {}
    tokens: dict[Identifier, Token] = {}

    @property
    def schema_name(self) -> str:
        """The schema that the table stands in."""
        return self.table.rpartition(".")[0] or "public"

    @property
    def table_name(self) -> str:
        """The table's name without its schema."""
        return self.table.rpartition(".")[2]


class Migration(_Part):
    """One tenant's migration."""

    tenant: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
    schema_: Annotated[str, BeforeValidator(_target_schema), Field(alias="schema")] = ""
    tables: Annotated[tuple[str, ...] | Literal["*"], BeforeValidator(_tables)]
    source: Source = Source()
    log: Log = Log()
    batch: Batch = Batch()
    apply: Apply = Apply()
    grant_to: Identifier | None = None
    organization: Organization | None = None
    rename: dict[Identifier, dict[Identifier, Identifier]] = {}  # by schema of the source and name there
    table: dict[str, TableRules] = {}

    _file: str = PrivateAttr(default="migration")
    _lines: dict[Path, int] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        """Fill the defaults that follow from the tenant's name."""
        super().model_post_init(context)
        if not self.schema_:
            object.__setattr__(self, "schema_", f"tenant_{self.tenant}")
        if not self.log.prefix:
            object.__setattr__(self, "log", self.log.model_copy(update={"prefix": self.tenant}))

    @property
    def file(self) -> str:
        """The file that this was read from, as it was named."""
        return self._file

    def where(self, *path: str | int) -> str:
        """FILE:LINE of a key path, or of what is nearest above it."""
        return f"{self._file}:{line_of(self._lines, path)}"

    def rules(self, table_name: str) -> TableRules:
        """The rules of a table; the defaults when the file says nothing of it."""
        return self.table.get(table_name, TableRules())

    def partitions_of(self, table: Table) -> int:
        """Partitions of a table's topic: one without a key, because such a table is replaced whole."""
        return 1 if not table.key else self.rules(table.name).partitions or self.log.partitions

    def digest(self) -> str:
        """SHA-256 in hex over what shapes the data: a resume under another digest would mix two migrations.

        Limits, sums, grants, reasons to keep, definitions left out and values of the organization are not part of it.
        """
        canonical = json.dumps(self.shape(), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def parts(self) -> dict[str, str]:
        """What the digest is over, part by part (`schemas.shape`), to name what has changed."""
        return parts_of(self.shape())

    def shape(self) -> dict[str, object]:
        """What shapes the data."""
        shape: dict[str, object] = {
            "tenant": self.tenant,
            "schema": self.schema_,
            "tables": self.tables,
            "source": self.source.schemas,
            "prefix": self.log.prefix,
            "partitions": self.log.partitions,
            "organization": [self.organization.table, self.organization.key] if self.organization else None,
            "table": {
                name: {
                    "encrypt": sorted(rules.encrypt),
                    "transform": rules.transform,
                    "add": {column: added.model_dump() for column, added in rules.add.items()},
                    "partitions": rules.partitions,
                    "migrated_at": rules.migrated_at,
                }
                for name, rules in self.table.items()
                if rules.encrypt
                or rules.transform
                or rules.add
                or rules.partitions
                or rules.migrated_at != "migrated_at"
            },
        }
        if self.rename:
            shape["rename"] = self.rename
        return shape
