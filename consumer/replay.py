"""Replay: set a tenant's positions back, so that the next `consumer run` reads the log again.

Data does not change by it: a row there that is as new stays. With `reapply` rows of the same
instant are written again, which a changed transform or a new key needs. Positions go back to the
beginning of their partitions; records of generations that are not replayed are only passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from runtime.advance import Partition, rewind
from runtime.interventions import accept_migration
from runtime.postgres import Connection, explain
from runtime.progress import GenerationProgress, GenerationState, Progress
from schemas.errors import ConfigurationError, Refused
from schemas.nearest import did_you_mean
from schemas.shape import changes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """Which positions go back, and what is applied again: generations with their tables."""

    tenant: str
    moves: Mapping[Partition, tuple[int, int]]  # next offset now, and then
    tables: Mapping[str, tuple[Partition, ...]]
    generations: Mapping[int, tuple[str, ...]]
    quarantined: int
    accepted_digest: str | None  # of the migration that rows are written again under, None without --reapply

    def lines(self) -> Iterator[str]:
        """As it is shown before asking."""
        numbers = ", ".join(map(str, self.generations))
        yield f"replay of tenant {self.tenant}, generation{'s' if len(self.generations) > 1 else ''} {numbers}"
        for table, partitions in self.tables.items():
            steps = ", ".join(f"{place[1]}: {self.moves[place][0]} → {self.moves[place][1]}" for place in partitions)
            records = sum(self.moves[place][0] - self.moves[place][1] for place in partitions)
            yield f"  {table}  {records:,} offsets again (partition {steps})"
        if self.quarantined:
            yield f"{self.quarantined:,} rows in quarantine are forgotten and tried again"
        if self.accepted_digest is None:
            yield "rows that are there stay as they are: only what is missing is written"
        else:
            yield "every row is written again, with the migration as it is now"
        yield "then start `consumer run`"


def plan_replay(
    progress: Progress,
    begin_offsets: Mapping[Partition, int],
    *,
    tables: Sequence[str] = (),
    generation: int | None = None,
    digest: str,
    parts: Mapping[str, str] | None = None,
    reapply: bool,
) -> ReplayPlan:
    """See what goes back; pure.

    Without `generation` the newest complete one that has all its rows here, or in the log, is replayed, and what
    came after it.

    Raises:
        ConfigurationError: there is no such generation or table.
        Refused: nothing can be replayed, or the migration is another than the rows were applied with.
    """
    first = _first_generation(progress, generation)
    replayed = {
        number: _chosen(item, tables)
        for number, item in sorted(progress.generations.items())
        if number >= first and item.state is not GenerationState.ABANDONED
    }
    _see_tables(progress, tables)
    replayed = {number: names for number, names in replayed.items() if names or not tables}
    if not replayed:
        raise Refused(
            f"generation {first} and those after it have none of the tables", hint="`consumer status` lists them"
        )
    _see_migration(progress, replayed, digest, parts or {}, reapply=reapply)
    names = {name for chosen in replayed.values() for name in chosen}
    order = [name for name in _order(progress) if name in names]
    by_table = {
        table: tuple(sorted(place for place, item in progress.positions.items() if item.table_name == table))
        for table in order
    }
    moves = {
        place: (progress.positions[place].next_offset, begin_offsets.get(place, 0))
        for places in by_table.values()
        for place in places
    }
    quarantined = sum(
        rows for (number, table), rows in progress.open_quarantine.items() if table in replayed.get(number, ())
    )
    return ReplayPlan(
        tenant=progress.tenant.tenant,
        moves=moves,
        tables=by_table,
        generations=replayed,
        quarantined=quarantined,
        accepted_digest=digest if reapply else None,
    )


def replay(connection: Connection, plan: ReplayPlan) -> None:
    """Set the positions back, durably, all or none.

    Raises:
        TargetError: the target refuses; nothing was set back.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO on")
            if plan.accepted_digest is not None:
                accept_migration(connection, plan.tenant, plan.accepted_digest)
            rewind(connection, plan.tenant, {place: then for place, (_, then) in plan.moves.items()}, plan.generations)
    except psycopg.Error as error:
        raise explain(error, f'replay of tenant "{plan.tenant}" (nothing was set back)') from None


def _first_generation(progress: Progress, asked: int | None) -> int:
    alive = {n: item for n, item in progress.generations.items() if item.state is not GenerationState.ABANDONED}
    if asked is not None:
        if asked not in alive:
            known = ", ".join(map(str, sorted(alive))) or "none"
            raise ConfigurationError(
                f"generation {asked} is not in this target (known: {known})", hint="`consumer status` lists them"
            )
        return asked
    if not alive:
        raise Refused("no generation has begun here, so there is nothing to replay", hint="start `consumer run`")
    loading = [n for n, item in alive.items() if item.state is GenerationState.RUNNING]
    whole = [
        n
        for n, item in alive.items()
        if not item.is_partial and item.is_published and n <= min(loading, default=n)  # what has ended, or is replayed
    ]
    return max(whole) if whole else min(alive)


def _chosen(generation: GenerationProgress, tables: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in generation.table_order if not tables or name in tables)


def _order(progress: Progress) -> tuple[str, ...]:
    newest = max(progress.generations)
    names = dict.fromkeys(progress.generations[newest].table_order)
    for item in progress.generations.values():
        names |= dict.fromkeys(item.table_order)
    return tuple(names)


def _see_tables(progress: Progress, tables: Sequence[str]) -> None:
    known = _order(progress)
    for name in tables:
        if name not in known:
            raise ConfigurationError(
                f'table "{name}" is in no generation{did_you_mean(name, known)}', hint="`consumer status` lists them"
            )


def _see_migration(
    progress: Progress,
    replayed: Mapping[int, Sequence[str]],
    digest: str,
    parts: Mapping[str, str],
    *,
    reapply: bool,
) -> None:
    if reapply or digest == progress.tenant.accepted_digest:
        return
    others = [progress.generations[number] for number in replayed]
    others = [item for item in others if item.migration_digest != digest]
    if others:
        what = changes(others[-1].migration_parts, parts)
        raise Refused(
            "the migration is another than the one these rows were applied with, so rows of two migrations would mix"
            + (f": {what}" if what else ""),
            hint="put the migration back, or --reapply to write every row again under the new one",
        )
