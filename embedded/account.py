"""The ordinary user that servers run as: this user, or `nobody` when this user is root.

PostgreSQL refuses to run as root, and nothing here needs root. What the ordinary user
cannot reach (a checkout or a wheel below a closed home directory) is brought to where it can.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import Unavailable

UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom server programs run as; `uid` None means the user who runs this process."""

    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """Root's further groups are dropped together with root."""
        return None if self.uid is None else []

    def can_reach(self, path: Path) -> bool:
        """Whether the account can read `path`; asked of the system by trying, as the account."""
        if self.uid is None:
            return os.access(path, os.R_OK)
        test = 'if [ -d "$1" ]; then cd -- "$1" && ls . >/dev/null; else [ -r "$1" ]; fi'
        done = subprocess.run(
            ["/bin/sh", "-c", test, "sh", str(path)],
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self.uid,
            group=self.gid,
            extra_groups=self.extra_groups,
        )
        return done.returncode == 0

    def own(self, path: Path) -> None:
        """Give `path` to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def make_directory(self, path: Path) -> Path:
        """Make a directory that belongs to the account and is closed to others.

        Raises:
            Unavailable: the account cannot enter it, because a folder above is closed.
        """
        path.mkdir(mode=0o700, exist_ok=True)
        self.own(path)
        if not self.can_reach(path):
            raise Unavailable(
                f"{path} cannot be entered by the user {UNPRIVILEGED}, which servers run as under root",
                hint="choose a directory below one that every user may enter, or run as an ordinary user",
            )
        return path

    def temporary_directory(self, prefix: str) -> Path:
        """Make a directory of the account's own below the temporary directory.

        Raises:
            Unavailable: the account cannot enter the temporary directory.
        """
        path = Path(tempfile.mkdtemp(prefix=prefix))
        self.own(path)
        if not self.can_reach(path):
            path.rmdir()
            raise Unavailable(
                f"{path.parent} is closed to the user {UNPRIVILEGED}, which servers run as under root",
                hint="set TMPDIR to a directory that every user may enter, or run as an ordinary user",
            )
        return path

    def bring(self, path: Path, into: Path) -> Path:
        """A place where the account can read `path`: itself, or a copy made once below `into`."""
        if not path.exists() or self.can_reach(path):
            return path
        copy = into / path.name
        if copy.exists():
            return copy
        if path.is_dir():
            shutil.copytree(path, copy, symlinks=True)
        else:
            shutil.copy2(path, copy)
        for part in (copy, *copy.rglob("*")):
            if not part.is_symlink():
                self.own(part)
        return copy


def ordinary_account() -> Account:
    """The account to run servers as.

    Raises:
        Unavailable: this is root, and the machine has no user `nobody`.
    """
    if os.geteuid() != 0:
        return Account()
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise Unavailable(
            f"servers do not run as root, and this machine has no user {UNPRIVILEGED}",
            hint="run as an ordinary user",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)
