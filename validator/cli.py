"""`validator`: proves that the target holds what the source holds, or shows where it does not."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from runtime.command import (
    VERSION,
    Invocation,
    examples,
    json_option,
    pass_invocation,
    program,
    progress_option,
)
from runtime.keyring import load_keyring
from runtime.reporting import ProgressChoice
from runtime.settings import BOOTSTRAP, PROPERTIES, KafkaSettings
from runtime.whole_file import see_distinct
from schemas.errors import ConfigurationError, ExitCode, ReplicatorError
from validator import report as reports
from validator.as_of import AS_OF_LAYERS
from validator.commands_explain import explain
from validator.commands_repair import recheck, repair_options, save_plan, see_plan_fits
from validator.fail_on import Failure, check_looked_for
from validator.options import Options
from validator.page import render
from validator.patience import wait_until_ended
from validator.reconcile import Reconciliation
from validator.repair import MOST
from validator.verdict import Layer
from validator.view import show

main = program("validator", "Proves that the target holds what the source holds, or shows where it does not.")

main.add_command(explain)

F = TypeVar("F", bound=Callable[..., Any])

_NAMES = [layer.value for layer in Layer]
_FAILURES = [failure.value for failure in Failure]


class _Layers(click.ParamType[tuple[Layer, ...]]):
    """Names of layers, with commas; a name may stand for several calls of the option."""

    name = "layers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Layer, ...]:
        if not isinstance(value, str):
            return tuple(value)
        found = []
        for name in filter(None, (part.strip() for part in value.split(","))):
            if name not in _NAMES:
                self.fail(f'no layer "{name}"; there are {", ".join(_NAMES)}', param, ctx)
            found.append(Layer(name))
        return tuple(found)


class _Failures(click.ParamType[tuple[Failure, ...]]):
    """What to fail on, with commas; a name may stand for several calls of the option."""

    name = "failures"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Failure, ...]:
        if not isinstance(value, str):
            return tuple(value)
        found = []
        for name in (part.strip() for part in value.split(",")):
            if name not in _FAILURES:
                self.fail(f'nothing to fail on is called "{name}"; there are {", ".join(_FAILURES)}', param, ctx)
            found.append(Failure(name))
        return tuple(found)


def _compare_options(function: F) -> F:
    """What both commands that compare take."""
    options = [
        click.option(
            "--layers", type=_Layers(), multiple=True, metavar="LAYER,…", help=f"Only these: {', '.join(_NAMES)}."
        ),
        click.option("--table", "tables", multiple=True, metavar="TABLE", help="Only this table; repeatable."),
        click.option(
            "--sample",
            type=click.IntRange(min=1),
            metavar="N",
            help="Decrypt N random rows a table instead of all; the report states what that proves.",
        ),
        click.option(
            "--seed", type=int, help="Of the random rows; default: another one each time, stated in the report."
        ),
        click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Readers a side."),
        click.option(
            "--fail-on",
            type=_Failures(),
            multiple=True,
            metavar="WHAT,…",
            help=f"Differences that end with 1: {', '.join(_FAILURES)}; default any. Others are shown and end with 0;"
            " what is undecided ends with 3 all the same.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The options of one call."""

    layers: tuple[tuple[Layer, ...], ...]
    tables: tuple[str, ...]
    sample: int | None
    seed: int | None
    jobs: int
    fail_on: tuple[tuple[Failure, ...], ...] = ()
    as_of: bool = False

    def options(self) -> Options:
        chosen = {layer for group in self.layers for layer in group}
        if self.layers and not chosen:
            raise ConfigurationError("--layers names no layer", hint=f"there are {', '.join(_NAMES)}")
        if self.as_of:
            if self.sample is not None:
                raise ConfigurationError("--sample draws rows at the source, which --as-of-snapshot does not ask")
            if strange := [layer.value for layer in Layer if layer in chosen and layer not in AS_OF_LAYERS]:
                raise ConfigurationError(
                    f"--as-of-snapshot cannot look at {', '.join(strange)}: they need the source",
                    hint=f"without the source there are {', '.join(layer.value for layer in AS_OF_LAYERS)}",
                )
            chosen = chosen or set(AS_OF_LAYERS)
        layers = tuple(layer for layer in Layer if not chosen or layer in chosen or layer is Layer.GENERATION)
        failures = tuple(dict.fromkeys(failure for group in self.fail_on for failure in group)) or (Failure.ANY,)
        check_looked_for(failures, layers)
        return Options(
            as_of=self.as_of,
            fail_on=failures,
            layers=layers,
            tables=self.tables,
            sample=self.sample,
            seed=self.seed if self.seed is not None else secrets.randbelow(2**31),
            jobs=self.jobs,
        )


