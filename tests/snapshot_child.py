"""A snapshot that kills itself: `python -m tests.snapshot_child SOURCE BOOTSTRAP MIGRATION_FILE FACT COUNT`.

It dies by SIGKILL when the fact named FACT is reported for the COUNT-th time, as a machine would.
"""

import os
import signal
import sys
from pathlib import Path

from producer import tables
from producer.snapshot import Places, Wish, run_snapshot
from runtime.settings import KafkaSettings, SourceSettings
from schemas.migration import parse_migration

# one parcel a transaction: else a small source is in the log as a whole before the first fact is told
tables._TRANSACTION_RECORDS = 1


def main(source: str, bootstrap: str, file: str, fact_name: str, count: str) -> None:
    left = int(count)

    def report(fact: object) -> None:
        nonlocal left
        left -= type(fact).__name__ == fact_name
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    places = Places(
        source=SourceSettings(source),
        kafka=KafkaSettings(bootstrap),
        migration=parse_migration(Path(file).read_text(encoding="utf-8"), file),
        keyring=None,
    )
    run_snapshot(places, Wish(), report)


if __name__ == "__main__":
    main(*sys.argv[1:])
