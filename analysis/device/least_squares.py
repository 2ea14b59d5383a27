"""Least squares on measurements, with confidence intervals.

Intervals are the covariance of `scipy.optimize.curve_fit`, scaled by the residuals, times
Student's t. Standard errors in the file are weights, so intervals do not rest on their
absolute size; chi squared says whether that is right.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, approx_fprime, curve_fit
from scipy.stats import t as student

from mstpn.analysis.device.measurements import Measurements
from mstpn.synapses.support.sourced import DataError

__all__ = ["CONFIDENCE", "Estimate", "Fit", "fit_law", "scale_of"]

CONFIDENCE = 0.95
"""Of every interval."""
_TOLERANCE = 1e-12
"""Relative, of parameters and sum of squares: below what rounding leaves of noiseless data."""

Array = NDArray[np.float64]
Model = Callable[..., Array]


class Estimate(NamedTuple):
    """A number with the ends of its confidence interval, in SI units."""

    value: float
    low: float
    high: float

    def map(self, increasing: Callable[[float], Any]) -> "Estimate":
        """The same through an increasing function."""
        return Estimate(*(float(increasing(end)) for end in self))

    def times(self, other: "Estimate") -> "Estimate":
        """Product of two independent estimates: relative half-widths add in squares."""
        value = self.value * other.value
        half = math.hypot(*((e.high - e.low) / (2 * e.value) for e in (self, other))) * abs(value)
        return Estimate(value, value - half, value + half)


@dataclass(frozen=True)
class Fit:
    """One least-squares fit, with what is needed to judge and draw it.

    Parameters
    ----------
    data : Measurements
    quantity : str
        Column that was fitted.
    names : tuple of str
        Columns of the first two variables: what it is drawn over, and what tells curves apart.
    variables : Array, (k, n)
        In SI units.
    model : callable
        Of the variables and the parameters, in units of `scale`.
    scale : float
        In SI units.
    parameters : Array, (p,)
    covariance : Array, (p, p)
    """

    data: Measurements
    quantity: str
    names: tuple[str, str]
    variables: Array
    model: Model = field(repr=False)
    scale: float
    parameters: Array
    covariance: Array

    @property
    def measured(self) -> Array:
        """What was fitted, in SI units, (n,)."""
        return self.data.si(self.quantity)

    def predicted(self, variables: Array) -> Array:
        """The fitted law, in SI units."""
        return self.scale * self.model(variables, *self.parameters)

    @property
    def residuals(self) -> Array:
        """Measured less fitted, in SI units, (n,)."""
        return self.measured - self.predicted(self.variables)

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return len(self.measured) - len(self.parameters)

    @property
    def r_squared(self) -> float:
        """Share of the variance explained; rows count by their standard errors if they have any."""
        weights = 1 / _errors(self.data, self.quantity) ** 2
        mean = np.average(self.measured, weights=weights)
        total = np.sum(weights * (self.measured - mean) ** 2)
        return float(1 - np.sum(weights * self.residuals**2) / total)

    @property
    def reduced_chi_squared(self) -> float | None:
        """Chi squared by degree of freedom, 1 for errors as stated; None if none are."""
        if f"{self.quantity} error" not in self.data:
            return None
        return float(np.sum((self.residuals / _errors(self.data, self.quantity)) ** 2) / self.dof)

    def estimate(self, function: Callable[[Array], Any]) -> Estimate:
        """A function of the parameters with its interval, by linear propagation of errors."""
        gradient = approx_fprime(self.parameters, lambda p: float(function(p)))
        variance = max(gradient @ self.covariance @ gradient, 0.0)  # rounding of noiseless data
        half = _quantile(self.dof) * math.sqrt(variance)
        value = float(function(self.parameters))
        return Estimate(value, value - half, value + half)


def fit_law(
    data: Measurements,
    quantity: str,
    names: tuple[str, str],
    variables: Array,
    law: Model,
    start: Array,
    at: str = "",
) -> Fit:
    """Fit a law to a column.

    Parameters
    ----------
    data : Measurements
    quantity : str
        Column; its standard errors, if there are any, are weights.
    names, variables
        As in `Fit`.
    law : callable
        Of `variables` and the parameters, in units of ``scale_of(data, quantity)``.
    start : Array, (p,)
    at : str, optional
        What was measured, for messages; the file otherwise.

    Raises
    ------
    DataError
        If there are too few rows, or they do not determine every parameter.
    """
    at = at or f"{data.path}"
    column = data.headers[quantity]
    n, least = len(data), len(start) + 1
    if n < least:
        raise DataError(f"{at}: {least} rows are needed to fit {column!r}, got {n}")
    scale = scale_of(data, quantity)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error", OptimizeWarning)
        try:
            parameters, covariance = curve_fit(
                law,
                variables,
                data.si(quantity) / scale,
                start,
                sigma=_errors(data, quantity) / scale,
                ftol=_TOLERANCE,
                xtol=_TOLERANCE,
                gtol=_TOLERANCE,
            )
        except (RuntimeError, OptimizeWarning):
            raise DataError(
                f"{at}: {column!r} does not determine the constants of its fit"
            ) from None
    return Fit(data, quantity, names, variables, law, scale, parameters, covariance)


def scale_of(data: Measurements, quantity: str) -> float:
    """Largest size of the measured values, in SI units.

    Raises
    ------
    DataError
        If all are 0.
    """
    scale = float(np.abs(data.si(quantity)).max())
    if scale == 0:
        raise DataError(f"{data.at(quantity)}: all values are 0")
    return scale


def _errors(data: Measurements, quantity: str) -> Array:
    """Standard errors, or the same weight for every row."""
    name = f"{quantity} error"
    return data.si(name) if name in data else np.full(len(data), scale_of(data, quantity))


def _quantile(dof: int) -> float:
    return float(student.ppf((1 + CONFIDENCE) / 2, dof))
