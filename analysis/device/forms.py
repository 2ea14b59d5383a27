"""What the fits of pulses, decay and power have in common."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.least_squares import Fit, mean_device
from mstpn.analysis.device.measurements import Measurements
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


AS_THE_DEVICE = Forms()
"""The device's own laws, all rows."""


def _same(values: Array) -> Array:
    return values


def of_each_device(
    data: Measurements,
    fit_one: Callable[[Measurements], Fit],
    to: Callable[[Array], Array] = _same,
    back: Callable[[Array], Array] = _same,
) -> Fit:
    """One fit, or that of the mean device if there is a column of devices."""
    device = data.si("device") if "device" in data else np.zeros(len(data))
    if len(np.unique(device)) < 2:
        return fit_one(data)
    order = np.argsort(device, kind="stable")
    fits = []
    for k in np.unique(device):
        try:
            fits.append(fit_one(data.where(device == k)))
        except DataError as error:
            name = data.labels["device"][int(k)]
            raise DataError(f"{error}, for device {name!r} by itself") from error
    return mean_device(data.where(order), fits, to, back)
