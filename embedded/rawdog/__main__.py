"""`python -m embedded.rawdog DATABASE_URL`: makes RAWDOG's source in an empty database."""

from __future__ import annotations

import sys
import time

import click

from embedded.rawdog.generate import load
from schemas.errors import ReplicatorError


@click.command(epilog="Example: python -m embedded.rawdog --scale 0.1 --mess postgresql://localhost/old")
@click.argument("database_url")
@click.option("--scale", default=1.0, show_default=True, help="1 is about a million rows.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same rows.")
@click.option("--mess", is_flag=True, help="Add the rows that cannot be converted.")
@click.option("--replace", is_flag=True, help="Drop RAWDOG's tables first, if they are there.")
@click.option("--big-bytes", type=int, help="Size of the largest document (15 MB from scale 0.1 on, else 300 kB).")
def main(database_url: str, *, scale: float, seed: int, mess: bool, replace: bool, big_bytes: int | None) -> None:
    """Create RAWDOG's 14 tables in DATABASE_URL and fill them, always with the same rows.

    This writes to the database: never name one that somebody needs.
    """
    began = time.monotonic()
    try:
        rows = load(database_url, scale=scale, seed=seed, mess=mess, replace=replace, big_bytes=big_bytes)
    except ReplicatorError as error:
        click.echo(f"error: {error}\nhint: {error.hint}", err=True)
        sys.exit(error.exit_code)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for table, count in rows.items():
        click.echo(f"{table}: {count} rows")
    click.echo(f"{sum(rows.values())} rows in {time.monotonic() - began:.1f} s", err=True)


if __name__ == "__main__":
    main()
