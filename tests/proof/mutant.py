"""The consumer with one defect planted in it: `python -m tests.proof.mutant NAME run …`.

Each is a defect that has happened to somebody, in code that the validator must not share.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from consumer import cli, transform
from schemas import transforms

Shape = Callable[[pl.DataFrame], pl.DataFrame]


def _rule(name: str, expression: Callable[[pl.Expr], pl.Expr]) -> Callable[[], None]:
    def plant() -> None:
        transforms._NAMED[name] = replace(transforms._NAMED[name], expression=expression)

    return plant


def _rows(change: Shape) -> Callable[[], None]:
    """The rows of the target are changed after they were made."""
    made = transform.TablePlan.shape

    def shape(
        self: transform.TablePlan, source: pl.DataFrame
    ) -> tuple[pl.DataFrame, Sequence[int], tuple[object, ...]]:
        frame, places, refused = made(self, source)
        return (change(frame) if self.mapping.table.name == "sales" else frame), places, refused

    def plant() -> None:
        transform.TablePlan.shape = shape  # type: ignore[method-assign,assignment]

    return plant


def _encrypts_for_the_next_row() -> None:
    made = transform.encrypted_columns

    def shifted(source: pl.DataFrame, keys: Sequence[str], ciphers: Mapping[str, object]) -> Mapping[str, pl.Series]:
        others = source.with_columns(pl.col(key).shift(1).fill_null(pl.col(key).last()) for key in keys)
        return made(others, keys, ciphers)  # type: ignore[arg-type]

    transform.encrypted_columns = shifted  # type: ignore[assignment]


def _encrypts_an_empty_text_for_null() -> None:
    made = transform.encrypted_columns

    def filled(source: pl.DataFrame, keys: Sequence[str], ciphers: Mapping[str, object]) -> Mapping[str, pl.Series]:
        return made(source.with_columns(pl.col(name).fill_null("") for name in ciphers), keys, ciphers)  # type: ignore[arg-type]

    transform.encrypted_columns = filled  # type: ignore[assignment]


def _encrypts_in_the_place_of_another_column() -> None:
    """The associated data name a column that is not the cell's: every cell is well formed, and opens nowhere."""
    made = transform.encrypted_columns

    def exchanged(source: pl.DataFrame, keys: Sequence[str], ciphers: Mapping[str, object]) -> Mapping[str, pl.Series]:
        names = list(ciphers)
        return made(source, keys, dict(zip(names, [ciphers[name] for name in (*names[1:], names[0])], strict=True)))  # type: ignore[arg-type]

    transform.encrypted_columns = exchanged  # type: ignore[assignment]


def _encrypts_trimmed() -> None:
    made = transform.encrypted_columns

    def trimmed(source: pl.DataFrame, keys: Sequence[str], ciphers: Mapping[str, object]) -> Mapping[str, pl.Series]:
        return made(source.with_columns(pl.col("note").str.strip_chars()), keys, ciphers)  # type: ignore[arg-type]

    transform.encrypted_columns = trimmed  # type: ignore[assignment]


MUTANTS: Mapping[str, Callable[[], None]] = {
    "halves go to even": _rule(
        "bigint",
        lambda cell: cell.cast(pl.Decimal(20, 2)).cast(pl.Float64).round(0, mode="half_to_even").cast(pl.Int64),
    ),
    "fractions are cut off": _rule("bigint", lambda cell: cell.cast(pl.Float64).cast(pl.Int64)),
    "percent becomes a fraction": _rule(
        "percent", lambda cell: cell.str.strip_chars(" %").str.replace(",", ".").cast(pl.Float64, strict=False) / 100
    ),
    "a comma ends a number": _rule("percent", lambda cell: cell.str.extract(r"(\d+(?:\.\d+)?)").cast(pl.Float64)),
    "texts are trimmed": _rows(lambda frame: frame.with_columns(pl.col("name").str.strip_chars())),
    "NULL becomes an empty text": _rows(lambda frame: frame.with_columns(pl.col("name").fill_null(""))),
    "texts are cut": _rows(lambda frame: frame.with_columns(pl.col("name").str.slice(0, 20))),
    "two columns are exchanged": _rows(
        lambda frame: frame.with_columns(
            pl.col("left_side").alias("right_side"), pl.col("right_side").alias("left_side")
        )
    ),
    "an added constant is another": _rows(lambda frame: frame.with_columns(pl.lit("other").alias("tenant_id"))),
    "a value slips to the next row": _rows(
        lambda frame: frame.with_columns(pl.col("left_side").shift(1).fill_null(pl.col("left_side").last()))
    ),
    "cells are encrypted for the next row": _encrypts_for_the_next_row,
    "NULL is encrypted as an empty text": _encrypts_an_empty_text_for_null,
    "cells are bound to another column": _encrypts_in_the_place_of_another_column,
    "cells are trimmed before they are encrypted": _encrypts_trimmed,
    "halves go up": _rule(
        "bigint", lambda cell: (cell.cast(pl.Decimal(20, 2)).cast(pl.Float64) + 0.5).floor().cast(pl.Int64)
    ),
    "an empty share becomes 0": _rule(
        "percent",
        lambda cell: cell.str.strip_chars(" %").str.replace(",", ".").cast(pl.Float64, strict=False).fill_null(0.0),
    ),
    "none": lambda: None,
}


if __name__ == "__main__":
    MUTANTS[sys.argv[1]]()
    cli.main(sys.argv[2:])
