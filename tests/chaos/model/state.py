"""What the model knows of the world at one moment: log, target, consumers; and what keeps the promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.catalogue import Catalogue
from tests.made_log import table

PARENT, CHILD = 0, 1
NAMES = ("parent", "child")
PARTITIONS = ((0, 1), (2,))  # of each table
TABLE_OF = (PARENT, PARENT, CHILD)
TABLES = table("parent", "id int"), table("child", "id int", "parent_id int", parent="parent")
CATALOGUE = Catalogue(tables=TABLES)
ORPHANS = Catalogue(tables=(TABLES[0], table("child", "id int", "parent_id int")))  # nobody waits for anybody

Row = tuple[int, int]  # the state of the source that wrote it, and the parent's key (0 in the parent)
Rows = Mapping[int, Row]
Moment = tuple[Rows, Rows]  # parent, child: by key


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps the promises; each can be taken away."""

    compare_and_set: bool = True
    rows_with_position: bool = True
    waits_for_parents: bool = True
    waits_for_generation: bool = True
    same_attempt_everywhere: bool = True
    every_partition: bool = True
    only_older_rows: bool = True
    ends_when_published: bool = True
    prune_by_attempt: bool = True
    prune_children_first: bool = True
    prune_waits_for_quarantine: bool = True
    prune_holds_parents: bool = True
    batch_before_checkpoint: bool = True  # False: the batch's transaction comes after its checkpoint's
    checkpoint_with_batch: bool = True  # False: the checkpoint's transaction comes after its batch's
    fencing: bool = True
    looks_for_changes: bool = True
    again_with_parent: bool = True
    instants_never_back: bool = True
    abandonment: bool = True


TOGETHER = ((0, 0, 0),)
APART = ((0, 0, 1), (0, 1, 0), (0, 1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What may go wrong, and how often. `history` are the source's states, one after the other."""

    history: tuple[Moment, ...]
    generations: int = 1
    crashes: int = 0  # of a producer
    abandons: int = 0
    freezes: int = 0  # a consumer loses everything, and may write late
    moves: int = 0  # a partition changes hands in order
    refusals: int = 0  # a row that cannot be applied
    clock_goes_back: bool = False
    shares: tuple[tuple[int, int, int], ...] = TOGETHER  # who owns which partition at first


class Tab(NamedTuple):
    """A table of a generation in the target."""

    attempt: int = 0
    instant: int = 0
    state: str = "waiting"


class Gen(NamedTuple):
    """A generation in the target."""

    state: str = "running"
    is_published: bool = False
    parent: Tab = Tab()
    child: Tab = Tab()

    def tab(self, which: int) -> Tab:
        return self.child if which else self.parent

    def put(self, which: int, tab: Tab) -> Gen:
        return self._replace(child=tab) if which else self._replace(parent=tab)


class Place(NamedTuple):
    """A partition's position in the target."""

    offset: int = 0
    generation: int = 0
    attempt: int = 0
    batches: int = 0
    finished: tuple[int, int] = (0, 0)
    owner: int = 0


class Entry(NamedTuple):
    """A record on a table's partition: S started, B batch (of one row), F finished (`sequence`: its batches here)."""

    kind: str
    generation: int
    attempt: int
    instant: int
    sequence: int = 0
    key: int = 0
    row: Row = (0, 0)


class Said(NamedTuple):
    """A record on the control topic."""

    kind: str
    generation: int
    which: int = 0
    attempt: int = 0
    instant: int = 0
    number: int = 0  # batches so far; or the source's state
    key: int = 0
    tables: tuple[str, ...] = ()


class Send(NamedTuple):
    """One transaction of a producer."""

    said: tuple[Said, ...] = ()
    entries: tuple[tuple[int, Entry], ...] = ()


Course = tuple[Gen, ...]
Target = tuple[tuple[tuple[int, Row, int], ...], ...]  # by table: key, row, migrated_at
Shown = tuple[frozenset[tuple[int, Row]], ...]  # by table: keys and rows of all its snapshots


class Writing(NamedTuple):
    """The log while producers write it."""

    opens: int = 0
    source: int = 0  # the moment of it that was read last
    control: tuple[Said, ...] = ()
    log: tuple[tuple[Entry, ...], ...] = ((), (), ())
    plan: tuple[Send, ...] | None = None  # what the producer will send; None: there is none
    ghost: tuple[Send, ...] = ()  # what a producer that was replaced still would send
    crashes: int = 0
    abandons: int = 0
    is_over: bool = False


@dataclass(frozen=True)
class World:
    """A log as producers may leave it, and how they came there."""

    control: tuple[Said, ...]
    log: tuple[tuple[Entry, ...], ...]
    story: tuple[str, ...]
    shown: Shown


class State(NamedTuple):
    """The target and its consumers, at one moment. `world`: the log they read."""

    world: int = 0
    noted: int = 0  # control records that the target knows of
    course: Course = ()
    places: tuple[Place, ...] = (Place(), Place(), Place())
    rows: Target = ((), ())
    quarantine: tuple[tuple[int, int, int], ...] = ()  # table, key, generation
    pruned: int = 0  # tables, of the generation that is ending
    gates: tuple[Course, Course] = ((), ())  # the progress as each consumer saw it last
    beliefs: tuple[tuple[tuple[int, int], ...], ...] = ((), ())  # of partitions that it lost: where it would go on
    freezes: int = 0
    moves: int = 0
    refusals: int = 0
    stopped: str = ""


class Violation(Exception):
    """A promise is broken."""

    def __init__(self, what: str, trace: tuple[str, ...]) -> None:
        super().__init__("\n".join((what, *(f"  {number:2} {step}" for number, step in enumerate(trace, 1)))))
        self.what = what
        self.trace = trace


Step = tuple[str, State]
