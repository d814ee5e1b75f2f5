"""How the C library keeps memory that was freed, mallopt(3).

glibc gives each thread an arena of its own and, once a large block was freed, takes further ones of that size
from an arena too, where holes stay: a text of 2 MB that is written anew every few seconds left 2 to 5 MB of
them. What takes turns for Python's lock gains nothing from arenas.
"""

import ctypes

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 128 << 10


def give_back_large_blocks() -> bool:
    """Have large blocks go back to the system at once, and new threads share one arena.

    For the whole process, from here on. False where the C library has no such switch; musl needs none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return all([mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES), mallopt(_M_ARENA_MAX, 1)])
