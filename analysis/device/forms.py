"""What the fits of pulses, decay and power have in common."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.least_squares import Fit, mean_device
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.noise import growing_errors
from mstpn.synapses.support.sourced import DataError

__all__ = ["AS_THE_DEVICE", "Forms", "of_each_device"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forms:
    """Laws that hold those of the device, and a loss that outliers do not pull.

    Parameters
    ----------
    two_exponentials : bool
        A decay that goes on slower than it began; the device gets its fast part.
    width_exponent : bool
        Pulses that go with a power of their width.
    per_polarity : bool
        Pulses with constants of their own for either sign; the device gets the positive ones'.
    robust : bool
        Rows that stand out are left out.
    """

    two_exponentials: bool = False
    width_exponent: bool = False
    per_polarity: bool = False
    robust: bool = False


_REWEIGHTED = 4
"""Times that weights are found anew from the fit that they gave."""
AS_THE_DEVICE = Forms()
"""The device's own laws, all rows."""


def _same(values: Array) -> Array:
    return values


def of_each_device(
    data: Measurements,
    quantity: str,
    fit_one: Callable[[Measurements, Array | None], Fit],
    to: Callable[[Array], Array] = _same,
    back: Callable[[Array], Array] = _same,
) -> Fit:
    """One fit, or that of the mean device if there is a column of devices.

    Where no standard errors are stated and the scatter grows with the value, rows are weighted
    by it, see `mstpn.analysis.device.noise`.

    Parameters
    ----------
    data : Measurements
    quantity : str
        What is fitted.
    fit_one : callable
        Of the rows of one device and their relative errors, or None for those stated.
    to, back : callable, optional
        As of `mean_device`.
    """
    device = data.si("device") if "device" in data else np.zeros(len(data))
    rows = [device == k for k in np.unique(device)]
    errors: list[Array | None] = [None] * len(rows)
    fits = _fitted(data, rows, fit_one, errors)
    for _ in range(_REWEIGHTED * (f"{quantity} error" not in data)):
        residuals, predicted = (
            np.concatenate(parts)
            for parts in zip(*((f.residuals, f.predicted(f.variables)) for f in fits), strict=True)
        )
        grown = growing_errors(residuals, predicted, sum(fit.dof for fit in fits))
        if grown is None:
            break
        errors = list(np.split(grown, np.cumsum([len(fit.used) for fit in fits])[:-1]))
        fits = _fitted(data, rows, fit_one, errors)
    order = np.concatenate([np.flatnonzero(of_one) for of_one in rows])
    return fits[0] if len(fits) == 1 else mean_device(data.where(order), fits, to, back)


def _fitted(
    data: Measurements,
    rows: list[NDArray[np.bool_]],
    fit_one: Callable[[Measurements, Array | None], Fit],
    errors: list[Array | None],
) -> list[Fit]:
    fits = []
    for of_one, weights in zip(rows, errors, strict=True):
        part = data.where(of_one)
        try:
            fits.append(fit_one(part, weights))
        except DataError as error:
            if len(rows) == 1:
                raise
            name = data.labels["device"][int(part.si("device")[0])]
            raise DataError(f"{error}, of device {name!r} by itself") from error
    return fits
