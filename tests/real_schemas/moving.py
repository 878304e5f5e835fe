"""One schema moved by the three programs as anyone would, and looked at by the oracle and by reconcile."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import differences
from tests.real_schemas.schemas import RealSchema
from tests.tenant import QUIET, Tenant, fresh_databases


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of one schema; no differences and 0 is what it must be."""

    schema: RealSchema
    tables: int
    rows: int
    differences: tuple[str, ...]
    reconcile: int
    page: str


def move(schema: RealSchema, server_url: str, bootstrap: str, folder: Path) -> Moved:
    """Load it, move all of it with a migration that names only the tenant, and compare."""
    name = f"real_{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    file.write_text(f'tenant = "{name}"\ntables = "*"\n')
    with fresh_databases(server_url) as (source_url, target_url):
        schema.load(source_url)
        environment = {
            "POSTGRES_URL": source_url,
            "NEW_POSTGRES_URL": target_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "MIGRATION": str(file),
        }
        with closing(Tenant(name, environment)) as tenant:
            # nobody classifies personal data in a schema of a package
            tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
            tenant.load()
            process = tenant.start("validator", "reconcile", "--json")
            said, _ = process.communicate(timeout=150)
            page = json.loads(said)
            names = [table["name"] for table in page["tables"]]
            rows = sum(tenant.source(f'SELECT count(*) FROM public."{table}"')[0][0] for table in names)
            return Moved(
                schema,
                len(names),
                rows,
                tuple(differences(source_url, target_url, schemas={"public": tenant.schema})),
                process.returncode,
                said,
            )
