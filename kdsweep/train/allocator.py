"""Keep the memory that a step frees for the next one."""

import ctypes
import os

# The numbers of malloc.h, and the environment variables by which a person sets the same.
_SETTINGS = (
    ("MALLOC_MMAP_THRESHOLD_", -3, 1 << 30),
    ("MALLOC_TRIM_THRESHOLD_", -1, (1 << 31) - 1),
    ("MALLOC_TOP_PAD_", -2, 1 << 26),
)


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, up to 2 GiB; whether it can be asked to.

    By default glibc gives large blocks back to the system as soon as they are free. On a CPU a step
    frees and asks for the same maps again and again, and the system hands out every page anew and
    cleared: a quarter of the time of a small network. What a person has set in the environment
    stays as it is. Other systems' allocators are left alone. Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    taken = [mallopt(n, value) for name, n, value in _SETTINGS if name not in os.environ]
    return all(taken)
