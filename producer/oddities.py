"""What is odd about a source: pure judgement over what `runtime.introspect` has read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from producer.odd_types import odd_types
from runtime.rehearsal import Lacking
from runtime.survey import Facts, Survey
from schemas.avro import MAX_TOPIC_LENGTH, topic_name
from schemas.catalogue import Table, rings
from schemas.errors import ConfigurationError
from schemas.migration import Migration
from schemas.migration_check import mentioned
from schemas.oddity import Oddity, Severity
from schemas.toml_text import toml_key

MOST_COLUMNS = 1600  # of a table in PostgreSQL
WIDE_ROW_BYTES = 1_000_000

_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTICE: 2}


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the target lacks for the definitions; `why_not` says why it could not be asked, else it is empty."""

    lacking: tuple[Lacking, ...] = ()
    why_not: str = ""


def find_oddities(survey: Survey, migration: Migration, rehearsed: Rehearsed | None = None) -> tuple[Oddity, ...]:
    """Everything odd about the tables that are moved, the heavy things first; `rehearsed` if the target was asked."""
    moved = survey.moved(migration)
    found = [*_of_source(survey, moved), *_of_rehearsal(rehearsed, migration), *_of_left(survey, migration)]
    for table in moved:
        facts = survey.of(table)
        found.extend(_of_rights(table, facts))
        found.extend(_of_shape(table, facts, migration))
        found.extend(_of_size(table, migration))
        found.extend(odd_types(survey, table))
        found.extend(_of_keys(table, {other.name for other in moved}))
        found.extend(_of_relatives(table, {other.name for other in moved}))
        found.extend(_of_target(table, facts, migration, was_asked=rehearsed is not None and not rehearsed.why_not))
        found.extend(_of_topic(table, migration))
    return tuple(sorted(found, key=lambda oddity: (_WEIGHT[oddity.severity], oddity.table)))


def _of_source(survey: Survey, moved: Iterable[Table]) -> Iterator[Oddity]:
    tables = tuple(moved)
    if not tables:
        yield Oddity(
            severity=Severity.WARNING, text="there is nothing to move: no table of the source is in the migration"
        )
    for ring in rings(tables):
        if len(ring) > 1:
            yield Oddity(
                severity=Severity.NOTICE,
                text=f"the tables {_list(sorted(ring))} point at each other: they load as one wave, their keys are checked at its end",
            )
    for found in survey.needed_types(tables):
        if found.extension is None and found.kind in {"range with functions", "base", "row of a table"}:
            yield Oddity(
                severity=Severity.ERROR,
                text=f'the type "{found.name}" ({found.kind} type of the source\'s own) cannot be made in the target',
                hint="change the columns that use it to a type of PostgreSQL's own, or leave their tables out",
            )
        if found.is_doubtful:
            yield Oddity(
                severity=Severity.WARNING,
                text=f'the domain "{found.name}" has a check that was never validated: rows that break it are kept aside (quarantine)',
                hint="mend what breaks it and ALTER DOMAIN … VALIDATE CONSTRAINT in the source, or drop the check",
            )


def _of_rehearsal(rehearsed: Rehearsed | None, migration: Migration) -> Iterator[Oddity]:
    if rehearsed is None:
        return
    if rehearsed.why_not:
        text = f"whether the target can make all definitions could not be seen: {rehearsed.why_not}"
        yield Oddity(severity=Severity.WARNING, text=text)
    for lacking in rehearsed.lacking:
        hint = (
            lacking.way_out or f'make it in the target first, what is the tenant\'s own in schema "{migration.schema_}"'
        )
        if lacking.leave_out:
            place = f"[table.{toml_key(lacking.table)}.leave_out]"
            hint += f'; or leave it out: {toml_key(lacking.leave_out)} = "why" under {place}'
        yield Oddity(
            severity=Severity.ERROR,
            table=lacking.table,
            text=f"the target cannot have {lacking.what}: {lacking.why}",
            hint=hint,
        )


