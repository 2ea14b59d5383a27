"""Rows that stand out of a fit."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, least_squares
from scipy.stats import norm
from scipy.stats import t as student

from mstpn.analysis.device.least_squares import ALPHA, Fit
from mstpn.synapses.support.sourced import DataError

__all__ = ["outliers"]

_MOST = 0.1
"""Share of the rows; if more stand out it is the law that is wrong."""
_SUSPECT = 4.0
"""Robust standard deviations from which a row is tried."""
_FEWEST_DOF = 4

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


def outliers(fit: Fit) -> Mask:
    """Rows that stand out, (n,): each by its deletion residual, at `ALPHA` for all rows together.

    Which rows are tried is found with a loss that they cannot pull (Cauchy's), so that several do
    not hide one another.
    """
    if fit.devices:
        return np.concatenate([outliers(one) for one in fit.devices])
    outlying = np.zeros(len(fit.used), bool)
    if fit.dof < _FEWEST_DOF or fit.is_exact:
        return outlying
    tried = _far_off(fit)
    if not tried.any() or tried.sum() > max(1, _MOST * len(tried)):
        return outlying
    try:
        rest = fit.without(tried)
    except DataError:
        return outlying
    if rest.dof < _FEWEST_DOF:
        return outlying
    scaled = rest.residuals / rest.errors
    spread = math.sqrt(np.sum(scaled[rest.used] ** 2) / rest.dof)
    limit = float(student.isf(ALPHA / (2 * len(outlying)), rest.dof))
    variance = np.array([_variance(rest, k) for k in np.flatnonzero(tried)])
    outlying[tried] = np.abs(scaled[tried]) > limit * np.sqrt(spread**2 + variance)
    return outlying


def _far_off(fit: Fit) -> Mask:
    def scaled(parameters: Array) -> Array:
        rows = fit.used
        law = fit.model(fit.variables[:, rows], *parameters)
        return np.asarray((fit.measured[rows] / fit.scale - law) / fit.errors[rows])

    width = _spread(scaled(fit.parameters))
    if width == 0:
        return np.zeros(len(fit.used), bool)
    with np.errstate(all="ignore"):
        robust = least_squares(scaled, fit.parameters, loss="cauchy", f_scale=width, x_scale="jac")
    left = scaled(robust.x)
    width = _spread(left)
    far = np.zeros(len(fit.used), bool)
    far[fit.used] = np.abs(left) > _SUSPECT * width * math.sqrt(len(left) / fit.dof)
    return far


def _spread(scaled: Array) -> float:
    """Standard deviation of most rows."""
    return float(np.median(np.abs(scaled)) / norm.isf(0.25))


def _variance(fit: Fit, row: int) -> float:
    """Of what a fit predicts for a row, by its relative error, in SI units."""
    at = fit.variables[:, row : row + 1]
    gradient = approx_fprime(fit.parameters, lambda p: float(fit.model(at, *p)[0]))
    return float(gradient @ fit.covariance @ gradient * (fit.scale / fit.errors[row]) ** 2)
