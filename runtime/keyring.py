"""The keyring: a JSON file of each tenant's data keys, wrapped by a key-encryption key (KEK) that stands elsewhere.

    {"format": 1, "keys": [{"kid": 1, "tenant": "rawdog", "status": "primary", "created": "…",
                            "wrapped": base64(nonce[12] || AES-256-GCM(KEK, data key) || tag), "check": base64}]}

A data key is 32 random bytes. Its wrapping is bound to tenant and kid, and a check value tells a
swapped one before it writes anything. Everything else is derived from it (`schemas.derivation`).
Destroying a key makes all that it encrypted unreadable, in database, log and backups at once.
There is no default key and no way around a missing one. Keys are in no message and in no `repr`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.derivation import KEY_BYTES, derive, prefixed, row_digest
from schemas.envelope import CellCipher
from schemas.errors import KeyringError
from schemas.repair import RepairKey

KEYRING = "KEYRING"
KEK = "KEYRING_KEK"
KEK_FILE = "KEYRING_KEK_FILE"
FORMAT = 1

_NONCE_BYTES = 12
_CHECK_BYTES = 16
_MAX_KID = 2**32 - 1


class Status(StrEnum):
    """What a key may be used for: new cells and records with the primary one, reading with all but destroyed ones."""

    PRIMARY = "primary"
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt-only"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """One data key; a destroyed one has no material."""

    kid: int
    tenant: str
    status: Status
    created: str
    material: bytes = field(repr=False)


class Keyring:
    """The data keys of a keyring file, unwrapped."""

    def __init__(self, keys: Sequence[DataKey], path: Path) -> None:
        self._keys = {key.kid: key for key in keys}
        self.path = path

    def __repr__(self) -> str:
        return f"Keyring({len(self._keys)} keys)"

    @classmethod
    def open(cls, path: Path, kek: bytes) -> Keyring:
        """Read and unwrap a keyring file.

        Raises:
            KeyringError: it cannot be read, or this KEK does not open it.
        """
        return cls([_unwrap(entry, kek, path) for entry in _read(path)], path)

    def data_keys(self, tenant: str | None = None) -> tuple[DataKey, ...]:
        """All keys, of one tenant or of all, by kid."""
        return tuple(key for _, key in sorted(self._keys.items()) if tenant in (None, key.tenant))

    def primary(self, tenant: str) -> DataKey:
        """The key that encrypts what is new."""
        for key in self.data_keys(tenant):
            if key.status is Status.PRIMARY:
                return key
        raise KeyringError(
            f'{self.path}: no primary key for tenant "{tenant}"',
            hint="KEYRING must name the keyring that the data were written with; "
            "for a new tenant `consumer keys init` makes a key",
        )

    def key(self, kid: int) -> DataKey:
        """The key of that id."""
        key = self._keys.get(kid)
        if key is None:
            raise KeyringError(
                f"{self.path}: no key {kid}",
                hint="use the keyring that the data were written with, or a newer copy of it",
            )
        if key.status is Status.DESTROYED:
            raise KeyringError(
                f"{self.path}: key {kid} was destroyed, what it encrypted cannot be read",
                hint="that is what destroying is for; take a new snapshot if the source still has the data",
            )
        return key

    def cell_cipher(self, tenant: str, table: str, column: str, kid: int | None = None) -> CellCipher:
        """The cipher of one column's cells, with the primary key or the one of that id."""
        key = self._of(tenant, kid)
        return CellCipher(key.material, key.kid, tenant, table, column, nonces=os.urandom)

    def transport_key(self, tenant: str, log_id: str, kid: int | None = None) -> bytes:
        """The key that seals the records of a log, from the primary key or the one of that id."""
        return derive(self._of(tenant, kid).material, "batch", tenant, log_id)

    def repair_key(self, tenant: str, kid: int | None = None) -> RepairKey:
        """The key that seals the row keys of a repair plan, from the primary key or the one of that id."""
        key = self._of(tenant, kid)
        return RepairKey(key.kid, derive(key.material, "repair", tenant))

    def digest_key(self, tenant: str) -> bytes:
        """The key of row digests: from the tenant's oldest key, so that a new primary key does not change them."""
        for key in self.data_keys(tenant):
            if key.status is not Status.DESTROYED:
                return derive(key.material, "digest", tenant)
        return derive(self.primary(tenant).material, "digest", tenant)

    def digest_of(self, tenant: str, key_values: Sequence[str]) -> str:
        """Sixteen hex digits that name a row to who has the keyring, and to nobody else."""
        return row_digest(self.digest_key(tenant), key_values)

    def _of(self, tenant: str, kid: int | None) -> DataKey:
        key = self.primary(tenant) if kid is None else self.key(kid)
        if key.tenant != tenant:
            raise KeyringError(
                f'{self.path}: key {key.kid} is not of tenant "{tenant}"',
                hint="use the keyring that the data were written with",
            )
        return key


