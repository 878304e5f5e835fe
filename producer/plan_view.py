"""How a plan is shown: for people as text, for programs as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from producer.plan import (
    GUESSED_BYTES_PER_SECOND,
    GUESSED_LOG_SHARE,
    GUESSED_ROWS_PER_SECOND,
    NotMoved,
    Plan,
    PlannedTable,
)
from producer.suspects import told
from runtime.display import shown
from schemas.oddity import Oddity, Severity

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTICE: "dim"}
_NAMES_SHOWN = 6


def plan_json(plan: Plan) -> str:
    """The plan as one JSON object."""
    return json.dumps(
        {**asdict(plan), "waves": plan.waves, "is_blocked": plan.is_blocked}, ensure_ascii=False, indent=2
    )


def show_plan(plan: Plan, console: Console) -> None:
    """Print the plan: what is moved, what it may cost, what is odd, what stays, what is wrong."""
    _head(plan, console)
    if plan.tables:
        console.print(_grid(plan))
    _costs(plan, console)
    _odd(plan, console)
    _suspicions(plan, console)
    _left(plan, console)
    _end(plan, console)


def _head(plan: Plan, console: Console) -> None:
    cost = plan.estimate
    console.print(Text(f"Plan for {plan.tenant}", style="bold"))
    console.print(
        f"  from    {plan.source}, {_many('schema', len(plan.schemas))} {', '.join(map(shown, plan.schemas))}"
    )
    console.print(f"  into    schema {shown(plan.target_schema)} of the target")
    console.print(
        f"  moves   {count(len(plan.tables))} {_many('table', len(plan.tables))} in {plan.waves} {_many('wave', plan.waves)}, "
        f"about {count(cost.rows)} rows, {size(cost.bytes)}"
    )
    if plan.types:
        console.print(f"  makes   types {', '.join(map(shown, plan.types))}")
    if plan.renamed:
        console.print(f"  renames {', '.join(map(shown, plan.renamed))}")
    if plan.extensions:
        console.print(
            f"  needs   extensions {', '.join(map(shown, plan.extensions))} in the target{'' if plan.extensions_checked else ' (not looked: NEW_POSTGRES_URL is not set)'}"
        )
    console.print()


def _grid(plan: Plan) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("wave", justify="right")
    grid.add_column("table", overflow="fold")
    grid.add_column("~rows", justify="right")
    grid.add_column("~size", justify="right")
    grid.add_column("key", overflow="fold")
    grid.add_column("parts", justify="right")
    grid.add_column("columns", overflow="fold")
    for table in plan.tables:
        grid.add_row(
            str(table.wave),
            shown(table.name),
            count(table.rows),
            size(table.bytes),
            ", ".join(map(shown, table.key)) or Text("none", style="yellow"),
            str(table.partitions),
            _columns(table),
        )
    return grid


def _columns(table: PlannedTable) -> str:
    parts = (
        (table.clear, "clear"),
        (table.encrypted, "encrypted"),
        (table.transformed, "changed"),
        (table.generated, "generated"),
        (table.added, "added"),
    )
    return ", ".join(f"{number} {what}" for number, what in parts if number)


def _costs(plan: Plan, console: Console) -> None:
    cost = plan.estimate
    console.print()
    console.print(Text("Estimated", style="bold"))
    console.print(f"  snapshot    {duration(cost.snapshot_s)}")
    console.print(f"  Kafka disk  {size(cost.kafka_bytes)}, all replicas together")
    guess = (
        f"A guess: {count(GUESSED_ROWS_PER_SECOND)} rows or {size(GUESSED_BYTES_PER_SECOND)} a second, the slower counts; "
        f"the log keeps {GUESSED_LOG_SHARE:.0%} of the tables' bytes. Rows and sizes are the source's own estimates."
    )
    console.print(Padding(Text(guess, style="dim"), (0, 0, 0, 2), expand=False))


def _odd(plan: Plan, console: Console) -> None:
    if not plan.odd:
        return
    console.print()
    console.print(Text("Odd", style="bold"))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for oddity in plan.odd:
        grid.add_row(Text(oddity.severity.value, style=_STYLE[oddity.severity]), _oddity(oddity))
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def _oddity(oddity: Oddity) -> Text:
    text = Text(f"{shown(oddity.table)}: " if oddity.table else "", style="")
    text.append(shown(oddity.text))
    if oddity.hint:
        text.append(f". {shown(oddity.hint[:1].upper() + oddity.hint[1:])}", style="dim")
    return text


def _suspicions(plan: Plan, console: Console) -> None:
    if not plan.suspicions:
        return
    console.print()
    console.print(Text("Seem personal or secret, undecided", style="yellow" if plan.is_lenient else "bold red"))
    for one in plan.suspicions:
        console.print(Padding(Text(shown(told(one))), (0, 0, 0, 2), expand=False))
    way = "Encrypt each, or keep it for a reason, in the migration; --accept-unclassified lets them travel readable."
    console.print(Padding(Text(way, style="dim"), (0, 0, 0, 2), expand=False))


def _left(plan: Plan, console: Console) -> None:
    console.print()
    console.print(Text("Not moved", style="bold"))
    for left in plan.not_moved:
        console.print(f"  {left_line(left)}")
    console.print("  Rights, storage settings, and what changes in the source after the snapshot has begun.")


def left_line(left: NotMoved) -> str:
    """Things of one kind that stay behind, a few of them by name."""
    names = ", ".join(map(shown, left.names[:_NAMES_SHOWN]))
    more = len(left.names) - _NAMES_SHOWN
    return f"{count(len(left.names))} {_many(left.kind, len(left.names))}: {names}{f' and {count(more)} more' if more > 0 else ''}"


def _end(plan: Plan, console: Console) -> None:
    console.print()
    if plan.problems:
        console.print(Text("Wrong in the migration", style="bold red"))
        for problem in plan.problems:
            console.print(Padding(Text(shown(problem)), (0, 0, 0, 2), expand=False))
        console.print()
    if plan.is_blocked:
        console.print(Text("A snapshot would stop here. Correct what is wrong, then plan again.", style="bold red"))
    else:
        console.print("Nothing was written. Next: producer snapshot --dry-run, then producer snapshot")


_IRREGULAR = {"policy": "policies", "identity": "identities", "view": "views", "statistics": "statistics"}


def _many(noun: str, number: int) -> str:
    """The noun, in the plural unless there is one.

    >>> _many("row security policy", 2), _many("sequence of no column", 2)
    ('row security policies', 'sequences of no column')
    """
    if number == 1:
        return noun
    head, of, rest = noun.partition(" of ")
    first, space, last = head.rpartition(" ")
    return first + space + _IRREGULAR.get(last, f"{last}s") + of + rest


def count(number: int) -> str:
    """Digits in groups.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def size(bytes_: int) -> str:
    """Bytes with a unit.

    >>> size(1536), size(0), size(2_500_000_000)
    ('1.5 kB', '0 B', '2.5 GB')
    """
    value = float(bytes_)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """A time that a person can plan with.

    >>> duration(0.2), duration(95), duration(9_000)
    ('a second or so', '2 min', '2 h 30 min')
    """
    if seconds < 2:
        return "a second or so"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
