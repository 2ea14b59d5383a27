"""Kernels that Numba compiles once and keeps, until they or the device's laws change."""

from collections.abc import Callable
from typing import Any

import numba

from mstpn.synapses import law

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: `numba.njit` whose cache on disk is of these laws; none where none can be.

    Numba compiles a kernel anew when its own file changes; what the functions of
    `mstpn.synapses.law` in it are made of is another file.

    Parameters
    ----------
    **options
        Of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither package folder nor home can be written
            return numba.njit(**options)(function)
        index = kernel._cache._cache_file
        index._source_stamp = (index._source_stamp, law.digest())
        return kernel

    return decorate
