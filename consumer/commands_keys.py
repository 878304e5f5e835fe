"""The commands over keys. Key material is never shown."""

from __future__ import annotations

import json
from pathlib import Path

import click

from consumer.keys import decrypt_cell, keyring_path, make_keys, shown, source_type
from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.keyring import Keyring, load_kek, load_keyring, rotate_key
from runtime.postgres import open_target
from schemas.errors import KeyringError

_KEYRING = click.option(
    "--keyring", type=click.Path(path_type=Path), metavar="FILE", help="The keyring file. Default: KEYRING."
)


@click.group(
    "keys", epilog=examples("consumer keys init --kek-file kek", "consumer keys decrypt customers email cust_00001")
)
def keys() -> None:
    """The keys that seal the log and encrypt cells: make them, list them, decrypt one value."""


@keys.command(
    "init",
    epilog=examples(
        "KEYRING=keyring.json consumer keys init --kek-file kek",
        "consumer keys init --keyring /keys/keyring.json --kek-file /keys/kek --if-missing",
    ),
)
@_KEYRING
@click.option(
    "--kek-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The key that opens the keyring; made when it is not there. Default: KEYRING_KEK_FILE or KEYRING_KEK.",
)
@click.option("--if-missing", is_flag=True, help="Do nothing when the tenant has keys.")
@pass_invocation
def init(invocation: Invocation, *, keyring: Path | None, kek_file: Path | None, if_missing: bool) -> None:
    """Make the tenant's first key. Nothing is ever written over."""
    tenant = invocation.migration.tenant
    path = keyring_path(invocation.environment, keyring)
    made = make_keys(path, kek_file, tenant, invocation.environment, if_missing=if_missing)
    if made is None:
        click.echo(f"{path}: tenant {tenant} has keys already", err=True)
        return
    click.echo(f"{path}: key {made.kid} of tenant {tenant}", err=True)
    click.echo("keep the keyring and the key that opens it in two places, and a copy of each: without them", err=True)
    click.echo("nobody reads what they encrypt. The programs find them by KEYRING and KEYRING_KEK_FILE.", err=True)


@keys.command("list", epilog=examples("consumer keys list", "consumer keys list --json"))
@_KEYRING
@json_option
@pass_invocation
def list_(invocation: Invocation, *, keyring: Path | None, as_json: bool) -> None:
    """List key ids with tenant, status and age; never what they are."""
    path = keyring_path(invocation.environment, keyring)
    found = Keyring.open(path, load_kek(invocation.environment)).data_keys()
    if as_json:
        plain = [{"kid": k.kid, "tenant": k.tenant, "status": str(k.status), "created": k.created} for k in found]
        click.echo(json.dumps(plain, indent=2))
        return
    for key in found:
        click.echo(f"{key.kid:>5}  {key.tenant}  {key.status}  {key.created}")


@keys.command("rotate", epilog=examples("consumer keys rotate"))
@_KEYRING
@pass_invocation
def rotate(invocation: Invocation, *, keyring: Path | None) -> None:
    """Add a new primary key; what the ones before encrypted stays readable, and stays as it is."""
    path = keyring_path(invocation.environment, keyring)
    made = rotate_key(path, invocation.migration.tenant, load_kek(invocation.environment))
    click.echo(f"{path}: key {made.kid} encrypts what is new", err=True)
    click.echo("start the programs again to use it; `consumer replay --reapply` encrypts the rows anew", err=True)


@keys.command(
    "decrypt",
    epilog=examples(
        "consumer keys decrypt customers email cust_00001",
        "consumer keys decrypt organizations stripe_secret_key rawdog",
    ),
)
@click.argument("table")
@click.argument("column")
@click.argument("key", nargs=-1, required=True)
@pass_invocation
def decrypt(invocation: Invocation, *, table: str, column: str, key: tuple[str, ...]) -> None:
    """Print one encrypted value of the target in clear: COLUMN of the row of TABLE with this KEY."""
    migration = invocation.migration
    keyring = load_keyring(invocation.environment)
    if keyring is None:
        raise KeyringError("there is no keyring", hint="set KEYRING and KEYRING_KEK_FILE")
    with open_target(invocation.target.url, read_only=True, application_name="consumer keys") as connection:
        plain = decrypt_cell(connection, migration, keyring, table=table, column=column, key=key)
        type_ = source_type(connection, migration, table, column)
    if plain is None:
        click.echo("the cell is NULL", err=True)
        return
    click.echo(shown(plain, type_))
