"""Schemas of other people's packages, moved whole by a migration that names only the tenant.

Those that the development lock brings; `python -m tests.real_schemas` fetches and moves more.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_schemas.moving import move
from tests.real_schemas.schemas import SCHEMAS, RealSchema


@pytest.mark.parametrize("schema", [schema for schema in SCHEMAS if schema.is_near], ids=lambda schema: schema.name)
def test_a_real_schema_arrives_as_it_was(schema: RealSchema, server_url: str, bootstrap: str, tmp_path: Path) -> None:
    moved = move(schema, server_url, bootstrap, tmp_path)

    assert moved.differences == ()
    assert moved.reconcile == 0, moved.page
    assert moved.tables >= 4
    assert moved.rows > 500
