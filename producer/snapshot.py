"""The snapshot: one generation from the source into the log, begun or resumed.

Everything that was committed in the log stays when this process dies, and the next call goes on
from there.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from producer.half_read import after_parents
from producer.publish import Publisher, Rehearsal, Sink
from producer.resume import TableFate, check_resumable, fate_anew, fate_of, is_same_history
from producer.selected import Selection
from producer.source import Held, SourceState, await_durable, hold_catalogue, next_instant, read_state
from producer.suspects import refuse_unclassified
from producer.tables import TableOutcome, Work, look_from, publish_tables
from runtime.control import check_topics, read_control
from runtime.kafka import Admin, TopicSpec, Transactions
from runtime.keyring import Keyring
from runtime.postgres import Connection, open_source
from runtime.reporting import GenerationEnded, GenerationStarted, Notice, Report, Waiting, Warned
from runtime.settings import KafkaSettings, SourceSettings
from schemas.avro import control_topic, topic_name
from schemas.catalogue import Catalogue, Table
from schemas.control import ControlState, GenerationState
from schemas.errors import ConfigurationError, LogError
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.records import SnapshotAbandoned, SnapshotFinished, SnapshotResumed, SnapshotStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller asks for. No `tables` means all of the migration."""

    tables: tuple[str, ...] = ()
    selection: Selection | None = None  # only the rows of a repair plan
    is_restart: bool = False
    is_rehearsal: bool = False
    accepts_unclassified: bool = False  # columns that seem personal travel readable

    @property
    def is_partial(self) -> bool:
        """Whether only some tables, or rows, are asked for."""
        return bool(self.tables) or self.selection is not None

    @property
    def plan(self) -> str:
        """The digest of the repair plan, "" without one."""
        return self.selection.plan.digest if self.selection is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is read and where it goes. Without a keyring the log is not sealed."""

    source: SourceSettings
    kafka: KafkaSettings
    migration: Migration
    keyring: Keyring | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which generation is published, and how it relates to what is in the log already."""

    log: str
    generation: int
    instant: str
    resumed: GenerationState | None = None
    abandoned: int = 0  # the unfinished generation that this one takes the place of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call did, or would do when it was a rehearsal."""

    opening: Opening
    is_rehearsal: bool
    topics_made: tuple[str, ...]
    tables: tuple[TableOutcome, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """The source held still."""

    connection: Connection
    held: Held
    state: SourceState
    tables: tuple[Table, ...]


def run_snapshot(places: Places, wish: Wish, report: Report) -> Outcome | None:
    """Publish one generation, or what is missing of an unfinished one; None when the source has no table.

    Raises:
        ConfigurationError: the migration does not fit the source, or a column that seems personal is not in it.
        Refused: an unfinished generation cannot go on.
        Fenced: another producer of the tenant took over.
        SourceError, LogError: source or log failed; what was committed stays, call it again.
    """
    migration = places.migration
    selection = wish.selection
    if selection is not None:
        selection.check(migration)
    with closing(open_source(places.source.url, schema=migration.source.schemas)) as connection:
        held = hold_catalogue(connection, migration)
        tables = chosen(held.catalogue, wish.tables) if selection is None else selection.tables(held.catalogue)
        snapshot = _Snapshot(connection=connection, held=held, state=read_state(connection), tables=tables)
        if not snapshot.tables:
            report(Warned("the source has no table to move; nothing was published"))
            return None
        if not wish.accepts_unclassified:
            refuse_unclassified(connection, snapshot.tables, held.catalogue, migration)
        if not snapshot.state.system_identifier:
            report(Notice("pg_control_system() may not be read: whether a resume meets the same server is not checked"))
        admin = Admin(places.kafka)
        admin.ping(lambda what: report(Waiting(what)))
        with _sink(places, wish) as sink:
            control = read_control(places.kafka, migration.log.prefix, migration.tenant, places.keyring)
            if selection is not None:
                selection.see_log(control, report)
            specs = topic_specs(migration, snapshot.tables)
            check_topics(admin, control, {spec.name: spec.partitions for spec in specs[1:]})
            opening = _opening(control, snapshot, migration, wish)
            made = _prepare_topics(admin, specs, wish)
            if places.keyring is None:
                report(
                    Warned("there is no KEYRING, so the log is not sealed: whoever may read the topics reads the rows")
                )
            if not wish.is_rehearsal:
                await_durable(connection)
            published = _publish(places, snapshot, opening, sink=sink, wish=wish, report=report)
    outcome = Outcome(opening=opening, is_rehearsal=wish.is_rehearsal, topics_made=made, tables=tuple(published))
    if selection is not None:
        selection.tell(outcome.rows, report)
    elif outcome.rows == 0:
        report(Warned("the source is empty: the generation has no row"))
    return outcome


def chosen(catalogue: Catalogue, names: Sequence[str]) -> tuple[Table, ...]:
    """The tables of that name in the catalogue's order; all of them when no name is given.

    Raises:
        ConfigurationError: there is no such table in the migration.
    """
    known = [table.name for table in catalogue.tables]
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f'the migration has no table "{name}"{did_you_mean(name, known)}',
                hint="--table names tables of the migration, without their schema; `producer plan` lists them",
            )
    return tuple(table for table in catalogue.tables if not names or table.name in names)


