"""The long-term law of SET or RESET pulses, fitted to trains; see `mstpn.analysis.device.fit`."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.forms import of_each_device
from mstpn.analysis.device.least_squares import Fit, fit_law, scale_of
from mstpn.analysis.device.measurements import Measurements
from mstpn.synapses import law as laws
from mstpn.synapses.support.sourced import DataError

__all__ = ["fit_long_term"]

_RATE = laws.function(laws.LONG_TERM_RATE, "V, k, V_ref, V_step")
_SHARES = 1 - np.exp(-np.geomspace(1e-4, 3, 30))
_SLOPES = np.geomspace(0.005, 1, 30)
"""Of the reference pulse, and of its voltage: where the fit begins."""

Array = NDArray[np.float64]
Pulse = tuple[float, float, float]
"""Reference voltage and width; the slope voltage where one amplitude does not determine it."""


def fit_long_term(data: Measurements, pulse: Pulse) -> Fit:
    """Trains of alike pulses of one polarity, each from a conductance of its own.

    Parameters
    ----------
    data : Measurements
        Of `LONG_TERM`; `trace` numbers the trains.
    pulse : tuple of float
        In volt and second: what the rate refers to, and the slope voltage where all amplitudes
        are one.

    Returns
    -------
    Fit
        Its first parameters are the conductance that all trains near, minus the logarithm of the
        share of the way that the reference pulse leaves, and the slope voltage if amplitudes
        differ.
    """
    n_shared = 3 if len(np.unique(data.si("voltage"))) > 1 else 2
    scale = scale_of(data, "conductance")

    def fit(one: Measurements, errors: Array | None) -> Fit:
        return _fit(one, pulse, n_shared, scale, errors)

    return of_each_device(data, "conductance", fit, partial(_shared, n_shared))


def _shared(n_shared: int, parameters: Array) -> Array:
    return np.asarray(parameters[:n_shared])


def _fit(
    data: Measurements, pulse: Pulse, n_shared: int, scale: float, errors: Array | None
) -> Fit:
    if not np.ptp(data.si("pulses")) > 0:
        raise DataError(f"{data.at('pulses')}: numbers of pulses must differ")
    trace = np.unique(data.si("trace"), return_inverse=True)[1].ravel()
    names = ("pulses", "voltage", "width")
    variables = np.stack([*(data.si(name) for name in names), trace])
    start = _start(variables, data.si("conductance") / scale, pulse, n_shared)

    def law(variables: Array, *p: float) -> Array:
        step = p[2] if n_shared == 3 else pulse[2]
        left = _left(variables, p[1], step, pulse)
        begin = np.asarray(p[n_shared:])[variables[3].astype(int)]
        return np.asarray(p[0] - (p[0] - begin) * left)

    return fit_law(data, "conductance", names[:2], variables, law, start, scale, errors=errors)


def _left(variables: Array, exponent: float, step: float, pulse: Pulse) -> Array:
    """Share of the way that is left after a number of pulses."""
    n, v, w, _ = variables
    with np.errstate(all="ignore"):
        return np.asarray(np.exp(-n * _RATE(v, exponent, pulse[0], step) * (w / pulse[1])))


def _start(variables: Array, measured: Array, pulse: Pulse, n_shared: int) -> Array:
    """Best of a grid; the ends of the trains are linear in what is measured."""
    of_trace = variables[3][:, None] == np.arange(variables[3].max() + 1)
    steps = _SLOPES * pulse[0] if n_shared == 3 else np.array([pulse[2]])

    def solved(exponent: float, step: float) -> tuple[float, list[float]]:
        left = _left(variables, exponent, step, pulse)
        basis = np.column_stack([1 - left, of_trace * left[:, None]])
        linear, *_ = np.linalg.lstsq(basis, measured)
        squares = float(np.sum((measured - basis @ linear) ** 2))
        shared = [float(linear[0]), exponent, step][:n_shared]
        return squares, [*shared, *linear[1:].tolist()]

    exponents = (-np.log1p(-_SHARES)).tolist()
    return np.array(min(solved(x, s) for x in exponents for s in steps.tolist())[1])
