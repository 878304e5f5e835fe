"""The commands about the log itself: `producer status` shows it, `producer drop-log` deletes it."""

from __future__ import annotations

import json

import click
from rich.console import Console

from producer.drop_log import drop_log, plan_drop
from producer.status import show_status, status_facts
from runtime.command import Invocation, confirm, examples, json_option, pass_invocation, yes_option
from runtime.control import read_control
from runtime.kafka import Admin
from runtime.keyring import load_keyring


@click.command("status", epilog=examples("producer status", "producer status --json | jq '.generations[-1].state'"))
@json_option
@pass_invocation
def status_command(invocation: Invocation, *, as_json: bool) -> None:
    """Show the generations in the log, and how far each table of the newest one is."""
    migration = invocation.migration
    Admin(invocation.kafka).ping()
    state = read_control(invocation.kafka, migration.log.prefix, migration.tenant, load_keyring(invocation.environment))
    facts = status_facts(state)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        show_status(facts, Console(markup=False, highlight=False, soft_wrap=True))


@click.command("drop-log", epilog=examples("producer drop-log", "producer drop-log --yes"))
@yes_option
@pass_invocation
def drop_log_command(invocation: Invocation, *, yes: bool) -> None:
    """Delete the tenant's topics, when the move is over or to start over. Shows them and asks first."""
    migration, kafka = invocation.migration, invocation.kafka
    admin = Admin(kafka)
    admin.ping()
    plan = plan_drop(admin, kafka, migration)
    if not plan.deleted:
        click.echo(f'tenant "{migration.tenant}" has no log; nothing to delete')
        return
    confirm(tuple(plan.lines()), migration.tenant, yes=yes)
    drop_log(admin, kafka, migration, plan)
    click.echo(f"deleted {len(plan.deleted)} topics")
