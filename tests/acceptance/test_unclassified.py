"""From an unknown database to a proven copy: `init` proposes, `snapshot` waits for a decision, nothing personal slips by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg

from tests.conftest import MakeDatabase, Run

SHOP = """
CREATE TABLE users (id int PRIMARY KEY, login_email text UNIQUE, "Vorname" text, contact text, note text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric);
INSERT INTO users SELECT n, 'ann' || n || '@example.com', 'Ann', 'bob' || n || '@example.org', 'a note' FROM generate_series(1, 50) n;
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 50) n;
"""


def test_a_proposed_migration_moves_the_database_once_every_suspicion_is_decided(
    make_database: MakeDatabase, environment: Mapping[str, str], prefix: str, run: Run, tmp_path: Path
) -> None:
    kek = {"KEYRING": str(tmp_path / "keyring"), "KEYRING_KEK_FILE": str(tmp_path / "kek")}
    env = {**environment, **kek, "POSTGRES_URL": make_database(SHOP), "MIGRATION": str(tmp_path / "tenant.toml")}
    file = tmp_path / "tenant.toml"

    file.write_text(run("producer", "init", env["POSTGRES_URL"], "--tenant", prefix, check=True).stdout)
    run("consumer", "keys", "init", env=env, check=True)
    stopped = run("producer", "snapshot", env=env)
    file.write_text(file.read_text().replace('# keep.login_email = "…"', 'keep.login_email = "they sign in with it"'))
    for command in (
        ("producer", "plan"),
        ("producer", "snapshot"),
        ("consumer", "run", "--until-complete"),
        ("validator", "reconcile"),
    ):
        done = run(*command, env=env, check=True)

    assert stopped.returncode == 2
    assert "users.login_email: e-mail, by its name" in stopped.stderr
    assert "--accept-unclassified" in stopped.stderr
    assert "Equal: 2 tables, 100 rows" in done.stdout
    with psycopg.connect(env["NEW_POSTGRES_URL"]) as target:
        types = target.execute(
            "SELECT attname, format_type(atttypid, -1) FROM pg_attribute WHERE attnum > 0 AND attrelid = %s::regclass",
            (f'"tenant_{prefix}".users',),
        ).fetchall()
    assert {name for name, type_ in types if type_ == "bytea"} == {"Vorname", "contact"}


def test_an_undecided_column_travels_when_that_is_asked_for(
    make_database: MakeDatabase, environment: Mapping[str, str], prefix: str, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text(f'tenant = "{prefix}"\ntables = "*"\n')
    env = {**environment, "POSTGRES_URL": make_database(SHOP), "MIGRATION": str(file)}

    refused = run("producer", "snapshot", env=env)
    accepted = run("producer", "snapshot", "--accept-unclassified", "--dry-run", env=env)

    assert refused.returncode == 2
    assert '[table.users]\nencrypt = ["Vorname", "contact"]\nkeep.login_email = ' in refused.stderr.replace("  ", "")
    assert "@example" not in refused.stderr
    assert accepted.returncode == 0, accepted.stderr
