"""Memory of a process that trains."""

import ctypes

__all__ = ["keep_freed_memory"]


def keep_freed_memory() -> None:
    """Let glibc reuse freed blocks: fresh pages cost more than the arithmetic on them."""
    m_trim_threshold, m_mmap_max = -1, -4
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)
