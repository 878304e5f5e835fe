"""`producer init`: a first migration for a database that nobody has described yet."""

from __future__ import annotations

from dataclasses import replace

import click

from producer.init import Naming, first_migration, movable, tenant_of
from producer.suspects import readable, unclassified
from runtime.command import Invocation, examples, pass_invocation
from runtime.introspect import read_source
from runtime.postgres import Connection, open_source
from runtime.settings import SOURCE_URL, source_settings


@click.command(
    "init",
    epilog=examples(
        "producer init postgresql://reader@old-database/shop > tenant.toml",
        "producer init --tenant acme --schema sales --schema people > tenant.toml    # POSTGRES_URL says where",
    ),
)
@click.argument("url", metavar="[DATABASE_URL]", required=False)
@click.option("--tenant", metavar="NAME", help="The tenant's name. Default: the database's.")
@click.option(
    "--schema", "schemas", multiple=True, metavar="NAME", help="Schema of the source; repeatable. Default: public."
)
@pass_invocation
def init_command(invocation: Invocation, *, url: str | None, tenant: str | None, schemas: tuple[str, ...]) -> None:
    """Print a commented migration for an unknown database: every table, parents first, what to encrypt, what stays.

    Reads the source's definition and a few values of each table's text columns, to see what seems personal;
    no value is shown. Edit the file, then `producer --migration FILE plan`.
    """
    source = source_settings({SOURCE_URL: url}) if url else invocation.source
    wanted = tuple(dict.fromkeys(schemas)) or ("public",)
    with open_source(source.url, schema=wanted) as connection:
        naming = Naming(tenant=tenant or tenant_of(_database(connection)), schemas=wanted)
        migration = naming.migration()
        survey = read_source(connection, migration)
        if renames := survey.proposals(migration):
            naming = replace(naming, renames=renames)
            migration = naming.migration()
            survey = read_source(connection, migration)
        movable(survey, migration)
        suspected = unclassified(connection, readable(survey, migration), survey.catalogue(migration), migration)
    click.echo(first_migration(survey, naming, suspected, str(source)), nl=False)


def _database(connection: Connection) -> str:
    row = connection.execute("SELECT current_database()::text").fetchone()
    assert row is not None
    return str(row[0])
