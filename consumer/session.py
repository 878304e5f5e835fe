"""What a run of the consumer works with: the migration, its keys, where log and target are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from consumer.target import Target
from consumer.transform import TablePlan
from runtime.kafka import Admin
from runtime.keyring import Keyring
from runtime.postgres import Connection, open_target
from runtime.settings import KafkaSettings, TargetSettings
from schemas.batch import WireSchema
from schemas.catalogue import Catalogue
from schemas.errors import ConfigurationError, KeyringError, Refused
from schemas.mapping import TableMapping, Treatment, table_mapping
from schemas.migration import Migration
from schemas.migration_check import check_left_out, check_migration
from schemas.records import TableStarted
from schemas.shape import changes


def group_id(tenant: str) -> str:
    """The consumer group of a tenant."""
    return f"tenant-replicator.{tenant}"


@dataclass(frozen=True, kw_only=True)
class Session:
    """Settings and keys of one run."""

    migration: Migration
    keyring: Keyring | None
    kafka: KafkaSettings
    target: TargetSettings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        return self.migration.tenant

    @property
    def prefix(self) -> str:
        """The log's prefix."""
        return self.migration.log.prefix

    @property
    def group(self) -> str:
        """The tenant's consumer group."""
        return group_id(self.tenant)

    def admin(self) -> Admin:
        """A client for topics and groups."""
        return Admin(self.kafka)

    def connect(self, schema: str | None = None) -> Connection:
        """A connection to the target, outside any transaction, the tenant's schema first on the search_path."""
        return open_target(self.target.url, schema=schema or self.migration.schema_, autocommit=True)

    def mappings(self, catalogue: Catalogue) -> dict[str, TableMapping]:
        """What becomes of each table of a generation.

        Raises:
            ConfigurationError: the migration does not fit what the source was.
        """
        tables = {table.name: table for table in catalogue.tables}
        problems = [*check_migration(self.migration, catalogue), *check_left_out(self.migration, tables)]
        if problems:
            raise ConfigurationError(
                "the migration does not fit the tables in the log:\n  " + "\n  ".join(problems),
                hint="correct the migration; it is checked against the catalogue that the snapshot was taken with",
            )
        return {table.name: table_mapping(table, self.migration) for table in catalogue.tables}

    def see_digest(self, generation: int, digest: str, accepted: str | None, parts: Mapping[str, str]) -> None:
        """See that this migration is the one that a generation was read with, or one accepted for it.

        Raises:
            Refused: it is another; rows of two migrations would mix. Names what differs, as far as `parts` tell.
        """
        ours = self.migration.digest()
        if ours not in (digest, accepted):
            what = changes(parts, self.migration.parts())
            raise Refused(
                f"{self.migration.file}: the migration differs from the one that generation {generation} was read with"
                + (f": {what}" if what else ""),
                hint="run with the migration of the snapshot; or take a new one (`producer snapshot --restart`); "
                "or `consumer replay --reapply` to apply the log under this one",
            )

    def see_keys(self, mappings: Mapping[str, TableMapping]) -> None:
        """See that there are keys when columns are to be encrypted.

        Raises:
            KeyringError: there is no keyring.
        """
        if self.keyring is not None:
            return
        for name, mapping in mappings.items():
            for column in mapping.columns:
                if column.treatment is Treatment.ENCRYPT:
                    raise KeyringError(
                        f"{name}.{column.name} is to be encrypted, and there is no keyring",
                        hint="set KEYRING and KEYRING_KEK_FILE; `consumer keys init` makes one",
                    )

    def plan(self, mapping: TableMapping, started: TableStarted) -> TablePlan:
        """How rows of an attempt become rows of the target."""
        ciphers = {
            column.name: self.keyring.cell_cipher(self.tenant, mapping.table.name, column.name)
            for column in mapping.columns
            if self.keyring is not None and column.treatment is Treatment.ENCRYPT
        }
        return TablePlan(mapping=mapping, schema=WireSchema(started.columns), instant=started.instant, ciphers=ciphers)

    def tenant_target(
        self, connection: Connection, catalogue: Catalogue, *, is_ours: bool, schema: str | None = None
    ) -> Target:
        """The tenant's schema, to be made or finished."""
        mappings = self.mappings(catalogue)
        wanted = tuple(mappings[table.name].table for table in catalogue.tables)  # without what is left out
        return Target(
            connection=connection,
            schema=schema or self.migration.schema_,
            catalogue=replace(catalogue, tables=wanted),
            mappings=mappings,
            is_ours=is_ours,
            grant_to=self.migration.grant_to,
        )
