"""`./dev demo`: the main job on real servers, told step by step.

Starts the servers, makes RAWDOG's old database, moves it through the log while a consumer
is killed on the way, proves it, replays, rolls back, rebuilds from the log alone and proves
it again. The programs run as processes, exactly as a person would type them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console

from embedded.rawdog import load
from schemas.errors import NotWhole, ReplicatorError

FOLDER = Path(".embedded/demo")
ENV_FILE = FOLDER / "demo.env"
REPORT = FOLDER / "report.html"
SCHEMA = "tenant_rawdog"
KILL_AFTER = "line_items:"  # the consumer is killed when it reports its first rows of this table
SECRETS = {
    "RAWDOG_SHOPIFY_ACCESS_TOKEN": "demo-shopify-token",
    "RAWDOG_STRIPE_SECRET_KEY": "demo-stripe-key",
}


class StepFailed(ReplicatorError):
    """A command of the demo did not end as it must."""

    def __init__(self, command: Sequence[str], code: int) -> None:
        super().__init__(
            f"{shlex.join(command)}: ended with {code}",
            hint="the command's own words stand above; the servers still run: ./dev services status",
        )


@dataclass(slots=True)
class Demo:
    """The steps, sharing one environment and one console."""

    console: Console
    environment: dict[str, str]
    steps: int = 0

    def say(self, title: str, why: str = "") -> None:
        """Open a step."""
        self.steps += 1
        self.console.print(f"\n[bold cyan]{self.steps}. {title}[/]" + (f"\n   [dim]{why}[/]" if why else ""))

    def run(self, program: str, *arguments: str, expect: int = 0, without: str = "") -> None:
        """Run a program to its end; `without` takes a variable out of its environment."""
        command = _command(program, *arguments)
        self._show(program, *arguments)
        environment = {name: value for name, value in self.environment.items() if name != without}
        code = subprocess.run(command, env=environment, check=False).returncode
        if code != expect:
            raise StepFailed(["./dev", *command[2:]], code)

    def kill_midway(self, program: str, *arguments: str) -> None:
        """Start a program and SIGKILL it when it reports rows of the table after the first wave."""
        self._show(program, *arguments)
        command = _command(program, *arguments)
        with subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                self.console.print(line.rstrip(), markup=False, highlight=False)
                if line.startswith(KILL_AFTER):
                    process.kill()
                    self.console.print(f"[bold red]   kill -9 {process.pid}[/]")
                    break

    def row_versions(self) -> dict[str, tuple[int, int]]:
        """For each table: rows, and the sum of the transactions that wrote them: a rewritten row changes it.

        A table without a key is replaced whole by a replay, so of it only the rows are counted.
        """
        with psycopg.connect(self.environment["NEW_POSTGRES_URL"]) as connection:
            found = connection.execute(
                "SELECT relname, EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary) FROM pg_class "
                "WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1",
                (SCHEMA,),
            ).fetchall()
            versions = {True: "coalesce(sum(xmin::text::bigint), 0)", False: "0"}
            return {
                name: connection.execute(
                    sql.SQL(f"SELECT count(*), {versions[has_key]} FROM {{}}").format(sql.Identifier(SCHEMA, name))
                ).fetchone()
                or (0, 0)
                for name, has_key in found
            }

    def _show(self, program: str, *arguments: str) -> None:
        self.console.print(f"   [green]$ {program} {shlex.join(arguments)}[/]", highlight=False)


def main() -> None:
    """Parse the command line and tell the demo."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="size of RAWDOG's source; 1 is a million rows")
    options = parser.parse_args()
    console = Console(stderr=True)
    started = time.monotonic()
    try:
        demo = Demo(console, prepare(console, options.scale))
        tell(demo)
    except ReplicatorError as error:
        console.print(f"[bold red]error:[/] {error}\n[bold]hint:[/] {error.hint}", highlight=False)
        sys.exit(int(error.exit_code))
    close(demo, time.monotonic() - started)