def _of_left(survey: Survey, migration: Migration) -> Iterator[Oddity]:
    foreign = [name for kind, name in survey.not_moved if kind == "foreign table"]
    if foreign:
        yield Oddity(
            severity=Severity.WARNING,
            text=f"{_list(foreign)} {'is a foreign table' if len(foreign) == 1 else 'are foreign tables'}: not moved, the rows stand on another server",
            hint="move them from there as a tenant of its own, or CREATE TABLE … AS SELECT them in the source first",
        )
    for table in survey.tables:
        if not table.stored and migration.tables == "*":
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text="has no columns that could travel: not moved",
                hint="make it in the target by hand, if something there needs it",
            )


def _of_topic(table: Table, migration: Migration) -> Iterator[Oddity]:
    try:
        topic_name(migration.log.prefix, table.name)
    except ConfigurationError:
        yield Oddity(
            severity=Severity.ERROR,
            table=table.name,
            text=f"its topic would have a name of more than {MAX_TOPIC_LENGTH} characters, which Kafka does not take",
            hint="choose a shorter log.prefix in the migration",
        )


def _of_rights(table: Table, facts: Facts) -> Iterator[Oddity]:
    if not facts.is_readable:
        yield Oddity(
            severity=Severity.ERROR,
            table=table.name,
            text="this role may not read it (SELECT on the whole table)",
            hint=f"GRANT SELECT ON {table.at_source} TO the role that POSTGRES_URL names",
        )
    if facts.hides_rows:
        yield Oddity(
            severity=Severity.ERROR,
            table=table.name,
            text="row security hides rows from this role, so nobody could say that all were read",
            hint="read as the table's owner, or as a role with BYPASSRLS",
        )


def _of_shape(table: Table, facts: Facts, migration: Migration) -> Iterator[Oddity]:
    more = 1 + len(migration.rules(table.name).add)
    if not table.stored:
        yield Oddity(severity=Severity.ERROR, table=table.name, text="has no columns to move", hint="leave it out")
    if len(table.columns) + more > MOST_COLUMNS:
        yield Oddity(
            severity=Severity.ERROR,
            table=table.name,
            text=f"has {len(table.columns)} columns; with {more} added it passes PostgreSQL's {MOST_COLUMNS}",
            hint="drop columns in the source, or leave it out",
        )
    if facts.foreign_parts:
        one = len(facts.foreign_parts) == 1
        yield Oddity(
            severity=Severity.ERROR,
            table=table.name,
            text=f"its {'partition' if one else 'partitions'} {_list(facts.foreign_parts)} {'is a foreign table' if one else 'are foreign tables'}: "
            "the rows stand on another server, and no snapshot of this one holds them still",
            hint="detach them, or leave the table out of tables, and move those rows from there",
        )
    if facts.is_partitioned:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text=f"is partitioned; its {len(table.partitions)} partitions are made in the target as in the source",
        )
    for part in table.partitions:
        for own in part.own:
            if own.kind == "expression":
                yield Oddity(
                    severity=Severity.ERROR,
                    table=table.name,
                    text=f'its partition "{part.name}" computes "{own.name}" otherwise than the table: that cannot be made in the target',
                    hint="make the expressions the same in the source, or leave the table out",
                )
    if facts.is_unlogged:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text="is unlogged; it is loaded logged and becomes unlogged at the end of the load",
        )
    if facts.children:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text=f"is inherited by {_list(facts.children)}: each is moved with its own rows, and inherits in the target once all are there; "
            "columns that it has from here count as its own there, and stay when they are dropped here",
        )
    if facts.virtual:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text=f"computes {_list(facts.virtual)} when read; a target before PostgreSQL 18 stores them instead",
        )


