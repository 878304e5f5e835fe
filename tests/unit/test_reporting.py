import io
import json
import logging
import os
import socket
import urllib.request
from pathlib import Path

import psycopg
import pytest
import structlog
from rich.console import Console

from runtime import health
from runtime.console import open_report
from runtime.display import Bars, Plain
from runtime.health import Heartbeat
from runtime.logs import configure_logs
from runtime.metrics import open_metrics
from runtime.reporting import (
    BatchesApplied,
    BatchesPublished,
    GenerationEnded,
    Notice,
    TableDone,
    TableTotals,
    Waiting,
    Warned,
)
from runtime.steps import RowsCopied
from schemas.errors import ConfigurationError, LogError

SECRET = "ada@example.com"


def test_plain_progress_says_rows_migrated_by_table() -> None:
    lines: list[str] = []
    plain = Plain(lines.append, interval_s=0)

    plain(BatchesApplied("orders", 8000))
    plain(BatchesApplied("orders", 4000, quarantined=2))
    plain(TableDone("orders"))

    assert lines == [
        "orders: 8000 rows migrated",
        "orders: 12000 rows migrated, 2 quarantined",
        "orders: complete",
    ]


def test_plain_progress_is_thinned_but_its_last_number_is_always_said() -> None:
    lines: list[str] = []
    plain = Plain(lines.append, interval_s=3600)

    for _ in range(50):
        plain(BatchesPublished("orders", 1000))
    plain(TableDone("orders", 50_000))

    assert lines == ["orders: 1000 rows published", "orders: 50000 rows published", "orders: complete, 50000 rows"]


def test_waiting_is_said_once_until_something_happens() -> None:
    lines: list[str] = []
    plain = Plain(lines.append, interval_s=3600)

    for _ in range(3):
        plain(Waiting("a generation"))
    plain(BatchesApplied("orders", 1))
    plain(Waiting("a generation"))

    assert lines.count("waiting for a generation") == 2


def test_bars_show_every_table_and_all_of_them() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        bars(TableTotals("customers", 10, done=4))
        bars(TableTotals("orders[1]", 30))
        bars(BatchesApplied("customers", 6))
        bars(BatchesApplied("orders[1]", 28, quarantined=2))
        bars(TableDone("customers"))
        bars(Warned("something is odd"))

    last = out.getvalue()
    assert all(text in last for text in ("10/10", "30/30", "40/40", "orders[1]", "all tables", "something is odd"))


def test_the_bar_of_all_tables_has_no_total_while_one_is_unknown() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        bars(TableTotals("customers", 10))
        bars(TableTotals("orders", None))
        bars(BatchesApplied("customers", 10))

    assert "10/10" in out.getvalue().rpartition("all tables")[2]  # of customers
    assert out.getvalue().rpartition("all tables")[2].count("/10") == 1


def test_json_logs_carry_facts_and_no_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    with open_report("auto", "json", tenant="rawdog") as report:
        report(BatchesApplied("orders", 3))
        report(Notice("done"))

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["tenant"], first["table"], first["rows"]) == (
        "batches applied",
        "rawdog",
        "orders",
        3,
    )
    assert first["ts"].endswith("Z")
    assert second["event"] == "done"


def test_progress_none_still_says_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with open_report("none") as report:
        report(BatchesApplied("orders", 3))
        report(Warned("not sealed"))

    assert capsys.readouterr().err == "warning: not sealed\n"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_log_line_carries_an_exceptions_text(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format)  # type: ignore[arg-type]
    log = structlog.get_logger()
    library = logging.getLogger("psycopg")
    try:
        raise psycopg.errors.UniqueViolation(SECRET)
    except psycopg.Error as error:
        log.exception("apply failed")
        log.warning("again", error=error, caused_by=repr(error))
        library.exception("rolling back")
        library.warning("error ignored: %s", error)
        logging.getLogger("kafka").warning("broker %s", "is away")

    said = capsys.readouterr().err
    assert SECRET not in said
    assert said.count("UniqueViolation") >= 3
    assert "broker is away" in said


def test_our_own_errors_are_logged_with_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text")
    structlog.get_logger().warning("stopped", error=LogError("orders-3@1042: no schema"))

    assert "orders-3@1042: no schema" in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_steps_of_each_batch_are_logged_only_with_debug(capsys: pytest.CaptureFixture[str], debug: bool) -> None:
    configure_logs("json", debug=debug)
    with open_report("auto", "json", tenant="rawdog") as report:
        report(RowsCopied("orders", 1000))

    said = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]

    assert said == (["rows copied"] if debug else [])


def test_metrics_count_rows_by_tenant_and_table() -> None:
    with open_metrics("127.0.0.1:0", "rawdog") as metrics:
        metrics(BatchesApplied("orders", 5, quarantined=1))
        metrics(BatchesApplied("orders", 2))
        metrics(GenerationEnded(3))
        value = metrics.registry.get_sample_value  # type: ignore[attr-defined]

        labels = {"tenant": "rawdog", "table": "orders"}
        assert value("replicator_rows_applied_total", labels) == 7
        assert value("replicator_rows_quarantined_total", labels) == 1
        assert value("replicator_generation_ended", {"tenant": "rawdog"}) == 3


def test_metrics_are_served_while_the_report_is_open(unused_port: int) -> None:
    with open_report("none", tenant="rawdog", metrics=str(unused_port)) as report:
        report(BatchesPublished("orders", 5, bytes=100))
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics") as answer:
            said = answer.read().decode()

    assert 'replicator_rows_published_total{table="orders",tenant="rawdog"} 5.0' in said


def test_an_address_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no address"), open_metrics("here", "rawdog"):
        pass


def test_a_process_is_healthy_while_its_heart_beats(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    assert health.main([str(file)]) == 1

    Heartbeat.of(None, {"HEARTBEAT_FILE": str(file)}).beat()
    assert health.main([str(file)]) == 0

    os.utime(file, (1, 1))
    assert health.main([str(file)]) == 1


def test_without_a_file_no_heart_beats() -> None:
    Heartbeat.of(None, {}).beat()


@pytest.fixture
def unused_port() -> int:

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
