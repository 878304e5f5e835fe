"""How far the target is behind the log's end, partition by partition."""

from __future__ import annotations

from runtime.kafka import Admin, Partition
from runtime.progress import GenerationState, Progress
from schemas.errors import LogError


def offsets_behind(admin: Admin, progress: Progress) -> dict[Partition, int]:
    """Offsets between each position and the end of its partition; empty when Kafka does not answer."""
    found: dict[Partition, int] = {}
    try:
        ends = admin.ends({topic for topic, _ in progress.positions})
    except LogError:
        return found
    over = {number for number, item in progress.generations.items() if item.state is GenerationState.ENDED}
    for (topic, number), item in progress.positions.items():
        # After the last record stands the mark of its transaction, which is no record: one offset is not "behind".
        behind = max(ends[topic].get(number, 0) - item.next_offset, 0)
        found[Partition(topic, number)] = 0 if behind == 1 and item.finished_generation in over else behind
    return found
