"""The seal of a record's value: AES-256-GCM, bound to the log, the place and the header.

    nonce[12] || ciphertext || tag[16]

The nonce is a keyed hash of what is sealed and what it is bound to. So sealing needs no randomness,
a nonce comes twice only for the same value in the same place, and sealing again gives the same bytes.
That these are equal is all it tells, and a log says so anyway by position and size.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.derivation import derive, prefixed
from schemas.errors import ContractError
from schemas.records import Position

NONCE_BYTES = 12
TAG_BYTES = 16


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Seal a value with a transport key (`Keyring.transport_key`)."""
    cipher, nonce_key = _keys(key)
    bound = hmac.new(nonce_key, prefixed(associated), hashlib.sha256)
    bound.update(plaintext)
    nonce = bound.digest()[:NONCE_BYTES]
    return nonce + cipher.encrypt(nonce, plaintext, associated)


def unseal(key: bytes, value: bytes, associated: bytes, position: Position | str) -> bytes:
    """What was sealed.

    Raises:
        ContractError: another key, another place, another header, or a damaged value.
    """
    cipher, _ = _keys(key)
    if len(value) >= NONCE_BYTES + TAG_BYTES:
        try:
            return cipher.decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], associated)
        except InvalidTag:
            pass
    raise ContractError(
        f"{position}: sealed value cannot be opened: wrong key, or it was changed or moved",
        hint="check that the keyring (KEYRING) is the one the log was written with; if it is, the record is damaged",
    )


@lru_cache(maxsize=16)
def _keys(key: bytes) -> tuple[AESGCM, bytes]:
    return AESGCM(derive(key, "seal")), derive(key, "seal nonce")
