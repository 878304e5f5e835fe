"""Whether the keyring is the one that the target's cells were encrypted with, asked before the work.

With another keyring every encrypted cell of the tenant would be a difference, each named, after an
hour. So a few cells are tried first. That none of them opens has two causes, another keyring or cells
that were written wrongly, and the log tells which: it is sealed by the same keys. One that opens is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from runtime.keyring import Keyring
from runtime.postgres import Connection
from schemas.envelope import header_kid
from schemas.errors import ContractError, KeyringError, LogError
from schemas.mapping import TableMapping, Treatment
from validator.cells import opened_rows
from validator.plan import TablePlan
from validator.sides import named_errors
from validator.verdict import Layer

_ROWS = 20  # tried of each table
_ENOUGH = 5  # fewer cells that do not open are named one by one

_HINT = "KEYRING must name the keyring that the consumer wrote with; other layers (--layers) need none"


def see_that_keyring_is_there(
    keyring: Keyring | None, layers: Collection[Layer], asked: Iterable[TableMapping]
) -> None:
    """Encrypted cells cannot be proven without their key; better said before an hour of work than after.

    Raises:
        KeyringError: there is none, and these layers of these tables need one.
    """
    need = {Layer.ENVELOPES, Layer.CELLS} & set(layers)
    treatments = {column.treatment for mapping in asked for column in mapping.columns}
    if need and keyring is None and Treatment.ENCRYPT in treatments:
        raise KeyringError(
            f"the migration encrypts columns, and there is no keyring: {', '.join(sorted(need))} cannot be looked at",
            hint="set KEYRING and KEYRING_KEK_FILE, or name other layers with --layers",
        )


def see_that_keyring_fits(
    target: Connection, plans: Iterable[TablePlan], keyring: Keyring, tenant: str, log_of: Callable[[], str] | None
) -> None:
    """Try the first cells of each table, until one opens.

    `log_of` reads the log's identity from records sealed with the same keyring ("": none); None when no log is named.

    Raises:
        KeyringError: it has no key of the tenant's; or none opens, and nothing shows that the keyring is right all the same.
    """
    has = {key.kid for key in keyring.data_keys(tenant)}
    if not has:
        raise KeyringError(f'{keyring.path}: no key for tenant "{tenant}"', hint=_HINT)
    tried = 0
    sealed = [plan for plan in plans if plan.sealed]
    for plan in sealed:
        for row in opened_rows(target, plan, keyring, tenant, order=f" LIMIT {_ROWS}"):
            if len(row.opened) - row.opened.count(None) > len(row.undecryptable):
                return
            tried += len(row.undecryptable)
    if tried < _ENOUGH:
        return
    written = set().union(*(_kids(target, plan) for plan in sealed))
    if written and not written & has:
        named = ", ".join(map(str, sorted(written)))
        raise KeyringError(
            f"{keyring.path}: the target's cells are encrypted with keys that it lacks ({named})", hint=_HINT
        )
    opens_log = _opens(log_of)
    if opens_log:
        return  # so the cells are wrong, and shall be named
    if opens_log is False:
        raise KeyringError(
            f"{keyring.path}: opens neither the target's cells nor the log:"
            " it is not the keyring that they were written with",
            hint=_HINT,
        )
    raise KeyringError(
        f"{keyring.path}: opens none of the {tried} encrypted cells that were tried first:"
        " it is not the keyring that they were written with, or they were written wrongly",
        hint=f"{_HINT}; with KAFKA_BOOTSTRAP_SERVERS the log tells which it is",
    )


def _opens(log_of: Callable[[], str] | None) -> bool | None:
    """Whether the log opens with the keyring; None when there is no log that could tell."""
    if log_of is None:
        return None
    try:
        return True if log_of() else None
    except (KeyringError, ContractError):
        return False
    except LogError:
        return None


def _kids(target: Connection, plan: TablePlan) -> set[int]:
    columns = ", ".join(sealed.cell for sealed in plan.sealed)
    query = f"SELECT {columns} FROM {plan.relation('target')} t WHERE {plan.has_sealed} LIMIT {_ROWS}"
    with named_errors("target", f"{plan.name}: reading encrypted cells"):
        rows = target.execute(query.encode(), binary=True).fetchall()
    found = set()
    for cell in (cell for row in rows for cell in row if cell is not None):
        try:
            found.add(header_kid(cell))
        except ValueError:
            continue  # no envelope
    return found
