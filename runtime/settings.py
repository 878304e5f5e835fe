"""Where things are: URLs, Kafka's client settings and the migration file, from the environment.

Flags beat environment variables, those beat the `.env` file, that beats defaults. A secret may
stand in a file instead (`POSTGRES_URL_FILE`). Nothing here ever shows a password: `redact`
builds what it shows from the harmless parts, it does not cut the secret ones out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import psycopg
from dotenv import dotenv_values
from psycopg.conninfo import conninfo_to_dict

from schemas.errors import ConfigurationError

SOURCE_URL = "POSTGRES_URL"
TARGET_URL = "NEW_POSTGRES_URL"
BOOTSTRAP = "KAFKA_BOOTSTRAP_SERVERS"
PROPERTIES = "KAFKA_PROPERTIES"
MIGRATION = "MIGRATION"
DEFAULT_MIGRATION = "rawdog.toml"

HIDDEN_URL = "(a URL that cannot be shown)"

# What Kafka's own start scripts and Kubernetes put into the environment: no client settings.
_NO_PROPERTY = re.compile(
    r"KAFKA_(BOOTSTRAP_SERVERS|PROPERTIES|HOME|DEBUG|VERSION|OPTS|.*_OPTS|PORT|PORT_.*|SERVICE_.*|HOST|TEST_.*)"
)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """The database that is read and never written."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return redact(self.url)


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """The multi-tenant database that receives the rows."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return redact(self.url)


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The brokers, and every other client property by its librdkafka name; values are not shown."""

    bootstrap: str
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __str__(self) -> str:
        return self.bootstrap


def load_environment(env_file: Path | None = None) -> None:
    """Add what the `.env` file of the working directory (or `env_file`) says; never override.

    A variable is also left alone when its other form is set: `POSTGRES_URL_FILE` in the
    environment is not contradicted by a `POSTGRES_URL` in the file.
    """
    path = Path(".env") if env_file is None else env_file
    if not path.is_file():
        if env_file is not None:
            raise ConfigurationError(f"{path}: no such file", hint="--env-file names a file of NAME=value lines")
        return
    try:
        found = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path}: cannot be read", hint="it must be UTF-8 text and readable by you") from None
    given = dict(os.environ)
    for name, value in found.items():
        if value is not None and name not in given and _other_form(name) not in given:
            os.environ[name] = value


def _other_form(name: str) -> str:
    return name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE"


def source_settings(environment: Mapping[str, str] | None = None) -> SourceSettings:
    """The source from `POSTGRES_URL` or `POSTGRES_URL_FILE`."""
    return SourceSettings(_url(SOURCE_URL, "the source database", environment))


def target_settings(environment: Mapping[str, str] | None = None) -> TargetSettings:
    """The target from `NEW_POSTGRES_URL` or `NEW_POSTGRES_URL_FILE`."""
    return TargetSettings(_url(TARGET_URL, "the target database", environment))


def kafka_settings(environment: Mapping[str, str] | None = None) -> KafkaSettings:
    """Brokers and client properties: `KAFKA_<KEY>` beats the file that `KAFKA_PROPERTIES` names.

    >>> kafka_settings({"KAFKA_BOOTSTRAP_SERVERS": "b:9092", "KAFKA_SECURITY_PROTOCOL": "SSL"}).properties["security.protocol"]
    'SSL'
    """
    given = os.environ if environment is None else environment
    properties: dict[str, str] = {}
    if file := given.get(PROPERTIES):
        properties.update(read_properties(Path(file)))
    for name in sorted(given):
        if not name.startswith("KAFKA_") or _NO_PROPERTY.fullmatch(name):
            continue
        if name.endswith("PASSWORD_FILE"):
            key, value = name.removesuffix("_FILE"), _content(name, given[name])
        else:
            key, value = name, given[name]
        if value:
            properties[key.removeprefix("KAFKA_").lower().replace("_", ".")] = value
    bootstrap = given.get(BOOTSTRAP, "").strip() or properties.get("bootstrap.servers", "")
    properties.pop("bootstrap.servers", None)
    if not bootstrap:
        raise ConfigurationError(
            f"{BOOTSTRAP} is not set", hint=f"export {BOOTSTRAP}=host:9092 (several with commas), or put it into .env"
        )
    return KafkaSettings(bootstrap, MappingProxyType(properties))


def read_properties(path: Path) -> dict[str, str]:
    r"""A properties file as Kafka's tools take it: key=value lines, `#` and `!` comments, `\` continues a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"{PROPERTIES}: {path} cannot be read", hint="it names a file of key=value lines in UTF-8"
        ) from None
    properties: dict[str, str] = {}
    for number, line in _logical_lines(text):
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"{path}:{number}: not a key=value line")  # the line itself may be a secret
        properties[key.strip()] = value.strip()
    return properties


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    joined, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not joined:
            start = number
            if not line or line[0] in "#!":
                continue
        if line.endswith("\\") and not line.endswith("\\\\"):
            joined += line[:-1]
            continue
        yield start, joined + line
        joined = ""
    if joined:
        yield start, joined


def migration_path(environment: Mapping[str, str] | None = None) -> Path:
    """The migration file: `MIGRATION`, else ./rawdog.toml, else the one that comes with the programs."""
    given = os.environ if environment is None else environment
    if named := given.get(MIGRATION):
        return Path(named)
    here = Path(DEFAULT_MIGRATION)
    return here if here.is_file() else Path(__file__).resolve().parent.parent / DEFAULT_MIGRATION


def _url(name: str, what: str, environment: Mapping[str, str] | None) -> str:
    given = os.environ if environment is None else environment
    direct, file = given.get(name, "").strip(), given.get(f"{name}_FILE", "").strip()
    if direct and file:
        raise ConfigurationError(f"{name} and {name}_FILE are both set", hint="unset one of them")
    url = _content(f"{name}_FILE", file) if file else direct
    if not url:
        raise ConfigurationError(
            f"{name} is not set ({what})",
            hint=f"export {name}=postgresql://user:password@host:5432/database, or put it into .env or a file named by {name}_FILE",
        )
    if redact(url) == HIDDEN_URL:
        raise ConfigurationError(
            f"{name} is no PostgreSQL URL",
            hint="postgresql://user:password@host:5432/database; special characters of a password are percent-encoded (@ is %40, / is %2F)",
        )
    return url


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{name}: {path} cannot be read", hint="check the path and its permissions") from None


def redact(url: str) -> str:
    """What may be shown of a database URL: user, host, port and database; no password, no other parameter.

    >>> redact("postgresql://ann:s3cret@db.example:5432/shop?sslpassword=x")
    'postgresql://ann@db.example:5432/shop'
    >>> redact("host=/run/pg dbname=shop password=s3cret")
    'postgresql:///shop?host=/run/pg'
    """
    if "://" in url and url.count("@") > 1:  # part of a password would be taken for the host
        return HIDDEN_URL
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeError, ValueError):
        return HIDDEN_URL
    user, host, port, database = (parts.get(key, "") for key in ("user", "host", "port", "dbname"))
    # A password that was not percent-encoded spills into the parts after it.
    if "@" in host or re.search(r"[^0-9,]", port) or re.search(r"[@:/?=\s]", database):
        return HIDDEN_URL
    socket = host.startswith("/")
    shown = f"[{host}]" if re.fullmatch(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", host) else host
    place = "" if socket else shown + (f":{port}" if port else "")
    tail = f"?host={host}" + (f"&port={port}" if port else "") if socket else ""
    return f"postgresql://{quote(user)}{'@' if user and place else ''}{place}/{database}{tail}"
