"""The power under a bias, fitted to measurements; see `mstpn.analysis.device.fit`."""

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.forms import of_each_device
from mstpn.analysis.device.least_squares import Fit, fit_law, scale_of
from mstpn.analysis.device.measurements import Measurements
from mstpn.synapses.support.sourced import DataError

__all__ = ["fit_power"]

Array = NDArray[np.float64]


def fit_power(data: Measurements) -> Fit:
    """Ohmic power under bias: of an offset and kappa S, or of the conductance itself.

    Parameters
    ----------
    data : Measurements
        Of `BIAS_POWER`.
    """
    voltage = data.si("bias voltage")
    over = "weight S" if "weight S" in data else "conductance"
    x = data.si(over)
    if over == "weight S" and len(np.unique(x[voltage != 0])) < 2:
        raise DataError(f"{data.at(over)}: weights must differ to determine weight_conductance")

    def linear(variables: Array, offset: float, slope: float) -> Array:
        s, v = variables
        return np.asarray((v / voltage_scale) ** 2 * (offset + slope * s))

    def proportional(variables: Array, factor: float) -> Array:
        g, v = variables
        return np.asarray(factor * (v / voltage_scale) ** 2 * g / conductance_scale)

    voltage_scale, conductance_scale = np.abs(voltage).max() or 1.0, np.abs(x).max() or 1.0
    model, start = (linear, np.ones(2)) if over == "weight S" else (proportional, np.ones(1))
    scale = scale_of(data, "power")

    def fit(one: Measurements, errors: Array | None) -> Fit:
        names, variables = (over, "bias voltage"), np.stack([one.si(over), one.si("bias voltage")])
        return fit_law(one, "power", names, variables, model, start, scale, errors=errors)

    return of_each_device(data, "power", fit)
