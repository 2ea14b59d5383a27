"""Threads of the CPU kernels."""

import numba
import torch

__all__ = ["N_PARTS", "require_parallel_launches", "share_threads"]

N_PARTS = 4
"""Sums of gradients of so many groups of games apart: the result does not depend on threads."""


def share_threads() -> None:
    """Give Numba torch's thread count; its first launch would raise that of torch to all cores."""
    n_threads = torch.get_num_threads()
    numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(n_threads)


def require_parallel_launches() -> None:
    """Raise ValueError if kernels must not be launched from two threads at once.

    A kernel must have been launched before.
    """
    layer = numba.threading_layer()
    if layer == "workqueue":
        raise ValueError(
            "collect-beside needs Numba's threading layer omp or tbb, got workqueue: "
            "install OpenMP or the package tbb"
        )
