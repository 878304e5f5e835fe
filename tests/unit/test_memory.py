"""Large buffers go back to the system; a process of its own, for the switch is the whole process's."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from pathlib import Path
from runtime.memory import LARGE_BYTES, return_large_buffers
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
return_large_buffers()
for size in (2, 3, 4):
    bytes(size * LARGE_BYTES).count(1)  # by default the first one freed raises the size that is given back
kept = bytearray(2 * LARGE_BYTES)
held = [b"x" * 100 for _ in range(1000)]
full = resident()
del kept
print(full - resident())
"""


def test_a_large_buffer_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert int(ran.stdout) > 1000  # pages
