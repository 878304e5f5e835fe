"""Layer `schema`, what a table has to do with beside its own definition: types and collations. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from schemas.catalogue import Catalogue, Collation, Constraint, Index, Key, Table, UserType
from validator.schema import mentions

_ICU = re.compile(r"(?<=\(provider = icu, locale = )'((?:[^']|'')*)'")
_OLD_FORM = re.compile(r".*[_@].*|root|")  # of a locale: later servers write it as a language tag


def changed_types(
    source: Catalogue, target: Mapping[str, UserType], table: Table, *, is_theirs: bool = False
) -> tuple[str, ...]:
    """User-defined types of a table's columns that are missing in the target or mean something else.

    An enum that somebody else made may have more labels, the source's in their order.
    """
    problems = []
    for item in _types_of(source, table):
        found = target.get(item.name)
        if found is None:
            problems.append(f'type "{item.name}" is missing')
        elif found.kind != item.kind or (
            _labels(found, item, is_theirs=is_theirs) != item.labels
            if item.labels
            else found.definition != item.definition
        ):
            problems.append(f'type "{item.name}" is defined otherwise')
    return tuple(problems)


def _types_of(source: Catalogue, table: Table) -> list[UserType]:
    """The user-defined types that a table's columns have, and those that these are made of."""
    texts = [column.type for column in table.columns]
    found: list[UserType] = []
    for item in reversed(source.types):  # each after those it is made of
        if any(mentions(text, {item.name}) for text in texts):
            found.append(item)
            texts.append(item.definition if not item.labels else "")
    return found[::-1]


def _labels(found: UserType, item: UserType, *, is_theirs: bool) -> tuple[str, ...]:
    return tuple(label for label in found.labels if not is_theirs or label in item.labels)


def changed_collations(source: Catalogue, target: Collection[Collation], table: Table) -> Iterator[str]:
    """Collations of the source that a table's definition names and that sort or compare otherwise in the target.

    One that is not there is told by what should have it.
    """
    definitions: list[Key | Constraint | Index] = [*table.checks, *table.uniques, *table.exclusions, *table.indexes]
    texts = [
        *(text for column in table.columns for text in (column.collation, column.default, column.generated) if text),
        *(item.definition for item in definitions),
        table.partition_by or "",
        *(item.definition for item in _types_of(source, table)),
    ]
    there = {item.name: item.definition for item in target}
    for item in source.collations:
        is_used = any(mentions(text, {item.name}) for text in texts)
        if is_used and item.name in there and not _is_same(item.definition, there[item.name]):
            yield f'collation "{item.name}" is defined otherwise'


def _is_same(one: str, other: str) -> bool:
    """Whether two collations are the same, however old the servers are that print them.

    >>> _is_same("(provider = icu, locale = 'de_DE', x)", "(provider = icu, locale = 'de-DE', x)")
    True
    >>> _is_same("(provider = icu, locale = 'sv', x)", "(provider = icu, locale = 'de', x)")
    False
    """
    locales = [_ICU.findall(text) for text in (one, other)]
    if all(locales) and any(_OLD_FORM.fullmatch(found[0]) for found in locales):
        one, other = (_ICU.sub("''", text) for text in (one, other))
    return one == other
