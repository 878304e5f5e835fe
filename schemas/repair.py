"""The repair plan: rows that differ, as the validator found them, for the producer to publish again.

Pure. `format_plan` makes the text of a plan file, `parse_plan` reads it and refuses what is not for this
tenant, log or build. Keys of rows are values of the source, so each is sealed with a key derived for this
purpose alone, bound to tenant, log, table and what is said of the row; without a keyring they stand in clear.
Digests, kinds and reasons hold no value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.errors import ConfigurationError, ContractError
from schemas.seal import seal, unseal

FORMAT = 1

Key = tuple[str, ...]
KeyOf = Callable[[int], bytes]  # the repair key of a key id

_AGAIN = "make a new one: validator reconcile --plan FILE"


class RowKind(StrEnum):
    """How a row differs, and by that what mends it."""

    MISSING = "missing"
    DIFFERENT = "different"
    STUCK = "stuck"  # the target's row shows an instant that no generation has: no image replaces it
    EXTRA = "extra"  # the source has no such row: the next complete generation prunes it

    @property
    def is_published(self) -> bool:
        """Whether `producer snapshot --keys` publishes the row again."""
        return self is not RowKind.EXTRA


REASONS: dict[RowKind, str] = {
    RowKind.MISSING: "the target has not this row: it is published again",
    RowKind.DIFFERENT: "the target has this row otherwise: it is published again",
    RowKind.STUCK: "the target's row shows an instant that no generation has, so no image replaces it: "
    "delete it there, then it is published again",
    RowKind.EXTRA: "the source has no such row: it goes with the next complete generation (producer snapshot)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """One row that differs. `digest` is how reports name it; its key is in no message."""

    kind: RowKind
    digest: str
    key: Key = field(repr=False)
    columns: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTable:
    """One table. `whole` says why its rows cannot be published one by one; "" when all that differ are listed."""

    rows: tuple[PlannedRow, ...] = ()
    whole: str = ""

    @property
    def published(self) -> tuple[PlannedRow, ...]:
        """Rows that are published again."""
        return tuple(row for row in self.rows if row.kind.is_published)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """What differs, by table. `generation` is the newest one that the target held; `other` is what no row mends."""

    tenant: str
    log: str
    generation: int
    migration_digest: str
    made_at: str
    tables: Mapping[str, PlannedTable] = field(default_factory=dict)
    other: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows are listed."""
        return sum(len(table.rows) for table in self.tables.values())

    @property
    def published(self) -> dict[str, tuple[Key, ...]]:
        """The keys of rows that are published again, by table; tables without any are left out."""
        return {
            name: tuple(row.key for row in table.published) for name, table in self.tables.items() if table.published
        }

    @property
    def published_rows(self) -> int:
        """How many rows are published again, if the source still has them all."""
        return sum(len(keys) for keys in self.published.values())

    @property
    def digest(self) -> str:
        """Names the rows that are published, so that a resume is known to read the same ones."""
        named = {name: sorted(row.digest for row in table.published) for name, table in self.tables.items()}
        rows = sorted((name, digests) for name, digests in named.items() if digests)
        return hashlib.sha256(_canonical([self.tenant, self.log, rows])).hexdigest()

    def of_kind(self, kind: RowKind) -> int:
        """How many rows differ in that way."""
        return sum(row.kind is kind for table in self.tables.values() for row in table.rows)

    @property
    def whole(self) -> dict[str, str]:
        """Tables that have to be published whole, and why."""
        return {name: table.whole for name, table in self.tables.items() if table.whole}


@dataclass(frozen=True, slots=True)
class RepairKey:
    """The key that seals a plan's row keys, and its id."""

    kid: int
    material: bytes = field(repr=False)


class NotThisPlan(ConfigurationError):
    """A file that is no repair plan, or one for something else; nothing was read or sent."""


def format_plan(plan: RepairPlan, repair_key: RepairKey | None) -> str:
    """The text of the plan's file; without a key the rows' keys stand in it in clear."""
    tables = {
        name: {
            "rows": [
                {
                    "kind": row.kind.value,
                    "reason": row.reason or REASONS[row.kind],
                    "columns": list(row.columns),
                    "digest": row.digest,
                    "key": _sealed(plan, name, row, repair_key) if repair_key is not None else list(row.key),
                }
                for row in table.rows
            ],
            "whole": table.whole or None,
        }
        for name, table in plan.tables.items()
    }
    plain = {
        "format": FORMAT,
        "kind": "repair plan",
        "tenant": plan.tenant,
        "log": plan.log,
        "generation": plan.generation,
        "migration_digest": plan.migration_digest,
        "made_at": plan.made_at,
        "kid": repair_key.kid if repair_key is not None else None,
        "tables": tables,
        "other": list(plan.other),
    }
    return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"


