"""The control topic as the consumer follows it: read as it grows, written down in the target.

Every process reads it and writes what it says; writing it twice changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import psycopg

from consumer.session import Session
from runtime import generations
from runtime.control import fold
from runtime.kafka import LogRecord, TailReader
from runtime.postgres import Connection
from schemas.avro import control_topic, topic_name
from schemas.control import ControlState, GenerationState
from schemas.errors import LogError
from schemas.records import TableStarted


class ControlReader:
    """Follows the control topic from its beginning."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tail = TailReader(session.kafka, control_topic(session.prefix))
        self._noted: dict[int, GenerationState] = {}
        self.state = ControlState()

    def catch_up(self) -> None:
        """Read to what is the end now."""
        while not self._tail.is_at_end:
            self._take(self._tail.poll(1.0))

    def read(self) -> None:
        """Take in what has come."""
        while (record := self._tail.poll(0.0)) is not None:
            self._take(record)

    def _take(self, record: LogRecord | None) -> None:
        if record is None:
            return
        self.state = fold(self.state, record, self._session.keyring, self._session.tenant)
        if self.state.tenant != self._session.tenant:
            raise LogError(
                f'topic {record.position.topic}: the log of tenant "{self.state.tenant}"',
                hint="two migrations must not share log.prefix",
            )

    def started(self, table: str, generation: int, attempt: int) -> TableStarted | None:
        """The table-started record of an attempt, None when the control topic has not come so far or is beyond."""
        found = self.state.generations.get(generation)
        item = None if found is None else found.tables.get(table)
        return item.started if item is not None and item.attempt == attempt else None

    def note(self, connection: Connection) -> None:
        """Write down in progress what is new since the last call."""
        new = {n: item for n, item in self.state.generations.items() if self._noted.get(n) is not item}
        if not new:
            return
        with connection.transaction():
            for number, generation in new.items():
                _note(connection, self._session, generation, self._noted.get(number))
        self._noted |= new

    def close(self) -> None:
        """Give up the connection."""
        self._tail.close()


def _note(
    connection: psycopg.Connection[tuple[object, ...]],
    session: Session,
    generation: GenerationState,
    noted: GenerationState | None,
) -> None:
    """Write down a generation, of its tables those that have changed since it was `noted`."""
    started = generation.started
    generations.note_generation(
        connection,
        session.tenant,
        generation=generation.number,
        instant=generation.snapshot.instant,
        is_partial=started.is_partial,
        catalogue=started.catalogue,
        tables={table: topic_name(session.prefix, table) for table in started.tables},
        migration_digest=started.migration_digest,
        migration_parts=started.migration_parts,
    )
    for name, table in generation.tables.items():
        if noted is not None and noted.tables.get(name) is table:
            continue
        generations.note_attempt(
            connection,
            session.tenant,
            generation=generation.number,
            table=name,
            attempt=table.attempt,
            instant=table.started.instant,
            partitions=table.started.partitions,
            wire_schema=json.dumps([asdict(column) for column in table.started.columns], ensure_ascii=False),
        )
        if table.is_superseded:
            generations.note_superseded(
                connection, session.tenant, generation=generation.number, table=name, attempt=table.attempt
            )
        elif table.finished is not None:
            generations.note_published(
                connection,
                session.tenant,
                generation=generation.number,
                table=name,
                attempt=table.attempt,
                rows=table.finished.rows,
            )
    if generation.finished is not None:
        generations.note_snapshot_finished(connection, session.tenant, generation.number, generation.finished.instant)
    if generation.abandoned is not None:
        generations.note_abandoned(connection, session.tenant, generation.number)
