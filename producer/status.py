"""What the log tells of the tenant's generations: for people and for programs. Pure."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from schemas.control import ControlState, GenerationState


def status_facts(state: ControlState) -> dict[str, Any]:
    """The state as plain facts, generations in order."""
    return {
        "tenant": state.tenant or None,
        "log": state.log or None,
        "generations": [_generation(state.generations[number]) for number in sorted(state.generations)],
    }


def _generation(generation: GenerationState) -> dict[str, Any]:
    return {
        "generation": generation.number,
        "state": generation.state,
        "instant": generation.started.instant,
        "is_partial": generation.started.is_partial,
        "is_repair": bool(generation.started.plan),
        "resumed": len(generation.resumed),
        "rows": sum(table.rows for table in generation.tables.values()),
        "tables": [_table(generation, name) for name in generation.started.tables],
    }


def _table(generation: GenerationState, name: str) -> dict[str, Any]:
    table = generation.tables.get(name)
    if table is None:
        return {"table": name, "state": "waiting", "attempt": 0, "rows": 0, "batches": 0, "bytes": 0}
    return {
        "table": name,
        "state": "changed" if table.is_superseded else "finished" if table.is_finished else "running",
        "attempt": table.attempt,
        "rows": table.rows,
        "batches": table.batches,
        "bytes": table.bytes,
    }


def show_status(facts: dict[str, Any], console: Console) -> None:
    """Print the newest generation by table, the earlier ones in a line each."""
    if not facts["generations"]:
        console.print("There is no log yet. `producer snapshot` begins it.")
        return
    console.print(f"tenant {facts['tenant']}, log {facts['log']}")
    *earlier, latest = facts["generations"]
    for generation in earlier:
        console.print(_line(generation))
    console.print(_line(latest))
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("table")
    grid.add_column("state")
    for name in ("attempt", "rows", "batches", "bytes"):
        grid.add_column(name, justify="right")
    for table in latest["tables"]:
        numbers = [f"{table[name]:,}" for name in ("attempt", "rows", "batches", "bytes")]
        grid.add_row(table["table"], table["state"], *numbers)
    console.print(grid)
    if latest["state"] == "running":
        console.print("`running` also means interrupted: `producer snapshot` goes on where it stopped.")


def _line(generation: dict[str, Any]) -> str:
    words = [f"generation {generation['generation']}: {generation['state']}"]
    if generation["is_partial"]:
        words.append("partial, rows of a repair plan" if generation["is_repair"] else "partial")
    if generation["resumed"]:
        words.append(f"resumed {generation['resumed']} times")
    return f"{', '.join(words)}; {generation['rows']:,} rows; the state of {generation['instant']}"
