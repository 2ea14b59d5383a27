"""Least squares on measurements, with confidence intervals.

Intervals are the covariance of `scipy.optimize.curve_fit`, scaled by the residuals, times
Student's t. Standard errors in the file are weights, so intervals do not rest on their
absolute size; chi squared says whether that is right. Of several devices every one is fitted by
itself, and the interval is that of their mean.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, approx_fprime, curve_fit
from scipy.stats import t as student

from mstpn.analysis.device.measurements import Measurements
from mstpn.synapses.support.sourced import DataError

__all__ = ["ALPHA", "CONFIDENCE", "Estimate", "Fit", "Wider", "fit_law", "mean_device", "scale_of"]

CONFIDENCE = 0.95
"""Of every interval."""
ALPHA = 1e-3
"""Chance that a test objects to a fit that is right."""
_TOLERANCE = 1e-12
"""Relative, of parameters and sum of squares: below what rounding leaves of noiseless data."""
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
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


class Wider(NamedTuple):
    """A law that holds another one.

    Parameters
    ----------
    fits : callable
        Fits of the wider law to the rows of a `Fit`, with its weights; all rows once.
    says : callable
        What they found, in words.
    """

    fits: Callable[["Fit"], list["Fit"]]
    says: Callable[[list["Fit"]], str]


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
        In SI units; of several devices the last one is the device's number.
    model : callable
        Of the variables and the parameters of one device, in units of `scale`.
    scale : float
        In SI units.
    parameters : Array, (p,)
        Of several devices those that they share, of the mean device.
    covariance : Array, (p, p)
    errors : Array, (n,)
        Relative standard errors of the rows, as they were weighted.
    used : Array of bool, (n,)
        Rows that were not left out as outliers.
    wider : mapping of str to Wider
        Laws that hold this one, by the option that asks for them or "" for none.
    note : callable, optional
        Of the fit: what the device file cannot carry of it.
    devices : tuple of Fit
        Of each device by itself, if there are several.
    average : callable, optional
        Of the fits of the devices, which gives the like of this one.
    """

    data: Measurements
    quantity: str
    names: tuple[str, str]
    variables: Array
    model: Model = field(repr=False)
    scale: float
    parameters: Array
    covariance: Array
    errors: Array
    used: Mask
    wider: Mapping[str, Wider] = field(default_factory=dict, repr=False)
    note: Callable[["Fit"], str] | None = field(default=None, repr=False)
    devices: tuple["Fit", ...] = ()
    average: Callable[[Sequence["Fit"]], "Fit"] | None = field(default=None, repr=False)

    @property
    def each(self) -> tuple["Fit", ...]:
        """The fits it is made of: one for each device."""
        return self.devices or (self,)

    @property
    def measured(self) -> Array:
        """What was fitted, in SI units, (n,)."""
        return self.data.si(self.quantity)

    def predicted(self, variables: Array) -> Array:
        """The fitted law, in SI units."""
        if not self.devices:
            return self.scale * self.model(variables, *self.parameters)
        predictions = np.empty(variables.shape[1])
        for k, fit in enumerate(self.devices):
            rows = variables[-1] == k
            predictions[rows] = fit.predicted(variables[:-1, rows])
        return predictions

    @property
    def residuals(self) -> Array:
        """Measured less fitted, in SI units, (n,)."""
        return self.measured - self.predicted(self.variables)

    @property
    def standardised(self) -> Array:
        """Residuals of the rows that were used, in standard deviations of their scatter."""
        parts = []
        for fit in self.each:
            scaled = (fit.residuals / fit.errors)[fit.used]
            spread = math.sqrt(np.sum(scaled**2) / fit.dof) if fit.dof > 0 else 0.0
            parts.append(scaled / spread if spread > 0 else scaled)
        return np.concatenate(parts)

    @property
    def is_exact(self) -> bool:
        """Whether nothing but rounding is left."""
        largest = np.abs(self.measured).max()
        return bool(np.abs(self.residuals[self.used]).max() < 1e-9 * largest)

    @property
    def tests_its_form(self) -> bool:
        """Whether more settings were measured than there are constants, for some device."""
        return any(fit.n_settings > fit.n_constants for fit in self.each)

    @property
    def n_settings(self) -> int:
        """Different settings, which for a decay are its bias voltages."""
        return np.unique(self.variables[1:2] if self.is_decay else self.variables, axis=1).shape[1]

    @property
    def n_constants(self) -> int:
        """Constants of the law that the settings determine."""
        return 2 if self.is_decay else len(self.parameters)

    @property
    def is_decay(self) -> bool:
        """Whether it is drawn over the time."""
        return self.names[0] == "time"

    @property
    def n_parameters(self) -> int:
        """Of all devices."""
        return sum(len(fit.parameters) for fit in self.each)

    @property
    def dof(self) -> int:
        """Degrees of freedom of the residuals."""
        return int(self.used.sum()) - self.n_parameters

    @property
    def r_squared(self) -> float:
        """Share of the variance explained; rows count by their standard errors if they have any."""
        weights = self.used / _stated_errors(self.data, self.quantity) ** 2
        mean = np.average(self.measured, weights=weights)
        total = np.sum(weights * (self.measured - mean) ** 2)
        return float(1 - np.sum(weights * self.residuals**2) / total)

    @property
    def reduced_chi_squared(self) -> float | None:
        """Chi squared by degree of freedom, 1 for errors as stated; None if none are."""
        if f"{self.quantity} error" not in self.data:
            return None
        scaled = self.residuals / _stated_errors(self.data, self.quantity)
        return float(np.sum(scaled[self.used] ** 2) / self.dof)

    def estimate(self, function: Callable[[Array], Any], *, positive: bool = False) -> Estimate:
        """A function of the parameters with its interval, by linear propagation of errors.

        Parameters
        ----------
        function : callable
        positive : bool
            Whether the spread among devices is that of the logarithm.
        """
        gradient = approx_fprime(self.parameters, lambda p: float(function(p)))
        variance = max(gradient @ self.covariance @ gradient, 0.0)  # rounding of noiseless data
        dof = len(self.devices) - 1 if self.devices else self.dof
        half = _quantile(dof) * math.sqrt(variance)
        value = float(function(self.parameters))
        if self.devices and positive and value > 0:
            factor = math.exp(min(half / value, 700.0))
            return Estimate(value, value / factor, value * factor)
        return Estimate(value, value - half, value + half)

    def without(self, rows: Mask) -> "Fit":
        """The same fit without some of its rows."""
        if self.average is None:
            return _solved(self, self.used & ~rows)
        ends = np.cumsum([len(fit.used) for fit in self.devices])[:-1]
        parts = zip(self.devices, np.split(rows, ends), strict=True)
        return self.average([fit.without(part) for fit, part in parts])


