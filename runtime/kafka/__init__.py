"""The log: topics, transactions of the producer, the consumers' group, readers without a group.

The only package that imports confluent_kafka. Every error leaves it as a `LogError`
(`Fenced`, `ContractError`) that names topic and reason.
"""

from runtime.kafka.admin import Admin, TopicDescription, TopicSpec
from runtime.kafka.client import Damaged, LogRecord, Partition
from runtime.kafka.group import Group
from runtime.kafka.reading import TailReader, read_all
from runtime.kafka.transactions import RecordTooLarge, Transactions

__all__ = [
    "Admin",
    "Damaged",
    "Group",
    "LogRecord",
    "Partition",
    "RecordTooLarge",
    "TailReader",
    "TopicDescription",
    "TopicSpec",
    "Transactions",
    "read_all",
]
