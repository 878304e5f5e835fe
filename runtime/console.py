"""The report of a command: shows facts on the terminal, logs them and counts them, all at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from runtime.display import display
from runtime.logs import log_fact
from runtime.metrics import open_metrics
from runtime.reporting import LogFormat, ProgressChoice, Report


@contextmanager
def open_report(
    progress: ProgressChoice = "auto",
    log_format: LogFormat = "text",
    *,
    tenant: str = "",
    metrics: str | None = None,
) -> Iterator[Report]:
    """Open the report and close its parts at the end.

    `auto` shows bars on a terminal, plain lines elsewhere, and nothing beside a JSON log, whose
    lines say the same. `metrics` is [HOST:]PORT.
    """
    if progress == "auto":
        progress = "none" if log_format == "json" else "bar" if sys.stderr.isatty() else "plain"
    sinks: list[Report] = []
    lock = threading.Lock()
    with ExitStack() as stack:
        if log_format == "json":
            sinks.append(lambda fact: log_fact(fact, tenant))
        if log_format == "text" or progress != "none":
            sinks.append(stack.enter_context(display(progress)))
        if metrics is not None:
            sinks.append(stack.enter_context(open_metrics(metrics, tenant)))

        def report(fact: object) -> None:
            with lock:  # the worker's second thread reports too
                for sink in sinks:
                    sink(fact)

        yield report
