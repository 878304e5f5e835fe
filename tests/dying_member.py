"""The consumer, killed as by a machine when it has given partitions up for another: `python -m tests.dying_member run`.

At that moment the group has settled without anybody who owns them, and waits for this member to join again.
"""

import os
import signal

from consumer.cli import main
from consumer.membership import Membership
from runtime.kafka import Partition


def _die(member: Membership, places: tuple[Partition, ...]) -> None:
    plain(member, places)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    plain, Membership._revoked = Membership._revoked, _die  # type: ignore[method-assign]
    main()