def load_keyring(environment: Mapping[str, str] | None = None) -> Keyring | None:
    """The keyring that `KEYRING` names, opened with `KEYRING_KEK_FILE` or `KEYRING_KEK`; None when none is named."""
    given = os.environ if environment is None else environment
    path = given.get(KEYRING)
    return Keyring.open(Path(path), load_kek(given)) if path else None


def load_kek(environment: Mapping[str, str] | None = None) -> bytes:
    """The key-encryption key: 32 bytes in base64, from a file (better) or a variable.

    Raises:
        KeyringError: it is not named, not readable, open to others, or no such key.
    """
    given = os.environ if environment is None else environment
    if file := given.get(KEK_FILE):
        where, text = f"{KEK_FILE} {file}", _private_text(Path(file))
    elif text := given.get(KEK, ""):
        where = KEK
    else:
        raise KeyringError(
            f"{KEYRING} is set, but neither {KEK_FILE} nor {KEK} is",
            hint=f"{KEK_FILE} names the file with the key that opens the keyring",
        )
    try:
        kek = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        kek = b""
    if len(kek) != KEY_BYTES:
        raise KeyringError(f"{where}: not {KEY_BYTES} bytes in base64", hint="make one with: openssl rand -base64 32")
    return kek


def make_kek_file(path: Path) -> bytes:
    """Make a new random KEK in a new file that only its owner can read; it is never written over."""
    kek = os.urandom(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyringError(
            f"{path}: cannot be made: {error.strerror}",
            hint="an existing key is never written over; choose another file",
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(kek) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return kek


def init_keyring(path: Path, tenant: str, kek: bytes) -> DataKey:
    """Make the tenant's first key, in a new keyring file or in one that holds other tenants' keys.

    Raises:
        KeyringError: the tenant has keys already, or the file is not opened by this KEK.
    """
    keys = Keyring.open(path, kek).data_keys() if path.exists() else ()
    if any(key.tenant == tenant for key in keys):
        raise KeyringError(
            f'{path}: tenant "{tenant}" has keys already', hint="`consumer keys rotate` adds a new primary key"
        )
    return _add(path, tenant, kek, keys)


def rotate_key(path: Path, tenant: str, kek: bytes) -> DataKey:
    """Add a new primary key; the one before stays active for what it encrypted."""
    ring = Keyring.open(path, kek)
    ring.primary(tenant)
    return _add(path, tenant, kek, ring.data_keys())


def set_status(path: Path, kek: bytes, kid: int, status: Status) -> None:
    """Make a key decrypt-only, active or destroyed; the primary one only changes by rotation, or is destroyed."""
    ring = Keyring.open(path, kek)
    key = ring.key(kid)
    if status is Status.PRIMARY or (key.status is Status.PRIMARY and status is not Status.DESTROYED):
        raise KeyringError(f"{path}: key {kid} is {key.status}", hint="`consumer keys rotate` makes a new primary key")
    changed = replace(key, status=status, material=b"" if status is Status.DESTROYED else key.material)
    _write(path, [changed if other.kid == kid else other for other in ring.data_keys()], kek)


def _add(path: Path, tenant: str, kek: bytes, keys: Sequence[DataKey]) -> DataKey:
    new = DataKey(
        kid=max((key.kid for key in keys), default=0) + 1,
        tenant=tenant,
        status=Status.PRIMARY,
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        material=os.urandom(KEY_BYTES),
    )
    kept = [
        replace(key, status=Status.ACTIVE) if key.tenant == tenant and key.status is Status.PRIMARY else key
        for key in keys
    ]
    _write(path, [*kept, new], kek)
    return new


# ---------------------------------------------------------------- the file


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        plain = json.loads(_private_text(path))
        if plain["format"] != FORMAT:
            raise KeyringError(
                f"{path}: keyring of another format, this build reads format {FORMAT}", hint="use a newer build"
            )
        keys: list[Mapping[str, Any]] = plain["keys"]
        kids = [key["kid"] for key in keys]
        if len(set(kids)) != len(kids) or not all(isinstance(kid, int) and 0 < kid <= _MAX_KID for kid in kids):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise KeyringError(
            f"{path}: not a keyring file", hint="restore it from its backup; keys cannot be guessed"
        ) from None
    return keys


def _unwrap(entry: Mapping[str, Any], kek: bytes, path: Path) -> DataKey:
    try:
        kid, tenant, status = int(entry["kid"]), str(entry["tenant"]), Status(entry["status"])
        created = str(entry["created"])
        material = b""
        if status is not Status.DESTROYED:
            wrapped = base64.b64decode(entry["wrapped"], validate=True)
            check = base64.b64decode(entry["check"], validate=True)
            material = AESGCM(kek).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound_to(tenant, kid))
            if len(material) != KEY_BYTES or not hmac.compare_digest(check, _check_value(material)):
                raise InvalidTag
    except InvalidTag:
        raise KeyringError(
            f"{path}: key {entry['kid']} does not open with this KEK",
            hint=f"{KEK_FILE} must name the KEK that this keyring was made with; the keyring may also be damaged",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise KeyringError(
            f"{path}: not a keyring file", hint="restore it from its backup; keys cannot be guessed"
        ) from None
    return DataKey(kid=kid, tenant=tenant, status=status, created=created, material=material)


def _wrap(key: DataKey, kek: bytes) -> dict[str, Any]:
    plain: dict[str, Any] = {"kid": key.kid, "tenant": key.tenant, "status": str(key.status), "created": key.created}
    if key.status is Status.DESTROYED:
        return plain
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = nonce + AESGCM(kek).encrypt(nonce, key.material, _bound_to(key.tenant, key.kid))
    check = _check_value(key.material)
    return {**plain, "wrapped": base64.b64encode(wrapped).decode(), "check": base64.b64encode(check).decode()}


def _write(path: Path, keys: Sequence[DataKey], kek: bytes) -> None:
    """Put a whole new file in the old one's place; a crash leaves one of the two."""
    text = json.dumps({"format": FORMAT, "keys": [_wrap(key, kek) for key in keys]}, indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise KeyringError(
            f"{path}: cannot be written: {error.strerror}", hint="the keyring's directory must be writable to change it"
        ) from None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private_text(path: Path) -> str:
    """The text of a file that others can neither read nor write; as ssh demands of its keys.

    A group may read a file of root's, because that is how secrets are mounted into containers.
    """
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            mode = stat.S_IMODE(found.st_mode)
            if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
                raise KeyringError(f"{path}: belongs to another user", hint="chown it to the user that runs this")
            if mode & (0o037 if found.st_uid == 0 else 0o077):
                raise KeyringError(
                    f"{path}: other users may read or write it (mode {mode:04o})", hint=f"chmod 600 {path}"
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise KeyringError(
            f"{path}: cannot be read: {why}",
            hint=f"{KEYRING} and {KEK_FILE} name the keyring and the key that opens it; `consumer keys init` makes both",
        ) from None


def _bound_to(tenant: str, kid: int) -> bytes:
    return prefixed(b"data key") + prefixed(tenant.encode()) + kid.to_bytes(4, "big")


def _check_value(material: bytes) -> bytes:
    return hmac.digest(material, b"kcv", hashlib.sha256)[:_CHECK_BYTES]
