"""The envelope of an encrypted cell: AES-256-GCM, bound to tenant, table, column and row.

    0      0xFE    magic; no UTF-8 text holds this byte
    1      1       algorithm: AES-256-GCM with a random nonce
    2..5   kid     id of the key in the keyring, big-endian
    6..17  nonce
    18..   ciphertext || tag[16]

Key:  HKDF-SHA256(data key of kid, info = LP("field") LP(tenant) LP(table) LP(column)), 32 bytes
Associated data:  header[6] LP(tenant) LP(table) LP(column) u16 n LP(pk 1) … LP(pk n)
LP is `schemas.derivation.prefixed`; pk are the texts of the row's key as PostgreSQL prints them
under the session profile (`schemas.pgtypes.text_expression`), in the key's order.

Plaintext is the cell's text in UTF-8, or the bytes of a bytea. NULL stays NULL, '' is encrypted.
A cell copied to another row, column, table or tenant does not open. An older ciphertext of the same
cell does, and the length of the plaintext shows. The nonce is random: one (kid, table, column)
serves 2^32 cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.derivation import derive, prefixed
from schemas.sql import quote_ident

MAGIC = 0xFE
AES_256_GCM = 1
HEADER_BYTES = 6
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
_BODY = HEADER_BYTES + NONCE_BYTES

Nonces = Callable[[int], bytes]
"""As many random bytes as asked for: `os.urandom`."""


class NotAnEnvelope(ValueError):
    """The bytes do not begin as an envelope of this build does."""


class Undecryptable(ValueError):
    """A cell does not open: another key, moved from another place, or damaged. `row` counts from 0."""

    def __init__(self, row: int) -> None:
        super().__init__(f"cell of row {row} does not open")
        self.row = row


class CellCipher:
    """Encrypts and decrypts the cells of one column with one key, in bulk."""

    __slots__ = ("_cipher", "_header", "_nonces", "_prefix", "kid")

    def __init__(self, key: bytes, kid: int, tenant: str, table: str, column: str, *, nonces: Nonces) -> None:
        self.kid = kid
        self._header = bytes([MAGIC, AES_256_GCM]) + kid.to_bytes(4, "big")
        names = (tenant, table, column)
        self._prefix = self._header + b"".join(prefixed(name.encode()) for name in names)
        self._cipher = AESGCM(derive(key, "field", *names))
        self._nonces = nonces

    def __repr__(self) -> str:
        return f"CellCipher(kid={self.kid})"

    def encrypt(self, plaintexts: Sequence[str | bytes | None], contexts: Sequence[bytes]) -> list[bytes | None]:
        """Envelopes of a column's cells; `contexts` are those of the same rows (`row_contexts`)."""
        header, prefix, seal = self._header, self._prefix, self._cipher.encrypt
        randomness = self._nonces(NONCE_BYTES * len(plaintexts))
        starts = range(0, len(randomness), NONCE_BYTES)
        return [
            None
            if plaintext is None
            else header
            + (nonce := randomness[start : start + NONCE_BYTES])
            + seal(nonce, plaintext.encode() if isinstance(plaintext, str) else plaintext, prefix + context)
            for plaintext, start, context in zip(plaintexts, starts, contexts, strict=True)
        ]

    def decrypt(self, ciphertexts: Sequence[bytes | None], contexts: Sequence[bytes]) -> list[bytes | None]:
        """Plaintexts of a column's cells.

        Raises:
            Undecryptable: the first cell that does not open.
        """
        plaintexts = self.decrypt_or_none(ciphertexts, contexts)
        for row, (ciphertext, plaintext) in enumerate(zip(ciphertexts, plaintexts, strict=True)):
            if plaintext is None and ciphertext is not None:
                raise Undecryptable(row)
        return plaintexts

    def decrypt_or_none(self, ciphertexts: Sequence[bytes | None], contexts: Sequence[bytes]) -> list[bytes | None]:
        """As `decrypt`, but a cell that does not open is None as well; the caller knows which cells were NULL."""
        header, prefix, unseal = self._header, self._prefix, self._cipher.decrypt
        plaintexts: list[bytes | None] = []
        for ciphertext, context in zip(ciphertexts, contexts, strict=True):
            plaintext: bytes | None = None
            if ciphertext is not None and len(ciphertext) >= OVERHEAD_BYTES and ciphertext.startswith(header):
                try:
                    plaintext = unseal(ciphertext[HEADER_BYTES:_BODY], ciphertext[_BODY:], prefix + context)
                except InvalidTag:
                    plaintext = None
            plaintexts.append(plaintext)
        return plaintexts


def row_contexts(row_keys: Iterable[Sequence[str]]) -> list[bytes]:
    r"""The row's part of the associated data, once for all columns of a row: how many key columns, and each text.

    >>> row_contexts([("7", "de"), ()])
    [b'\x00\x02\x00\x017\x00\x02de', b'\x00\x00']
    """
    contexts = []
    for row_key in row_keys:
        context = len(row_key).to_bytes(2, "big")
        for text in row_key:
            context += prefixed(text.encode())
        contexts.append(context)
    return contexts


def header_kid(ciphertext: bytes) -> int:
    """The id of the key that a cell was encrypted with.

    Raises:
        NotAnEnvelope: these bytes are none.
    """
    if len(ciphertext) < OVERHEAD_BYTES or ciphertext[0] != MAGIC or ciphertext[1] != AES_256_GCM:
        raise NotAnEnvelope("not an envelope of this build")
    return int.from_bytes(ciphertext[2:HEADER_BYTES], "big")


def envelope_check(column: str) -> str:
    """SQL that holds of a bytea column in which nothing but envelopes (and NULL) stands: for a CHECK.

    >>> envelope_check("email")
    '("email" IS NULL OR (octet_length("email") >= 34 AND get_byte("email", 0) = 254 AND get_byte("email", 1) = 1))'
    """
    cell = quote_ident(column)
    return (
        f"({cell} IS NULL OR (octet_length({cell}) >= {OVERHEAD_BYTES} "
        f"AND get_byte({cell}, 0) = {MAGIC} AND get_byte({cell}, 1) = {AES_256_GCM}))"
    )


ENVELOPE_CHECK = envelope_check
