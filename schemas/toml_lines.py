"""On which line of a TOML file each key stands, because tomllib does not say.

Not a parser: it walks a text that tomllib has already accepted, notes the line of each key and
of each element of an array, and skips over values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def key_lines(text: str) -> dict[Path, int]:
    r"""The line (from 1) of every key path; elements of arrays have their index in the path.

    >>> key_lines('[log]\npartitions = 3\ntables = [\n  "a",\n  "b",\n]')[("log", "tables", 1)]
    5
    """
    return _Walk(text).walk()


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, else of the nearest path above it, else 1."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return 1


class _Walk:
    """One pass over the text; `at` is the character that comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.counted_to = 0
        self.line = 1

    def walk(self) -> dict[Path, int]:
        header: Path = ()
        self.skip(_BLANK_LINES)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                header = self.header()
            else:
                self.pair(header)
            self.skip(_BLANK_LINES)
        return self.lines

    def header(self) -> Path:
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        path: Path = self.keys("]")
        self.at += brackets
        if brackets == 2:
            count = sum(len(known) == len(path) + 1 and known[:-1] == path for known in self.lines)
            path = (*path, count)
        self.note(path)
        return path

    def pair(self, above: Path) -> None:
        path = above + self.keys("=")
        self.note(path)
        self.at += 1
        self.value(path)

    def keys(self, end: str) -> tuple[str, ...]:
        """A key or dotted key, up to `end`."""
        found: list[str] = []
        while True:
            self.skip(_BLANK)
            character = self.text[self.at]
            if character == end:
                return tuple(found)
            if character == ".":
                self.at += 1
            elif character in "\"'":
                quoted = self.string()
                found.append(_unescape(quoted) if character == '"' else quoted[1:-1])
            else:
                found.append(self.skip(_BARE_KEY) or self.step())

    def value(self, path: Path) -> None:
        self.skip(_BLANK)
        character = self.text[self.at]
        if character in "\"'":
            self.string()
        elif character == "[":
            self.elements(path)
        elif character == "{":
            self.inline(path)
        else:
            self.skip(_SCALAR)

    def elements(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(_BLANK_LINES)
            if self.text[self.at] == "]":
                break
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.note((*path, index))
            self.value((*path, index))
            index += 1
        self.at += 1

    def inline(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip(_BLANK_LINES)
            if self.text[self.at] == "}":
                break
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.pair(path)
        self.at += 1

    def string(self) -> str:
        for pattern in _STRINGS:
            if pattern.match(self.text, self.at):
                return self.skip(pattern)
        return self.step()

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def step(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def note(self, path: Path) -> None:
        """The first line a path is met on counts; the tables above it are met there too."""
        self.line += self.text.count("\n", self.counted_to, self.at)
        self.counted_to = self.at
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self.line)
        self.lines[path] = min(self.lines[path], self.line)


_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def _unescape(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if code[0] in "uUx" and len(code) > 1 else _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", one, quoted[1:-1])
