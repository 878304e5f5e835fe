"""The frame of an Avro object container file, walked before a decoder that panics or over-allocates sees it."""

from __future__ import annotations

MAGIC = b"Obj\x01"
_SYNC_BYTES = 16


class NotAContainer(ValueError):
    """The bytes are no whole, non-empty Avro object container file."""


def check_container(value: bytes) -> int:
    """Walk magic, metadata and blocks; return the number of rows the blocks claim.

    Raises:
        NotAContainer: a length leads out of the bytes, a marker differs, or there is no row.
    """
    if not value.startswith(MAGIC):
        raise NotAContainer
    at = _skip_metadata(value, len(MAGIC))
    sync = value[at : at + _SYNC_BYTES]
    at += _SYNC_BYTES
    rows = 0
    while at < len(value):
        count, at = _long(value, at)
        size, at = _long(value, at)
        end = at + size
        if count <= 0 or size < 0 or value[end : end + _SYNC_BYTES] != sync:
            raise NotAContainer
        rows += count
        at = end + _SYNC_BYTES
    if rows == 0 or len(sync) != _SYNC_BYTES:
        raise NotAContainer
    return rows


def _skip_metadata(value: bytes, at: int) -> int:
    count, at = _long(value, at)
    while count:
        if count < 0:  # then the block's size in bytes follows
            _, at = _long(value, at)
        for _ in range(2 * abs(count)):  # keys and values
            size, at = _long(value, at)
            if size < 0 or at + size > len(value):
                raise NotAContainer
            at += size
        count, at = _long(value, at)
    return at


def _long(value: bytes, at: int) -> tuple[int, int]:
    """A zigzag variable-length integer and where it ends."""
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(value):
            break
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise NotAContainer
