"""The command that looks into the log."""

from __future__ import annotations

import click

from consumer.inspect import Inspected, headers_of, inspect_record, read_records
from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.keyring import load_keyring
from schemas.avro import control_topic, topic_name
from schemas.errors import ConfigurationError, ReplicatorError
from schemas.records import Position


@click.command(
    "inspect",
    epilog=examples(
        "consumer inspect                         # what the control topic tells",
        "consumer inspect --table orders --limit 3",
        "consumer inspect rawdog.orders 0 42 --values",
    ),
)
@click.argument("topic", required=False)
@click.argument("partition", required=False, type=click.IntRange(min=0))
@click.argument("offset", required=False, type=click.IntRange(min=0))
@click.option("--table", help="The first records of this table's topic.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@click.option("--values", is_flag=True, help="Show values of rows and keys too: personal data, on your screen.")
@json_option
@pass_invocation
def inspect(
    invocation: Invocation,
    *,
    topic: str | None,
    partition: int | None,
    offset: int | None,
    table: str | None,
    limit: int,
    values: bool,
    as_json: bool,
) -> None:
    """Show records of the log as another Avro decoder reads them: headers, columns, number of rows; no values."""
    migration = invocation.migration
    start = None
    if topic is not None:
        if table is not None or partition is None or offset is None:
            raise ConfigurationError(
                "a place in the log is TOPIC PARTITION OFFSET", hint="or say --table TABLE for its first records"
            )
        start = Position(topic, partition, offset)
    elif table is not None:
        topic = topic_name(migration.log.prefix, table)
    else:
        topic = control_topic(migration.log.prefix)
    keyring = load_keyring(invocation.environment)
    found = False
    for record in read_records(invocation.kafka, start, topic, limit):
        found = True
        try:
            shown = inspect_record(record, keyring, migration.tenant, values=values)
        except ReplicatorError:  # its headers still say what it was meant to be
            _show(headers_of(record), as_json=as_json)
            raise
        _show(shown, as_json=as_json)
    if not found:
        click.echo(f"topic {topic} has no records, or does not exist", err=True)


def _show(shown: Inspected, *, as_json: bool) -> None:
    if as_json:
        click.echo(shown.to_json())
        return
    for line in shown.lines():
        click.echo(line)
