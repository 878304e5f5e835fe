"""The organization's access tokens, from where the migration says they are; never shown, never logged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from schemas.errors import ConfigurationError, KeyringError
from schemas.migration import Migration


def check_tokens(migration: Migration, environment: Mapping[str, str], *, has_keyring: bool) -> None:
    """See, before any work, that every token is there and can be encrypted; raises as `read_tokens`."""
    tokens = read_tokens(migration, environment)
    if tokens and not has_keyring:
        raise KeyringError(
            "the organization's tokens are encrypted, and there is no keyring",
            hint="`consumer keys init --kek-file FILE` makes one; then set KEYRING and KEYRING_KEK_FILE",
        )


def read_tokens(migration: Migration, environment: Mapping[str, str]) -> dict[str, str]:
    """Each token column's plaintext.

    Raises:
        ConfigurationError: a variable is not set, or a file cannot be read or is empty; all are named at once.
    """
    if migration.organization is None:
        return {}
    found: dict[str, str] = {}
    problems: list[str] = []
    for column, place in migration.organization.tokens.items():
        where = migration.where("organization", "tokens", column)
        kind, _, name = place.partition(":")
        value = environment.get(name, "") if kind == "env" else _content(Path(name))
        if value:
            found[column] = value
        elif kind == "env":
            problems.append(f'{where}: {name} is not set (token "{column}" of the organization)')
        else:
            problems.append(f'{where}: {name} cannot be read or is empty (token "{column}" of the organization)')
    if problems:
        raise ConfigurationError(
            "\n".join(problems), hint="set them in the environment or .env, or correct [organization.tokens]"
        )
    return found


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
