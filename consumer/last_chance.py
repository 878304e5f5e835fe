"""Rows that a schema somebody else made refused because of order, tried again when all tables are in.

Its constraints stay on while rows come batch by batch, so a row whose parent comes in a later batch,
or whose unique value another row gives up later, goes into quarantine first. Before the generation
ends they are tried again: all together with deferrable constraints looked at last, and if that fails,
one after the other, in rounds, and what is left together once more. Only what is refused then stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumer.quarantine import quarantined
from consumer.retry import Work
from consumer.session import Session
from consumer.writer import MAY_COME_RIGHT, Limits
from runtime.postgres import Connection, use_schema
from runtime.progress import GenerationProgress, Progress, QuarantinedRow
from runtime.reporting import Notice, Report
from schemas.errors import NotWhole


@dataclass(frozen=True, slots=True)
class LastChance:
    """What `generation.end` calls; `limits` say how many rows may stay."""

    limits: Limits

    def __call__(
        self,
        session: Session,
        connection: Connection,
        progress: Progress,
        running: GenerationProgress,
        report: Report,
    ) -> None:
        """Apply what can be applied by now.

        Raises:
            NotWhole: rows stay, and the limits say stop.
        """
        use_schema(connection, session.migration.schema_)
        rows = quarantined(connection, progress, generation=running.generation, state="open")
        waiting = [row for row in rows if row.sqlstate in MAY_COME_RIGHT]
        if not waiting:
            return
        left = _rounds(Work(session, connection, progress), waiting)
        if len(left) < len(waiting):
            report(Notice(f"{len(waiting) - len(left)} rows that waited for others in quarantine are applied"))
        if left and self.limits.aborts:
            raise NotWhole(
                f"{left[0].table_name}: {len(left)} rows cannot be applied, the first: {left[0].reason}",
                hint="`consumer quarantine list` names them; correct the target or the source, "
                "or run with --on-error quarantine",
            )
        if len(rows) - len(waiting) + len(left) > self.limits.max_quarantined:
            raise NotWhole(
                f"more than {self.limits.max_quarantined} rows cannot be applied",
                hint="`consumer quarantine list` says why; correct that, or raise apply.max_quarantined",
            )


def _rounds(work: Work, waiting: list[QuarantinedRow]) -> list[QuarantinedRow]:
    left = waiting
    while left:
        if work.try_together(left):
            return []
        refused = [row for row in left if work.try_again(row) is not None]
        if len(refused) == len(left):
            break
        left = refused
    return left
