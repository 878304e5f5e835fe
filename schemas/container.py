"""The frame of an Avro object container file, walked before a decoder that panics or over-allocates sees it.

Blocks in snappy are opened here too: the decoder takes several times as long, most of it for the checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import cramjam

MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_CHECKSUM_BYTES = 4
_MAX_EXPANSION = 32  # snappy says at most 64 bytes in 3
_SNAPPY = b"\x14avro.codec\x0csnappy"
_PLAIN = b"\x14avro.codec\x08null"


class NotAContainer(ValueError):
    """The bytes are no whole, non-empty Avro object container file."""


def uncompressed(value: bytes) -> bytes:
    """The same container with the codec null, if its codec is snappy and its header as ours; else `value`.

    Raises:
        NotAContainer: a length leads out of the bytes, a marker differs, there is no row, or a block
            is not the snappy of what its checksum says.
    """
    at, sync = _header(value)
    head = value[: at - _SYNC_BYTES]
    if head.count(_SNAPPY) != 1 or _long(value, len(MAGIC))[0] < 0:
        for _ in _blocks(value, at, sync):
            pass
        return value
    parts: list[bytes | memoryview] = [head.replace(_SNAPPY, _PLAIN), sync]
    for count, start, end in _blocks(value, at, sync):
        plain = _opened(memoryview(value)[start : end - _CHECKSUM_BYTES], value[end - _CHECKSUM_BYTES : end])
        parts += (_zigzag(count), _zigzag(len(plain)), plain, sync)
    return b"".join(parts)


def with_block(empty: bytes, rows: int, plain: bytes) -> bytes:
    """A container of one block: the header is that of an empty container in snappy, `plain` the rows' Avro."""
    at, sync = _header(empty)
    packed = memoryview(cramjam.snappy.compress_raw(plain))
    checksum = zlib.crc32(plain).to_bytes(_CHECKSUM_BYTES, "big")
    return b"".join((empty[:at], _zigzag(rows), _zigzag(len(packed) + _CHECKSUM_BYTES), packed, checksum, sync))


def _opened(packed: memoryview, checksum: bytes) -> memoryview:
    try:
        if cramjam.snappy.decompress_raw_len(packed) > _MAX_EXPANSION * len(packed):
            raise NotAContainer
        plain = memoryview(cramjam.snappy.decompress_raw(packed))
    except cramjam.DecompressionError:
        raise NotAContainer from None
    if zlib.crc32(plain).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise NotAContainer
    return plain


def _header(value: bytes) -> tuple[int, bytes]:
    """Where the blocks begin, and the marker that ends each."""
    if not value.startswith(MAGIC):
        raise NotAContainer
    at = _skip_metadata(value, len(MAGIC))
    sync = value[at : at + _SYNC_BYTES]
    if len(sync) != _SYNC_BYTES:
        raise NotAContainer
    return at + _SYNC_BYTES, sync


def _blocks(value: bytes, at: int, sync: bytes) -> Iterator[tuple[int, int, int]]:
    """For each block the rows it claims, and where its data begins and ends; at least one."""
    if at >= len(value):
        raise NotAContainer
    while at < len(value):
        count, at = _long(value, at)
        size, at = _long(value, at)
        end = at + size
        if count <= 0 or size < 0 or value[end : end + _SYNC_BYTES] != sync:
            raise NotAContainer
        yield count, at, end
        at = end + _SYNC_BYTES


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


def _zigzag(number: int) -> bytes:
    """A number that is not negative, as `_long` reads it."""
    number <<= 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
