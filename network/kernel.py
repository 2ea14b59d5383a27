"""Fused CPU kernel of the m-STPN recursion and its hand-written backward pass.

The recursion is that of `mstpn.network.twin`; ``keep(t) = 0`` starts a new game before
step t: F and h are zeroed.

Only synapses of active inputs (z != 0) are visited. Arrays are (M, N), so that the synapses
of one input are one row. Between two visits F of a row decays by Lambda^k, and so does its
adjoint on the way back, so silent inputs cost nothing. A visit keeps F before and after its
pulse for the backward pass::

    F(t) = Lambda^k F+           decay since the last visit
    S    = W + F(t)              read
    u    = Gamma h(t) z(t)       wanted, and issued within the device's limits
    F+   = Lambda F(t) + issued  = F(t+1)

Beside h the kernel sums what joules follow from; the factors between are the caller's.

Loops are split so that each writes one array: LLVM then proves the absence of
aliasing with few run-time checks and vectorises all of them.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mstpn.network.normalisation import NORM_FLOOR
from mstpn.synapses.nonidealities import NOISE_UNIT, noise_level
from mstpn.synapses.write_limits import issued_update, windowed_trace

__all__ = ["Layer", "Pulses", "Visits", "backward", "forward", "no_visits", "settle"]

Array = NDArray[Any]
"""float32 or float64, all of a call alike, unless said otherwise."""

_N_PARTS = 4
"""Sums of gradients of so many groups of games apart: the result does not depend on threads."""
_FAST = {"reassoc", "contract", "nsz", "arcp"}  # limits may be infinite


class Layer(NamedTuple):
    """Parameters of a layer, (M, N) each but the last.

    Parameters
    ----------
    weight, decay : Array
        As the devices have them.
    gamma, gamma_power : Array
        Gamma as programmed, and |Gamma|^p.
    gain : Array
        Of the updates, from device to device.
    held : Array
        Weights of the sum of F over all steps and synapses.
    bias : Array, (N,)
    """

    weight: Array
    decay: Array
    gamma: Array
    gamma_power: Array
    gain: Array
    held: Array
    bias: Array


class Pulses(NamedTuple):
    """How updates are issued.

    Parameters
    ----------
    delta_f_min, delta_f_max, total_min, total_max : float
        As in `WriteLimits`.
    exponent : float
        p: a pulse of dF takes energy as |dF|^p.
    offset : float
        Conductance at W + F = 0, in units of W.
    std : float
        Standard deviation of the noise from pulse to pulse, relative.
    keys : (B,) of int64
        Seeds of that noise.
    shift : int
        Number of the step in the noise, less that of the call.
    """

    delta_f_min: float
    delta_f_max: float
    total_min: float
    total_max: float
    exponent: float
    offset: float
    std: float
    keys: Array
    shift: int


class Visits(NamedTuple):
    """What the backward pass needs of the visits of rows, games one after the other.

    Parameters
    ----------
    before, after : Array, (V, N)
        F(t) at the read, and F(t+1) after the pulse.
    row : (V,) of int64
    starts : (B, T + 1) of int64
        Where the visits of each step begin.
    """

    before: Array
    after: Array
    row: Array
    starts: Array


_issued_update = numba.njit(issued_update)
_windowed_trace = numba.njit(windowed_trace)
_noise_level = numba.njit(noise_level)


@numba.njit(fastmath=_FAST, inline="never")
def _raise(base: Array, exponent: int, out: Array, square: Array) -> None:
    """Write base^exponent, exponent >= 0, by repeated squaring."""
    for i in range(out.shape[0]):
        out[i] = 1
    for i in range(out.shape[0]):
        square[i] = base[i]
    while exponent > 0:
        if exponent & 1:
            for i in range(out.shape[0]):
                out[i] *= square[i]
        exponent >>= 1
        if exponent > 0:
            for i in range(out.shape[0]):
                square[i] *= square[i]


@numba.njit(fastmath=_FAST, inline="never")
def _multiply(a: Array, factor: Array) -> None:
    for i in range(a.shape[0]):
        a[i] *= factor[i]


@numba.njit(fastmath=_FAST, inline="never")
def _read(w: Array, f: Array, z: float, current: Array) -> None:
    for i in range(current.shape[0]):
        current[i] += (w[i] + f[i]) * z


@numba.njit(fastmath=_FAST, inline="never")
def _sum(a: Array) -> Any:
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i]
    return total


@numba.njit(fastmath=_FAST, inline="never")
def _held(f: Array, held: Array, decay: Array, power: Array) -> Any:
    """Sum of held F over the steps in which F of a row decays by `power` = Lambda^k."""
    total = f.dtype.type(0)
    for i in range(f.shape[0]):
        total += held[i] * f[i] * ((1 - power[i]) / (1 - decay[i]))
    return total


@numba.njit
def _power_of(x: Any, exponent: Any) -> Any:
    return math.sqrt(x) if exponent == 0.5 else x**exponent


@numba.njit(fastmath=_FAST, inline="never")
def _total(w: Array, f: Array) -> Any:
    total = w.dtype.type(0)
    for i in range(w.shape[0]):
        total += w[i] + f[i]
    return total


@numba.njit(fastmath=_FAST, inline="never")
def _dot(a: Array, b: Array) -> Any:
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=_FAST, inline="never")
def _issue(gamma: Array, h: Array, z: float, least: float, most: float, issued: Array) -> None:
    for i in range(issued.shape[0]):
        issued[i] = _issued_update(gamma[i] * (z * h[i]), least, most)


@numba.njit(inline="never")
def _add_noise(issued: Array, std: float, key: int, step: int, synapse: int) -> None:
    for i in range(issued.shape[0]):
        noise = _noise_level(key, step, synapse + i) * NOISE_UNIT
        issued[i] *= max(1 + std * noise, 0.0)


@numba.njit(fastmath=_FAST, inline="never")
def _write(
    f: Array, decay: Array, issued: Array, gain: Array, w: Array, low: float, high: float
) -> None:
    for i in range(f.shape[0]):
        f[i] = _windowed_trace(decay[i] * f[i] + gain[i] * issued[i], w[i], low, high)


@numba.njit(fastmath=_FAST, inline="never")
def _pulse_sizes(
    issued: Array, gamma_power: Array, h_power: Array, z_power: float, most: float, size: Array
) -> None:
    """|dF|^p of the pulses issued."""
    zero = size.dtype.type(0)
    for i in range(size.shape[0]):
        whole = min(gamma_power[i] * (h_power[i] * z_power), most)
        size[i] = whole if issued[i] != 0 else zero


@numba.njit(fastmath=_FAST, inline="never")
def _presynaptic(x: Array, h: Array, normalise: bool, z: Array) -> Any:
    """Write z = [x; h], or x alone, divided by its Euclidean norm if asked; return norm or 1."""
    n_in = x.shape[0]
    square = x.dtype.type(0)
    for j in range(n_in):
        z[j] = x[j]
    for j in range(z.shape[0] - n_in):
        z[n_in + j] = h[j]
    if not normalise:
        return x.dtype.type(1)
    for j in range(z.shape[0]):
        square += z[j] * z[j]
    norm = max(x.dtype.type(math.sqrt(square)), x.dtype.type(NORM_FLOOR))
    inverse = x.dtype.type(1) / norm
    for j in range(z.shape[0]):
        z[j] *= inverse
    return norm


def no_visits(like: Array) -> Visits:
    """What to pass where no backward pass follows."""
    none = np.empty((0, like.shape[-1]), like.dtype)
    empty = np.empty(0, np.int64)
    return Visits(none, none, empty, np.empty((0, 0), np.int64))


@numba.njit(parallel=True, cache=True)
def forward(
    x: Array,
    h0: Array,
    trace: Array,
    seen: Array,
    first: int,
    keep: Array,
    layer: Layer,
    normalise: bool,
    pulses: Pulses,
    visits: Visits,
    charged: bool,
) -> tuple[Array, Array, Array]:
    """Run the recursion.

    Parameters
    ----------
    x : (T, B, I)
    h0 : (B, N)
    trace : (B, M, N)
        F of every row as of the step `seen`; brought forward.
    seen : (B, M) of int64
        Brought forward: rows are as of their last visit, see `settle`.
    first : int
        Number of the first step.
    keep : (T, B)
        0 where a new game starts at that step, else 1.
    layer : Layer
    normalise : bool
        Divide z by its Euclidean norm.
    pulses : Pulses
    visits : Visits
        Filled for the backward pass, which must begin with all rows as of `first`; or
        `no_visits`. With visits all rows are settled at the end.
    charged : bool
        Sum held F, with visits.

    Returns
    -------
    h : (T, B, N)
    sums : (3, T, B)
        Over the pulses of each step of |dF|^p; over its reads of |z| G, in units of W; rows in
        which any pulse was issued.
    held : (B,)
        Sum of ``layer.held`` F over steps and synapses, if `charged`.
    """
    n_steps, n_batch = x.shape[:2]
    n_pre, n_out = layer.weight.shape
    kind = x.dtype.type
    least, most = kind(pulses.delta_f_min), kind(pulses.delta_f_max)
    low, high = kind(pulses.total_min), kind(pulses.total_max)
    exponent, offset = kind(pulses.exponent), kind(n_out * pulses.offset)
    largest = kind(pulses.delta_f_max**pulses.exponent)
    before, after, row, starts = visits  # numba loses what a parallel loop writes to members
    kept = starts.shape[0] > 0
    h_all = np.empty((n_steps, n_batch, n_out), x.dtype)
    sums = np.zeros((3, n_steps, n_batch), x.dtype)
    held_all = np.zeros(n_batch, x.dtype)
    for b in numba.prange(n_batch):
        z = np.empty(n_pre, x.dtype)
        active = np.empty(n_pre, np.int64)
        power, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        issued, size = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        current, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        h = h0[b].copy()
        v, number = starts[b, 0] if kept else 0, first + pulses.shift
        held = kind(0)
        for t in range(n_steps):
            if keep[t, b] == 0:
                for j in range(n_pre if charged else 0):
                    _raise(layer.decay[j], first + t - seen[b, j], power, square)
                    held += _held(trace[b, j], layer.held[j], layer.decay[j], power)
                trace[b] = 0
                seen[b] = first + t
                h[:] = 0
            _presynaptic(x[t, b], h, normalise, z)
            n_active = 0
            for j in range(n_pre):
                active[n_active] = j
                n_active += z[j] != 0
            current[:] = layer.bias
            read = kind(0)
            for j in active[:n_active]:
                f = trace[b, j]
                gap = first + t - seen[b, j]
                if gap > 0:
                    _raise(layer.decay[j], gap, power, square)
                    if charged:
                        held += _held(f, layer.held[j], layer.decay[j], power)
                    _multiply(f, power)
                if charged:
                    held += _dot(f, layer.held[j])
                if kept:
                    before[v] = f
                    row[v] = j
                    v += 1
                _read(layer.weight[j], f, z[j], current)
                read += abs(z[j]) * (offset + _total(layer.weight[j], f))
            for i in range(n_out):
                h[i] = np.tanh(current[i])
                h_power[i] = _power_of(abs(h[i]), exponent)
            v -= n_active * kept
            pulse, rows = kind(0), 0
            for j in active[:n_active]:
                f = trace[b, j]
                _issue(layer.gamma[j], h, z[j], least, most, issued)
                z_power = _power_of(abs(z[j]), exponent)
                _pulse_sizes(issued, layer.gamma_power[j], h_power, z_power, largest, size)
                spent = _sum(size)
                if spent > 0:
                    pulse += spent
                    rows += 1
                    if pulses.std > 0:
                        _add_noise(issued, pulses.std, pulses.keys[b], number + t, j * n_out)
                _write(f, layer.decay[j], issued, layer.gain[j], layer.weight[j], low, high)
                seen[b, j] = first + t + 1
                if kept:
                    after[v] = f
                    v += 1
            if kept:
                starts[b, t + 1] = v
            h_all[t, b] = h
            sums[0, t, b], sums[1, t, b], sums[2, t, b] = pulse, read, rows
        for j in range(n_pre if kept else 0):
            _raise(layer.decay[j], first + n_steps - seen[b, j], power, square)
            held += _held(trace[b, j], layer.held[j], layer.decay[j], power)
            _multiply(trace[b, j], power)
            seen[b, j] = first + n_steps
        held_all[b] = held
    return h_all, sums, held_all


@numba.njit(parallel=True, cache=True)
def settle(trace: Array, seen: Array, step: int, decay: Array) -> None:
    """Bring all rows forward to a step.

    Parameters
    ----------
    trace : (B, M, N)
    seen : (B, M) of int64
    step : int
    decay : (M, N)
    """
    for b in numba.prange(len(trace)):
        power, square = np.empty_like(decay[0]), np.empty_like(decay[0])
        gap = -1
        for j in range(len(decay)):
            if not trace[b, j].any():
                continue
            gap = step - seen[b, j]
            _raise(decay[j], gap, power, square)
            _multiply(trace[b, j], power)
        seen[b] = step


@numba.njit(fastmath=_FAST, inline="never")
def _back_through_gap(
    p: Array,
    after: Array,
    gap: int,
    decay: Array,
    ddecay: Array,
    held: Array,
    dheld: Array,
    charged: float,
    one_less: Array,
    square: Array,
) -> None:
    """Take the adjoint of F back to `gap` steps before, where F was `after`.

    Over these steps ``sum F = after (1 - Lambda^gap) / (1 - Lambda)``; `charged` is the
    gradient of the sum of held F.
    """
    one = decay.dtype.type(1)
    _raise(decay, gap - 1, one_less, square)
    for i in range(p.shape[0]):
        ddecay[i] += gap * one_less[i] * after[i] * p[i]
    for i in range(p.shape[0]):
        p[i] *= decay[i] * one_less[i]
    if charged == 0:
        return
    for i in range(p.shape[0]):
        square[i] = (one - decay[i] * one_less[i]) / (one - decay[i])
    for i in range(p.shape[0]):
        change = (square[i] - gap * one_less[i]) / (one - decay[i])
        ddecay[i] += charged * held[i] * after[i] * change
    for i in range(p.shape[0]):
        dheld[i] += charged * after[i] * square[i]
    for i in range(p.shape[0]):
        p[i] += charged * held[i] * square[i]


@numba.njit(fastmath=_FAST, inline="never")
def _update_adjoint(
    p: Array,
    gain: Array,
    gamma: Array,
    h: Array,
    z: float,
    gamma_power: Array,
    h_power: Array,
    z_power: float,
    factor: float,
    least: float,
    most: float,
    q: Array,
) -> None:
    """Write that of the wanted update: through F, and through the energy of its pulse.

    Limits and noise are passed straight through on the way to F. The energy is that of what
    is issued: none below the limits, the same for whatever is above.
    """
    zero = q.dtype.type(0)
    for i in range(q.shape[0]):
        q[i] = gain[i] * p[i]
    if factor == 0:
        return
    for i in range(q.shape[0]):
        wanted = gamma[i] * (z * h[i])
        within = (abs(wanted) >= least) & (abs(wanted) < most) & (wanted != 0)
        slope = factor * gamma_power[i] * (h_power[i] * z_power) / wanted if within else zero
        q[i] += slope


@numba.njit(fastmath=_FAST, inline="never")
def _add_product(total: Array, a: Array, b: Array, factor: float) -> None:
    for i in range(total.shape[0]):
        total[i] += a[i] * b[i] * factor


@numba.njit(fastmath=_FAST, inline="never")
def _add_scaled(total: Array, a: Array, factor: float) -> None:
    for i in range(total.shape[0]):
        total[i] += a[i] * factor


@numba.njit(fastmath=_FAST, inline="never")
def _step_back(p: Array, decay: Array, da: Array, z: float, standing: float) -> None:
    for i in range(p.shape[0]):
        p[i] = decay[i] * p[i] + da[i] * z + standing


@numba.njit(parallel=True, cache=True)
def backward(
    grad_h: Array,
    grad_trace: Array,
    grad_pulse: Array,
    grad_read: Array,
    grad_held: Array,
    x: Array,
    h0: Array,
    trace0: Array,
    keep: Array,
    layer: Layer,
    normalise: bool,
    pulses: Pulses,
    h_all: Array,
    visits: Visits,
) -> tuple[Array, ...]:
    """Gradients of the recursion, given those of its outputs.

    Those outputs are h, F(T), the first two sums of `forward`, and for each game the sum of
    ``held F`` over its steps and synapses. Shapes as in `forward`; `grad_held` is (B,).

    Limits and noise are passed straight through: gradients are those of the update that was
    wanted, taken at the F that came of it. Silent inputs get the gradient 0, which is right
    behind a ReLU.

    Returns
    -------
    dx, dh0, dtrace0, dweight, ddecay, dgamma, dheld, dbias
        As the arguments they belong to; `dgamma` is that of the programmed Gamma.
    """
    n_steps, n_batch, n_in = x.shape
    n_pre, n_out = layer.weight.shape
    kind = x.dtype.type
    one = kind(1)
    least, most = kind(pulses.delta_f_min), kind(pulses.delta_f_max)
    exponent, offset = kind(pulses.exponent), kind(n_out * pulses.offset)
    dx = np.zeros_like(x)
    dh0 = np.empty_like(h0)
    dtrace = grad_trace.copy()
    dbias = np.zeros((n_batch, n_out), x.dtype)
    parts = np.zeros((_N_PARTS, 4, n_pre, n_out), x.dtype)
    for part in numba.prange(_N_PARTS):
        dweight, ddecay, dgamma, dheld = parts[part]
        z, dz = np.empty(n_pre, x.dtype), np.empty(n_pre, x.dtype)
        at, z_power = np.empty(n_pre, np.int64), np.empty(n_pre, x.dtype)
        da, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        q, one_less = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        square = np.empty(n_out, x.dtype)
        zero = np.zeros(n_out, x.dtype)
        for b in range(part, n_batch, _N_PARTS):
            dh = np.zeros(n_out, x.dtype)
            p = dtrace[b]
            charged = grad_held[b]
            at[:] = n_steps
            for t in range(n_steps - 1, -1, -1):
                h = h_all[t, b]
                if keep[t, b] == 0:
                    norm = _presynaptic(x[t, b], zero, normalise, z)
                elif t == 0:
                    norm = _presynaptic(x[t, b], h0[b], normalise, z)
                else:
                    norm = _presynaptic(x[t, b], h_all[t - 1, b], normalise, z)
                spent, read = exponent * grad_pulse[t, b], grad_read[t, b]
                da[:] = grad_h[t, b] + dh
                for i in range(n_out):
                    h_power[i] = _power_of(abs(h[i]), exponent)
                begin, end = visits.starts[b, t], visits.starts[b, t + 1]
                for v in range(begin, end):
                    j = visits.row[v]
                    gap = at[j] - (t + 1)
                    if gap > 0:
                        _back_through_gap(
                            *(p[j], visits.after[v], gap, layer.decay[j], ddecay[j]),
                            *(layer.held[j], dheld[j], charged, one_less, square),
                        )
                    at[j] = t
                    z_power = abs(z[j]) ** exponent
                    _update_adjoint(
                        *(p[j], layer.gain[j], layer.gamma[j], h, z[j]),
                        *(layer.gamma_power[j], h_power, z_power, spent, least, most, q),
                    )
                    _add_product(da, q, layer.gamma[j], z[j])
                for i in range(n_out):
                    da[i] *= one - h[i] * h[i]
                dbias[b] += da
                dz[:] = 0
                for v in range(begin, end):
                    j = visits.row[v]
                    f, w = visits.before[v], layer.weight[j]
                    z_power = abs(z[j]) ** exponent
                    _update_adjoint(
                        *(p[j], layer.gain[j], layer.gamma[j], h, z[j]),
                        *(layer.gamma_power[j], h_power, z_power, spent, least, most, q),
                    )
                    _add_product(dgamma[j], q, h, z[j])
                    _add_product(ddecay[j], p[j], f, one)
                    standing = read * abs(z[j])
                    _add_scaled(dweight[j], da, z[j])
                    q[:] = q * layer.gamma[j]
                    dz[j] = _dot(q, h) + _dot(w, da) + _dot(f, da)
                    if read != 0:
                        dz[j] += read * np.sign(z[j]) * (offset + _total(w, f))
                        dweight[j] += standing
                    _step_back(p[j], layer.decay[j], da, z[j], standing)
                    if charged != 0:
                        _add_scaled(dheld[j], f, charged)
                        _add_scaled(p[j], layer.held[j], charged)
                if normalise:
                    along = np.dot(dz, z)
                    for v in range(begin, end):
                        j = visits.row[v]
                        dz[j] = (dz[j] - along * z[j]) / norm
                dx[t, b] = dz[:n_in]
                if keep[t, b] == 0:
                    p[:] = 0
                    at[:] = t
                    dh[:] = 0
                elif n_pre > n_in:
                    dh[:] = dz[n_in:]
                else:
                    dh[:] = 0
            for j in range(n_pre):
                if at[j] > 0 and (charged != 0 or p[j].any()):
                    _back_through_gap(
                        *(p[j], trace0[b, j], at[j], layer.decay[j], ddecay[j]),
                        *(layer.held[j], dheld[j], charged, one_less, square),
                    )
            dh0[b] = dh
    total = parts[0] + parts[1] + parts[2] + parts[3]
    return dx, dh0, dtrace, total[0], total[1], total[2], total[3], dbias.sum(0)
