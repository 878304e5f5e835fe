"""Keys from keys, and unambiguous bytes from parts: what seals, envelopes and digests are built of.

Each purpose has its own key (HKDF-SHA256 over the purpose and its context), so that no key is ever
used in two algorithms or for two purposes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32

_SIZES = tuple(size.to_bytes(2, "big") for size in range(256))  # made once: cells are encrypted by the million


def prefixed(part: bytes) -> bytes:
    r"""A part after its length: two bytes, or `FF FF` and four bytes from 65535 on. Joined parts stay apart.

    >>> prefixed(b"ab") + prefixed(b"")
    b'\x00\x02ab\x00\x00'
    """
    size = len(part)
    if size < len(_SIZES):
        return _SIZES[size] + part
    if size < 0xFFFF:
        return size.to_bytes(2, "big") + part
    return b"\xff\xff" + size.to_bytes(4, "big") + part


def derive(key: bytes, *context: str) -> bytes:
    """The key of one purpose in one context, 32 bytes."""
    info = b"".join(prefixed(part.encode()) for part in context)
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def row_digest(key: bytes, values: Sequence[str]) -> str:
    """Sixteen hex digits that name a row by its key's values, for messages and reports.

    With a secret `key` nobody can find the values by guessing. Where there is no keyring the log's identity
    is used: then who knows the log can, and such a log is in clear anyway.
    """
    message = b"".join(prefixed(value.encode()) for value in values)
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:16]
