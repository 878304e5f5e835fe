"""Names as TOML text: any name of PostgreSQL can be a key or a string."""

from __future__ import annotations

import json
import re


def toml_string(text: str) -> str:
    r"""A basic string.

    >>> toml_string('say "x"\t'), toml_string("\x7f🦆")
    ('"say \\"x\\"\\t"', '"\\u007F🦆"')
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def toml_key(name: str) -> str:
    """One key: bare where that is possible.

    >>> toml_key("orders"), toml_key("my table"), toml_key("a.b")
    ('orders', '"my table"', '"a.b"')
    """
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_string(name)


def toml_comment(text: str) -> str:
    r"""Text that may follow `#`: what would end the line or is no printable character is escaped.

    >>> toml_comment("a\nb")
    'a\\nb'
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
