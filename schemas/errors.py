"""What can go wrong, as families: each knows its exit code and what to do next.

A message says what failed, where (table, position) and why; `hint` says what to do next.
Neither ever holds a row's value or a secret: errors of libraries that carry values are
caught where they arise and raised again as one of these, `from None`.

The exit codes are one table for the three programs (docs/exit-codes.md):
0 done, 1 rows not applied or different, 2 wrong use or configuration, 3 inconclusive,
4 could not (server, rights, disk, log), 5 repaired, 6 fenced by another process.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a program says with its end."""

    DONE = 0
    DIFFERENT = 1
    USAGE = 2
    INCONCLUSIVE = 3
    UNAVAILABLE = 4
    REPAIRED = 5
    FENCED = 6
    INTERRUPTED = 130
    TERMINATED = 143


class ReplicatorError(Exception):
    """Base of all errors that a user is told of without a traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(ReplicatorError):
    """Wrong use: an option, an environment variable, a file or a migration that cannot be."""

    exit_code = ExitCode.USAGE


class Unavailable(ReplicatorError):
    """A server, a right, a disk or a file that is needed is not to be had."""


class SourceError(Unavailable):
    """The source cannot be read as it must be; nothing was written to it."""


class TargetError(Unavailable):
    """The target refuses; the transaction was rolled back."""


class LogError(Unavailable):
    """Kafka refuses, or the log is not the one that was written."""


class ContractError(LogError):
    """A record that this build cannot understand or open. Its partition stops there; never retried."""


class KeyringError(ConfigurationError):
    """A key is missing, destroyed, swapped or unreadable. Nothing is written without the right key."""


class Refused(ReplicatorError):
    """The state found does not allow this: doing it would lose or mix data."""


class Fenced(ReplicatorError):
    """Another process has taken over; this one ends and must not be restarted by itself."""

    exit_code = ExitCode.FENCED


class Inconclusive(ReplicatorError):
    """What was asked could not be decided."""

    exit_code = ExitCode.INCONCLUSIVE


class NotWhole(ReplicatorError):
    """Ended, but rows stand in quarantine or differ."""

    exit_code = ExitCode.DIFFERENT
