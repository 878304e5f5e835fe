"""Facts on a terminal: bars, plain lines, or only what a person must read. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from runtime.reporting import (
    BatchesApplied,
    BatchesPublished,
    Counted,
    GenerationEnded,
    GenerationStarted,
    Notice,
    PartitionStopped,
    ProgressChoice,
    Report,
    RowsCompared,
    TableDone,
    TableTotals,
    Waiting,
    Warned,
)

PLAIN_INTERVAL_S = 0.5

Line = Callable[[str], None]


@contextmanager
def display(choice: ProgressChoice) -> Iterator[Report]:
    """What shows facts as `choice` (not auto) says."""
    if choice == "bar":
        with Bars() as bars:
            yield bars
        return
    yield Plain(_stderr) if choice == "plain" else Messages(_stderr)


def _stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Messages:
    """What a person must read whatever the progress: generations, notices, warnings, what is waited for."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting = ""

    def __call__(self, fact: object) -> None:
        """Show one fact."""
        text = self._text(fact)
        if text:
            self._line(text)

    def _text(self, fact: object) -> str:
        text = ""
        match fact:
            case Waiting(for_what):
                text = "" if for_what == self._waiting else f"waiting for {for_what}"
                self._waiting = for_what
            case Notice(said):
                text = said
            case Warned(said):
                text = f"warning: {said}"
            case PartitionStopped(_, _, reason, hint):
                text = f"warning: {reason}: this partition stops here, the others go on" + (
                    f" ({hint})" if hint else ""
                )
            case GenerationStarted(generation, instant, is_resumed):
                word = "goes on" if is_resumed else "begins"
                text = f"generation {generation} {word}" + (f", as of {instant}" if instant else "")
            case GenerationEnded(generation, is_whole):
                text = f"generation {generation} ended" + ("" if is_whole else ", not whole: rows stand in quarantine")
            case BatchesPublished() | BatchesApplied() | RowsCompared():
                self._waiting = ""
        return text


class Plain:
    """A line a group of batches, `orders: 12000 rows migrated`; at most two a second for a table, and the last."""

    def __init__(self, line: Line, *, interval_s: float = PLAIN_INTERVAL_S) -> None:
        self._line = line
        self._messages = Messages(line)
        self._interval_s = interval_s
        self._rows: dict[str, int] = {}
        self._quarantined: dict[str, int] = {}
        self._shown: dict[str, tuple[float, int]] = {}  # when, and how many rows
        self._verbs: dict[str, str] = {}

    def __call__(self, fact: object) -> None:
        """Show one fact."""
        match fact:
            case BatchesPublished() | BatchesApplied() | RowsCompared():
                self._count(fact)
            case TableTotals(table, _, done) if done:
                self._rows[table] = done
            case TableDone(table, rows):
                self._finish(table, rows)
        self._messages(fact)

    def _count(self, fact: Counted) -> None:
        table = fact.table
        self._verbs[table] = fact.verb
        self._rows[table] = self._rows.get(table, 0) + fact.rows
        if isinstance(fact, BatchesApplied):
            self._quarantined[table] = self._quarantined.get(table, 0) + fact.quarantined
        shown_at, _ = self._shown.get(table, (float("-inf"), 0))
        if time.monotonic() - shown_at >= self._interval_s:
            self._show(table)

    def _finish(self, table: str, rows: int | None) -> None:
        counted = self._rows.get(table)
        if counted is not None and self._shown.get(table, (0.0, -1))[1] != counted:
            self._show(table)
        self._line(f"{table}: complete" + (f", {rows} rows" if rows is not None else ""))

    def _show(self, table: str) -> None:
        rows, quarantined = self._rows[table], self._quarantined.get(table, 0)
        self._shown[table] = (time.monotonic(), rows)
        verb = self._verbs.get(table, "done")
        self._line(f"{table}: {rows} rows {verb}" + (f", {quarantined} quarantined" if quarantined else ""))


class _RateColumn(ProgressColumn):
    """Rows a second, over the last seconds."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")


class _RowsColumn(ProgressColumn):
    """Rows done, of how many if that is known."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f"/{int(task.total):,}"
        return Text(f"{int(task.completed):,}{total}", style="progress.download")


class Bars:
    """A bar a table with rows, rate and time left, and one for all; messages scroll above them."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _RowsColumn(),
            _RateColumn(),
            TimeRemainingColumn(compact=True),
            console=console or Console(stderr=True),
            refresh_per_second=5,
        )
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int | None] = {}
        self._all: TaskID | None = None
        self._messages = Messages(lambda line: self._progress.console.print(escape(line), highlight=False))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, fact: object) -> None:
        """Show one fact."""
        match fact:
            case TableTotals(table, rows, done):
                self._totals[table] = rows
                self._progress.update(self._task(table), total=rows, completed=done)
                self._update_all()
            case BatchesPublished() | BatchesApplied() | RowsCompared():
                seen = fact.rows + (fact.quarantined if isinstance(fact, BatchesApplied) else 0)
                self._progress.advance(self._task(fact.table), seen)
                self._update_all()
            case TableDone(table, rows):
                self._finish(table, rows)
                self._update_all()
        self._messages(fact)

    def _finish(self, table: str, rows: int | None) -> None:
        task = self._task(table)
        done = rows if rows is not None else int(self._progress.tasks[self._index(task)].completed)
        self._totals[table] = done
        self._progress.update(task, total=done, completed=done)

    def _task(self, table: str) -> TaskID:
        if self._all is None:
            self._all = self._progress.add_task("all tables", total=None)
        if table not in self._tasks:
            self._tasks[table] = self._progress.add_task(escape(table), total=None)
            self._totals.setdefault(table, None)
        return self._tasks[table]

    def _index(self, task: TaskID) -> int:
        return self._progress.task_ids.index(task)

    def _update_all(self) -> None:
        assert self._all is not None
        done = sum(self._progress.tasks[self._index(task)].completed for task in self._tasks.values())
        known = [rows for rows in self._totals.values() if rows is not None]
        total = sum(known) if len(known) == len(self._totals) else None
        self._progress.tasks[self._index(self._all)].total = total  # `update` takes None for no change
        self._progress.update(self._all, completed=done)


def shown(text: str) -> str:
    r"""Names may hold anything; what would move the cursor is escaped.

    >>> shown("a\nb")
    'a\\nb'
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
