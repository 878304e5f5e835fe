"""One part of a state after another: what a step of the machine is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from schemas import control as log_control
from tests.chaos.model.decisions import folded, running_of
from tests.chaos.model.state import (
    CHILD,
    NAMES,
    PARENT,
    Course,
    Entry,
    Gen,
    Place,
    Row,
    Said,
    Send,
    Shown,
    State,
    Tab,
    Target,
    Writing,
)


@cache
def told_by(control: tuple[Said, ...], course: Course, *, abandons: bool) -> Course:
    """What the target knows of the generations when it has read the control topic so far."""
    told = list(course)
    for number, found in folded(control).generations.items():
        if number > len(told):
            told.append(Gen())
        gen = told[number - 1]
        for which, name in enumerate(NAMES):
            if (item := found.tables.get(name)) is not None:
                gen = gen.put(which, _noted(gen.tab(which), item))
        gen = gen._replace(is_published=found.finished is not None)
        if found.abandoned is not None and gen.state == "running" and abandons:
            gen = gen._replace(state="abandoned")
        told[number - 1] = gen
    return tuple(told)


@cache
def broken_rows(rows: Target, quarantine: tuple[tuple[int, int, int], ...], shown: Shown) -> str:
    parents = {key for key, _, _ in rows[PARENT]}
    aside = {key for which, key, _ in quarantine if which == PARENT}
    for key, row, _ in rows[CHILD]:
        if row[1] not in parents | aside:
            return f"child {key} has no parent {row[1]}"
    for which in (PARENT, CHILD):
        for key, row, _ in rows[which]:
            if (key, row) not in shown[which]:
                return f"{NAMES[which]} {key} is as no published snapshot shows it"
    return ""


@cache
def batches_below(log: tuple[Entry, ...], offset: int, generation: int, attempt: int) -> int:
    return sum((e.kind, e.generation, e.attempt) == ("B", generation, attempt) for e in log[:offset])


def _noted(tab: Tab, item: log_control.TableState) -> Tab:
    """`note_attempt`, then `note_superseded`, of runtime.generations."""
    kept = "waiting" if tab.state == "waiting" else "loading"
    instant = int(item.started.instant[20:26])
    if tab.attempt < item.attempt or (tab.attempt == item.attempt and not tab.instant):
        tab = Tab(item.attempt, instant, kept)
    if item.is_superseded and tab.attempt <= item.attempt:
        tab = Tab(item.attempt + 1, 0, kept)
    return tab


@cache
def seen_by_gate(course: Course) -> Course:
    """Of the progress what a consumer judges by; of an instant only whether the attempt has begun."""
    return tuple(
        Gen(gen.state, is_published=False, parent=_seen_of(gen.parent), child=_seen_of(gen.child)) for gen in course
    )


def _seen_of(tab: Tab) -> Tab:
    return tab._replace(instant=min(tab.instant, 1))


@cache
def completed(course: Course, which: int) -> Course:
    number = running_of(course)
    if not number:
        return course
    gen = course[number - 1]
    gen = gen.put(which, gen.tab(which)._replace(state="complete"))
    return (*course[: number - 1], gen, *course[number:])


def sent(writing: Writing, send: Send) -> Writing:
    log = list(writing.log)
    for number, entry in send.entries:
        log[number] = (*log[number], entry)
    return writing._replace(control=writing.control + send.said, log=tuple(log))


def put_place(state: State, partition: int, place: Place) -> State:
    places = state.places
    return state._replace(places=(*places[:partition], place, *places[partition + 1 :]))


def put_rows(state: State, which: int, rows: Mapping[int, tuple[Row, int]]) -> State:
    flat = tuple((key, *rows[key]) for key in sorted(rows))
    return state._replace(rows=(state.rows[0], flat) if which else (flat, state.rows[1]))


def put_gate(state: State, me: int, gate: Course) -> State:
    return state._replace(gates=(state.gates[0], gate) if me else (gate, state.gates[1]))


def believe(state: State, me: int, partition: int, offset: int) -> State:
    mine = tuple((number, offset if number == partition else at) for number, at in state.beliefs[me])
    return state._replace(beliefs=tuple(mine if n == me else state.beliefs[n] for n in (0, 1)))


def disbelieve(state: State, me: int, partition: int) -> State:
    mine = tuple(item for item in state.beliefs[me] if item[0] != partition)
    return _settled(state._replace(beliefs=tuple(mine if n == me else state.beliefs[n] for n in (0, 1))))


def handed_over(state: State, partitions: Iterable[int], heir: int) -> State:
    """The heir claims the partitions and reads the progress."""
    for number in partitions:
        state = put_place(state, number, state.places[number]._replace(owner=heir))
        if state.beliefs[heir]:
            state = disbelieve(state, heir, number)
    return _settled(put_gate(state, heir, seen_by_gate(state.course)))


def killed(state: State, me: int) -> State:
    owned = [number for number, place in enumerate(state.places) if place.owner == me]
    return _settled(handed_over(state, owned, 1 - me)._replace(beliefs=((), ())))


def is_in_use(state: State, me: int) -> bool:
    return bool(state.beliefs[me]) or any(place.owner == me for place in state.places)


def _settled(state: State) -> State:
    """What a consumer without a partition knows does not matter."""
    for me in (0, 1):
        if state.gates[me] and not is_in_use(state, me):
            state = put_gate(state, me, ())
    return state
