"""The migration file: what is moved and how, read from TOML; every problem named with its line.

All problems are told at once, because who writes the file corrects it in one go. What needs the
source to be judged is in `schemas.migration_check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import ConfigurationError
from schemas.migration_check import check_migration
from schemas.migration_model import (
    NAMED_TRANSFORMS,
    AddedColumnRule,
    Apply,
    Batch,
    Log,
    Migration,
    Organization,
    Source,
    TableRules,
)
from schemas.nearest import did_you_mean
from schemas.toml_lines import Path, key_lines, line_of

__all__ = [
    "NAMED_TRANSFORMS",
    "AddedColumnRule",
    "Migration",
    "MigrationError",
    "Organization",
    "TableRules",
    "check_migration",
    "parse_migration",
]

Problem = tuple[Path, str]


class MigrationError(ConfigurationError):
    """The migration cannot be used; `problems` holds one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "\n".join(problems), hint="correct the migration file; producer plan checks it against the source"
        )
        self.problems = tuple(problems)


def parse_migration(text: str, file: str) -> Migration:
    """Read a migration; `file` is how messages name it.

    Raises:
        MigrationError: with every problem as "FILE:LINE: why".
    """
    text = text.replace("\r\n", "\n")
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MigrationError([_no_toml(str(error), text, file)]) from None
    lines = key_lines(text)
    problems: list[Problem] = []
    migration = None
    try:
        migration = Migration.model_validate(plain)
    except ValidationError as error:
        problems.extend(_problem(detail) for detail in error.errors(include_url=False, include_input=False))
    problems.extend(_contradictions(plain))
    if problems or migration is None:
        told = sorted({(line_of(lines, path), message) for path, message in problems})
        raise MigrationError([f"{file}:{line}: {message}" for line, message in told])
    migration._file = file  # noqa: SLF001  set once, here
    migration._lines = lines  # noqa: SLF001
    return migration


def _no_toml(message: str, text: str, file: str) -> str:
    place = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)", message)
    line = int(place.group(1)) if place and place.group(1) else text.count("\n") + 1
    reason = message[: place.start()] if place else message
    return f"{file}:{line}: not valid TOML: {reason[:1].lower()}{reason[1:]}"


# ---------------------------------------------------------------- what one value alone breaks

_MODELS: dict[Path, type[BaseModel]] = {
    (): Migration,
    ("source",): Source,
    ("log",): Log,
    ("batch",): Batch,
    ("apply",): Apply,
    ("organization",): Organization,
    ("table", "*"): TableRules,
    ("table", "*", "add", "*"): AddedColumnRule,
}


def _problem(detail: ErrorDetails) -> Problem:
    path: Path = tuple(part for part in detail["loc"] if part != "[key]")
    if (
        detail["type"] in {"tuple_type", "dict_type", "model_type", "string_type"}
        and path
        and isinstance(path[-1], str)
    ):
        path = tuple(part for part in path if not str(part).startswith(("tuple[", "literal[")))
    name = path[-1] if path else "the file"
    if detail["type"] == "extra_forbidden":
        return path, f'unknown key "{name}"{did_you_mean(str(name), _known_keys(path[:-1]))}'
    if detail["type"] == "missing":
        return path[:-1], f'"{name}" is missing'
    return path, f"{_shown(path)}: {_reason(detail)}"


def _known_keys(above: Path) -> list[str]:
    pattern = tuple("*" if above[0] == "table" and place in (1, 3) else part for place, part in enumerate(above))
    model = _MODELS.get(pattern)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _shown(path: Path) -> str:
    """Keys as they stand in the file; an element of an array by its array."""
    return ".".join(str(part) for part in path if isinstance(part, str)) or "the file"


