"""What the documents tell people to type exists, and the README's five commands do what they say."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from tests.conftest import ROOT, MakeDatabase

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("producer", "consumer", "validator")


def blocks(document: Path) -> list[str]:
    """The shell blocks of a document."""
    return re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


def commands(document: Path) -> Iterator[list[str]]:
    """Calls of the programs in a document's shell blocks and in its inline code."""
    text = document.read_text("utf-8")
    lines = [line for block in blocks(document) for line in block.splitlines()]
    inline = re.findall(r"`((?:producer|consumer|validator) [^`]+)`", text)
    for line in [*lines, *inline]:
        for part in re.split(r"&&|\|\|?|;", line):
            words = shlex.split(part, comments=True)
            if words and words[0] in PROGRAMS:
                yield words


CALLS = [(document.name, words) for document in DOCUMENTS for words in commands(document)]


@pytest.mark.parametrize(("document", "words"), CALLS, ids=[f"{name}: {' '.join(words)}" for name, words in CALLS])
def test_command_in_a_document_exists_with_its_options(document: str, words: list[str]) -> None:
    command: click.Command = importlib.import_module(f"{words[0]}.cli").main
    known = {option for parameter in command.params for option in parameter.opts}

    for word in words[1:]:
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
            known |= {option for parameter in command.params for option in parameter.opts}
        elif word.startswith("--"):
            assert word.split("=")[0] in known, f"{document}: {' '.join(words)}"

    assert not isinstance(command, click.Group) or set(words[1:]) <= {*command.commands, "…", "--help", "--version"}


def test_five_commands_of_the_readme_move_a_database(
    make_database: MakeDatabase, environment: Mapping[str, str], prefix: str, tmp_path: Path
) -> None:
    source = make_database(
        "CREATE TABLE parent (id int PRIMARY KEY, name text); CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);"
        "INSERT INTO parent VALUES (1, 'one'), (2, NULL); INSERT INTO child VALUES (1, 2), (2, NULL)"
    )
    (block,) = [block for block in blocks(ROOT / "README.md") if "tenant.toml" in block]
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in PROGRAMS:  # as pip install makes them
        (programs / program).write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m {program} "$@"\n')
        (programs / program).chmod(0o755)
    lines = [line for line in block.splitlines() if not line.startswith("pip install")]

    for number, line in enumerate(lines):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env={"PATH": f"{programs}:/usr/bin:/bin", **environment, "POSTGRES_URL": source},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if number == 0:  # the step where a person edits: a name of its own on a broker that others use, too
            migration = tmp_path / "tenant.toml"
            migration.write_text(migration.read_text().replace('"acme"', f'"{prefix}"'))

    assert "Equal: 2 tables, 4 rows" in done.stdout
