"""The decay under a bias, fitted to measurements; see `mstpn.analysis.device.fit`."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from brian2.units import volt
from numpy.typing import NDArray

from mstpn.analysis.device.forms import AS_THE_DEVICE, Forms, of_each_device
from mstpn.analysis.device.least_squares import Estimate, Fit, Wider, fit_law, scale_of
from mstpn.analysis.device.measurements import Measurements, shown
from mstpn.synapses import law as laws
from mstpn.synapses.support.sourced import DataError

__all__ = ["decay_at", "fit_decay", "reduced_voltage"]

_N_STARTS = 60
_SHIFTS, _SLOW_SHARES, _SLOWER = (0.0, -0.5, -1.0, -2.0), (0.2, 0.5), (3.0, 10.0, 30.0)
_DECAY = laws.function(laws.DECAY, "V_bias, V_half, V_slope")
_DECAY_RATE = laws.function(laws.DECAY_RATE, "V_bias, V_half, V_slope")
_BIAS_VOLTAGE = laws.function(laws.BIAS_VOLTAGE, "Lambda, V_half, V_slope")
_LAMBDA_MIN, _LAMBDA_MAX = 1e-300, 1 - 2**-53

Array = NDArray[np.float64]
Parameters = Sequence[float] | Array


class _Axes(NamedTuple):
    """Network step in second; smallest and largest bias voltage."""

    step: float
    low: float
    high: float


def fit_decay(
    data: Measurements, step: float, forms: Forms = AS_THE_DEVICE
) -> tuple[Fit, list[tuple[float, Estimate]]]:
    """All traces with one law of the decay, and Lambda of every trace by itself.

    Parameters
    ----------
    data : Measurements
        Of `DECAY`; `trace` numbers what has a base and a size of its own.
    step : float
        Network step in second.
    forms : Forms, optional

    Returns
    -------
    fit : Fit
        The first two parameters are the reduced voltages, see `reduced_voltage`, of the smallest
        and largest bias voltage; then, of two exponentials, the logit of the slow share and the
        logarithm of how many times slower it is, less 1.
    alone : list of (float, Estimate)
        Bias voltage and Lambda of each trace.
    """
    voltage = data.si("bias voltage")
    axes = _Axes(step, voltage.min(), voltage.max())
    if not axes.low < axes.high:
        raise DataError(
            f"{data.at('bias voltage')}: voltages must differ to determine the decay law, "
            f"got {shown(data.columns['bias voltage'][0])} only"
        )
    trace = data.si("trace")
    alone = {k: _fit_trace(data.where(trace == k), step) for k in np.unique(trace)}

    def fit(one: Measurements, errors: Array | None) -> Fit:
        traces = [alone[k] for k in np.unique(one.si("trace"))]
        single = _fit_single(one, traces, axes, errors)
        return _fit_double(single, axes) if forms.two_exponentials else single

    averaged = partial(_to_sigmoid, axes), partial(_from_sigmoid, axes)
    fitted = of_each_device(data, "conductance", fit, *averaged)
    traces = alone.values()
    estimates = [(float(f.variables[1, 0]), f.estimate(operator.itemgetter(0))) for f in traces]
    return fitted, [(v, e.map(decay_at)) for v, e in estimates]


def _to_sigmoid(axes: _Axes, p: Array) -> Array:
    """Half voltage, slope voltage and what else devices share, of the parameters."""
    slope = (axes.high - axes.low) / (p[1] - p[0])
    half = (axes.low * p[1] - axes.high * p[0]) / (p[1] - p[0])
    return np.array([half, slope])


def _from_sigmoid(axes: _Axes, shared: Array) -> Array:
    half, slope = shared
    return np.array([(axes.low - half) / slope, (axes.high - half) / slope])


def _trace_numbers(data: Measurements) -> NDArray[np.int_]:
    return np.unique(data.si("trace"), return_inverse=True)[1].ravel()


def _fit_single(
    data: Measurements, traces: Sequence[Fit], axes: _Axes, errors: Array | None
) -> Fit:
    """One exponential, with the sigmoid of the bias voltage."""
    trace = _trace_numbers(data)
    first = _first_times(data, trace)

    def law(variables: Array, *p: float) -> Array:
        t, k = variables[0], variables[2].astype(int)
        base, size = np.reshape(p[2:], (2, -1))[:, k]
        steps = (t - first[k]) / axes.step
        return np.asarray(base + size * _left(steps, _reduced(variables[1], p, axes)))

    scale = scale_of(data, "conductance")
    at = np.array([fit.variables[1, 0] for fit in traces])
    reduced = [fit.estimate(operator.itemgetter(0)) for fit in traces]
    linear = np.transpose([fit.parameters[1:] * fit.scale / scale for fit in traces])
    start = np.concatenate([_line(at, reduced)(np.array(axes[1:])), linear.ravel()])
    variables = np.stack([data.si("time"), data.si("bias voltage"), trace])
    names = ("time", "bias voltage")
    fit = fit_law(data, "conductance", names, variables, law, start, scale, errors=errors)
    wider = {"--two-exponentials": Wider(partial(_doubles, axes), _says_double)}
    if len(traces) > 2:
        wider[""] = Wider(partial(_traces, axes.step), _says_traces)
    return replace(fit, wider=wider)


def _first_times(data: Measurements, trace: NDArray[np.int_]) -> Array:
    time = data.si("time")
    return np.array([time[trace == k].min() for k in range(trace.max() + 1)])


def _reduced(voltage: Array, p: Parameters, axes: _Axes) -> Array:
    return np.asarray(p[0] + (p[1] - p[0]) * (voltage - axes.low) / (axes.high - axes.low))


def _line(at: Array, reduced: Sequence[Estimate]) -> np.polynomial.Polynomial:
    """Reduced voltage against the bias voltage, narrow intervals first."""
    certainty = [1 / (e.high - e.low + 1e-6 * (1 + abs(e.value))) for e in reduced]
    return np.polynomial.Polynomial.fit(at, [e.value for e in reduced], 1, w=certainty)


def _doubles(axes: _Axes, fit: Fit) -> list[Fit]:
    return [_fit_double(one, axes) for one in fit.each]


def _fit_double(single: Fit, axes: _Axes) -> Fit:
    """Two exponentials whose shares and ratio of times are the same at every voltage."""
    data = single.data.where(single.used)
    trace = single.variables[2, single.used].astype(int)
    first = _first_times(data, trace)

    def left(variables: Array, p: Parameters) -> Array:
        steps = (variables[0] - first[variables[2].astype(int)]) / axes.step
        rate = _rate(_reduced(variables[1], p, axes))
        share, slower = _slow_part(p)
        with np.errstate(over="ignore"):
            fast, slow = np.exp(-steps * rate), np.exp(-steps * rate / slower)
        return np.asarray((1 - share) * fast + share * slow)

    def law(variables: Array, *p: float) -> Array:
        base, size = np.reshape(p[4:], (2, -1))[:, variables[2].astype(int)]
        return np.asarray(base + size * left(variables, p))

    variables = np.stack([data.si("time"), data.si("bias voltage"), trace])
    starts = [
        _with_linear(left, variables, data.si("conductance") / single.scale, candidate)
        for candidate in _double_starts(single.parameters[:2])
    ]
    _, start = min(starts, key=operator.itemgetter(0))
    errors = single.errors[single.used]
    names = ("time", "bias voltage")
    fit = fit_law(data, "conductance", names, variables, law, start, single.scale, errors=errors)
    return replace(fit, note=_double_note)


def _slow_part(p: Parameters) -> tuple[float, float]:
    """Share of the slow exponential, and how many times slower it is."""
    return 1 / (1 + math.exp(min(-p[2], 700))), 1 + math.exp(min(p[3], 700))


def _double_starts(reduced: Array) -> list[Array]:
    """What two exponentials look like through which one was fitted: its fast part is faster."""
    return [
        np.array([*(reduced + shift), math.log(share / (1 - share)), math.log(slower - 1)])
        for shift in _SHIFTS
        for share in _SLOW_SHARES
        for slower in _SLOWER
    ]


def _with_linear(
    left: Callable[[Array, Parameters], Array], variables: Array, measured: Array, p: Array
) -> tuple[float, Array]:
    """Sum of squares with the best base and size of each trace, and all parameters."""
    shape, trace = left(variables, p), variables[2].astype(int)
    squares, linear = 0.0, []
    for k in range(trace.max() + 1):
        rows = trace == k
        basis = np.stack([np.ones(rows.sum()), shape[rows]], axis=1)
        best, *_ = np.linalg.lstsq(basis, measured[rows])
        squares += float(np.sum((measured[rows] - basis @ best) ** 2))
        linear.append(best)
    return squares, np.concatenate([p, *np.transpose(linear)])


def _says_double(fits: list[Fit]) -> str:
    share, slower = np.mean([_slow_part(fit.parameters) for fit in fits], axis=0)
    return f"the decay is no exponential: {share:.0%} of it is {slower:.3g} times slower"


def _double_note(fit: Fit) -> str:
    return f"{_says_double(list(fit.each))}: the file has the fast part alone"


def _says_traces(_fits: list[Fit]) -> str:
    return "Lambda of the traces by themselves leaves the sigmoid, or differs between repeats"


def _traces(step: float, fit: Fit) -> list[Fit]:
    """Every trace by itself, with the weights it has among all."""
    traces = []
    for one in fit.each:
        for k in range(int(one.variables[2].max()) + 1):
            rows = one.used & (one.variables[2] == k)
            traces.append(_fit_trace(one.data.where(rows), step, one.errors[rows]))
    return traces


def _fit_trace(trace: Measurements, step: float, errors: Array | None = None) -> Fit:
    """One exponential through one trace: its reduced voltage, its end and its size."""
    time, measured = trace.si("time"), trace.si("conductance")
    at = f"{trace.path}, trace at {shown(trace.si('bias voltage')[0] * volt)}"
    if "repeat" in trace:
        at += f", repeat {trace.labels['repeat'][int(trace.si('repeat')[0])]}"
    if len(np.unique(time)) < 3:
        raise DataError(f"{at}: 3 different times are needed at least")
    first = time.min()

    def law(variables: Array, reduced: float, base: float, size: float) -> Array:
        return np.asarray(base + size * _left((variables[0] - first) / step, reduced))

    scale = scale_of(trace, "conductance")
    tau = np.geomspace(np.diff(np.unique(time)).min(), 10 * np.ptp(time), _N_STARTS)
    shapes = np.exp(-(time - first) / tau[:, None])
    shapes -= shapes.mean(axis=1, keepdims=True)
    best = np.argmax((shapes @ measured) ** 2 / np.sum(shapes**2, axis=1))
    start = reduced_voltage(float(np.exp(-step / tau[best])))
    basis = np.stack([np.ones(len(time)), _left((time - first) / step, start)], axis=1)
    linear, *_ = np.linalg.lstsq(basis, measured / scale)
    names, variables = ("time", "bias voltage"), np.stack([time, trace.si("bias voltage")])
    start_all = np.array([start, *linear])
    return fit_law(trace, "conductance", names, variables, law, start_all, scale, at, errors=errors)


def reduced_voltage(decay: float) -> float:
    """(V_bias - V_half) / V_slope of a Lambda."""
    return float(_BIAS_VOLTAGE(min(max(decay, _LAMBDA_MIN), _LAMBDA_MAX), 0, 1))


def decay_at(reduced: float) -> float:
    """Lambda of a reduced voltage."""
    with np.errstate(over="ignore"):
        return float(_DECAY(np.float64(reduced), 0, 1))


def _rate(reduced: float | Array) -> Array:
    """ln(1 / Lambda)."""
    with np.errstate(over="ignore"):
        return np.asarray(_DECAY_RATE(np.asarray(reduced), 0, 1))


def _left(steps: Array, reduced: float | Array) -> Array:
    """Lambda to the power of a number of steps."""
    with np.errstate(over="ignore"):  # of an infinite rate nothing is left
        return np.asarray(np.exp(-steps * _rate(reduced)))