def topic_specs(migration: Migration, tables: Iterable[Table]) -> list[TopicSpec]:
    """The control topic and each table's, as they must be."""
    limits = {
        "replication_factor": migration.log.replication_factor,
        "max_message_bytes": migration.log.max_message_bytes,
    }
    control = TopicSpec(name=control_topic(migration.log.prefix), partitions=1, **limits)
    return [
        control,
        *(
            TopicSpec(
                name=topic_name(migration.log.prefix, table.name), partitions=migration.partitions_of(table), **limits
            )
            for table in tables
        ),
    ]


@contextmanager
def _sink(places: Places, wish: Wish) -> Iterator[Sink]:
    """The log, of which this becomes the only producer before the control topic is read; or a rehearsal."""
    log = places.migration.log
    if wish.is_rehearsal:
        yield Rehearsal(log.max_message_bytes)
        return
    transactions = Transactions(places.kafka, f"{log.prefix}-producer", max_message_bytes=log.max_message_bytes)
    try:
        transactions.init()
        yield transactions
        transactions.settle()
    finally:
        transactions.close()


def _opening(control: ControlState, snapshot: _Snapshot, migration: Migration, wish: Wish) -> Opening:
    """Go on with the unfinished generation, or begin the next.

    Raises:
        Refused: the unfinished one cannot go on, and was not to be abandoned.
    """
    instant = next_instant(snapshot.state.clock, control.last_instant)
    latest = control.latest
    if latest is None:
        return Opening(log=control.log or str(uuid.uuid4()), generation=1, instant=instant)
    if latest.is_over:
        return Opening(log=control.log, generation=latest.number + 1, instant=instant)
    if wish.is_restart:
        return Opening(log=control.log, generation=latest.number + 1, instant=instant, abandoned=latest.number)
    check_resumable(
        latest,
        catalogue=snapshot.held.catalogue,
        migration=migration,
        source=snapshot.state,
        tables=[table.name for table in snapshot.tables],
        is_partial=wish.is_partial,
        plan=wish.plan,
    )
    return Opening(log=control.log, generation=latest.number, instant=instant, resumed=latest)


def _prepare_topics(admin: Admin, specs: Sequence[TopicSpec], wish: Wish) -> tuple[str, ...]:
    """Make the topics; a rehearsal only sees whether it could. Returns those that are missing at first."""
    if not wish.is_rehearsal:
        return admin.ensure_topics(specs)
    if different := admin.differences(specs):
        raise LogError(
            "topics have other settings than the log needs: " + " | ".join(different),
            hint="a snapshot would refuse them",
        )
    present = admin.topics()
    return tuple(spec.name for spec in specs if spec.name not in present)


