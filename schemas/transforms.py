"""Named rules that change a column's value on its way, each stated once and written twice.

A transform is a polars expression, which the consumer runs, and SQL over the source's column,
which the validator runs: two implementations of one specification (its docstring), held together
by tests over edge values on a real PostgreSQL. Both are total: a cell that cannot be converted
gives NULL and is `failed`; NULL stays NULL and never fails.

`bigint`: numbers to `bigint`, halves away from zero, as PostgreSQL's `numeric::bigint`. NaN, the
infinities and what lies outside of bigint fail.

`percent`: text to `double precision`, in percent: `15`, `15%`, `15.0`, ` 12,5 % `. The number means
what it says: `0.15` is 0.15 percent. Accepted is exactly

    blank* [+-]? (D{1,15} ([.,] D{1,30})? | [.,] D{1,30}) blank* %? blank*

where D is an ASCII digit and blank is space, tab, line feed, vertical tab, form feed or carriage
return. A comma is the decimal mark, never a thousands separator; there are no exponents, no NaN, no
infinity. Text of blanks only becomes NULL. Everything else fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import polars as pl

from schemas.errors import ConfigurationError
from schemas.sql import quote_literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformNotice:
    """Rows that are converted and yet worth telling: counted, or listed by the digests of their keys."""

    text: str
    is_listed: bool
    expression: Callable[[pl.Expr], pl.Expr]
    sql: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """One rule. Expressions take the source's cell as it travels, SQL takes the source's column.

    `failed` and `sql_failed` are true for cells that cannot be converted, else false (never NULL).
    `reason` says why a failed cell cannot be converted, in words that hold nothing of the cell.
    """

    name: str
    target_type: str
    expression: Callable[[pl.Expr], pl.Expr]
    failed: Callable[[pl.Expr], pl.Expr]
    sql: Callable[[str], str]
    sql_failed: Callable[[str], str]
    notices: tuple[TransformNotice, ...] = ()
    reason: Callable[[pl.Expr], pl.Expr] = lambda _cell: pl.lit("no value of the rule")


def transform(rule: str) -> Transform:
    """The transform of that name, or the one that `module:function` returns.

    Raises:
        ConfigurationError: there is none.
    """
    if rule in _NAMED:
        return _NAMED[rule]
    module, _, function = rule.partition(":")
    if not function:
        raise ConfigurationError(
            f'unknown transform "{rule}"', hint=f'{", ".join(_NAMED)}, or your own as "module:function"'
        )
    try:
        found = getattr(import_module(module), function)()
    except Exception as error:  # whatever that module does
        raise ConfigurationError(
            f'transform "{rule}": {type(error).__name__} when it was loaded',
            hint="the module must be importable (PYTHONPATH), and the function return a schemas.transforms.Transform",
        ) from None
    if not isinstance(found, Transform):
        raise ConfigurationError(
            f'transform "{rule}" gives a {type(found).__name__}', hint="it must return a schemas.transforms.Transform"
        )
    return found


# ---------------------------------------------------------------- bigint

_MIN, _MAX = -(2**63), 2**63 - 1
_NUMBER = r"^(-?)([0-9]+)(?:\.([0-9])[0-9]*)?$"


def _bigint(cell: pl.Expr) -> pl.Expr:
    text = cell.cast(pl.String)
    # Int128 holds every candidate; a longer number does not fit it and becomes NULL.
    whole = text.str.extract(_NUMBER, 2).cast(pl.Int128, strict=False)
    is_up = text.str.extract(_NUMBER, 3).fill_null("0") >= "5"
    magnitude = whole + is_up.cast(pl.Int128)
    # Subtracted, because polars does not negate an Int128.
    value = pl.when(text.str.starts_with("-")).then(pl.lit(0, pl.Int128) - magnitude).otherwise(magnitude)
    return pl.when(value.is_between(pl.lit(_MIN, pl.Int128), pl.lit(_MAX, pl.Int128))).then(value).cast(pl.Int64)


def _bigint_reason(cell: pl.Expr) -> pl.Expr:
    return pl.when(cell.cast(pl.String) == "NaN").then(pl.lit("not a number")).otherwise(pl.lit("out of range"))


def _bigint_sql(cell: str) -> str:
    return f"CASE WHEN round(({cell})::numeric) BETWEEN {_MIN} AND {_MAX} THEN ({cell})::numeric::bigint END"


def _bigint_sql_failed(cell: str) -> str:
    return f"coalesce(round(({cell})::numeric) NOT BETWEEN {_MIN} AND {_MAX}, false)"


# ---------------------------------------------------------------- percent

_BLANKS = " \t\n\v\f\r"
# One text for both engines: \x escapes mean the same in Rust's and in PostgreSQL's regular expressions.
_BLANK = r"[\x09-\x0D\x20]"
_PERCENT = rf"^{_BLANK}*[+-]?([0-9]{{1,15}}([.,][0-9]{{1,30}})?|[.,][0-9]{{1,30}}){_BLANK}*%?{_BLANK}*$"
_ONLY_BLANKS = rf"^{_BLANK}*$"


def _percent(cell: pl.Expr) -> pl.Expr:
    text = cell.cast(pl.String)
    number = text.str.strip_chars(_BLANKS + "%").str.strip_prefix("+").str.replace(",", ".", literal=True)
    return pl.when(text.str.contains(_PERCENT)).then(number).cast(pl.Float64)


def _percent_failed(cell: pl.Expr) -> pl.Expr:
    text = cell.cast(pl.String)
    return (~text.str.contains(_PERCENT) & ~text.str.contains(_ONLY_BLANKS)).fill_null(value=False)


def _matches(cell: str, pattern: str) -> str:
    # COLLATE "C": what matches must not depend on a column's collation.
    return f'(({cell})::text COLLATE "C" ~ {quote_literal(pattern)})'


def _percent_sql(cell: str) -> str:
    number = f"replace(btrim(({cell})::text, {quote_literal(_BLANKS + '%')}), ',', '.')::double precision"
    return f"CASE WHEN {_matches(cell, _PERCENT)} THEN {number} END"


def _percent_sql_failed(cell: str) -> str:
    return f"coalesce(NOT {_matches(cell, _PERCENT)} AND NOT {_matches(cell, _ONLY_BLANKS)}, false)"


_SMALL_PERCENT = TransformNotice(
    text="over 0 and at most 1: taken as percent, is a fraction meant?",
    is_listed=True,
    expression=lambda cell: ((_percent(cell) > 0) & (_percent(cell) <= 1)).fill_null(value=False),
    sql=lambda cell: f"coalesce({_percent_sql(cell)} > 0 AND {_percent_sql(cell)} <= 1, false)",
)
_BLANK_PERCENT = TransformNotice(
    text="blank: became NULL",
    is_listed=False,
    expression=lambda cell: cell.cast(pl.String).str.contains(_ONLY_BLANKS).fill_null(value=False),
    sql=lambda cell: f"coalesce({_matches(cell, _ONLY_BLANKS)}, false)",
)

_NAMED = {
    "bigint": Transform(
        name="bigint",
        target_type="bigint",
        expression=_bigint,
        failed=lambda cell: cell.is_not_null() & _bigint(cell).is_null(),
        sql=_bigint_sql,
        sql_failed=_bigint_sql_failed,
        reason=_bigint_reason,
    ),
    "percent": Transform(
        name="percent",
        target_type="double precision",
        expression=_percent,
        failed=_percent_failed,
        sql=_percent_sql,
        sql_failed=_percent_sql_failed,
        notices=(_SMALL_PERCENT, _BLANK_PERCENT),
        reason=lambda _cell: pl.lit("not a percentage"),
    ),
}
