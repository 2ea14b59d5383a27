"""Kernels that Numba compiles once and keeps, until they or what they call changes."""

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: `numba.njit` whose cache on disk is of this very code; none where none can be.

    Numba compiles a kernel anew when its own file changes. Functions that it calls, and those
    that `mstpn.synapses.law` makes of a device's laws, are of other files.

    Parameters
    ----------
    **options
        Of `numba.njit`.
    """

    def decorate(function: Any) -> Any:
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither package folder nor home can be written
            return numba.njit(**options)(function)
        index = kernel._cache._cache_file
        index._source_stamp = (index._source_stamp, tuple(_code_of(function, set())))
        return kernel

    return decorate


def _code_of(function: FunctionType, known: set[FunctionType]) -> Iterator[object]:
    """Yield the code of a function, of all that it calls, and the numbers that they name."""
    known.add(function)
    code = function.__code__
    yield code.co_code, code.co_varnames
    yield repr([c for c in code.co_consts if not isinstance(c, CodeType)])
    for name in code.co_names:
        named = function.__globals__.get(name)
        if isinstance(named, int | float | str | tuple):
            yield name, named
        elif isinstance(named, Dispatcher) and named.py_func not in known:
            yield named.targetoptions.get("fastmath")
            yield from _code_of(named.py_func, known)
