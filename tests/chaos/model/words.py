"""Words for a trace."""

from __future__ import annotations

from tests.chaos.model.state import NAMES, PARTITIONS, TABLE_OF, Entry, Said, Send


def consumer_name(me: int) -> str:
    return f"consumer {'AB'[me]}"


def partition_name(number: int) -> str:
    return f"{NAMES[TABLE_OF[number]]}-{PARTITIONS[TABLE_OF[number]].index(number)}"


def attempt_name(said: Said) -> str:
    return (
        f"{NAMES[said.which]} {said.generation}.{said.attempt}" if said.attempt else f"of generation {said.generation}"
    )


def entry_words(number: int, entry: Entry) -> str:
    what = {"S": "table-started", "B": f"the batch with row {entry.key}", "F": "table-finished"}[entry.kind]
    return f"{what} of {entry.generation}.{entry.attempt} on {partition_name(number)}"


def send_words(send: Send) -> str:
    parts = [entry_words(number, entry) for number, entry in send.entries if entry.kind == "B"]
    parts += [f"{said.kind} {attempt_name(said)}" for said in send.said]
    return " with ".join(parts)
