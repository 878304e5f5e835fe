"""What the documents refer to exists: files, tests by name, guards of the model, other documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from tests.chaos.model.state import Guards

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "tests|schemas|runtime|producer|consumer|validator|embedded|docs"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def references(document: Path) -> Iterator[tuple[str, Path, str]]:
    text = document.read_text("utf-8")
    for path, test in FILE.findall(text):
        yield f"{path}::{test}", ROOT / path, test
    for path in LINK.findall(text):
        yield path, document.parent / path, ""


@cache
def functions_in(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_test_that_a_document_names_exists(document: Path) -> None:
    wrong = [
        said
        for said, path, test in references(document)
        if not path.exists() or (test and test not in functions_in(path))
    ]

    assert not wrong


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    promises = [line for line in text.splitlines() if line.startswith("| **")]

    assert len(promises) > 10
    assert all("`tests/" in line.split("|")[3] for line in promises)


def test_the_guarantees_name_every_guard_of_the_model_and_no_other() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    named = {guard for part in re.findall(r"model: ((?:`\w+`(?:, )?)+)", text) for guard in re.findall(r"\w+", part)}

    assert named == {item.name for item in fields(Guards)}
