"""`reconcile --plan FILE` and `reconcile --keys FILE`: from what differs to rows published again, and looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from runtime.command import Invocation
from runtime.keyring import Keyring, load_keyring
from runtime.plan_file import read_plan, write_plan
from runtime.reporting import ProgressChoice
from runtime.settings import KafkaSettings
from runtime.whole_file import see_replaceable
from schemas.errors import ConfigurationError, ExitCode
from schemas.repair import RepairPlan, RowKind
from validator.recheck import Recheck, Rechecked, Still
from validator.verdict import Layer

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 50
_NEEDED = (Layer.CHECKSUMS, Layer.CELLS)


def repair_options(function: F) -> F:
    """`--plan` and `--keys`."""
    function = click.option(
        "--keys",
        "keys",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Look at the rows of a repair plan again, and at nothing else: 5 when all are equal.",
    )(function)
    return click.option(
        "--plan",
        "plan",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the rows that differ there, keys sealed, for `producer snapshot --keys FILE`.",
    )(function)


def see_plan_fits(path: Path, layers: tuple[Layer, ...], *, as_of: bool) -> None:
    """See that a plan can be made of what is looked at.

    Raises:
        ConfigurationError: it cannot; nothing was looked at.
    """
    if as_of:
        raise ConfigurationError("--plan lists rows that differ from the source, which --as-of-snapshot does not ask")
    if lacking := [layer.value for layer in _NEEDED if layer not in layers]:
        raise ConfigurationError(
            f"--plan needs the layers {' and '.join(lacking)}: they name the rows that differ",
            hint="leave --layers out, or name them too",
        )
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}")
    see_replaceable(path)


def save_plan(path: Path, plan: RepairPlan | None, keyring: Keyring | None) -> None:
    """Write the plan and say on stderr what it comes to."""
    if plan is None:
        click.echo(f"no repair plan was written to {path}: the load has not ended, or the run was cut short", err=True)
        return
    write_plan(path, plan, keyring)
    for line in _told(path, plan):
        click.echo(line, err=True)
    if keyring is None and plan.rows:
        click.echo("the plan holds the keys of these rows in clear: there is no keyring that could seal them", err=True)


def _told(path: Path, plan: RepairPlan) -> Iterator[str]:
    yield f"repair plan written: {path}: {plan.published_rows:,} rows to publish again"
    if extra := plan.of_kind(RowKind.EXTRA):
        yield f"  {extra:,} rows too many in the target: they go with the next complete generation (producer snapshot)"
    if stuck := plan.of_kind(RowKind.STUCK):
        yield f"  {stuck:,} rows show an instant that no generation has: not replaced until they are deleted in the target"
    for name, why in plan.whole.items():
        yield f"  {name} has to be published whole ({why}): producer snapshot --table {name}"
    for text in plan.other:
        yield f"  not mended by publishing rows: {text}"
    if plan.published_rows:
        yield f"next: producer snapshot --keys {path}, consumer run --until-complete, validator reconcile --keys {path}"


def recheck(
    invocation: Invocation, path: Path, kafka: KafkaSettings | None, progress: ProgressChoice, *, as_json: bool
) -> ExitCode:
    """Look at a plan's rows again."""
    keyring = load_keyring(invocation.environment)
    plan = read_plan(path, tenant=invocation.migration.tenant, keyring=keyring)
    with invocation.open_report(progress) as report_fact:
        found = Recheck(
            migration=invocation.migration,
            source_url=invocation.source.url,
            target_url=invocation.target.url,
            keyring=keyring,
            kafka=kafka,
            plan=plan,
            file=str(path),
            report_fact=report_fact,
        ).run()
    if as_json:
        click.echo(json.dumps(as_plain(found), ensure_ascii=False, indent=2))
    else:
        for line in lines(found):
            click.echo(line)
    return found.exit_code


def as_plain(found: Rechecked) -> dict[str, Any]:
    """What `reconcile --keys --json` prints."""
    return {
        "version": 1,
        "program": "validator",
        "verdict": found.verdict.value if found.verdict is not None else "repaired",
        "exit_code": int(found.exit_code),
        "sentence": found.sentence,
        "next": found.next,
        "rows": found.rows,
        "tables": list(found.tables),
        "different_tables": list(found.different_tables),
        "different": [_plain(item) for item in found.different],
        "changed_since": [_plain(item) for item in found.changed],
        "unknown": list(found.unknown),
    }


def _plain(item: Still) -> dict[str, Any]:
    return {
        "table": item.table,
        "key": item.key,
        "planned": item.planned.value,
        "kind": item.kind.value,
        "columns": list(item.columns),
        "detail": item.detail,
    }


def lines(found: Rechecked) -> Iterator[str]:
    """The same as text, the verdict last."""
    listed = [*found.different, *found.changed]
    for item in listed[:_SHOWN]:
        columns = f" ({', '.join(item.columns)})" if item.columns else ""
        yield f"{item.table} {item.key}: {item.detail}{columns}"
    if len(listed) > _SHOWN:
        yield f"… and {len(listed) - _SHOWN:,} more; --json lists them"
    yield from (f"not decided: {why}" for why in found.unknown)
    yield found.sentence
    yield f"next: {found.next}"
