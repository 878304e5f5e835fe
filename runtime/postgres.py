"""Connections to PostgreSQL under one pinned session profile, and its errors without their values.

Cells travel as PostgreSQL's own text, and that text means the same on both sides only under the
same settings (another DateStyle swaps day and month without any error). So every connection sets
the whole profile after it connects, reads it back, and is refused when a setting did not take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runtime.settings import redact
from schemas.errors import ConfigurationError, ReplicatorError, SourceError, TargetError

Connection = psycopg.Connection[tuple[Any, ...]]
Side = Literal["source", "target"]

OLDEST_VERSION = 140000

PROFILE: Mapping[str, str] = MappingProxyType(
    {
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "lc_monetary": "C",
        "xmloption": "content",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "row_security": "off",  # a hidden row is an error, not an absence
        "quote_all_identifiers": "off",  # definitions are compared as text
        "statement_timeout": "0",  # a snapshot takes as long as it takes
        "idle_in_transaction_session_timeout": "0",
        "idle_session_timeout": "0",
        "lock_timeout": "30s",
    }
)

# Settings of libpq that a URL may say otherwise.
_NETWORK = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}

# A server that has heard nothing of a machine for a minute ends its session, and lets go of its locks; by default
# it waits two hours. What has no network (a Unix socket) knows none of them, so they are not read back.
_SERVER_NETWORK = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}


class SourceUnreachable(SourceError):
    """No connection to the source now; trying again may help."""


class TargetUnreachable(TargetError):
    """No connection to the target now; trying again may help."""


_FAMILY: dict[Side, type[SourceError | TargetError]] = {"source": SourceError, "target": TargetError}
_VARIABLE: dict[Side, str] = {"source": "POSTGRES_URL", "target": "NEW_POSTGRES_URL"}


def open_source(url: str, *, schema: str | Sequence[str] = "public", application_name: str = "producer") -> Connection:
    """Connect to the source: every transaction is REPEATABLE READ and READ ONLY.

    `schema` is what the search_path begins with: one schema, or all that the migration reads.

    Raises:
        ConfigurationError: the URL is none.
        SourceError: it cannot be reached, or is not fit to be read.
    """
    connection = _connect(url, "source", application_name)
    try:
        path = [schema] if isinstance(schema, str) else schema
        _pin(connection, "source", path, {"default_transaction_read_only": "on"})
        return _read_only(connection)
    except BaseException:
        connection.close()
        raise


def open_target(
    url: str,
    *,
    schema: str | None = None,
    read_only: bool = False,
    application_name: str = "consumer",
    autocommit: bool = False,
) -> Connection:
    """Connect to the target; `schema` (the tenant's, which may not exist yet) comes first on the search_path.

    With `read_only` every transaction is REPEATABLE READ and READ ONLY, else READ COMMITTED.

    Raises:
        ConfigurationError: the URL is none.
        TargetError: it cannot be reached, or cannot be written though it should be.
    """
    connection = _connect(url, "target", application_name)
    path = [] if schema is None else [schema]
    try:
        if read_only:
            _pin(connection, "target", path, {"default_transaction_read_only": "on"})
            return _read_only(connection)
        try:
            _see_writable(connection)
        except psycopg.Error as error:
            raise explain(error, "target: session settings") from None
        _pin(connection, "target", path, {"default_transaction_isolation": "read committed"})
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def use_schema(connection: Connection, *schemas: str, without: Sequence[str] = ()) -> None:
    """Set the search_path: `schemas` first, then the schemas that extensions live in, save those of `without`.

    With these on the path, types of extensions print without a schema and are found on both
    sides, wherever each side has installed them. Temporary tables are named by their schema: they come last, where
    none hides a table.
    """
    connection.execute(
        """
        SELECT set_config('search_path', (
            SELECT coalesce(string_agg(quote_ident(name), ', ' ORDER BY place), '""') || ', pg_temp' FROM (
                SELECT name, place FROM unnest(%(schemas)s::text[]) WITH ORDINALITY AS given(name, place)
                UNION ALL
                SELECT DISTINCT n.nspname::text, 1000000
                FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                WHERE n.nspname <> 'pg_catalog' AND n.nspname::text <> ALL (%(schemas)s::text[] || %(without)s::text[])
                  AND has_schema_privilege(n.oid, 'USAGE')
            ) AS path
        ), false)
        """,
        {"schemas": list(schemas), "without": list(without)},
    )


def _connect(url: str, side: Side, application_name: str) -> Connection:
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError(
            f"{_VARIABLE[side]} is no PostgreSQL URL", hint="postgresql://user:password@host:5432/database"
        ) from None
    conninfo = make_conninfo(
        "", **{**_NETWORK, "application_name": application_name, **given, "client_encoding": "UTF8"}
    )
    try:
        # Never prepare on its own: a cached plan breaks when a table changes under it.
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise _no_connection(error, url, side) from None
    if connection.info.server_version < OLDEST_VERSION:
        version = connection.info.server_version // 10000
        connection.close()
        raise _FAMILY[side](
            f"{side} {redact(url)}: PostgreSQL {version} is too old", hint="PostgreSQL 14 or newer is supported"
        )
    return connection


# What libpq says of a failed connection has no SQLSTATE; its text may hold parts of the URL.
_REASONS = (
    ("password authentication failed", "the password or the user is wrong", False),
    ("no password supplied", "a password is needed and none was given", False),
    ("authentication failed", "the server does not accept this user", False),
    ("no pg_hba.conf entry", "the server does not accept this user from here (pg_hba.conf)", False),
    ('FATAL:  role "', "there is no such user", False),
    ('FATAL:  database "', "there is no such database", False),
    ("certificate", "the TLS certificates do not fit", False),
    ("does not support SSL", "the server does not speak TLS, and sslmode asks for it", False),
    ("Connection refused", "nothing listens there", True),
    ("No such file or directory", "nothing listens there", True),
    ("translate host name", "the host name is not known", True),
    ("resolve host", "the host name is not known", True),
    ("timeout expired", "no answer in time", True),
    ("too many", "the server has no free connection", True),
    ("remaining connection slots", "the server has no free connection", True),
    ("starting up", "the server is starting", True),
    ("shutting down", "the server is shutting down", True),
    ("in recovery mode", "the server is recovering", True),
)


def _no_connection(error: psycopg.Error, url: str, side: Side) -> ReplicatorError:
    text = str(error)
    reason, again = "cannot be reached", True
    for needle, phrase, transient in _REASONS:
        if needle in text:
            reason, again = phrase, transient
            break
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        reason = "no answer in time"
    message = f"{side} {redact(url)}: {reason}"
    hint = f"check {_VARIABLE[side]}, that the server runs and that this machine may connect"
    if not again:
        return _FAMILY[side](message, hint=f"check {_VARIABLE[side]}")
    return SourceUnreachable(message, hint=hint) if side == "source" else TargetUnreachable(message, hint=hint)


def _pin(connection: Connection, side: Side, path: Sequence[str], extra: Mapping[str, str]) -> None:
    """Set the profile in two round trips and see in a third that it holds."""
    profile = {**PROFILE, **extra}
    if connection.info.server_version >= 170000:
        profile["transaction_timeout"] = "0"
    statements = [
        sql.SQL("SET {} TO {}").format(sql.SQL(name), sql.SQL(value if name == "DateStyle" else f"'{value}'"))
        for name, value in {**profile, **_SERVER_NETWORK}.items()
    ]
    try:
        connection.execute(sql.SQL("; ").join(statements))
        use_schema(connection, *path)
        names = list(profile)
        row = connection.execute(
            "SELECT array_agg(current_setting(name) ORDER BY place), current_setting('server_encoding') "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS setting(name, place)",
            (names,),
        ).fetchone()
    except psycopg.Error as error:
        raise explain(error, f"{side}: session settings", side=side) from None
    assert row is not None
    differing = [name for name, found in zip(names, row[0], strict=True) if found != profile[name]]
    if differing:
        raise _FAMILY[side](
            f"{side}: the session settings {', '.join(differing)} do not take",
            hint="connect to the server itself, not through a pooler that changes sessions",
        )
    if row[1] == "SQL_ASCII":
        raise _FAMILY[side](
            f"{side}: the database has the encoding SQL_ASCII, so nobody knows what its bytes mean",
            hint="dump it and restore it into a database of a real encoding (UTF8) first",
        )


def _read_only(connection: Connection) -> Connection:
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def _see_writable(connection: Connection) -> None:
    row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    assert row is not None
    if row[0]:
        raise TargetError(
            "target: this server is a standby and cannot be written", hint="name the primary in NEW_POSTGRES_URL"
        )
    if row[1] == "on":
        raise TargetError(
            "target: transactions are read-only here (default_transaction_read_only)",
            hint="ALTER DATABASE … SET default_transaction_read_only = off, or the same for the role, then start again",
        )


# ---------------------------------------------------------------- errors


def sqlstate_of(error: psycopg.Error | str | None) -> str | None:
    """The SQLSTATE, None when the connection broke before the server could say one."""
    return error.sqlstate if isinstance(error, psycopg.Error) else error


def is_transient(error: psycopg.Error | str | None) -> bool:
    """Whether the same statement may succeed later: roll back, reconnect, try again."""
    state = sqlstate_of(error)
    if state is None:
        return isinstance(error, psycopg.OperationalError)  # the connection was lost
    if state == "53100":  # a full disk needs a person
        return False
    return state[:2] in {"08", "40", "53"} or state in {"55P03", "57P01", "57P02", "57P03"}


def is_row_fault(error: psycopg.Error | str | None) -> bool:
    """Whether one of the rows is to blame: data exceptions and broken constraints."""
    state = sqlstate_of(error)
    return state is not None and state[:2] in {"22", "23"}


_HINTS = {
    "0A000": "the server was built without what this needs; values of xml need one that was built with libxml",
    "25006": "the session or the server is read-only; name a server that may be written",
    "42P10": "the table has no key any more by which its rows are found; `validator reconcile --layers schema` names "
    "what is missing: make it again",
    "42501": "grant the role what is missing, or connect as a role that has it",
    "53100": "make room on the server's disk, then start again: nothing is lost",
    "53200": "the server is out of memory; see its log",
    "53300": "the server has no free connection; raise max_connections or end other sessions",
    "55P03": "another session holds a lock on it; see pg_locks and pg_stat_activity, then start again",
    "57014": "somebody or a timeout cancelled the statement; start again",
    "57P01": "the server is going down or somebody ended this session; start again",
    "57P03": "the server is not ready yet; start again",
    "3F000": "the schema does not exist; create it or correct the migration",
}


def explain(error: psycopg.Error, where: str, *, side: Side = "target") -> ReplicatorError:
    """One of our errors for one of psycopg's: place, what kind of failure, SQLSTATE and names; never a value.

    The server's own message and detail quote the offending value ("invalid input syntax for
    type integer: …"), so neither is ever used. Raise the result `from None`.
    """
    state = error.sqlstate
    if state is None:
        lost = isinstance(error, psycopg.OperationalError)
        message = f"{where}: {'the connection to the ' + side + ' was lost' if lost else type(error).__name__}"
        hint = "see the server's log; start again when it answers" if lost else ""
    else:
        message, hint = f"{where}: {failure(error)}", _HINTS.get(state, "")
    if is_transient(error):
        return SourceUnreachable(message, hint=hint) if side == "source" else TargetUnreachable(message, hint=hint)
    return _FAMILY[side](message, hint=hint)


def failure(error: psycopg.Error) -> str:
    """What kind of failure, in words, with SQLSTATE and the names the server gives; never a value.

    >>> failure(psycopg.errors.UniqueViolation())
    'unique violation (SQLSTATE 23505)'
    """
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).strip()
    diagnosis = error.diag
    names = [
        f'{kind} "{name}"'
        for kind, name in (
            ("constraint", diagnosis.constraint_name),
            ("table", diagnosis.table_name),
            ("column", diagnosis.column_name),
            ("type", diagnosis.datatype_name),
        )
        if name
    ]
    return f"{words} (SQLSTATE {error.sqlstate or 'unknown'}{''.join(', ' + name for name in names)})"
