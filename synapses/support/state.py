"""Saved states of a computation: arrays by name, checked before any of them is used."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["StateError", "check_state", "part"]


class StateError(ValueError):
    """A saved state is damaged or belongs to something else; says what and why."""


def check_state(state: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]]) -> None:
    """Check names, shapes, types and that all is finite.

    Parameters
    ----------
    state : mapping of str to ndarray
        What was saved.
    like : mapping of str to ndarray
        What takes it.

    Raises
    ------
    StateError
        Naming the first array that does not fit.
    """
    for name in sorted(state.keys() ^ like.keys()):
        raise StateError(f"{name} is {'unknown' if name in state else 'missing'}")
    for name, wanted in like.items():
        array = state[name]
        if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
            raise StateError(
                f"{name} must be {wanted.dtype} of shape {wanted.shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise StateError(f"{name} must be finite, got NaN or infinity")


def part(state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays named ``prefix.NAME``, by NAME."""
    start = f"{prefix}."
    return {name[len(start) :]: v for name, v in state.items() if name.startswith(start)}
