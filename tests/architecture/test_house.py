"""The house keeps its own rules."""

from __future__ import annotations

import ast
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("schemas", "runtime", "producer", "consumer", "validator", "embedded")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LOCKS = ("requirements.lock", "requirements-embedded.lock", "requirements-dev.lock")


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    return dict(line.removesuffix(" \\").split("==") for line in lines if "==" in line and not line.startswith(" "))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("program", ["producer", "consumer", "validator"])
def test_each_program_is_installed_and_runs_as_a_module(program: str) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    module, function = scripts[program].split(":")

    assert callable(getattr(import_module(module), function))
    assert (ROOT / program / "__main__.py").exists()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_by_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


def test_the_lock_files_agree() -> None:
    everything = pins("requirements-dev.lock").items()

    assert pins("requirements.lock").items() <= pins("requirements-embedded.lock").items() <= everything


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "rawdog.toml",
        "docs/architecture.md",
        "docs/guarantees.md",
        "docs/exit-codes.md",
    ],
)
def test_what_people_look_for_is_there(path: str) -> None:
    assert (ROOT / path).read_text().strip()
