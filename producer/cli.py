"""The program `producer`: init, plan, snapshot, status, drop-log."""

from __future__ import annotations

from producer.commands_init import init_command
from producer.commands_log import drop_log_command, status_command
from producer.commands_plan import plan
from producer.commands_snapshot import snapshot_command
from runtime.command import program

main = program("producer", "Publishes a tenant's tables from the source into the log. The source is never written.")
main.add_command(init_command)
main.add_command(plan)
main.add_command(snapshot_command)
main.add_command(status_command)
main.add_command(drop_log_command)
