"""The rows that a repair plan lists, as what a partial generation publishes of each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runtime.reporting import Notice, Report, Warned
from schemas.catalogue import Catalogue, Table
from schemas.control import ControlState
from schemas.errors import ConfigurationError
from schemas.migration import Migration
from schemas.nearest import did_you_mean
from schemas.repair import Key, NotThisPlan, RepairPlan, RowKind, see_log, see_migration


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A repair plan that is to be published, and the file it came from."""

    plan: RepairPlan
    file: str
    max_rows: int
    keys: Mapping[str, Sequence[Key]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", self.plan.published)

    def check(self, migration: Migration) -> None:
        """See that the plan may be published, before any server is asked.

        Raises:
            ConfigurationError: it lists too many rows or none to publish, or was made with another migration.
        """
        see_migration(self.plan, self.file, migration.digest())
        if not self.keys:
            raise NotThisPlan(
                f"{self.file}: the plan lists no row to publish",
                hint=_whole_hint(self.plan)
                or "rows that are too many go with the next complete generation: producer snapshot",
            )
        if self.plan.published_rows > self.max_rows:
            raise ConfigurationError(
                f"{self.file}: the plan lists {self.plan.published_rows:,} rows, --max-rows is {self.max_rows:,}",
                hint="nothing was published; --max-rows allows more, `producer snapshot --table` publishes whole tables",
            )

    def see_log(self, control: ControlState, report: Report) -> None:
        """See that the plan speaks of this log, and say if it may be stale."""
        see_log(self.plan, self.file, control.log)
        since = [
            number for number, found in control.generations.items() if number > self.plan.generation and found.finished
        ]
        if since:
            report(
                Notice(f"generation {max(since)} was published after the plan was made: rows of it may be equal by now")
            )

    def tables(self, catalogue: Catalogue) -> tuple[Table, ...]:
        """The plan's tables in the catalogue's order.

        Raises:
            NotThisPlan: one is not in the migration, or has another key.
        """
        known = {table.name: table for table in catalogue.tables}
        for name, keys in self.keys.items():
            if name not in known:
                raise NotThisPlan(f'{self.file}: the migration has no table "{name}"{did_you_mean(name, list(known))}')
            if any(len(key) != len(known[name].key) for key in keys):
                raise NotThisPlan(
                    f'{self.file}: table "{name}" has another key now ({", ".join(known[name].key) or "none"})',
                    hint="make a new plan: validator reconcile --plan FILE",
                )
        return tuple(table for table in catalogue.tables if table.name in self.keys)

    def tell(self, published: int, report: Report) -> None:
        """Say what this generation does not mend."""
        if gone := self.plan.published_rows - published:
            report(
                Notice(
                    f"of {self.plan.published_rows:,} rows of the plan {gone:,} are no longer at the source: nothing to publish"
                )
            )
        if extra := self.plan.of_kind(RowKind.EXTRA):
            report(Notice(f"{extra:,} rows are too many in the target: they go with the next complete generation"))
        if stuck := self.plan.of_kind(RowKind.STUCK):
            report(
                Warned(
                    f"{stuck:,} rows of the target show an instant that no generation has: they are not replaced"
                    " until they are deleted there"
                )
            )
        if self.plan.whole:
            report(Warned(f"not published: {_whole_hint(self.plan)}"))


def _whole_hint(plan: RepairPlan) -> str:
    if not plan.whole:
        return ""
    options = " ".join(f"--table {name}" for name in plan.whole)
    return f"tables that have to be published whole ({', '.join(plan.whole)}): producer snapshot {options}"
