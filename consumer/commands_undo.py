"""The commands that go back: replay reads the log again, rollback takes the tenant out of the target."""

from __future__ import annotations

import click

from consumer.members import without_members
from consumer.replay import plan_replay, replay
from consumer.rollback import known_progress, plan_rollback, roll_back
from runtime.command import Invocation, confirm, examples, pass_invocation, yes_option
from runtime.control import check_topics, read_control
from runtime.kafka import Admin
from runtime.keyring import load_keyring
from runtime.postgres import open_target
from runtime.progress import Progress
from runtime.reporting import Notice
from schemas.errors import Refused


@click.command(
    "replay",
    epilog=examples(
        "consumer replay",
        "consumer replay --table orders --table line_items --yes",
        "consumer replay --reapply      # after a changed transform or a new key",
    ),
)
@click.option("--table", "tables", multiple=True, help="Only this table; repeatable.")
@click.option("--generation", type=int, help="This generation and those after it. Default: the newest complete one.")
@click.option("--reapply", is_flag=True, help="Write rows again even where they are as new.")
@yes_option
@pass_invocation
def replay_command(
    invocation: Invocation, *, tables: tuple[str, ...], generation: int | None, reapply: bool, yes: bool
) -> None:
    """Set positions back, so that the next `consumer run` reads the log again; rows that are there stay."""
    migration = invocation.migration
    admin = Admin(invocation.kafka)
    with (
        open_target(invocation.target.url, application_name="consumer replay", autocommit=True) as connection,
        invocation.open_report("none") as report,
    ):
        progress = known_progress(connection, migration.tenant)
        see_same_log(invocation, admin, progress)
        with without_members(connection, admin, migration):
            topics = sorted({topic for topic, _ in progress.positions})
            begin = {
                (topic, number): offset for topic in topics for number, offset in admin.begin_offsets(topic).items()
            }
            plan = plan_replay(
                progress,
                begin,
                tables=tables,
                generation=generation,
                digest=migration.digest(),
                parts=migration.parts(),
                reapply=reapply,
            )
            confirm(tuple(plan.lines()), migration.tenant, yes=yes)
            replay(connection, plan)
        report(Notice("positions are set back; start `consumer run`"))


def see_same_log(invocation: Invocation, admin: Admin, progress: Progress) -> None:
    """See that the topics still hold the log that the tenant was loaded from, from its first record on.

    Raises:
        Refused: they hold another log.
        LogError: topics are gone, or have lost records.
    """
    prefix = invocation.migration.log.prefix
    found = read_control(invocation.kafka, prefix, progress.tenant.tenant, load_keyring(invocation.environment))
    if found.log != progress.tenant.log_id:
        now = f"now hold log {found.log}" if found.log else "are gone or empty"
        raise Refused(
            f'tenant "{progress.tenant.tenant}" was loaded from log {progress.tenant.log_id}, the topics {now}',
            hint="that log cannot be replayed any more; to start over: `consumer rollback`, then `producer snapshot`",
        )
    check_topics(admin, found, {})


@click.command("rollback", epilog=examples("consumer rollback", "consumer rollback --yes"))
@click.option(
    "--delete-rows", is_flag=True, help="In a schema that somebody else made: delete the rows that were migrated."
)
@yes_option
@pass_invocation
def rollback_command(invocation: Invocation, *, delete_rows: bool, yes: bool) -> None:
    """Drop the tenant's schema and forget its progress; the topics stay, so `consumer run` can rebuild it."""
    migration = invocation.migration
    admin = Admin(invocation.kafka)
    with (
        open_target(invocation.target.url, application_name="consumer rollback", autocommit=True) as connection,
        invocation.open_report("none") as report,
    ):
        known_progress(connection, migration.tenant)
        with without_members(connection, admin, migration):
            plan = plan_rollback(connection, migration, deletes_rows=delete_rows)
            confirm(tuple(plan.lines()), migration.tenant, yes=yes)
            roll_back(connection, plan, migration, report)
