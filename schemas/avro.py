"""Names in the log: Avro names of columns, and Kafka topics of tables.

PostgreSQL allows any text as a name, Avro and Kafka do not. Avro names are recorded beside the
real ones (`WireColumn`); topic names can be read back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from schemas.errors import ConfigurationError

MAX_TOPIC_LENGTH = 249  # Kafka's

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9_]|-[0-9a-f]{2})+")


def field_names(names: Sequence[str]) -> tuple[str, ...]:
    """A valid and unique Avro name for each column: its own where that is one.

    >>> field_names(["id", "a-b", "a b", "2nd", "a_b"])
    ('id', 'a_b_2', 'a_b_3', '_2nd', 'a_b')
    """
    taken = {name for name in names if _AVRO_NAME.fullmatch(name)}
    fields: list[str] = []
    for name in names:
        if _AVRO_NAME.fullmatch(name):
            fields.append(name)
            continue
        stem = re.sub(r"[^A-Za-z0-9_]", "_", name)
        stem = stem if _AVRO_NAME.fullmatch(stem) else f"_{stem}"
        field, number = stem, 1
        while field in taken:
            number += 1
            field = f"{stem}_{number}"
        taken.add(field)
        fields.append(field)
    return tuple(fields)


def topic_name(prefix: str, table: str) -> str:
    """The topic of a table's rows; bytes that are no letter, digit or `_` stand as `-` and two hex digits.

    A dot is written so too: Kafka refuses two topics that differ only in dot and underscore.

    >>> topic_name("rawdog", "orders"), topic_name("rawdog", "my.tâble")
    ('rawdog.orders', 'rawdog.my-2et-c3-a2ble')
    """
    escaped = "".join(chr(byte) if byte in _PLAIN else f"-{byte:02x}" for byte in table.encode())
    topic = f"{prefix}.{escaped}"
    if len(topic) > MAX_TOPIC_LENGTH:
        raise ConfigurationError(
            f'table "{table}": its topic would have a name of {len(topic)} characters, Kafka takes {MAX_TOPIC_LENGTH}',
            hint="choose a shorter log.prefix in the migration",
        )
    return topic


def control_topic(prefix: str) -> str:
    """The control topic; no table's topic can have this name, because a `-` there is followed by two hex digits.

    >>> control_topic("rawdog"), table_of_topic("rawdog", "rawdog.-control")
    ('rawdog.-control', None)
    """
    return f"{prefix}.-control"


@lru_cache(maxsize=16_384)
def table_of_topic(prefix: str, topic: str) -> str | None:
    """The table whose rows a topic holds; None when it is no table's topic of this prefix.

    >>> table_of_topic("rawdog", "rawdog.my-2et-c3-a2ble")
    'my.tâble'
    """
    escaped = topic.removeprefix(f"{prefix}.")
    if escaped == topic or not _ESCAPED.fullmatch(escaped):
        return None
    plain = re.sub(rb"-([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), escaped.encode())
    try:
        table = plain.decode()
    except UnicodeDecodeError:
        return None
    return table if topic_name(prefix, table) == topic else None
