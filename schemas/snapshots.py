"""What a PostgreSQL snapshot saw: whether a row version was there already, or was written since. Pure.

A row's `xmin` has 32 bits, a snapshot's numbers have 64: `full_xid_sql` gives the newest number that
is not newer than now and ends in those bits. A snapshot names the transactions that ran when it was
taken, but not their subtransactions; so where any ran, a number between its bounds that it does not
name may be seen or not, and is `UNCLEAR`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

COMPARABLE_XIDS = 2**31
"""After so many transactions a 32-bit xmin no longer tells old from new."""

NOW_SQL = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_FIRST_NORMAL_XID = 3  # below it: rows of initdb, and rows that an old server froze


class Seen(StrEnum):
    """What a snapshot says of a transaction."""

    BEFORE = "before"
    SINCE = "since"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`pg_current_snapshot()`: below `xmin` all had ended, from `xmax` on none had begun, `running` were between."""

    xmin: int
    xmax: int
    running: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read what PostgreSQL prints.

        >>> Snapshot.parse("795:799:795,797")
        Snapshot(xmin=795, xmax=799, running=frozenset({795, 797}))
        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def saw(self, xid: int) -> Seen:
        """Whether what the transaction wrote was there.

        >>> snapshot = Snapshot.parse("795:799:795")
        >>> snapshot.saw(794), snapshot.saw(795), snapshot.saw(799), snapshot.saw(797)
        (<Seen.BEFORE: 'before'>, <Seen.SINCE: 'since'>, <Seen.SINCE: 'since'>, <Seen.UNCLEAR: 'unclear'>)
        """
        if xid >= self.xmax or xid in self.running:
            return Seen.SINCE
        return Seen.UNCLEAR if self.running and xid >= self.xmin else Seen.BEFORE

    def not_since_sql(self, xid: str) -> str:
        """`saw(xid)` is not SINCE, as SQL over a 64-bit number."""
        named = f" AND {xid} NOT IN ({', '.join(map(str, sorted(self.running)))})" if self.running else ""
        return f"({xid} < {self.xmax}{named})"


def full_xid_sql(xmin: str, now: int) -> str:
    """SQL for the 64-bit number of a row's `xmin`, `now` being the number that comes next.

    >>> full_xid_sql("t.xmin", 7)
    'CASE WHEN t.xmin::text::bigint < 3 THEN 0 ELSE 7 - ((7 - t.xmin::text::bigint) & 4294967295) END'
    """
    number = f"{xmin}::text::bigint"
    return f"CASE WHEN {number} < {_FIRST_NORMAL_XID} THEN 0 ELSE {now} - (({now} - {number}) & 4294967295) END"