def fit_law(
    data: Measurements,
    quantity: str,
    names: tuple[str, str],
    variables: Array,
    law: Model,
    start: Array,
    scale: float,
    at: str = "",
    *,
    errors: Array | None = None,
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
        Of `variables` and the parameters, in units of `scale`.
    start : Array, (p,)
    scale : float
        In SI units, such as `scale_of` gives it.
    at : str, optional
        What was measured, for messages; the file otherwise.
    errors : Array, (n,), optional
        Relative standard errors of the rows instead of those stated.

    Raises
    ------
    DataError
        If there are too few rows, or they do not determine every parameter.
    """
    at = at or f"{data.path}"
    n, least = len(data), len(start) + 1
    if n < least:
        column = data.headers[quantity]
        raise DataError(f"{at}: {least} rows are needed to fit {column!r}, got {n}")
    known = _stated_errors(data, quantity) / scale if errors is None else errors
    used, empty = np.ones(n, bool), np.zeros((0, 0))
    fit = Fit(data, quantity, names, variables, law, scale, start, empty, known, used)
    return _solved(fit, used, at)


def _solved(fit: Fit, used: Mask, at: str = "") -> Fit:
    """Least squares from the parameters that a fit has, with its errors, of some rows."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error", OptimizeWarning)
        try:
            parameters, covariance = curve_fit(
                fit.model,
                fit.variables[:, used],
                fit.measured[used] / fit.scale,
                fit.parameters,
                sigma=fit.errors[used],
                ftol=_TOLERANCE,
                xtol=_TOLERANCE,
                gtol=_TOLERANCE,
            )
        except (RuntimeError, OptimizeWarning, TypeError):
            column = fit.data.headers[fit.quantity]
            raise DataError(
                f"{at or fit.data.path}: {column!r} does not determine the constants of its fit"
            ) from None
    return replace(fit, used=used, parameters=parameters, covariance=covariance)


def mean_device(
    data: Measurements,
    fits: Sequence[Fit],
    to: Callable[[Array], Array],
    back: Callable[[Array], Array],
) -> Fit:
    """Fits of several devices as one, whose parameters are those of the mean device.

    Parameters
    ----------
    data : Measurements
        Rows in the order of the fits.
    fits : sequence of Fit
        At least two.
    to, back : callable
        From the parameters that devices share to what is averaged, by its logarithm where it is
        positive in all of them, and back.
    """
    values = np.array([to(fit.parameters) for fit in fits])
    logarithmic = (values > 0).all(axis=0)
    values[:, logarithmic] = np.log(values[:, logarithmic])

    def parameters(averaged: Array) -> Array:
        return back(np.where(logarithmic, np.exp(averaged * logarithmic), averaged))

    mean = values.mean(axis=0)
    steps = 1e-6 * np.eye(len(mean))
    jacobian = np.transpose([(parameters(mean + s) - parameters(mean - s)) / 2e-6 for s in steps])
    spread = np.atleast_2d(np.cov(values.T)) / len(fits)
    numbered = [np.vstack([fit.variables, np.full(len(fit.data), k)]) for k, fit in enumerate(fits)]
    return replace(
        fits[0],
        data=data,
        variables=np.hstack(numbered),
        parameters=parameters(mean),
        covariance=jacobian @ spread @ jacobian.T,
        errors=np.concatenate([fit.errors for fit in fits]),
        used=np.concatenate([fit.used for fit in fits]),
        devices=tuple(fits),
        average=partial(mean_device, data, to=to, back=back),
    )


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


def _stated_errors(data: Measurements, quantity: str) -> Array:
    """Standard errors, or the same weight for every row."""
    name = f"{quantity} error"
    return data.si(name) if name in data else np.full(len(data), scale_of(data, quantity))


def _quantile(dof: int) -> float:
    return float(student.ppf((1 + CONFIDENCE) / 2, dof))
