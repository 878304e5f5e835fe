"""Waiting for the load to end, so that a proof can be started beside it."""

from __future__ import annotations

import time
from contextlib import closing

from runtime.progress import GenerationState, read_progress
from runtime.reporting import Report, Waiting
from validator.sides import connect, named_errors

POLL_S = 1.0


def wait_until_ended(target_url: str, schema: str, tenant: str, *, wait_s: float, report: Report) -> None:
    """Return when the tenant's newest generation in the target has ended, or after `wait_s`.

    It decides nothing: a load that has not ended by then is what the comparison finds and says.
    """
    report(Waiting("the end of the load"))
    deadline = time.monotonic() + wait_s
    while not _has_ended(target_url, schema, tenant) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _has_ended(target_url: str, schema: str, tenant: str) -> bool:
    with closing(connect("target", target_url, schema)) as connection, named_errors("target", "target: progress"):
        progress = read_progress(connection, tenant)
    newest = progress.newest if progress is not None else None
    return newest is not None and newest.state is not GenerationState.RUNNING
