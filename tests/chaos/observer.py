"""The observer: looks at the target again and again, and says which rule a look breaks.

Rules, at every moment of a load:

- no row without its parent of an earlier wave, unless rows of that parent stand in quarantine;
- every key belongs to a snapshot that was published, or may have been;
- no key stands twice;
- in a first generation of one attempt never more rows than are applied, never more applied than published;
- `migrated_at` of a row never goes back, nor does a position or the number applied of an attempt.

Judging is pure (`violations`); `tests.chaos.watching` reads the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

Key = bytes  # a row's key as text, columns parted by tabs
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """One table at one moment: newest image by key, the keys of parents that rows name, how many rows."""

    count: int = 0
    migrated_at: Mapping[Key, bytes] = field(default_factory=dict)
    parents: Mapping[str, AbstractSet[Key]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loading:
    """A table of the generation that runs, as progress tells it."""

    generation: int
    attempt: int
    applied: int
    quarantined: int
    published: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """All of a tenant at one moment. `server_started` tells one life of the server from the next."""

    server_started: datetime
    tables: Mapping[str, Rows]
    loading: Mapping[str, Loading]
    positions: Mapping[tuple[str, int], int]
    quarantined: int = 0
    is_first: bool = False  # there has been no generation but the first, and no attempt but the first of each table


def violations(look: Look, before: Look | None, published: Mapping[str, AbstractSet[Key]]) -> list[str]:
    """Every rule that the look breaks, by itself or beside the one before; `published` are all keys that may be there.

    A server that crashed may have forgotten what was told to it last (batches are committed without
    waiting for the disk), rows and positions together: then there is no look before.
    """
    found = [*_orphans(look), *_unknown_keys(look, published), *_twice(look)]
    if look.is_first:
        found += _too_many(look)
    if before is not None and before.server_started == look.server_started:
        found += [*_older_images(look, before), *_back(look, before)]
    return found


def _orphans(look: Look) -> Iterator[str]:
    if look.quarantined:
        return  # counted by who watches: a parent in quarantine excuses its children
    for name, rows in look.tables.items():
        for parent, named in rows.parents.items():
            if missing := named - look.tables[parent].migrated_at.keys():
                yield f"{name}: {len(missing)} keys of {parent} that is not there: {_shown(missing)}"


def _unknown_keys(look: Look, published: Mapping[str, AbstractSet[Key]]) -> Iterator[str]:
    for name, rows in look.tables.items():
        if unknown := rows.migrated_at.keys() - published[name]:
            yield f"{name}: {len(unknown)} keys of no snapshot published: {_shown(unknown)}"


def _twice(look: Look) -> Iterator[str]:
    for name, rows in look.tables.items():
        if rows.migrated_at and rows.count > len(rows.migrated_at):
            yield f"{name}: {rows.count} rows, {len(rows.migrated_at)} keys"


def _too_many(look: Look) -> Iterator[str]:
    for name, item in look.loading.items():
        count = look.tables[name].count if name in look.tables else 0
        if count > item.applied:
            yield f"{name}: {count} rows, {item.applied} applied of a first generation"
        if item.published is not None and item.applied + item.quarantined > item.published:
            yield f"{name}: {item.applied + item.quarantined} applied, {item.published} published"


def _older_images(look: Look, before: Look) -> Iterator[str]:
    for name, rows in look.tables.items():
        former = before.tables[name].migrated_at if name in before.tables else {}
        if former == rows.migrated_at:
            continue
        older = {key for key, at in rows.migrated_at.items() if at < former.get(key, b"")}
        if older:
            yield f"{name}: migrated_at went back in {len(older)} rows: {_shown(older)}"


def _back(look: Look, before: Look) -> Iterator[str]:
    for place, offset in before.positions.items():
        if look.positions.get(place, 0) < offset:
            yield f"{place[0]}-{place[1]}: position went back from {offset} to {look.positions.get(place)}"
    for name, former in before.loading.items():
        now = look.loading.get(name)
        if now is None:
            continue
        if (now.generation, now.attempt) < (former.generation, former.attempt):
            yield f"{name}: attempt went back from {former} to {now}"
        is_same = (now.generation, now.attempt) == (former.generation, former.attempt)
        if is_same and now.applied + now.quarantined < former.applied + former.quarantined:
            yield f"{name}: applied went back from {former.applied} to {now.applied}"


def _shown(keys: AbstractSet[Key]) -> str:
    return ", ".join(key.decode().replace("\t", "/") for key in sorted(keys)[:SHOWN])
