"""A report as people see it: names may hold anything, lists may be long, and files may already be there."""

from __future__ import annotations

import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from schemas.errors import ConfigurationError
from tests.unit.test_report_schema import report_of
from validator.cli import main
from validator.page import render
from validator.report import save
from validator.verdict import Difference, Finding, Kind, Layer
from validator.view import show

HOSTILE = "[/b]<script>alert('\"1\"')</script>\x1b[31m\n\u202e"


def hostile_report() -> dict[str, Any]:
    found = Difference(
        layer=Layer.CHECKSUMS, table=HOSTILE, kind=Kind.VALUE_MISMATCH, key="00ff", columns=(HOSTILE,), detail=HOSTILE
    )
    report = report_of([Finding(layer=Layer.CHECKSUMS, table=HOSTILE, differences=(found,), notes=(HOSTILE,))])
    report["tables"][0]["name"] = report["tenant"] = report["schema"] = HOSTILE
    report["changed_since"] = report["differences"]
    return report


def on_terminal(report: dict[str, Any]) -> str:
    out = StringIO()
    show(report, Console(file=out, width=400, force_terminal=True, color_system=None))
    return out.getvalue()


def test_no_name_is_obeyed_by_a_terminal_or_a_browser() -> None:
    report = hostile_report()

    printed, page = on_terminal(report), render(report)

    assert printed.count("[/b]<script>") >= 4
    assert "\x1b[31m" not in printed
    assert "\u202e" not in printed
    assert "<script" not in page
    assert re.findall(r"&lt;script&gt;alert\(&#39;&#34;1&#34;", page)


def test_rows_changed_since_that_are_not_shown_are_counted() -> None:
    report = report_of([])
    row = {"layer": "checksums", "table": "orders", "kind": "changed_since", "detail": "changed", "key": "00ff", "columns": ["x"], "rows": 1}  # fmt: skip
    report["changed_since"] = [row] * 1200
    report["tables"][0]["layers"]["checksums"] = {"verdict": "equal", "changed_since": 5_000}

    printed, page = on_terminal(report), render({**report, "tables": report["tables"]})

    assert "… and 4,950 more" in printed
    assert "1\u202f000 of 5\u202f000 are shown; the JSON report lists 1\u202f200" in page


def test_a_link_stays_and_the_file_that_it_names_is_written(tmp_path: Path) -> None:
    link, file = tmp_path / "link.json", tmp_path / "folder" / "file.json"
    file.parent.mkdir()
    link.symlink_to(file)

    save(link, "new")

    assert (link.is_symlink(), file.read_text(), len(list(file.parent.iterdir()))) == (True, "new", 1)


def test_no_report_takes_the_place_of_a_pipe_a_device_or_a_folder(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for place in (pipe, tmp_path):
        with pytest.raises(ConfigurationError, match="no ordinary file"):
            save(place, "new")

    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "options", [("--report", "--json-report"), ("--json-report", "--plan"), ("--plan", "--report")]
)
def test_two_reports_of_one_run_may_not_be_one_file(
    options: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "r")

    with pytest.raises(SystemExit) as end:
        main(["reconcile", options[0], str(tmp_path / "r"), options[1], str(tmp_path / "link")])

    assert end.value.code == 2
    assert "name the same file" in capsys.readouterr().err
