"""Why one row is as it is: from what source, log, target and quarantine say, one sentence. Pure.

Values come in only as texts to be compared; no sentence holds one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from schemas.errors import ExitCode
from schemas.snapshots import Seen
from validator.verdict import Verdict

Cells = Mapping[str, str | None]

UNDECRYPTABLE = "\0undecryptable"  # no PostgreSQL text holds a NUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The row as one generation published it, in the target's terms."""

    generation: int
    attempt: int
    position: str
    row: int
    instant: str
    is_current: bool  # of the generation's last attempt, and that generation was not abandoned
    is_ended: bool  # the generation has ended in the target
    is_applied: bool  # the target's position lies behind it
    cells: Cells = field(repr=False)
    key: tuple[str, ...] = field(default=(), repr=False)  # as published: equal keys may be written otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a row beside its cells, and what to do about it."""

    what: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row in quarantine: where it stands and why."""

    generation: int
    position: str
    row: int
    why: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one row."""

    table: str
    source: Cells | None = field(repr=False)
    seen: Seen | None  # by the snapshot that the target's state shows; None without such a row or snapshot
    images: Sequence[Image]  # oldest first
    owed_from: int  # the newest complete generation that has ended: the state begins there
    newest: int  # generation that the target holds or is applying; 0 when there is none
    is_running: bool
    quarantine: Sequence[Waiting]
    waits_for: Sequence[str]  # parents that are not complete yet
    target: Cells | None = field(repr=False)
    migrated_at: str = ""
    faults: Sequence[Fault] = ()  # none of them shows in a cell
    not_compared: Sequence[str] = ()  # columns of which nothing can be said, and why

    @property
    def is_equal(self) -> bool:
        """Whether source and target have it, and alike."""
        return self.source is not None and self.target is not None and same(self.source, self.target)

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """Its quarantine, without what a later complete generation made void."""
        return tuple(item for item in self.quarantine if item.generation >= self.owed_from)

    @property
    def owed(self) -> Image | None:
        """What the target owes: the newest image of the state."""
        found = [
            item for item in self.images if item.is_current and item.is_ended and item.generation >= self.owed_from
        ]
        return found[-1] if found else None

    @property
    def pending(self) -> Image | None:
        """The image of a generation that has not ended here, if there is one."""
        found = [item for item in self.images if item.is_current and not item.is_ended]
        return found[-1] if found else None

    @property
    def undecryptable(self) -> tuple[str, ...]:
        """Columns of the target that do not open."""
        return tuple(name for name, text in (self.target or {}).items() if text == UNDECRYPTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The verdict on one row, and the reason."""

    verdict: Verdict
    reason: str
    next: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """As `reconcile` would end over this row."""
        codes = {Verdict.EQUAL: ExitCode.DONE, Verdict.DIFFERENT: ExitCode.DIFFERENT}
        return codes.get(self.verdict, ExitCode.INCONCLUSIVE)


def explain(facts: Facts) -> Answer:
    """The first reason that holds; equal only of a row without faults, all of whose cells were compared."""
    return _undone(facts) or _with_faults(facts, _done(facts))


def _with_faults(facts: Facts, answer: Answer) -> Answer:
    """The answer of the cells, with what stands beside them."""
    if facts.faults:
        told = "; ".join(fault.what for fault in facts.faults)
        if answer.verdict is Verdict.DIFFERENT:
            return replace(answer, reason=f"{answer.reason}; and {told}")
        return _different(f"{told}; otherwise {answer.reason}", facts.faults[0].next)
    if facts.not_compared and facts.target is not None and answer.verdict is Verdict.EQUAL:
        return Answer(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"{'; '.join(facts.not_compared)}; otherwise {answer.reason}",
            next="set KEYRING and KEYRING_KEK_FILE to the keyring that the data were written with",
        )
    return answer


def _undone(facts: Facts) -> Answer | None:
    """Why the row is not, or not yet, what it shall be; None when nothing stands in its way."""
    opened = next((item for item in facts.waiting if item.is_open), None)
    if opened is not None:
        older = "; the target still has an older image" if facts.target is not None else ""
        return _different(
            f"quarantined at {opened.position} row {opened.row}: {opened.why}{older}", "consumer quarantine list"
        )
    if (facts.is_running or facts.pending is not None) and not facts.is_equal:
        return _unfinished(facts)
    return None


def _done(facts: Facts) -> Answer:
    if facts.source is None and facts.target is None:
        return _nowhere(facts)
    if facts.target is None:
        return _missing(facts)
    if facts.source is None:
        return _extra(facts)
    return _both_equal(facts) if facts.is_equal else _both(facts)


def same(one: Cells, other: Cells) -> bool:
    """Whether every column that both have is the same."""
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _different(reason: str, next_: str = "") -> Answer:
    return Answer(verdict=Verdict.DIFFERENT, reason=reason, next=next_)


def _equal(reason: str) -> Answer:
    return Answer(verdict=Verdict.EQUAL, reason=reason)


def _unfinished(facts: Facts) -> Answer:
    pending = facts.pending
    if pending is None:
        reason = f"generation {facts.newest} has not ended, and this row is not in what it has published so far"
    elif pending.is_applied:
        reason = f"published at {pending.position} and applied; generation {pending.generation} has not ended"
    elif facts.waits_for:
        reason = f"published at {pending.position}, not applied: its table waits for {', '.join(facts.waits_for)}"
    else:
        reason = f"published at {pending.position}, not applied yet"
    return Answer(verdict=Verdict.INCONCLUSIVE, reason=reason, next="consumer run --until-complete")


def _nowhere(facts: Facts) -> Answer:
    owed = facts.owed
    if owed is not None:
        return _different(
            f"published at {owed.position} and missing in the target, where somebody deleted it; the source has not it either",
            "producer snapshot",
        )
    if facts.images:
        last = facts.images[-1]
        return _equal(f"gone: last published in generation {last.generation}, deleted at the source and pruned since")
    return Answer(
        verdict=Verdict.INCONCLUSIVE,
        reason="neither source, log nor target has a row with this key",
        next="see that the key is written as PostgreSQL prints it, one argument a column",
    )


def _missing(facts: Facts) -> Answer:
    owed = facts.owed
    if facts.waiting:
        item = facts.waiting[0]
        return _different(f"given up: quarantined at {item.position} row {item.row} ({item.why}) and discarded")
    if owed is not None:
        return _different(
            f"published at {owed.position} and applied, but missing in the target: it was deleted there",
            "consumer replay, then consumer run --until-complete",
        )
    if facts.seen is Seen.BEFORE:
        return _different("never published, although the snapshot shows it", "producer snapshot")
    if facts.seen is Seen.SINCE:
        return _equal("inserted at the source since the snapshot, so it was not published")
    return _unclear("never published; whether it was inserted before the snapshot cannot be decided")


def _extra(facts: Facts) -> Answer:
    owed = facts.owed
    assert facts.target is not None
    if owed is None and facts.images:
        last = facts.images[-1]
        return _different(
            f"last published in generation {last.generation} and not since: it is gone at the source and was not pruned",
            "producer snapshot    (a complete generation prunes it)",
        )
    if owed is None:
        return _different("never published: somebody wrote it into the target", "producer snapshot")
    if same(owed.cells, facts.target):
        return _equal(
            f"deleted at the source since the snapshot: the target holds what was published at {owed.position}"
        )
    return _different(f"deleted at the source since the snapshot, and {_tampered(facts, owed)}", _REPAIR)


_REPAIR = "consumer replay --reapply, then consumer run --until-complete"


def _both_equal(facts: Facts) -> Answer:
    assert facts.target is not None
    owed = facts.owed
    other = f"; what was published at {owed.position} was not" if owed and not same(owed.cells, facts.target) else ""
    return _equal(f"equal at the source and in the target{other}")


def _both(facts: Facts) -> Answer:
    assert facts.target is not None
    owed = facts.owed
    if owed is None:
        return _different("never published: the target's row was written by somebody else", "producer snapshot")
    if not same(owed.cells, facts.target):
        return _different(_tampered(facts, owed), _REPAIR)
    held = f"the target holds what was published at {owed.position}"
    if facts.seen is Seen.SINCE:
        return _equal(f"changed at the source since the snapshot: {held}")
    if facts.seen is Seen.BEFORE:
        return _different(f"{held}, but the source shows something else and has not changed since", "producer snapshot")
    return _unclear(f"{held}; whether the source changed it since cannot be decided")


def _unclear(reason: str) -> Answer:
    return Answer(
        verdict=Verdict.INCONCLUSIVE, reason=reason, next="producer snapshot    (a new generation decides it)"
    )


def _tampered(facts: Facts, owed: Image) -> str:
    """What is wrong with a row of the target that is not what was published."""
    assert facts.target is not None
    if facts.undecryptable:
        return (
            f"{', '.join(facts.undecryptable)} in the target does not decrypt: damaged, moved, or under an unknown key"
        )
    older = next((item for item in reversed(facts.images) if item is not owed and same(item.cells, facts.target)), None)
    if older is not None:
        return (
            f"the target has the image of generation {older.generation} ({older.position}),"
            f" not that of generation {owed.generation} at {owed.position}"
        )
    if facts.migrated_at == owed.instant:
        return (
            f"the target's row was changed after it was applied: its migrated_at is generation {owed.generation}'s,"
            f" its values are not those published at {owed.position}"
        )
    return (
        f"the target's row is of no generation: neither migrated_at nor values are those published at {owed.position}"
    )


def apart(one: str | None, other: str | None) -> str:
    """How two texts differ, without showing either.

    >>> apart("a", "a "), apart("1.0", "1.00"), apart("é", "e\u0301"), apart(None, ""), apart("ab", "abc")
    ('only in trailing space', 'the same number, written otherwise', 'only in Unicode normalization', 'NULL on one side', 'lengths 2 and 3')
    """
    if one is None or other is None:
        return "NULL on one side"
    alike = next((what for what, form in _ALIKE if form(one) == form(other)), None)
    if alike is None and _is_same_number(one, other):
        alike = "the same number, written otherwise"
    lengths = f"lengths {len(one):,} and {len(other):,}" if len(one) != len(other) else f"same length, {len(one):,}"
    return alike or lengths


_ALIKE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("only in trailing space", str.rstrip),
    ("only in surrounding space", str.strip),
    ("only in upper and lower case", str.casefold),
    ("only in Unicode normalization", lambda text: unicodedata.normalize("NFC", text)),
)


def _is_same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
