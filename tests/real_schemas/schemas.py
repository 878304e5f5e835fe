"""The real schemas: where each comes from, and how it is loaded into an empty database."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from embedded.postgres import find_programs
from tests.real_schemas.filling import fill

FOLDER = Path(".embedded/real_schemas")
HERE = Path(__file__).parent
OSCAR = "django-oscar==4.2.1"
CAMUNDA = "org.camunda.bpm:camunda-engine:7.21.0"
PGQUEUER = "pgqueuer==1.6.0"


@dataclass(frozen=True, slots=True)
class RealSchema:
    """One schema; `load` makes it, with rows, in the database behind a URL.

    `is_near`: the development lock brings all it needs, nothing is fetched.
    """

    name: str
    origin: str
    load: Callable[[str], None]
    is_near: bool = False


def pgbench(url: str) -> None:
    """TPC-B's tables as PostgreSQL's own benchmark makes them: 100,000 accounts, and a history without a key."""
    place = urlsplit(url)
    programs = find_programs()
    where = ["-h", place.hostname or "", "-p", str(place.port or 5432), "-U", unquote(place.username or "")]
    environment = {**os.environ, "PGPASSWORD": unquote(place.password or "")}
    for work in (["-i", "-q", "--foreign-keys"], ["-t", "200"]):
        subprocess.run(
            [programs / "pgbench", *where, *work, unquote(place.path[1:])],
            env=environment,
            check=True,
            capture_output=True,
        )


def procrastinate(url: str) -> None:
    """A queue's schema, as the package `procrastinate` ships it: enums, triggers, partial unique indexes."""
    _run(url, (resources.files("procrastinate") / "sql" / "schema.sql").read_text(encoding="utf-8"))
    fill(url, 200)


def pgqueuer(url: str) -> None:
    """Another queue's schema, printed by the package's own program."""
    folder = _pip("pgqueuer", PGQUEUER)
    said = subprocess.run(
        [sys.executable, "-m", "pgqueuer", "install", "--dry-run"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    _run(url, said.stdout)
    fill(url, 200)


def oscar(url: str) -> None:
    """A Django shop: django-oscar's migrations, and a catalogue, customers and baskets made through its models."""
    folder = _pip("django-oscar", OSCAR, "psycopg")
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, HERE / "django_shop.py", url], env=environment, check=True, capture_output=True)
    fill(url, 50)


def camunda(url: str) -> None:
    """A workflow engine's schema: the SQL in Camunda's jar."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # about directories of a desktop session
        import jgo  # noqa: PLC0415 - optional, and slow to import

        jars = [Path(jar) for jar in jgo.build(CAMUNDA).all_jars]
    jar = next(jar for jar in jars if jar.name.startswith("camunda-engine-7"))
    parts = ("engine", "history", "identity", "case.engine", "case.history", "decision.engine", "decision.history")
    with zipfile.ZipFile(jar) as archive:
        for part in parts:
            _run(url, archive.read(f"org/camunda/bpm/engine/db/create/activiti.postgres.create.{part}.sql").decode())
    fill(url, 100)


SCHEMAS = (
    RealSchema("pgbench", "PostgreSQL's own program", pgbench, is_near=True),
    RealSchema("procrastinate", "schema.sql of the package procrastinate (pip)", procrastinate, is_near=True),
    RealSchema("django-oscar", f"migrations of {OSCAR} (pip)", oscar),
    RealSchema("pgqueuer", f"`pgq install` of {PGQUEUER} (pip)", pgqueuer),
    RealSchema("camunda", f"SQL in {CAMUNDA} (Maven)", camunda),
)


def _pip(name: str, *requirements: str) -> Path:
    """A folder with a package and what it needs, fetched once; this project's own environment stays as it is."""
    folder = FOLDER / name
    done = folder / ".made-from"
    wanted = " ".join(requirements)
    if not done.exists() or done.read_text() != wanted:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        subprocess.run([*command, "--target", folder, *requirements], check=True, stdout=sys.stderr)
        done.write_text(wanted)
    return folder.absolute()


def _run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())
