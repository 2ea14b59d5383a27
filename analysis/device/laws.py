"""The laws of a memristor, fitted to measurements; see `mstpn.analysis.device.fit`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.least_squares import Estimate, Fit, fit_law, scale_of
from mstpn.analysis.device.measurements import Measurements, shown
from mstpn.synapses import law as laws
from mstpn.synapses.support.sourced import DataError

__all__ = ["decay_at", "fit_decay", "fit_power", "fit_pulses", "reduced_voltage"]

_N_STARTS = 60

Array = NDArray[np.float64]


def fit_pulses(data: Measurements, quantity: str, v_0: float, w_0: float) -> Fit:
    """Power law in amplitude, linear in width; odd in voltage unless it is an energy.

    Parameters
    ----------
    data : Measurements
        Of `PULSES`.
    quantity : str
        "dG", "dF" or "energy".
    v_0, w_0 : float
        Reference pulse, in volt and second; the parameters are its size and the exponent.
    """
    pulse = _ENERGY if quantity == "energy" else _UPDATE

    def law(variables: Array, size: float, exponent: float) -> Array:
        v, w = variables
        return np.asarray(pulse(v, w, v_0, w_0, size, exponent))

    variables = np.stack([data.si("voltage"), data.si("width")])
    measured = data.si(quantity)

    def best(exponent: float) -> tuple[float, float, float]:
        shape = law(variables, 1.0, exponent)
        size = float(shape @ measured / (shape @ shape))
        return float(np.sum((measured - size * shape) ** 2)), size, exponent

    _, size, exponent = min(best(float(exponent)) for exponent in np.arange(0.5, 12.0, 0.5))
    start = np.array([size / scale_of(data, quantity), exponent])
    return fit_law(data, quantity, ("voltage", "width"), variables, law, start)


def fit_decay(data: Measurements, step: float) -> tuple[Fit, list[tuple[float, Estimate]]]:
    """All traces with one law of the decay, and Lambda of every trace by itself.

    Parameters
    ----------
    data : Measurements
        Of `DECAY`; a trace is what has one bias voltage and repeat.
    step : float
        Network step in second.

    Returns
    -------
    fit : Fit
        The first two parameters are the reduced voltages, see `reduced_voltage`, of the smallest
        and largest bias voltage.
    alone : list of (float, Estimate)
        Bias voltage and Lambda of each trace.
    """
    voltage, time = data.si("bias voltage"), data.si("time")
    repeat = data.si("repeat") if "repeat" in data else np.zeros(len(data))
    _, trace = np.unique(np.stack([voltage, repeat]), axis=1, return_inverse=True)
    trace = trace.ravel()
    low, high = voltage.min(), voltage.max()
    if not low < high:
        raise DataError(
            f"{data.at('bias voltage')}: voltages must differ to determine the decay law, "
            f"got {shown(data.columns['bias voltage'][0])} only"
        )

    def law(variables: Array, *p: float) -> Array:
        t, v, k = variables
        reduced = p[0] + (p[1] - p[0]) * (v - low) / (high - low)
        base, size = np.reshape(p[2:], (2, -1))[:, k.astype(int)]
        return np.asarray(base + size * _left(t / step, reduced))

    alone = [_fit_trace(data, trace == k, step) for k in range(trace.max() + 1)]
    at = np.array([voltage[trace == k][0] for k in range(len(alone))])
    reduced = [fit.estimate(lambda p: p[0]) for fit in alone]
    scale = scale_of(data, "conductance")
    linear = np.transpose([fit.parameters[1:] * fit.scale / scale for fit in alone])
    start = np.concatenate([_line(at, reduced)(np.array([low, high])), linear.ravel()])
    variables = np.stack([time, voltage, trace])
    fit = fit_law(data, "conductance", ("time", "bias voltage"), variables, law, start)
    return fit, [(float(v), e.map(decay_at)) for v, e in zip(at, reduced, strict=True)]


def _line(at: Array, reduced: Sequence[Estimate]) -> np.polynomial.Polynomial:
    """Reduced voltage against the bias voltage, narrow intervals first."""
    certainty = [1 / (e.high - e.low + 1e-6 * (1 + abs(e.value))) for e in reduced]
    return np.polynomial.Polynomial.fit(at, [e.value for e in reduced], 1, w=certainty)


def _fit_trace(data: Measurements, rows: NDArray[np.bool_], step: float) -> Fit:
    """One exponential through one trace: its reduced voltage, its end and its size."""
    trace = data.where(rows)
    time, measured = trace.si("time"), trace.si("conductance")
    at = f"{data.path}, trace at {shown(trace.columns['bias voltage'][0])}"
    if "repeat" in trace:
        at += f", repeat {trace.si('repeat')[0]:g}"
    if len(np.unique(time)) < 3:
        raise DataError(f"{at}: 3 different times are needed at least")

    def law(variables: Array, reduced: float, base: float, size: float) -> Array:
        return np.asarray(base + size * _left(variables[0] / step, reduced))

    tau = np.geomspace(np.diff(np.unique(time)).min(), 10 * np.ptp(time), _N_STARTS)
    shapes = np.exp(-(time - time.min()) / tau[:, None])
    shapes -= shapes.mean(axis=1, keepdims=True)
    best = np.argmax((shapes @ measured) ** 2 / np.sum(shapes**2, axis=1))
    start = reduced_voltage(float(np.exp(-step / tau[best])))
    basis = np.stack([np.ones(len(time)), _left(time / step, start)], axis=1)
    linear, *_ = np.linalg.lstsq(basis, measured / scale_of(trace, "conductance"))
    return fit_law(
        trace,
        "conductance",
        ("time", "bias voltage"),
        np.stack([time, trace.si("bias voltage")]),
        law,
        np.array([start, *linear]),
        at,
    )


_ENERGY = laws.function(laws.ENERGY, "V, w, V_0, w_0, E_0, n")
_UPDATE = laws.function(laws.UPDATE, "V, w, V_0, w_0, dF_0, m")
_DECAY = laws.function(laws.DECAY, "V_bias, V_half, V_slope")
_DECAY_RATE = laws.function(laws.DECAY_RATE, "V_bias, V_half, V_slope")
_BIAS_VOLTAGE = laws.function(laws.BIAS_VOLTAGE, "Lambda, V_half, V_slope")
_LAMBDA_MIN, _LAMBDA_MAX = 1e-300, 1 - 2**-53


def reduced_voltage(decay: float) -> float:
    """(V_bias - V_half) / V_slope of a Lambda."""
    return float(_BIAS_VOLTAGE(min(max(decay, _LAMBDA_MIN), _LAMBDA_MAX), 0, 1))


def decay_at(reduced: float) -> float:
    """Lambda of a reduced voltage."""
    with np.errstate(over="ignore"):
        return float(_DECAY(np.float64(reduced), 0, 1))


def _left(steps: Array, reduced: float | Array) -> Array:
    """Lambda to the power of a number of steps."""
    with np.errstate(over="ignore"):  # of an infinite rate nothing is left
        return np.asarray(np.exp(-steps * _DECAY_RATE(np.asarray(reduced), 0, 1)))


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
    model, n = (linear, 2) if over == "weight S" else (proportional, 1)
    return fit_law(data, "power", (over, "bias voltage"), np.stack([x, voltage]), model, np.ones(n))