def prepare(console: Console, scale: float) -> dict[str, str]:
    """Start or find the servers, empty what an earlier demo left, make the source and the keys."""
    console.print("[bold]Servers[/] [dim](PostgreSQL twice and Kafka, on the loopback)[/]")
    environment = {**os.environ, **_services(), **SECRETS}
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment |= {
        "KEYRING": str((FOLDER / "keyring.json").resolve()),
        "KEYRING_KEK_FILE": str((FOLDER / "kek").resolve()),
    }
    subprocess.run(_command("producer", "drop-log", "--yes"), env=environment, check=False, capture_output=True)
    for variable in ("POSTGRES_URL", "NEW_POSTGRES_URL"):
        _empty(environment[variable])
    console.print(f"[bold]Source[/] [dim](RAWDOG at scale {scale}: 14 tables as they grew)[/]")
    rows = load(environment["POSTGRES_URL"], scale=scale)
    console.print(f"   {sum(rows.values()):,} rows in {len(rows)} tables")
    if not (FOLDER / "keyring.json").exists():
        command = _command("consumer", "keys", "init", "--kek-file", environment["KEYRING_KEK_FILE"])
        subprocess.run(command, env=environment, check=True)
    _write_environment(environment)
    return environment


def tell(demo: Demo) -> None:
    """The story itself."""
    until_complete = ("run", "--until-complete", "--progress", "plain")
    demo.say("Plan", "what would be moved, in which order, and what is odd; reads only")
    demo.run("producer", "plan")
    demo.say("Snapshot", "one consistent snapshot into the log, sealed")
    demo.run("producer", "snapshot", "--progress", "none")
    demo.say("Apply, and kill the consumer on the way")
    demo.kill_midway("consumer", *until_complete)
    demo.say(
        "Start it again", "progress lies in the target, in the same transactions as the rows: it goes on where it was"
    )
    demo.run("consumer", *until_complete)
    demo.say("Proof", "everything compared, every encrypted cell decrypted")
    demo.run("validator", "reconcile", "--progress", "none")
    demo.say("Replay", "the whole log once more, which must change nothing")
    before = demo.row_versions()
    demo.run("consumer", "replay", "--yes")
    demo.run("consumer", "run", "--until-complete", "--progress", "none")
    rewritten = [name for name, version in demo.row_versions().items() if version != before[name]]
    if rewritten:
        raise NotWhole(f"the replay rewrote rows of {', '.join(rewritten)}", hint="this is a defect: please report it")
    replaced = [f"{name} has no key and was replaced whole" for name, (_, versions) in before.items() if versions == 0]
    demo.console.print(f"   [bold]0 rows rewritten[/] in {len(before) - len(replaced)} tables; {'; '.join(replaced)}")
    demo.say("Roll back and rebuild from the log alone", "POSTGRES_URL is taken away: the source is not needed")
    demo.run("consumer", "rollback", "--yes")
    demo.run("consumer", "run", "--until-complete", "--progress", "none", without="POSTGRES_URL")
    demo.say("Proof again, as a page")
    demo.run("validator", "report", "--html", str(REPORT), "--progress", "none")


def close(demo: Demo, seconds: float) -> None:
    """Say where things are and what to try next."""
    demo.console.print(
        f"\n[bold green]Done in {seconds:.0f} s.[/]\n"
        f"   report       {REPORT}\n"
        f"   environment  {ENV_FILE}  (servers stay up: ./dev services stop, or ./dev clean for everything)\n\n"
        "Try next:\n"
        f"   set -a; . {ENV_FILE}; set +a; . .venv/bin/activate\n"
        '   psql "$NEW_POSTGRES_URL" -c "UPDATE tenant_rawdog.orders SET total_cents = total_cents + 1 WHERE id IN '
        '(SELECT id FROM tenant_rawdog.orders LIMIT 1)"\n'
        "   validator reconcile          # names the row and the column\n"
        "   consumer keys decrypt customers email cust_00001\n"
        "   consumer inspect --table orders --limit 3",
        highlight=False,
    )


def _command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", program, *arguments]


def _services() -> dict[str, str]:
    """Start the servers, or find them; their addresses as environment variables."""
    said = subprocess.run(_command("embedded.services", "start"), check=False, stdout=subprocess.PIPE, text=True)
    if said.returncode != 0:
        raise StepFailed(["./dev", "services"], said.returncode)
    words = shlex.split(said.stdout)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _empty(url: str) -> None:
    """Make the database of `url` anew: the servers are the demo's own."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    maintenance = psycopg.conninfo.make_conninfo(url, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(name))))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))


def _write_environment(environment: Mapping[str, str]) -> None:
    """A file that a shell can read, for hand work after the demo."""
    names = ("POSTGRES_URL", "NEW_POSTGRES_URL", "KAFKA_BOOTSTRAP_SERVERS", "KEYRING", "KEYRING_KEK_FILE", *SECRETS)
    lines = [f"{name}={shlex.quote(environment[name])}" for name in names]
    ENV_FILE.touch(mode=0o600)
    ENV_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
