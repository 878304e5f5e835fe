"""The control topic read from the broker: records opened, decoded and folded into a `ControlState`."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.kafka import Admin, LogRecord, read_all
from runtime.keyring import Keyring
from runtime.settings import KafkaSettings
from schemas import records, seal
from schemas.avro import control_topic
from schemas.control import ControlState
from schemas.errors import ContractError, KeyringError, LogError
from schemas.records import ControlRecord, Kind


def open_value(record: LogRecord, keyring: Keyring | None, tenant: str) -> bytes:
    """The value in clear: unsealed when the header names a key.

    Raises:
        KeyringError: sealed, and there is no keyring or not that key.
        ContractError: the wrong key, or the record is damaged or was moved.
    """
    header, position = record.header, record.position
    if not header.kid:
        return record.value
    if not header.kid.isascii() or not header.kid.isdigit() or len(header.kid) > 10:
        raise ContractError(f"{position}: a key id that is no number", hint="the record was written by another program")
    if keyring is None:
        raise KeyringError(
            f"{position}: sealed with key {header.kid}, and there is no keyring",
            hint="set KEYRING and KEYRING_KEK_FILE (or KEYRING_KEK) as for the producer that wrote it",
        )
    key = keyring.transport_key(tenant, header.log, int(header.kid))
    return seal.unseal(key, record.value, header.associated_data(position.topic, position.partition), str(position))


def open_control(record: LogRecord, keyring: Keyring | None, tenant: str) -> ControlRecord:
    """The control record (or marker on a table's topic) in `record`; errors as `open_value`."""
    if record.header.kind is Kind.BATCH:
        raise ContractError(f"{record.position}: a batch where a control record belongs")
    return records.decode(record.header.kind, open_value(record, keyring, tenant), record.position)


def fold(state: ControlState, record: LogRecord, keyring: Keyring | None, tenant: str) -> ControlState:
    """The state after one more record of the control topic."""
    return state.applied(record.position, record.header, open_control(record, keyring, tenant))


def read_control(settings: KafkaSettings, prefix: str, tenant: str, keyring: Keyring | None) -> ControlState:
    """The state that the whole control topic tells; an empty one when the topic does not exist.

    Raises:
        LogError: the topic is another tenant's, or its beginning was deleted.
        KeyringError, ContractError: as `open_value`.
    """
    topic = control_topic(prefix)
    state = ControlState()
    for record in read_all(settings, topic):
        state = fold(state, record, keyring, tenant)
    if state.tenant and state.tenant != tenant:
        raise LogError(
            f'topic {topic}: the log of tenant "{state.tenant}", not of "{tenant}"',
            hint="two migrations must not share log.prefix",
        )
    return state


def check_topics(admin: Admin, state: ControlState, table_topics: Mapping[str, int]) -> None:
    """See that the topics are those the control topic tells of: `table_topics` are those of the migration.

    Raises:
        LogError: topics were deleted, made anew, or lost records; it says what to run.
    """
    present = admin.topics()
    start_over = "start over: `consumer rollback`, `producer drop-log`, then `producer snapshot`"
    if not state.log:
        for topic, ends in admin.ends(table_topics.keys() & present).items():
            if any(ends.values()):
                raise LogError(f"topic {topic} has records, but the control topic has none", hint=start_over)
        return
    for topic in sorted(state.topics):
        if topic not in present:
            raise LogError(f"topic {topic} was deleted, but the control topic tells of its records", hint=start_over)
    begin_of, end_of = admin.begins(state.topics), admin.ends(state.topics)
    for topic, partitions in sorted(state.topics.items()):
        begin, end = begin_of[topic], end_of[topic]
        if len(end) != partitions:
            raise LogError(f"topic {topic} has {len(end)} partitions, had {partitions}", hint=start_over)
        if not all(end.values()):
            raise LogError(f"topic {topic} was made anew: partitions are empty that had records", hint=start_over)
        if any(begin.values()):
            raise LogError(f"topic {topic} has lost its first records (retention, delete-records)", hint=start_over)
