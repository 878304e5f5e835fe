"""The reason why one row is as it is: one sentence, for each course that a row can take."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.snapshots import Seen
from validator.reason import UNDECRYPTABLE, Facts, Fault, Image, Waiting, explain

OLD, NEW, ODD = {"id": "1", "x": "old"}, {"id": "1", "x": "new"}, {"id": "1", "x": "odd"}


def image(generation: int, cells: dict[str, str | None], **more: Any) -> Image:
    parts: dict[str, Any] = {
        "generation": generation,
        "attempt": 1,
        "position": f"t-0@{generation}",
        "row": 0,
        "instant": f"at {generation}",
        "is_current": True,
        "is_ended": True,
        "is_applied": True,
    }
    return Image(**{**parts, **more}, cells=cells)


def waiting(*, is_open: bool) -> Waiting:
    return Waiting(generation=1, position="t-0@1", row=7, why='23514, constraint "positive"', is_open=is_open)


def facts(**known: Any) -> Facts:
    parts: dict[str, Any] = {
        "table": "t",
        "source": None,
        "target": None,
        "seen": None,
        "images": (),
        "owed_from": 1,
        "newest": 1,
        "is_running": False,
        "quarantine": (),
        "waits_for": (),
    }
    return Facts(**{**parts, **known})


TWICE = [Fault(what="the target has 2 rows with this key", next="")]
PENDING = image(2, NEW, is_ended=False, is_applied=False)
COURSES = [
    (facts(source=OLD, target=OLD, images=[image(1, OLD)]), 0, "equal at the source and in the target"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD)], seen=Seen.SINCE), 0, "changed at the source since the snapshot: the target holds what was published at t-0@1"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD)], seen=Seen.BEFORE), 1, "has not changed since"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD)], seen=Seen.UNCLEAR), 3, "cannot be decided"),
    (facts(source=OLD, target=ODD, images=[image(1, OLD)], migrated_at="at 1"), 1, "changed after it was applied: its migrated_at is generation 1's"),
    (facts(source=OLD, target=ODD, images=[image(1, OLD)], migrated_at="at 9"), 1, "of no generation"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD), image(2, NEW)], owed_from=2, newest=2), 1, "the image of generation 1 (t-0@1), not that of generation 2"),
    (facts(source=OLD, target={**OLD, "x": UNDECRYPTABLE}, images=[image(1, OLD)]), 1, "x in the target does not decrypt"),
    (facts(source=OLD, target=ODD), 1, "never published: the target's row was written by somebody else"),
    (facts(source=OLD, images=[image(1, OLD)]), 1, "published at t-0@1 and applied, but missing in the target"),
    (facts(source=OLD, seen=Seen.SINCE), 0, "inserted at the source since the snapshot"),
    (facts(source=OLD, seen=Seen.BEFORE), 1, "never published, although the snapshot shows it"),
    (facts(target=OLD, images=[image(1, OLD)]), 0, "deleted at the source since the snapshot: the target holds"),
    (facts(target=ODD, images=[image(1, OLD)], migrated_at="at 1"), 1, "deleted at the source since the snapshot, and the target's row was changed"),
    (facts(target=ODD), 1, "somebody wrote it into the target"),
    (facts(target=OLD, images=[image(1, OLD)], owed_from=2, newest=2), 1, "was not pruned"),
    (facts(images=[image(1, OLD)], owed_from=2, newest=2), 0, "gone: last published in generation 1"),
    (facts(images=[image(1, OLD)]), 1, "somebody deleted it"),
    (facts(), 3, "neither source, log nor target"),
    (facts(source=OLD, images=[image(1, OLD)], quarantine=[waiting(is_open=True)]), 1, 'quarantined at t-0@1 row 7: 23514, constraint "positive"'),
    (facts(source=OLD, images=[image(1, OLD)], quarantine=[waiting(is_open=False)]), 1, "given up: quarantined at t-0@1 row 7"),
    (facts(source=OLD, target=OLD, images=[image(2, OLD)], owed_from=2, quarantine=[waiting(is_open=True)]), 0, "equal"),
    (facts(source=NEW, images=[PENDING], newest=2, is_running=True, waits_for=["p"]), 3, "published at t-0@2, not applied: its table waits for p"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD), PENDING], seen=Seen.SINCE), 3, "published at t-0@2, not applied yet"),
    (facts(source=NEW, newest=2, is_running=True), 3, "generation 2 has not ended"),
    (facts(source=OLD, target=OLD, faults=TWICE), 1, "the target has 2 rows with this key; otherwise equal at the source and in the target"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD)], seen=Seen.BEFORE, faults=TWICE), 1, "has not changed since; and the target has 2 rows with this key"),
    (facts(source=OLD, target=OLD, not_compared=["there is no keyring to open x with"]), 3, "there is no keyring to open x with; otherwise equal"),
    (facts(source=OLD, seen=Seen.SINCE, not_compared=["there is no keyring to open x with"]), 0, "inserted at the source since the snapshot"),
    (facts(source=NEW, target=OLD, images=[image(1, OLD), image(2, ODD, is_current=False)], seen=Seen.SINCE), 0, "published at t-0@1"),
]  # fmt: skip


@pytest.mark.parametrize(("known", "code", "says"), COURSES, ids=[course[2][:40] for course in COURSES])
def test_each_course_of_a_row_has_its_reason(known: Facts, code: int, says: str) -> None:
    answer = explain(known)

    assert says in answer.reason
    assert answer.exit_code == code


def test_no_facts_tell_a_value_by_accident() -> None:
    assert "old" not in repr(facts(source=OLD, target=OLD, images=[image(1, OLD)]))