@main.command(
    epilog=examples(
        "validator reconcile",
        "validator reconcile --layers schema,counts,foreign-keys",
        "validator reconcile --table orders --sample 3000 --seed 7",
        "validator reconcile --json > reconcile.json",
        "validator reconcile --report reconcile.html --json-report reconcile.json",
        "validator reconcile --fail-on missing,value   # other differences are shown and end with 0",
        "validator reconcile --plan repair.json        # rows to publish again: producer snapshot --keys repair.json",
        "validator reconcile --keys repair.json        # those rows again: 5 when all are equal",
        "validator reconcile --wait 600                # beside a load that still runs",
        "validator reconcile --as-of-snapshot          # what was published is what arrived; needs no source",
    )
)
@_compare_options
@json_option
@click.option(
    "--report", "page", type=click.Path(path_type=Path), metavar="FILE.html", help="Write the HTML page there."
)
@click.option("--json-report", "saved", type=click.Path(path_type=Path), metavar="FILE", help="Write the JSON there.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait that long at most for the load to end before comparing.",
)
@click.option(
    "--as-of-snapshot",
    "as_of",
    is_flag=True,
    help="Compare with what was published (the log) instead of the source, which is not asked.",
)
@repair_options
@progress_option
@pass_invocation
def reconcile(
    invocation: Invocation,
    *,
    layers: tuple[tuple[Layer, ...], ...],
    tables: tuple[str, ...],
    sample: int | None,
    seed: int | None,
    jobs: int,
    fail_on: tuple[tuple[Failure, ...], ...],
    as_json: bool,
    page: Path | None,
    saved: Path | None,
    wait_s: float | None,
    as_of: bool,
    plan: Path | None,
    keys: Path | None,
    progress: ProgressChoice,
) -> ExitCode:
    """Compare source and target, every table in every layer.

    Both sides are read in one read-only snapshot each. Rows that the source changed after the snapshot
    are told apart when the log can be read (KAFKA_BOOTSTRAP_SERVERS): the target must hold what was
    published of them. Exit codes: 0 equal in all that was asked for, 1 different or rows in quarantine
    (--fail-on narrows it), 2 wrong use, 3 inconclusive (the load has not ended, something could not be
    looked at), 4 a side cannot be read, 5 (with --keys) repaired. Rows are named by a keyed digest of
    their key; values are never shown.
    """
    if keys is not None and (layers or tables or sample is not None or fail_on or as_of or plan or page or saved):
        raise ConfigurationError("--keys looks at the rows of a plan only; it goes with --json and --wait alone")
    asked = _Asked(layers=layers, tables=tables, sample=sample, seed=seed, jobs=jobs, fail_on=fail_on, as_of=as_of)
    if wait_s is not None:
        with invocation.open_report(progress) as report_fact:
            url, migration = invocation.target.url, invocation.migration
            wait_until_ended(url, migration.schema_, migration.tenant, wait_s=wait_s, report=report_fact)
    if keys is not None:
        return recheck(invocation, keys, kafka_if_set(invocation), progress, as_json=as_json)
    report = _compare(invocation, asked, progress, page, saved, as_json=as_json, plan=plan)
    return ExitCode(report["exit_code"])


