"""Every command of the three programs helps: says what it does and shows an example that could be typed."""

import importlib
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

PROGRAMS = ("producer", "consumer", "validator")


def commands(program: str) -> Iterator[tuple[str, ...]]:
    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(command, click.Group):
            for name, part in command.commands.items():
                yield from walk(part, (*path, name))
        else:
            yield path

    yield from walk(importlib.import_module(f"{program}.cli").main, ())


ALL = [(program, path) for program in PROGRAMS for path in commands(program)]


@pytest.mark.parametrize(("program", "path"), ALL, ids=[" ".join((program, *path)) for program, path in ALL])
def test_every_command_has_help_and_an_example(program: str, path: tuple[str, ...]) -> None:
    main = importlib.import_module(f"{program}.cli").main
    name = " ".join((program, *path))

    result = CliRunner().invoke(main, [*path, "--help"])

    assert result.exit_code == 0
    assert f"Usage: {name}" in result.stdout
    text, _, shown = result.stdout.partition("Examples:")
    assert len(text.split("\n\n")[1].strip()) > 20, "says what it does"
    assert f"{name}" in shown, "an example begins with the command"


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_says_what_it_does(program: str) -> None:
    def silent(command: click.Command, path: str) -> Iterator[str]:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.help:
                yield f"{path} {parameter.opts[0]}"
        if isinstance(command, click.Group):
            for name, part in command.commands.items():
                yield from silent(part, f"{path} {name}")

    assert list(silent(importlib.import_module(f"{program}.cli").main, program)) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_tells_its_version_and_its_commands(program: str) -> None:
    main = importlib.import_module(f"{program}.cli").main

    version = CliRunner().invoke(main, ["--version"])
    listed = CliRunner().invoke(main, ["--help"])

    assert version.stdout.startswith(f"{program} ")
    assert all(name in listed.stdout for name in main.commands)
