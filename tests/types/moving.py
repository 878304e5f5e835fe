"""One database moved whole by the three programs, and what differs afterwards."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import differences
from tests.tenant import QUIET, Tenant


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of it; both are empty when every value is exact."""

    differences: tuple[str, ...]
    verdict: str


def move(source_url: str, target_url: str, bootstrap: str, folder: Path) -> Moved:
    """Snapshot, load, reconcile; then ask the oracle."""
    name = f"types_{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    file.write_text(f'tenant = "{name}"\ntables = "*"\n')
    environment = {
        "POSTGRES_URL": source_url,
        "NEW_POSTGRES_URL": target_url,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "MIGRATION": str(file),
    }
    with closing(Tenant(name, environment)) as tenant:
        tenant("producer", "snapshot", "--accept-unclassified", *QUIET)  # all of it is made up
        tenant.load()
        report = tenant.json("validator", "reconcile")
        found = differences(source_url, target_url, schemas={"public": tenant.schema})
        return Moved(tuple(found), report["verdict"])
