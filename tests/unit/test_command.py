import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from runtime.command import VERSION, Invocation, confirm, examples, pass_invocation, program
from schemas.errors import ConfigurationError, ExitCode, Fenced, NotWhole

SECRET = "ada@example.com"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIGRATION", raising=False)


def run(action, *args: str) -> Result:
    main = program("consumer", "Applies.")

    @main.command(epilog=examples("consumer act --fast", "consumer act   # slow"))
    @click.option("--fast", is_flag=True)
    @pass_invocation
    def act(invocation: Invocation, *, fast: bool) -> object:
        """Do it."""
        return action(invocation)

    return CliRunner().invoke(main, ["act", *args])


def raising(error: BaseException):
    def action(_: Invocation) -> None:
        raise error

    return action


def test_an_error_of_ours_says_what_and_what_next_and_ends_with_its_code() -> None:
    result = run(raising(ConfigurationError("NEW_POSTGRES_URL is not set", hint="export it")))

    assert result.stderr == "error: NEW_POSTGRES_URL is not set\nhint: export it\n"
    assert result.stdout == ""
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotWhole("3 rows"), 1), (Fenced("another"), 6), (KeyboardInterrupt(), 130), (click.Abort(), 2)],
)
def test_every_family_has_its_exit_code(error: BaseException, code: int) -> None:
    assert run(raising(error)).exit_code == code


@pytest.mark.parametrize("error", [ValueError(SECRET), psycopg.errors.UniqueViolation(SECRET), BaseException(SECRET)])
@pytest.mark.parametrize("options", [(), ("--debug",), ("--log-format", "json")])
def test_an_unexpected_error_shows_its_kind_and_never_its_text(error: BaseException, options: tuple[str, ...]) -> None:
    result = run(raising(error), *options)

    assert result.exit_code == 4
    assert SECRET not in result.output
    assert "unexpected" in result.stderr
    assert ("Traceback" in result.stderr or "in action" in result.stderr) == ("--debug" in options)


def test_errors_are_json_lines_when_logs_are() -> None:
    result = run(raising(ConfigurationError("no", hint="yes")), "--log-format=json")

    said = json.loads(result.stderr)
    assert (said["level"], said["message"], said["hint"], said["exit_code"]) == ("error", "no", "yes", 2)


def test_wrong_use_ends_with_2_and_says_how_it_is_used() -> None:
    result = run(lambda _: None, "--slow")

    assert result.exit_code == 2
    assert "--slow" in result.stderr
    assert "--help" in result.stderr


def test_what_a_command_returns_is_the_exit_code() -> None:
    assert run(lambda _: ExitCode.INCONCLUSIVE).exit_code == 3
    assert run(lambda _: None).exit_code == 0


def test_the_programs_options_may_stand_after_the_command(tmp_path: Path) -> None:
    seen = []
    (tmp_path / "env").write_text("H7_ONLY_IN_FILE=there\n")
    result = run(seen.append, "--fast", "--migration", "a.toml", "--env-file=env", "--debug")

    assert result.exit_code == 0, result.output
    (invocation,) = seen
    assert (invocation.migration_file, invocation.debug) == (Path("a.toml"), True)
    assert invocation.environment["H7_ONLY_IN_FILE"] == "there"
    os.environ.pop("H7_ONLY_IN_FILE")


def test_a_migration_that_is_not_there_is_named() -> None:
    result = run(lambda invocation: invocation.migration, "--migration", "nowhere.toml")

    assert result.exit_code == 2
    assert "nowhere.toml: no such migration file" in result.stderr


def test_help_keeps_the_lines_of_examples() -> None:
    result = run(lambda _: None, "--help")

    assert "\n    consumer act --fast\n    consumer act   # slow\n" in result.stdout


def test_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_a_destructive_command_is_refused_where_nobody_can_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match="nothing was done") as refused:
        confirm(["drops schema tenant_a"], "a", yes=False)

    assert "--yes" in refused.value.hint
    assert "drops schema tenant_a" in capsys.readouterr().err


def test_the_tenants_name_must_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "rawdog")
    confirm([], "rawdog", yes=False)

    with pytest.raises(ConfigurationError, match="nothing was done"):
        confirm([], "other", yes=False)


_SIGNALLED = """
import sys, time
from runtime.command import program
from runtime.shutdown import StopFlag
main = program("producer", "x")

@main.command()
def wait():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("closed", flush=True)

@main.command()
def loop():
    with StopFlag() as stop:
        print("ready", flush=True)
        stop.wait(60)
    print("ended in order", flush=True)
    return stop.exit_code

@main.command()
def stuck():
    with StopFlag():
        print("ready", flush=True)
        while True:
            time.sleep(0.01)

main()
"""


def started(*args: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _SIGNALLED, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("command", "number", "said", "code"),
    [
        ("wait", signal.SIGTERM, "closed\n", 143),
        ("wait", signal.SIGINT, "closed\n", 130),
        ("loop", signal.SIGTERM, "ended in order\n", 143),
        ("loop", signal.SIGINT, "ended in order\n", 130),
    ],
)
def test_signals_end_a_command_in_order(command: str, number: int, said: str, code: int) -> None:
    with started(command) as process:
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)

    assert (out, process.returncode) == (said, code)


def test_a_second_signal_ends_at_once() -> None:
    with started("stuck") as process:
        while process.poll() is None:  # the first may be handled after the second was sent: then they are one
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert process.returncode == 143


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import click\nfrom runtime.command import program\nmain = program('consumer', 'x')\n"
        "@main.command()\ndef many():\n    for _ in range(100_000): click.echo('row')\nmain(['many'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        process.wait(timeout=20)

    assert (process.returncode, stderr) == (0, "")
