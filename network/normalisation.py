"""Normalisation of the presynaptic vector z = [x; h], done digitally.

`none` leaves z as it is; `l2` divides it by its Euclidean norm. It takes the place of
STPN's division by the norm of W + F, which no crossbar can do.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstpn.synapses import law

__all__ = ["L2", "NORMALISATIONS", "NORM_FLOOR", "check_normalisation", "normalise"]

NORMALISATIONS = ("none", "l2")
NORM_FLOOR = 1e-6
"""Smallest norm that is divided by."""
L2 = "z/clip(sqrt(z_square), norm_floor, inf)"
"""z_square is the sum of the squares of z."""

_l2 = law.function(L2, "z, z_square, norm_floor, inf, sqrt")


def normalise(z: NDArray[Any], how: str) -> NDArray[Any]:
    """Normalise one presynaptic vector, (M,)."""
    return z if how == "none" else _l2(z, z @ z, NORM_FLOOR, np.inf, np.sqrt)


def check_normalisation(how: str, allowed: Sequence[str] = NORMALISATIONS) -> None:
    """Raise ValueError if `how` is not allowed."""
    if how not in allowed:
        raise ValueError(f"normalisation must be one of {', '.join(allowed)}, got {how!r}")
