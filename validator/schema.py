"""Layer `schema`: the target's definition of a table against what the source and the migration ask for. Pure.

The expectation is written down here a second time, on purpose: a verifier that asked the
consumer what it meant to build would agree with every defect of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from schemas.catalogue import Column, Constraint, Index, Key, Partition, Table
from schemas.deferred import constraint_of
from schemas.mapping import ColumnMapping, TableMapping, Treatment
from validator.sequences import SequenceState, sequence_problems
from validator.surplus import is_guard, method, surplus_constraints, surplus_indexes, without_state
from validator.verdict import Difference, Finding, Kind, Layer

_NOT_VALIDATED = "is NOT VALID in the target, at the source it is valid"


def compare_schema(
    mapping: TableMapping,
    target: Table | None,
    *,
    around: Sequence[str] = (),
    sequences: Sequence[SequenceState] = (),
    added_types: Mapping[str, str] | None = None,
    heirs: Sequence[str] = (),
    is_theirs: bool = False,
) -> Finding:
    """Everything that differs in the definition of one table.

    In a schema that somebody else made (`is_theirs`) there may be more columns, and constraints may
    be deferrable. `around` are differences of what the table has to do with (types, collations), `added_types`
    what the server calls the types of added columns, `heirs` tables that inherit from it and at the source do not.
    `target` is None when the table is not there.
    """
    table = mapping.table
    problems: list[tuple[str, str]] = [("", text) for text in around]
    if target is None:
        problems.append(("", "the table is missing"))
    else:
        if not is_theirs:
            problems += _shape(table, target)
            problems += _own_parts(mapping, target)
            problems += _order(table, target)
            problems += [("", text) for text in surplus_constraints(mapping, target)]
        problems += [("", f"shows the rows of {name}, which inherits from it in the target only") for name in heirs]
        problems += _columns(mapping, target, is_theirs=is_theirs)
        problems += _keys(mapping, target, _at_once if is_theirs else str)
        problems += _foreign_keys(table, target, _at_once if is_theirs else without_state)
        problems += _checks(mapping, target)
        problems += _indexes(mapping, target, is_theirs=is_theirs)
        problems += _added(mapping, target, added_types or {})
        problems += [(state.column, problem) for state in sequences for problem in state.problems]
    there = len(table.columns) + len(mapping.added) + 1 + len(table.uniques) + len(table.foreign_keys)
    there += (
        len(table.checks)
        + len(table.exclusions)
        + len(table.indexes)
        + len(sequences)
        + (table.primary_key is not None)
    )
    return Finding(
        layer=Layer.SCHEMA,
        table=table.name,
        looked_at=there,
        there=there,
        unit="definitions",
        differences=tuple(
            Difference(
                layer=Layer.SCHEMA,
                table=table.name,
                kind=Kind.NOT_VALIDATED if detail.endswith(_NOT_VALIDATED) else Kind.SCHEMA,
                columns=(column,) if column else (),
                detail=detail,
            )
            for column, detail in problems
        ),
        notes=tuple(_notes(mapping, target, is_theirs=is_theirs)),
    )


def _shape(table: Table, target: Table) -> Iterator[tuple[str, str]]:
    if target.partition_by != table.partition_by:
        yield "", f"is partitioned by {target.partition_by or 'nothing'}, must be by {table.partition_by or 'nothing'}"
    elif {*map(_bound, target.partitions)} != {*map(_bound, table.partitions)}:
        names = sorted({item[0] for item in {*map(_bound, target.partitions)} ^ {*map(_bound, table.partitions)}})
        yield "", f"its partitions are not those of the source: {', '.join(names)}"
    if target.unlogged != table.unlogged:
        yield "", f"is {'' if target.unlogged else 'not '}unlogged, must {'' if table.unlogged else 'not '}be"
    if target.inherits != table.inherits:
        there, here = ", ".join(target.inherits) or "nothing", ", ".join(table.inherits) or "nothing"
        yield "", f"inherits from {there}, must from {here}"


def _bound(part: Partition) -> tuple[str, str, str, str | None]:
    return part.name, part.parent, part.bound, part.partition_by


def _own_parts(mapping: TableMapping, target: Table) -> Iterator[tuple[str, str]]:
    """What single partitions have otherwise than their table, and what is in the target only."""
    changed = {column.name for column in mapping.columns if column.treatment is not Treatment.CLEAR}
    there = {part.name: part.own for part in target.partitions}
    made = _index_names(target)
    for part in mapping.table.partitions:
        found = set(there.get(part.name, ()))
        wanted = {
            own
            for own in part.own
            if not (own.kind == "index name" and own.parent not in made)  # those over encrypted columns are not made
            and not mentions(own.definition, changed)
            and not (own.kind == "default" and own.name in changed)
        }
        for own in sorted(wanted - found, key=repr):
            if own.kind == "index name":
                yield "", f'partition "{part.name}": its part "{own.name}" of the index "{own.parent}" is missing'
                continue
            yield "", f'partition "{part.name}": its own {own.kind} {own.name} is missing {own.definition}'.rstrip()
        for own in sorted(found - wanted, key=repr):
            if own.kind != "index name":
                yield "", f'partition "{part.name}": {own.kind} {own.name} is in the target only'


def _index_names(target: Table) -> set[str]:
    """Indexes of a table and of its partitions, by what those that hang on them say."""
    behind: list[Key | Constraint | Index] = [*target.uniques, *target.exclusions, *target.indexes]
    behind += [target.primary_key] if target.primary_key is not None else []
    owns = [own for part in target.partitions for own in part.own if own.kind == "index name"]
    return {item.name for item in behind} | {name for own in owns for name in (own.name, own.parent)}


def _columns(mapping: TableMapping, target: Table, *, is_theirs: bool) -> Iterator[tuple[str, str]]:
    found = {column.name: column for column in target.columns}
    treated = {column.name: column for column in mapping.columns}
    for column in mapping.table.columns:
        if column.name not in found:
            yield column.name, "the column is missing"
            continue
        there = found[column.name]
        if column.name in mapping.left_out:
            there = replace(there, default=column.default)
        yield from _column(column, treated.get(column.name), there, is_theirs=is_theirs)
    moved = found.get(mapping.migrated_at)
    if moved is None:
        yield mapping.migrated_at, "the column that shows the instant of a row is missing"
    elif moved.type != "timestamp with time zone" or not moved.not_null:
        yield mapping.migrated_at, "the column that shows the instant of a row must be timestamptz NOT NULL"
    known = {column.name for column in mapping.table.columns} | {added.name for added in mapping.added}
    for name in () if is_theirs else sorted(found.keys() - known - {mapping.migrated_at}):
        yield name, "a column that neither the source nor the migration has"


def _order(table: Table, target: Table) -> Iterator[tuple[str, str]]:
    """Columns of the source stand in its order: what inserts without naming them would exchange values."""
    wanted = [column.name for column in table.columns]
    found = [column.name for column in target.columns if column.name in wanted]
    moved = [pair for pair in zip(found, (name for name in wanted if name in found), strict=True) if pair[0] != pair[1]]
    if moved:
        yield (
            "",
            f'its columns stand in another order than at the source: "{moved[0][0]}" where "{moved[0][1]}" belongs',
        )


def _added(mapping: TableMapping, target: Table, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    found = {column.name: column for column in target.columns}
    for added in mapping.added:
        if added.name not in found:
            yield added.name, "the added column is missing"
        elif types.get(added.name, found[added.name].type) != found[added.name].type:
            yield added.name, f"type is {found[added.name].type}, must be {types[added.name]}"


def _column(
    column: Column, treated: ColumnMapping | None, found: Column, *, is_theirs: bool
) -> Iterator[tuple[str, str]]:
    expected_type = column.type if treated is None else treated.target_type
    if found.type != expected_type:
        yield column.name, f"type is {found.type}, must be {expected_type}"
    if found.not_null != column.not_null:
        yield column.name, f"is {'' if found.not_null else 'not '}NOT NULL, must {'' if column.not_null else 'not '}be"
    is_clear = treated is None or treated.treatment is Treatment.CLEAR
    if is_clear and found.collation != column.collation:
        yield column.name, f"collation is {found.collation or 'default'}, must be {column.collation or 'default'}"
    if column.generated is not None or found.generated is not None:
        if column.generated != found.generated:
            yield column.name, "is generated otherwise than at the source"
        return
    if not is_clear:
        if found.default is not None:
            yield column.name, "has a default, which would be a value of the wrong kind"
        return
    if found.identity != column.identity and not (is_theirs and found.identity and column.identity):
        yield column.name, f"identity is {found.identity or 'none'}, must be {column.identity or 'none'}"
    elif found.default != column.default:
        yield column.name, "the default differs from the source's" if found.default else "the default is missing"
    if not is_theirs:
        yield from ((column.name, problem) for problem in sequence_problems(column, found))


def _keys(mapping: TableMapping, target: Table, text: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    table = mapping.table
    if table.primary_key is not None:
        wanted_key, found = table.primary_key, target.primary_key
        if found is None or found.columns != wanted_key.columns:
            there_is = ", ".join(found.columns) if found else "none"
            yield "", f"the primary key is ({there_is}), must be ({', '.join(wanted_key.columns)})"
        elif text(found.definition) not in (text(wanted_key.definition), _at_once(wanted_key.definition)):
            yield "", f"the primary key is {text(found.definition)}, must be {text(wanted_key.definition)}"
    changed = {column.name for column in mapping.columns if column.treatment is not Treatment.CLEAR}
    there = {text(key.definition) for key in target.uniques} | {text(item.definition) for item in target.exclusions}
    asked: list[Key | Constraint] = [*table.uniques, *table.exclusions]
    for item in asked:
        if text(item.definition) not in there and not mentions(item.definition, changed):
            yield "", f'constraint "{item.name}" is missing: {item.definition}'


def _foreign_keys(table: Table, target: Table, text: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    there = {text(key.definition): key for key in target.foreign_keys}
    for key in table.foreign_keys:
        found = there.get(text(key.definition))
        if found is None:
            yield "", f'foreign key "{key.name}" is missing: {without_state(key.definition)}'
        elif key.validated and not found.validated:
            yield "", f'foreign key "{key.name}" {_NOT_VALIDATED}'


def _checks(mapping: TableMapping, target: Table) -> Iterator[tuple[str, str]]:
    changed = {column.name for column in mapping.columns if column.treatment is not Treatment.CLEAR}
    there = {without_state(check.definition): check for check in target.checks}
    for check in mapping.table.checks:
        if mentions(check.definition, changed):
            continue
        found = there.get(without_state(check.definition))
        if found is None:
            yield "", f'check "{check.name}" is missing'
        elif check.validated and not found.validated:
            yield "", f'check "{check.name}" is not validated, at the source it is'
    for column in mapping.columns:
        if column.treatment is Treatment.ENCRYPT and not any(is_guard(text, column.name) for text in there):
            yield column.name, "no check keeps plaintext out of this encrypted column"


def _indexes(mapping: TableMapping, target: Table, *, is_theirs: bool) -> Iterator[tuple[str, str]]:
    encrypted = {column.name for column in mapping.columns if column.treatment is Treatment.ENCRYPT}
    there = {(index.unique, method(index.definition)) for index in target.indexes}
    waiting = {_at_once(definition) for definition in _definitions(target)}
    for index in mapping.table.indexes:
        if mentions(method(index.definition), encrypted) or encrypted.intersection(index.columns):
            continue
        if is_theirs and index.unique and constraint_of(index) in waiting:
            continue
        if (index.unique, method(index.definition)) not in there:
            yield "", f'{"unique " if index.unique else ""}index "{index.name}" is missing: {method(index.definition)}'


def _definitions(target: Table) -> tuple[str, ...]:
    return (*(item.definition for item in target.uniques), *(item.definition for item in target.exclusions))


def _notes(mapping: TableMapping, target: Table | None, *, is_theirs: bool) -> Iterator[str]:
    """Definitions that the migration makes meaningless: said, not held against the target."""
    if target is None:
        return
    changed = {column.name for column in mapping.columns if column.treatment is not Treatment.CLEAR}
    table = mapping.table
    items: list[Key | Constraint] = [*table.uniques, *table.exclusions, *table.checks]
    left = [item.name for item in items if mentions(item.definition, changed)]
    left += [index.name for index in table.indexes if mentions(method(index.definition), changed)]
    if mapping.left_out:
        reasons = ", ".join(f'"{name}" ({reason})' for name, reason in mapping.left_out.items())
        yield f"left out by the migration: {reasons}"
    if left:
        yield f"left out, because their columns are encrypted or transformed: {', '.join(sorted(left))}"
    if not is_theirs and (more := surplus_indexes(mapping, target)):
        yield f"indexes in the target only: {', '.join(more)}"


def _at_once(definition: str) -> str:
    """A constraint without when it is looked at, which whoever made the schema decides."""
    return re.sub(r"( DEFERRABLE)?( INITIALLY DEFERRED)?\s*$", "", without_state(definition))


def mentions(definition: str, columns: Iterable[str]) -> bool:
    """Whether a definition names one of the columns; what stands in quoted text does not count.

    >>> mentions("CHECK ((email)::text <> 'phone'::text)", ["phone"]), mentions('UNIQUE ("Phone")', ["Phone"])
    (False, True)
    """
    code = re.sub(r"'(?:[^']|'')*'", "''", definition)
    quoted = {name.replace('""', '"') for name in re.findall(r'"((?:[^"]|"")+)"', code)}
    plain = set(re.findall(r"[^\W\d][\w$]*", re.sub(r'"(?:[^"]|"")+"', " ", code)))
    return not (quoted | plain).isdisjoint(columns)
