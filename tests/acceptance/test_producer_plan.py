"""`producer plan`, run as people run it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import psycopg

Run = Callable[..., subprocess.CompletedProcess[str]]
MakeDatabase = Callable[..., str]


def rawdogs_source() -> str:
    return (resources.files("embedded.rawdog") / "source.sql").read_text(encoding="utf-8")


def definition_of(url: str) -> object:
    with psycopg.connect(url) as owner:
        return owner.execute(
            "SELECT oid, relname, relfilenode, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY oid"
        ).fetchall()


def test_rawdogs_plan_tells_all_tables_and_writes_nothing(make_database: MakeDatabase, run: Run) -> None:
    url = make_database(rawdogs_source())
    before = definition_of(url)

    done = run("producer", "plan", "--json", env={"POSTGRES_URL": url})

    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert len(answer["tables"]) == 14
    assert answer["waves"] == 2
    assert [(oddity["severity"], oddity["table"]) for oddity in answer["odd"]] == [
        ("warning", "attribution_touchpoints"),
        ("notice", "creator_projects"),
        ("notice", "creators"),
        ("notice", "line_items"),
    ]
    assert definition_of(url) == before


def test_everything_wrong_in_a_migration_is_told_at_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('tenant = "Shop"\ntables = ["orders"]\n[table.order]\nencrpt = ["email"]\n')

    done = run("producer", "plan", "--migration", str(file), env={"POSTGRES_URL": "postgresql://nowhere.invalid/shop"})

    assert done.returncode == 2
    assert [
        line.strip().removeprefix("error: ").removeprefix(f"{file}:")[:2] for line in done.stderr.splitlines()[:3]
    ] == [
        "1:",
        "3:",
        "4:",
    ]


def test_an_unreachable_source_is_one_message_without_its_password(run: Run) -> None:
    done = run("producer", "plan", env={"POSTGRES_URL": "postgresql://ann:hunter2@127.0.0.1:1/shop"})

    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "error: source postgresql://ann@127.0.0.1:1/shop: nothing listens there"
    assert "hunter2" not in done.stderr + done.stdout
