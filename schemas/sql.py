"""Names and literals as SQL text, always quoted, so that no name needs to be looked up among keywords."""

from __future__ import annotations


def quote_ident(name: str) -> str:
    """One identifier.

    >>> quote_ident('a"b')
    '"a""b"'
    """
    if not name or "\0" in name:
        raise ValueError("no PostgreSQL name is empty or holds a NUL")
    return '"' + name.replace('"', '""') + '"'


def quote_qualified(schema: str, name: str) -> str:
    """A name in its schema.

    >>> quote_qualified("tenant_rawdog", "orders")
    '"tenant_rawdog"."orders"'
    """
    return f"{quote_ident(schema)}.{quote_ident(name)}"


def quote_literal(text: str) -> str:
    r"""A string constant, right under every setting of standard_conforming_strings.

    >>> quote_literal("it's"), quote_literal("a\\b")
    ("'it''s'", " E'a\\\\b'")
    """
    if "\0" in text:
        raise ValueError("no PostgreSQL text holds a NUL")
    quoted = "'" + text.replace("'", "''") + "'"
    # The blank keeps the E from joining a word before it, as PostgreSQL's own quote_literal does.
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted
