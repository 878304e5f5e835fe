"""Files that are there as a whole or not at all: a reader sees the one before or the one after, never half of it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from schemas.errors import ConfigurationError


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Put the text in the file's place. Of a symbolic link it is the file that it points at, which may not be there yet.

    Raises:
        ConfigurationError: a device, a pipe or a folder stands there, whose place no file may take.
        OSError: it cannot be written; what was there before still is.
    """
    see_replaceable(path)
    place = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{path.name}."[:200])  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def see_replaceable(path: Path) -> None:
    """See that a file may be put there.

    Raises:
        ConfigurationError: something stands there that is no ordinary file.
    """
    try:
        found = path.stat()
    except OSError:
        return  # not there, or what is wrong shows when it is written
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path}: no ordinary file stands there", hint="name a file; --json prints the report")


def see_distinct(**paths: Path | None) -> None:
    """See that no two of the files are one.

    Raises:
        ConfigurationError: two are; one would take the place of the other.
    """
    taken: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None:
            continue
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise ConfigurationError(f"--{other} and --{option} name the same file, {path}")