def _publish(
    places: Places, snapshot: _Snapshot, opening: Opening, *, sink: Sink, wish: Wish, report: Report
) -> list[TableOutcome]:
    publisher = Publisher(
        sink,
        prefix=places.migration.log.prefix,
        tenant=places.migration.tenant,
        log=opening.log,
        generation=opening.generation,
        keyring=places.keyring,
        report=report,
    )
    work = Work(
        connection=snapshot.connection,
        held=snapshot.held,
        tables=snapshot.tables,
        migration=places.migration,
        publisher=publisher,
        generation=opening.generation,
        instant=opening.instant,
        report=report,
        among=wish.selection.keys if wish.selection is not None else {},
    )
    report(GenerationStarted(opening.generation, opening.instant, opening.resumed is not None))
    if opening.resumed is None:
        fates = [TableFate(table, "begin") for table in snapshot.tables]
        _say_started(work, opening, snapshot.state, wish)
    else:
        fates = _fates(work, opening.resumed, snapshot.state)
        _say_resumed(work, snapshot.state, fates)
    tables = publish_tables(work, fates)
    publisher.control(
        SnapshotFinished(
            generation=opening.generation,
            instant=opening.instant,
            rows={table.table: table.rows for table in tables},
            attempts={table.table: table.attempt for table in tables},
        )
    )
    report(GenerationEnded(opening.generation))
    return tables


def _say_started(work: Work, opening: Opening, state: SourceState, wish: Wish) -> None:
    started = SnapshotStarted(
        log=opening.log,
        tenant=work.migration.tenant,
        generation=work.generation,
        instant=work.instant,
        migration_digest=work.migration.digest(),
        migration_parts=work.migration.parts(),
        system_identifier=state.system_identifier,
        database=state.database,
        server_version=state.server_version,
        wal_position=state.wal_position,
        timeline=state.timeline,
        snapshot=state.snapshot,
        tables=tuple(table.name for table in work.tables),
        is_partial=wish.is_partial,
        plan=wish.plan,
        catalogue=work.held.catalogue.to_json(),
    )
    if opening.abandoned:
        abandoned = SnapshotAbandoned(
            generation=opening.abandoned, instant=work.instant, reason="abandoned by hand (--restart)"
        )
        work.publisher.control(abandoned, started)
    else:
        work.publisher.control(started)


def _fates(work: Work, unfinished: GenerationState, state: SourceState) -> list[TableFate]:
    if work.among:  # few rows, and what proves a table unchanged speaks of all of its rows
        return [fate_anew(table, unfinished) for table in work.tables]
    if not is_same_history(unfinished, state):
        work.report(
            Notice(
                "the source was promoted, restored or has crashed since the snapshot was interrupted: "
                "what was published cannot be proven to be the same, and is read again"
            )
        )
        return [fate_anew(table, unfinished) for table in work.tables]
    fates = []
    for table in work.tables:
        look_from(work, table)
        fates.append(fate_of(work.connection, table, work.held.rows_of(table), unfinished))
    return after_parents(fates, work.gates)


def _say_resumed(work: Work, state: SourceState, fates: Sequence[TableFate]) -> None:
    kept = tuple(fate.table.name for fate in fates if fate.fate in ("kept", "continue"))
    again = tuple(fate.table.name for fate in fates if fate.fate == "again")
    work.publisher.control(
        SnapshotResumed(
            generation=work.generation,
            instant=work.instant,
            wal_position=state.wal_position,
            timeline=state.timeline,
            snapshot=state.snapshot,
            kept=kept,
            again=again,
        )
    )
    if again:
        work.report(
            Notice(f"read again from the start, because they changed or cannot be continued: {', '.join(again)}")
        )