@main.command(
    epilog=examples(
        "validator report --html migration.html",
        "validator report --from reconcile.json --html migration.html",
        "validator report --json",
        "validator report --schema > report.schema.json  # the JSON Schema of the report",
    )
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A JSON report that was saved before; without it both sides are compared now.",
)
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write the HTML page there.")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of the report, and compare nothing.")
@_compare_options
@json_option
@progress_option
@pass_invocation
def report(
    invocation: Invocation,
    *,
    source: Path | None,
    page: Path | None,
    as_schema: bool,
    layers: tuple[tuple[Layer, ...], ...],
    tables: tuple[str, ...],
    sample: int | None,
    seed: int | None,
    jobs: int,
    fail_on: tuple[tuple[Failure, ...], ...],
    as_json: bool,
    progress: ProgressChoice,
) -> ExitCode:
    """Tell of the migration as a whole: load, source, target and verdict, as one HTML page or as JSON.

    The exit code is the verdict's, also of a report that was saved before.
    """
    if as_schema:
        click.echo(reports.schema_text(), nl=False)
        return ExitCode.DONE
    if source is not None:
        if layers or tables or sample is not None or fail_on:
            raise ConfigurationError(
                "--from shows what was compared before; --layers, --table, --sample and --fail-on ask to compare"
            )
        found = reports.read(source)
        if page is not None:
            reports.save(page, render(found))
        _print(found, as_json=as_json)
    else:
        asked = _Asked(layers=layers, tables=tables, sample=sample, seed=seed, jobs=jobs, fail_on=fail_on)
        found = _compare(invocation, asked, progress, page, None, as_json=as_json)
    if page is not None:
        click.echo(f"report written: {page}", err=True)
    return ExitCode(found["exit_code"])


def _compare(
    invocation: Invocation,
    asked: _Asked,
    progress: ProgressChoice,
    page: Path | None,
    saved: Path | None,
    *,
    as_json: bool,
    plan: Path | None = None,
) -> dict[str, Any]:
    """Compare, write what is to be written, also of a run that was cut short, and show it, also when it cannot be written."""
    for path in (page, saved):
        if path is not None and not path.parent.is_dir():
            raise ConfigurationError(f"{path}: there is no folder {path.parent}")
    see_distinct(**{"report": page, "json-report": saved, "plan": plan})
    options = asked.options()
    if plan is not None:
        see_plan_fits(plan, options.layers, as_of=options.as_of)
        options = replace(options, keeps_keys=True, most=MOST)
    keyring = load_keyring(invocation.environment)
    with invocation.open_report(progress) as report_fact:
        run = Reconciliation(
            migration=invocation.migration,
            source_url="" if options.as_of else invocation.source.url,
            target_url=invocation.target.url,
            kafka=invocation.kafka if options.as_of else kafka_if_set(invocation),
            keyring=keyring,
            environment=invocation.environment,
            options=options,
            report_fact=report_fact,
            program_version=VERSION,
        )
        _write(run.report().to_json(), page, saved)  # not complete: what a killed run leaves is never an older "equal"
        try:
            plain = run.run().to_json()
        except (KeyboardInterrupt, SystemExit, ReplicatorError):
            _write(run.report().to_json(), page, saved)
            raise
    try:
        _write(plain, page, saved)
        if plan is not None:
            save_plan(plan, run.repair_plan(), keyring)
    finally:
        _print(plain, as_json=as_json)
    return plain


def kafka_if_set(invocation: Invocation) -> KafkaSettings | None:
    """The log, where the environment names one."""
    is_named = any(invocation.environment.get(name) for name in (BOOTSTRAP, PROPERTIES))
    return invocation.kafka if is_named else None


def _write(plain: dict[str, Any], page: Path | None, saved: Path | None) -> None:
    if saved is not None:
        reports.save(saved, reports.as_text(plain) + "\n")
    if page is not None:
        reports.save(page, render(plain))


def _print(plain: dict[str, Any], *, as_json: bool) -> None:
    """Show the report on stdout. A reader that has gone (`| head`) must not turn "different" into success."""
    try:
        if as_json:
            click.echo(reports.as_text(plain))
        else:
            width = None if sys.stdout.isatty() else max(Console().width, 120)
            show(plain, Console(width=width, highlight=False, soft_wrap=False))
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
