"""Facts: what the programs' loops report instead of printing; `Report` takes any of them.

In a test a report is `facts.append`; `runtime.console` opens the real one. A module may keep facts of its own beside its loop: whatever is no fact of this module is
logged with its fields. No fact ever holds a row's value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

ProgressChoice = Literal["auto", "bar", "plain", "none"]
LogFormat = Literal["text", "json"]

Report = Callable[[object], None]


def unheard(fact: object) -> None:
    """The report of whoever has nobody to tell."""


@dataclass(frozen=True, slots=True)
class BatchesPublished:
    """Rows of a table are committed in the log; the numbers are of this group of batches only."""

    verb: ClassVar[str] = "published"
    table: str
    rows: int
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BatchesApplied:
    """Rows of a table are committed in the target; `quarantined` rows come beside `rows`."""

    verb: ClassVar[str] = "migrated"
    table: str
    rows: int
    quarantined: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RowsCompared:
    """Rows of a table were looked at on both sides."""

    verb: ClassVar[str] = "compared"
    table: str
    rows: int
    seconds: float = 0.0


Counted = BatchesPublished | BatchesApplied | RowsCompared


@dataclass(frozen=True, slots=True)
class TableTotals:
    """How many rows a table is expected to have (None: unknown), and how many were done before."""

    table: str
    rows: int | None
    done: int = 0


@dataclass(frozen=True, slots=True)
class TableDone:
    """A table is complete; `rows` are all it has, if known."""

    table: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationStarted:
    """Work on a generation begins, or goes on after an interruption."""

    generation: int
    instant: str = ""
    is_resumed: bool = False


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """A generation is done; not whole when rows stand in quarantine."""

    generation: int
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be done now; `for_what` completes "waiting for …"."""

    for_what: str


@dataclass(frozen=True, slots=True)
class PartitionStopped:
    """A partition stops at a record that cannot be understood; the others go on. `reason` names the position."""

    table: str
    partition: int
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class PartitionFreed:
    """A stopped partition is tried again, here or by another process."""

    table: str
    partition: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should read once."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is odd, and the work goes on."""

    text: str


def event_of(fact: object) -> tuple[str, dict[str, object]]:
    """A fact as a log event: its name in words, and its fields.

    >>> event_of(TableDone("orders", 3))
    ('table done', {'table': 'orders', 'rows': 3})
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", type(fact).__name__).lower()
    try:
        return name, {item.name: getattr(fact, item.name) for item in fields(fact)}  # type: ignore[arg-type]
    except TypeError:  # no dataclass
        return name, {}
