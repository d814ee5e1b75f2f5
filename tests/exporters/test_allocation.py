"""That large blocks go back to the system when they are freed."""

import platform
import subprocess
import sys

import pytest

HOLES = """
import sys
from exporters.allocation import give_back_large_blocks
assert give_back_large_blocks()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
bytes(8 << 20)  # freed at once: from here on glibc would take blocks of this size from the heap
before = resident()
held = []
for _ in range(8):
    large = bytearray(b"x") * (2 << 20)
    held.append(bytearray(b"y") * 1000)  # behind it on the heap, where it would keep the hole open
    del large
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a switch of glibc's")
def test_what_is_freed_goes_back():
    pages = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    assert int(pages) < 128
