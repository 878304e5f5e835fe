"""Shapes that cannot be moved as they are: the plan names each beforehand, and nothing fails in the middle."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.conftest import Run

WIDE = (
    "CREATE TABLE wide (); DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE wide '"
    " || string_agg('ADD c' || n || ' boolean', ', ') FROM generate_series(1, 1600) n); END $$;"
)


def migration(folder: Path, prefix: str, more: str = "") -> str:
    file = folder / "tenant.toml"
    file.write_text(f'tenant = "{prefix}"\ntables = "*"\n{more}')
    return str(file)


def test_a_table_of_1600_columns_is_named_by_the_plan_and_refused_before_anything_is_sent(
    run: Run, environment: dict[str, str], tmp_path: Path, prefix: str
) -> None:
    with psycopg.connect(environment["POSTGRES_URL"], autocommit=True) as source:
        source.execute(WIDE.encode())
    environment["MIGRATION"] = migration(tmp_path, prefix)

    plan = run("producer", "plan", env=environment)
    snapshot = run("producer", "snapshot", env=environment)

    assert "has 1600 columns" in plan.stdout + plan.stderr
    assert snapshot.returncode == 2, snapshot.stdout + snapshot.stderr
    assert "1600" in snapshot.stderr


def test_a_table_without_columns_is_named_by_the_plan_and_the_rest_is_moved(
    run: Run, environment: dict[str, str], tmp_path: Path, prefix: str
) -> None:
    with psycopg.connect(environment["POSTGRES_URL"], autocommit=True) as source:
        source.execute("CREATE TABLE no_columns (); CREATE TABLE other (id integer PRIMARY KEY)")
    environment["MIGRATION"] = migration(tmp_path, prefix)

    plan = run("producer", "plan", env=environment)
    snapshot = run("producer", "snapshot", env=environment)

    assert "no_columns: has no columns" in plan.stdout + plan.stderr
    assert snapshot.returncode == 0, snapshot.stderr


def test_row_security_that_hides_rows_is_refused_before_anything_is_sent(
    run: Run, environment: dict[str, str], tmp_path: Path, prefix: str
) -> None:
    url = environment["POSTGRES_URL"]
    with psycopg.connect(url, autocommit=True) as source:
        source.execute(
            f"CREATE TABLE watched (id integer PRIMARY KEY); ALTER TABLE watched ENABLE ROW LEVEL SECURITY;"
            f"CREATE ROLE {prefix} LOGIN; GRANT SELECT ON watched TO {prefix}".encode()
        )
    environment["POSTGRES_URL"] = url.replace("//postgres@", f"//{prefix}@")
    environment["MIGRATION"] = migration(tmp_path, prefix)
    try:
        plan = run("producer", "plan", env=environment)
        snapshot = run("producer", "snapshot", env=environment)
    finally:
        with psycopg.connect(url, autocommit=True) as source:
            source.execute(f"DROP OWNED BY {prefix}; DROP ROLE {prefix}".encode())

    assert "row security" in plan.stdout + plan.stderr
    assert snapshot.returncode == 2, snapshot.stdout + snapshot.stderr
    assert "row security" in snapshot.stderr


def test_tables_of_one_name_in_two_schemas_are_refused_with_their_names(
    run: Run, environment: dict[str, str], tmp_path: Path, prefix: str
) -> None:
    with psycopg.connect(environment["POSTGRES_URL"], autocommit=True) as source:
        source.execute("CREATE SCHEMA b; CREATE TABLE same (id integer); CREATE TABLE b.same (id integer)")
    environment["MIGRATION"] = migration(tmp_path, prefix, '[source]\nschemas = ["public", "b"]\n')

    plan = run("producer", "plan", env=environment)

    assert plan.returncode == 2
    assert 'table "public"."same", table "b"."same"' in plan.stderr
