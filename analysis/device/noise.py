"""How the scatter of rows goes with their value: by the same amount, or in proportion."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["growing_errors"]

_RATIOS = np.geomspace(0.3, 1000.0, 25)
"""Of the scatter in proportion, at the largest value, to that which all rows share."""
_EVIDENCE = 2.71
"""Twice the gain in log likelihood, where chance alone gains as much in 5 %."""

Array = NDArray[np.float64]


def growing_errors(residuals: Array, predicted: Array, dof: int) -> Array | None:
    """Relative standard errors of rows whose scatter grows with the value; None if it does not.

    With ``sigma^2 ~ 1 + (r f)^2`` for a fitted value f in units of the largest, r is that of the
    largest likelihood, if it is better than r = 0 beyond chance.

    Parameters
    ----------
    residuals, predicted : Array, (n,)
    dof : int
        Degrees of freedom of the residuals.
    """
    largest = np.abs(predicted).max()
    if dof < 1 or largest == 0 or np.abs(residuals).max() < 1e-9 * largest:
        return None
    sigma = np.sqrt(1 + np.outer(np.append(0.0, _RATIOS), predicted / largest) ** 2)
    sigma /= np.exp(np.mean(np.log(sigma), axis=1, keepdims=True))
    deviance = dof * np.log(np.sum((residuals / sigma) ** 2, axis=1))
    best = int(deviance.argmin())
    return None if deviance[0] - deviance[best] < _EVIDENCE else sigma[best]
