"""Something about the source that its owner should know before it moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much an oddity weighs."""

    ERROR = "error"  # a snapshot would stop there
    WARNING = "warning"  # the target will differ from the source, or needs a hand
    NOTICE = "notice"  # handled; good to know


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """One thing that is odd; `table` is empty when it concerns the whole source."""

    severity: Severity
    text: str
    table: str = ""
    hint: str = ""
