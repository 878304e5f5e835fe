"""`./dev bench`: every way several times, interleaved, on servers of its own; prints medians and ratios.

Absolute figures hold for the machine and the minute; the ratios are medians of pairs
measured in the same round, which is what a noisy machine leaves standing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from embedded.kafka import Kafka
from embedded.postgres import Postgres
from schemas.migration import parse_migration
from tests.bench.datasets import Dataset, rawdog, three_tables
from tests.bench.drill import Drilled, drill, prepare
from tests.bench.measure import Measured
from tests.bench.ways import Bench, Servers, references

HISTORY = Path(".embedded/bench-history.jsonl")
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}

# ratio: (numerator way, denominator way, of rates or of seconds, what the issue wants)
RATIOS = {
    "end_to_end_vs_limit_1": ("end to end", "copy with foreign keys (limit 1)"),
    "snapshot_vs_limit_2": ("snapshot", "copy without foreign keys (limit 2)"),
    "apply_vs_limit_1": ("apply", "copy with foreign keys (limit 1)"),
    "replay_vs_apply": ("replay", "apply"),
}

Rounds = dict[str, list[Measured]]


def main() -> None:
    """Run the bench as the command line says."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, by data set")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every way (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the data sets (default 1)")
    parser.add_argument("--dataset", choices=("three", "rawdog", "drill", "all"), default="all")
    options = parser.parse_args()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 150)
    chosen = [data for name, data in _datasets(options.scale).items() if options.dataset in (name, "all")]
    results: dict[str, Any] = {}
    for dataset in chosen:
        rounds = run(dataset, options.rounds, console)
        results[dataset.name] = summary(rounds)
        show(dataset.name, rounds, results[dataset.name]["ratios"], console)
        console.print(f"  cells_per_cpu_s              {results[dataset.name]['cells_per_cpu_s']:,.0f}")
    if options.dataset in ("drill", "all"):
        results["drill"] = [asdict(found) for found in drill_down(options.rounds, options.scale, console)]
    record = {"at": datetime.now(UTC).isoformat(), "machine": _machine(), "scale": options.scale, **results}
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(record) + "\n")
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        print()


def run(dataset: Dataset, rounds: int, console: Console) -> Rounds:
    """All ways of one data set, round by round."""
    found: Rounds = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _servers() as servers:
        source = servers.source.create_database("source")
        console.print(f"[bold]{dataset.name}[/]: filling the source")
        bench = Bench(servers, dataset, dataset.fill(servers.source.dsn(source)), Path(folder), source)
        bench.make_keys()
        for number in range(1, rounds + 1):
            for way, measured in _round(bench):
                found.setdefault(way, []).append(measured)
                console.print(
                    f"round {number}  {way:<38} {measured.seconds:7.2f} s {measured.rows_per_s:12,.0f} rows/s"
                )
    return found


def drill_down(rounds: int, scale: float, console: Console) -> list[Drilled]:
    """One wrong cent in ten million rows (at scale 1), found again in each round."""
    rows = int(10_000_000 * scale)
    found: list[Drilled] = []
    with _servers() as servers:
        console.print(f"[bold]drill-down[/]: filling both sides with {rows:,} rows")
        source, target = prepare(servers, rows)
        for number in range(1, rounds + 1):
            found.append(drill(source, target, rows))
            console.print(
                f"round {number}  one wrong cent in {rows:,} rows: cut in {found[-1].cut_s:.2f} s,"
                f" ranges known in {found[-1].add_up_s:.2f} s, row and column named in {found[-1].name_s:.2f} s"
            )
    return found


def _round(bench: Bench) -> Iterator[tuple[str, Measured]]:
    for name, way in references(bench).items():
        yield name, way()
    yield "end to end", bench.end_to_end()
    yield from bench.ours()


@contextmanager
def _servers() -> Iterator[Servers]:
    with Postgres(settings=SETTINGS) as source, Postgres(settings=SETTINGS) as target, Kafka() as kafka:
        yield Servers(source, target, kafka)


def summary(rounds: Rounds) -> dict[str, Any]:
    """`ways` with every round's figures, and `ratios`."""
    ways = {
        name: [{**asdict(measured), "rows_per_s": measured.rows_per_s} for measured in runs]
        for name, runs in rounds.items()
    }
    return {"ways": ways, "ratios": ratios(rounds), "cells_per_cpu_s": cells_per_cpu_s(rounds)}


def cells_per_cpu_s(rounds: Rounds) -> float:
    """Encrypted cells decrypted and compared in a CPU second of the validator, all its other layers included."""
    return statistics.median(run.cells / run.cpu_s["validator"] for run in rounds["reconcile"])


def ratios(rounds: Rounds) -> dict[str, float]:
    """Medians over rounds of one way's rate by another's, in the same round.

    `reconcile_vs_load` compares seconds instead, with the end-to-end load: below 1 is cheaper.
    """
    rates = {
        ratio: statistics.median(
            ours.rows_per_s / other.rows_per_s for ours, other in zip(rounds[way], rounds[limit], strict=True)
        )
        for ratio, (way, limit) in RATIOS.items()
    }
    for ratio, way in {"reconcile_vs_load": "reconcile", "reconcile_sampled_vs_load": "reconcile sampled"}.items():
        pairs = zip(rounds[way], rounds["end to end"], strict=True)
        rates[ratio] = statistics.median(ours.seconds / load.seconds for ours, load in pairs)
    return rates


def show(name: str, rounds: Rounds, found: Mapping[str, float], console: Console) -> None:
    """Medians by way, then the ratios."""
    table = Table(title=f"{name}: medians of {len(next(iter(rounds.values())))} rounds")
    for column in ("way", "seconds", "rows/s", "CPU s by process", "peak MB by process"):
        table.add_column(column, justify="left" if column[0] in "wCp" else "right")
    for way, runs in rounds.items():
        table.add_row(
            way,
            f"{statistics.median(run.seconds for run in runs):.2f}",
            f"{statistics.median(run.rows_per_s for run in runs):,.0f}",
            _medians([run.cpu_s for run in runs], "{:.1f}"),
            _medians([run.peak_mb for run in runs], "{:.0f}"),
        )
    console.print(table)
    for ratio, value in found.items():
        console.print(f"  {ratio:<28} {value:.2f}")


def _medians(runs: Sequence[Mapping[str, float]], form: str) -> str:
    names = runs[0]
    medians = {name: statistics.median(run[name] for run in runs) for name in names}
    return ", ".join(f"{name} {form.format(value)}" for name, value in medians.items() if value >= 0.05)


def _datasets(scale: float) -> dict[str, Dataset]:
    text = Path("rawdog.toml").read_text(encoding="utf-8")
    migration = parse_migration(text, "rawdog.toml")
    tables = tuple(migration.tables)
    own_log = text.replace(f'prefix = "{migration.log.prefix}"', 'prefix = "{prefix}"')
    return {"three": three_tables(scale), "rawdog": rawdog(scale, own_log, tables)}


def _machine() -> dict[str, str | int]:
    return {"cpus": os.cpu_count() or 0, "machine": platform.machine(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
