"""The gate: which tables' partitions may flow, and what is to be done with a record of one. Pure.

A table flows when each of its parents, outside its own ring, is complete in the generation that is
running; a generation runs when the earlier ones have ended or were abandoned. All of it is read
from progress in the target, so the gate works across processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache

from runtime.progress import GenerationProgress, GenerationState, Progress, TableState
from schemas.catalogue import Catalogue, gates

_COMPLETE = (TableState.COMPLETE, TableState.APPLIED)


class Verdict(StrEnum):
    """What becomes of a record: apply it, move past it (something newer superseded it), or wait."""

    APPLY = "apply"
    PASS = "pass"  # noqa: S105 - no password
    WAIT = "wait"


@lru_cache(maxsize=8)
def parents_in(catalogue_json: str, tables: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """For each table of a generation the tables it waits for: only such as are in the generation."""
    moved = tuple(table for table in Catalogue.from_json(catalogue_json).tables if table.name in tables)
    return gates(moved)


@dataclass(frozen=True)
class Gate:
    """The gate as progress stands at one moment."""

    progress: Progress

    def completed(self, table: str) -> Gate:
        """The gate after a table of the running generation has become complete, before progress is read again."""
        running = self.progress.running
        if running is None or (running.generation, table) not in self.progress.tables:
            return self
        item = replace(self.progress.tables[running.generation, table], state=TableState.COMPLETE)
        tables = {**self.progress.tables, (running.generation, table): item}
        return Gate(replace(self.progress, tables=tables))

    def opened_by(self, table: str) -> tuple[str, ...]:
        """Tables of the running generation that wait for this one, and for nothing else that is not complete."""
        running = self.progress.running
        if running is None:
            return ()
        waiting = [name for name, parents in self._parents.items() if table in parents]
        return tuple(name for name in waiting if self._parents_complete(running, name))

    @cached_property
    def _parents(self) -> Mapping[str, frozenset[str]]:
        running = self.progress.running
        return {} if running is None else parents_in(running.catalogue_json, running.table_order)

    def is_open(self, topic: str, partition: int, table: str) -> bool:
        """Whether a partition of the table may deliver: what it has had all of in this generation may not."""
        running = self.progress.running
        if running is None or not running.is_prepared:
            return False
        item = self.progress.tables.get((running.generation, table))
        if item is None:
            return False
        position = self.progress.positions.get((topic, partition))
        if position is not None and (position.finished_generation, position.finished_attempt) == (
            running.generation,
            item.attempt,
        ):
            return False
        return self._parents_complete(running, table)

    def knows(self, table: str, generation: int, attempt: int) -> bool:
        """Whether the control topic has named this attempt of the table, or a later one."""
        item = self.progress.tables.get((generation, table))
        return item is not None and attempt <= item.attempt

    def verdict(self, table: str, generation: int, attempt: int) -> Verdict:
        """What becomes of a record of this table, generation and attempt."""
        found = self.progress.generations.get(generation)
        item = self.progress.tables.get((generation, table))
        if found is None or item is None:
            return Verdict.WAIT  # the control topic has not been read so far
        if found.state is not GenerationState.RUNNING or attempt < item.attempt:
            return Verdict.PASS
        newest = self.progress.newest_table(table)
        if newest is not None and newest.generation > generation:
            return Verdict.PASS
        running = self.progress.running
        if running is None or running.generation != generation or attempt > item.attempt or not running.is_prepared:
            return Verdict.WAIT
        return Verdict.APPLY if self._parents_complete(running, table) else Verdict.WAIT

    def waits_for(self) -> Mapping[str, tuple[str, ...]]:
        """For each table of the running generation that may not flow: the parents that are not complete."""
        running = self.progress.running
        if running is None:
            return {}
        parents = self._parents
        missing = {
            table: tuple(
                name for name in running.table_order if name in parents[table] and not self._complete(running, name)
            )
            for table in running.table_order
        }
        return {table: names for table, names in missing.items() if names}

    def is_loaded(self, generation: GenerationProgress) -> bool:
        """Whether a generation is complete in the log and every table of it in the target."""
        return generation.is_published and all(self._complete(generation, name) for name in generation.table_order)

    def _parents_complete(self, running: GenerationProgress, table: str) -> bool:
        return all(self._complete(running, parent) for parent in self._parents.get(table, frozenset()))

    def _complete(self, generation: GenerationProgress, table: str) -> bool:
        return self.progress.tables[generation.generation, table].state in _COMPLETE