def parse_plan(text: str, file: str, *, tenant: str, key_of: KeyOf | None) -> RepairPlan:
    """Read a plan's file; `key_of` gives the repair key of a key id, None without a keyring.

    Raises:
        NotThisPlan: it is no plan, of another format or tenant, or was changed.
        KeyringError: the keyring has not the key that it was sealed with.
    """
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if not isinstance(plain, dict) or plain.get("kind") != "repair plan":
        raise NotThisPlan(f"{file}: not a repair plan", hint="`validator reconcile --plan FILE` writes one")
    if plain.get("format") != FORMAT:
        raise NotThisPlan(
            f"{file}: a repair plan of another format, this build reads format {FORMAT}",
            hint="use the build that wrote it, or " + _AGAIN,
        )
    if plain.get("tenant") != tenant:
        raise NotThisPlan(
            f'{file}: the plan is of another tenant, the migration is of "{tenant}"',
            hint="--migration (MIGRATION) names the migration that the plan was made with",
        )
    try:
        return _parsed(plain, file, key_of)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotThisPlan(f"{file}: the plan is damaged", hint=_AGAIN) from None


def see_log(plan: RepairPlan, file: str, log: str) -> None:
    """See that the plan speaks of this log.

    Raises:
        NotThisPlan: it speaks of another one.
    """
    if plan.log != log:
        raise NotThisPlan(
            f"{file}: the plan was made for log {plan.log}, this is log {log or 'that nothing was written to'}",
            hint="see that KAFKA_BOOTSTRAP_SERVERS and log.prefix name the log that the target was loaded from; or "
            + _AGAIN,
        )


def see_migration(plan: RepairPlan, file: str, digest: str) -> None:
    """See that the plan was made with this migration.

    Raises:
        NotThisPlan: the migration has changed in what shapes the data.
    """
    if plan.migration_digest != digest:
        raise NotThisPlan(f"{file}: the plan was made with another state of the migration", hint=_AGAIN)


def _parsed(plain: Mapping[str, Any], file: str, key_of: KeyOf | None) -> RepairPlan:
    head = RepairPlan(
        tenant=str(plain["tenant"]),
        log=str(plain["log"]),
        generation=int(plain["generation"]),
        migration_digest=str(plain["migration_digest"]),
        made_at=str(plain["made_at"]),
        other=tuple(str(text) for text in plain["other"]),
    )
    material: bytes | None = None
    if plain["kid"] is not None:
        if key_of is None:
            raise NotThisPlan(
                f"{file}: its keys are sealed, and there is no keyring",
                hint="set KEYRING and KEYRING_KEK_FILE as they were when the plan was made",
            )
        material = key_of(int(plain["kid"]))
    tables = {
        str(name): PlannedTable(
            rows=tuple(_row(head, str(name), row, file, material) for row in table["rows"]),
            whole=str(table["whole"] or ""),
        )
        for name, table in plain["tables"].items()
    }
    return RepairPlan(
        tenant=head.tenant,
        log=head.log,
        generation=head.generation,
        migration_digest=head.migration_digest,
        made_at=head.made_at,
        tables=tables,
        other=head.other,
    )


def _row(plan: RepairPlan, table: str, plain: Mapping[str, Any], file: str, material: bytes | None) -> PlannedRow:
    kind, digest, columns = RowKind(plain["kind"]), str(plain["digest"]), tuple(map(str, plain["columns"]))
    key: Any = plain["key"]
    if material is not None:
        where = f'{file}: table "{table}", row {digest}'
        try:
            value = base64.b64decode(key, validate=True)
            key = json.loads(unseal(material, value, _bound_to(plan, table, kind, digest), where))
        except (ContractError, binascii.Error, UnicodeDecodeError):
            raise NotThisPlan(
                f"{where}: its key cannot be opened: the file was changed, or another keyring sealed it",
                hint=_AGAIN,
            ) from None
    if not isinstance(key, list) or not key or not all(isinstance(part, str) for part in key):
        raise ValueError
    return PlannedRow(kind=kind, digest=digest, key=tuple(key), columns=columns, reason=str(plain["reason"]))


def _sealed(plan: RepairPlan, table: str, row: PlannedRow, repair_key: RepairKey) -> str:
    bound = _bound_to(plan, table, row.kind, row.digest)
    return base64.b64encode(seal(repair_key.material, _canonical(list(row.key)), bound)).decode()


def _bound_to(plan: RepairPlan, table: str, kind: RowKind, digest: str) -> bytes:
    return _canonical(["repair plan", FORMAT, plan.tenant, plan.log, table, kind.value, digest])


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