def _of_size(table: Table, migration: Migration) -> Iterator[Oddity]:
    average = table.bytes // table.rows if table.rows else 0
    if average > migration.log.max_message_bytes:
        yield Oddity(
            severity=Severity.WARNING,
            table=table.name,
            text="its rows are larger than log.max_message_bytes on average; a row over that limit stops the table",
            hint="raise log.max_message_bytes, and the broker's message.max.bytes with it",
        )
    elif average > WIDE_ROW_BYTES:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text=f"a row has about {average / 1e6:.0f} MB; such rows travel alone, and every program holds a few at once",
        )


def _of_keys(table: Table, moved: set[str]) -> Iterator[Oddity]:
    if not table.key and table.stored:
        yield Oddity(
            severity=Severity.WARNING,
            table=table.name,
            text="has no key: each generation replaces it whole, and an interrupted reading of it starts anew",
            hint="a primary key in the source, when its rows can have one, makes both unnecessary",
        )
    elif table.key and table.primary_key is None:
        yield Oddity(
            severity=Severity.NOTICE,
            table=table.name,
            text=f"has no primary key; {_list(table.key)} names its rows (unique, not null)",
        )
    for key in table.foreign_keys:
        if key.parent not in moved:
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text=f'its foreign key "{key.name}" points at "{key.parent}", which is not moved: the key is not made',
                hint=_way_to(key.parent),
            )
        elif not key.validated:
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'its foreign key "{key.name}" was never validated: rows without a parent are moved, counted and told apart',
            )
        if key.parent == table.name:
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'points at itself ("{key.name}"): a row may come before its parent, the key is checked at the end',
            )
    for constraint in table.checks:
        if not constraint.validated:
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'its check "{constraint.name}" was never validated: rows that break it are moved, and it stays so in the target',
            )


def _of_relatives(table: Table, moved: set[str]) -> Iterator[Oddity]:
    for above in table.inherits:
        if above not in moved:
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text=f'inherits from "{above}", which is not moved: it stands alone in the target',
                hint=_way_to(above),
            )
    for part in table.partitions:
        for own in part.own:
            if own.kind == "foreign key" and own.parent not in moved:
                yield Oddity(
                    severity=Severity.WARNING,
                    table=table.name,
                    text=f'the foreign key "{own.name}" of its partition "{part.name}" points at "{own.parent}", which is not moved: the key is not made',
                    hint=_way_to(own.parent),
                )


def _of_target(table: Table, facts: Facts, migration: Migration, *, was_asked: bool) -> Iterator[Oddity]:
    rules = migration.rules(table.name)
    changed = {*rules.encrypt, *rules.transform}
    for index in table.indexes:
        if changed.intersection(
            mentioned(index.definition.partition(" USING ")[2], [column.name for column in table.columns])
        ):
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'its index "{index.name}" is not made: it is over a column that is encrypted or changed',
            )
    for column in facts.counted_oddly:
        yield Oddity(
            severity=Severity.WARNING,
            table=table.name,
            text=f'the default of "{column}" makes something else than a number of a sequence: in the target the sequence begins anew',
            hint="SELECT setval(…) there after the load, with the source's value",
        )
    left = migration.rules(table.name).leave_out
    for definition, called in () if was_asked else facts.calls:
        if not any(definition.endswith(f'"{name}"') for name in left):
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text=f"{definition} calls what is not moved: {called}",
                hint=f'make it in the target first, what is the tenant\'s own in schema "{migration.schema_}"; '
                "with NEW_POSTGRES_URL set, this plan looks there",
            )
    for name, reason in left.items():
        yield Oddity(severity=Severity.NOTICE, table=table.name, text=f'"{name}" is left out: {reason}')


def _way_to(parent: str) -> str:
    schema, dot, _ = parent.rpartition(".")
    if dot:
        return f'add "{schema}" to schemas under [source], if the tenant needs that table'
    return f'add "{parent}" to tables, if the tenant needs it'


def _list(names: Iterable[str]) -> str:
    shown = [f'"{name}"' for name in names]
    return ", ".join(shown) if len(shown) < 2 else f"{', '.join(shown[:-1])} and {shown[-1]}"
