"""Repair plans on disk: written as a whole, for their owner's eyes only."""

from __future__ import annotations

from pathlib import Path

from runtime.keyring import Keyring
from runtime.whole_file import write_whole
from schemas.errors import Unavailable
from schemas.repair import NotThisPlan, RepairPlan, format_plan, parse_plan


def write_plan(path: Path, plan: RepairPlan, keyring: Keyring | None) -> None:
    """Write the plan with mode 0600; a reader sees the old file or the new one, never half of it.

    Raises:
        Unavailable: it cannot be written there.
    """
    text = format_plan(plan, keyring.repair_key(plan.tenant) if keyring is not None else None)
    try:
        write_whole(path, text, mode=0o600)
    except OSError as error:
        raise Unavailable(
            f"{path}: the repair plan cannot be written: {error.strerror}", hint="name another place with --plan"
        ) from None


def read_plan(path: Path, *, tenant: str, keyring: Keyring | None) -> RepairPlan:
    """The plan in a file.

    Raises:
        NotThisPlan: it cannot be read, is no plan, is of another tenant or build, was changed, or lists nothing.
        KeyringError: the keyring has not the key that sealed it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise NotThisPlan(
            f"{path}: cannot be read: {why}", hint="`validator reconcile --plan FILE` writes a repair plan"
        ) from None
    key_of = (lambda kid: keyring.repair_key(tenant, kid).material) if keyring is not None else None
    plan = parse_plan(text, str(path), tenant=tenant, key_of=key_of)
    if not plan.rows and not plan.whole:
        raise NotThisPlan(f"{path}: the plan lists no row", hint="nothing differs that a row could mend")
    return plan