_REASONS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "tuple_type": "must be a list",
    "dict_type": "must be a table of its own",
    "model_type": "must be a table of its own",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def _reason(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx") or {}
    if detail["type"] == "value_error":
        return str(context["error"])
    if detail["type"] == "string_pattern_mismatch":
        if detail["loc"] == ("tenant",):
            return "must begin with a small letter and hold only small letters, digits, _ and - (at most 41 characters)"
        return "must be TABLE or SCHEMA.TABLE"
    if (reason := _REASONS.get(detail["type"])) is not None:
        return reason.format(**context)
    return detail["msg"][:1].lower() + detail["msg"][1:]


# ---------------------------------------------------------------- what values break together


def _contradictions(plain: dict[str, Any]) -> Iterator[Problem]:
    """Problems between values, from the plain file: told even when other values are wrong."""
    tables = plain.get("tables")
    listed = _texts(tables)
    for place, name in enumerate(listed):
        if name in listed[:place]:
            yield ("tables", place), f'table "{name}" is listed twice'
    for name, rules in _tables_of(plain, "table"):
        if isinstance(tables, list) and name not in listed:
            yield ("table", name), f'table "{name}" is not in tables{did_you_mean(name, listed)}'
        if isinstance(rules, dict):
            yield from _of_rules(name, rules)
    prefix = _tables_or_empty(plain.get("log")).get("prefix")
    if isinstance(prefix, str) and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", prefix):
        yield ("log", "prefix"), "log.prefix: a topic's name holds only letters, digits, . _ and - (here at most 100)"
    if "organization" in plain:
        yield from _of_organization(_tables_or_empty(plain["organization"]))


def _of_rules(table: str, rules: dict[str, Any]) -> Iterator[Problem]:
    encrypt = _texts(rules.get("encrypt"))
    for place, column in enumerate(encrypt):
        if column in encrypt[:place]:
            yield ("table", table, "encrypt", place), f'column "{column}" is listed twice'
    treated = {way: _texts(rules.get(way)) for way in ("encrypt", "keep", "transform")}
    for one, other in combinations(treated, 2):
        for column in sorted(set(treated[one]) & set(treated[other])):
            yield (
                _place(table, rules, other, column),
                f'column "{table}"."{column}" stands under {one} and under {other}; choose one',
            )
    for column in sorted(set(encrypt) & set(_texts(rules.get("sums")))):
        yield (
            _place(table, rules, "sums", column),
            f'column "{table}"."{column}" is encrypted, so it has no sum in the target',
        )
    for column, rule in _tables_or_empty(rules.get("transform")).items():
        if isinstance(rule, str) and rule not in NAMED_TRANSFORMS and not re.fullmatch(r"[\w.]+:\w+", rule):
            known = " or ".join(f'"{name}"' for name in NAMED_TRANSFORMS)
            yield (
                ("table", table, "transform", column),
                f'unknown transform "{rule}"{did_you_mean(rule, NAMED_TRANSFORMS)}: {known}, or your own as "module:function"',
            )
    added = _tables_or_empty(rules.get("add"))
    for column, rule in added.items():
        if isinstance(rule, dict) and ("value" in rule) == ("sql" in rule):
            yield ("table", table, "add", column), f'added column "{column}" needs either value or sql'
    migrated_at = rules.get("migrated_at", "migrated_at")
    if migrated_at in added:
        yield (
            ("table", table, "add", migrated_at),
            f'column "{migrated_at}" is made anyway, it shows when a row was read; add another name',
        )


def _of_organization(organization: dict[str, Any]) -> Iterator[Problem]:
    values = _tables_or_empty(organization.get("values"))
    key = organization.get("key", "slug")
    for column in [key] if isinstance(key, str) else _texts(key):
        if column not in values:
            yield (
                ("organization", "values"),
                f'organization.values has no "{column}", the key of the row{did_you_mean(column, values)}',
            )
    for column in sorted(set(values) & set(_texts(organization.get("tokens")))):
        yield ("organization", "tokens", column), f'column "{column}" stands under values and under tokens; choose one'


def _place(table: str, rules: dict[str, Any], way: str, column: str) -> Path:
    found = rules[way]
    return ("table", table, way, found.index(column) if isinstance(found, list) else column)


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | dict) else []


def _tables_or_empty(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables_of(plain: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    return list(_tables_or_empty(plain.get(key)).items())
