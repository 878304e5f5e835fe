"""A program that dies at a point: `python -m tests.chaos.dying PROGRAM POINT COUNT TALLY`.

It dies by SIGKILL, as by a machine that fails, when POINT is reached for the COUNT-th time by all processes
that share the file TALLY; at no point when COUNT is 0. With `*` for POINT it counts: TALLY gets the name of
each point that is reached. The tenant is found by the environment.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path

from consumer import membership, worker
from consumer.backlog import Backlog
from consumer.session import Session
from consumer.worker import Options, Worker
from producer import tables
from producer.snapshot import Places, Wish, run_snapshot
from runtime.keyring import load_keyring
from runtime.reporting import Report
from runtime.settings import kafka_settings, source_settings, target_settings
from runtime.shutdown import StopFlag
from schemas.migration import parse_migration
from tests.chaos.points import BY_NAME, POINTS, Point
from validator.options import Options as Looks
from validator.reconcile import Reconciliation

SESSION_TIMEOUT = "POINTS_SESSION_TIMEOUT_S"
ALL = "*"


def dying_at(program: str, point: Point, count: int, tally: Path) -> Report:
    """A report that kills."""

    def report(fact: object) -> None:
        if program != point.program or not point.is_reached(fact):
            return
        with tally.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b".")
            file.flush()
            if os.fstat(file.fileno()).st_size == count:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal comes; nothing more is done until then

    return report


def counting(program: str, tally: Path) -> Report:
    """A report that writes down every point of the program that is reached."""

    def report(fact: object) -> None:
        for point in POINTS:
            if program == point.program and point.is_reached(fact):
                with tally.open("a") as file:
                    file.write(f"{point.name}\n")

    return report


def main(program: str, name: str, count: str, tally: str) -> None:
    """Run the program to its end, or to its death."""
    report = (
        counting(program, Path(tally)) if name == ALL else dying_at(program, BY_NAME[name], int(count), Path(tally))
    )
    file = os.environ["MIGRATION"]
    migration = parse_migration(Path(file).read_text(encoding="utf-8"), file)
    keyring, kafka = load_keyring(), kafka_settings()
    if program == "producer":
        tables._TRANSACTION_RECORDS = 8  # else a tiny source is in the log in one transaction
        run_snapshot(
            Places(source=source_settings(), kafka=kafka, migration=migration, keyring=keyring), Wish(), report
        )
    elif program == "consumer":
        membership.SESSION_TIMEOUT_S = float(os.environ[SESSION_TIMEOUT])
        membership.COMMIT_S = worker.LOOK_S = 0.1
        session = Session(migration=migration, keyring=keyring, kafka=kafka, target=target_settings())
        member = Worker(session, Options(until_complete=True), report, StopFlag())
        member._flow.backlog = Backlog(max_batches=2)
        member.run()
    else:
        Reconciliation(
            migration=migration,
            source_url=source_settings().url,
            target_url=target_settings().url,
            keyring=keyring,
            environment=os.environ,
            options=Looks(jobs=1),
            report_fact=report,
            program_version="test",
        ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
