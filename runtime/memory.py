"""How the C library's allocator treats large buffers: given back to the system as soon as they are free.

By default glibc raises the size from which it does so to that of the largest buffer freed (up to
32 MB), and makes an arena for each thread: the holes that large cells leave stay in the process.
"""

from __future__ import annotations

import ctypes

LARGE_BYTES = 4 * 1024 * 1024
MAX_ARENAS = 2

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def return_large_buffers() -> None:
    """Set it for this process, before its threads begin; nothing happens where the library has no such switch."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_ARENA_MAX, MAX_ARENAS)
