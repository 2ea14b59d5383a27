"""Fused CPU kernel of the m-STPN recursion and its hand-written backward pass.

The recursion is that of `mstpn.network.twin.layer`; ``keep(t) = 0`` starts a new game before
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
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled
from mstpn.synapses.nonidealities import NOISE_UNIT, noise_level

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
    inp_step, inp_bound, out_step, out_bound, w_noise : float
        As in `mstpn.synapses.periphery.Periphery`.
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
    inp_step: float = 0.0
    inp_bound: float = 0.0
    out_step: float = 0.0
    out_bound: float = 0.0
    w_noise: float = 0.0


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


_pulse = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain", "numba")
_windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "numba")
_converted = law.function(law.CONVERTED, "x, step, bound", "numba")
_noise_level = numba.njit(noise_level)


@numba.njit
def _power_of(x: Any, exponent: Any) -> Any:
    return math.sqrt(x) if exponent == 0.5 else x**exponent


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
def _multiply(f: Array, power: Array) -> None:
    for i in range(f.shape[0]):
        f[i] *= power[i]


@numba.njit(fastmath=_FAST, inline="never")
def _held(f: Array, held: Array, decay: Array, power: Array) -> Any:
    """Sum of held F over the steps in which F of a row decays by `power` = Lambda^k."""
    total = f.dtype.type(0)
    for i in range(f.shape[0]):
        total += held[i] * f[i] * ((1 - power[i]) / (1 - decay[i]))
    return total


@numba.njit(inline="never")
def _catch_up(
    rows: Array,
    f: Array,
    seen: Array,
    now: int,
    layer: Layer,
    charged: bool,
    power: Array,
    square: Array,
) -> Any:
    """Bring rows forward to a step; return their sum of held F until then, if charged."""
    held = f.dtype.type(0)
    for j in rows:
        gap = now - seen[j]
        if gap > 0:
            _raise(layer.decay[j], gap, power, square)
            if charged:
                held += _held(f[j], layer.held[j], layer.decay[j], power)
            _multiply(f[j], power)
    return held


@numba.njit(fastmath=_FAST, inline="never")
def _gather(rows: Array, f: Array, into: Array, start: int) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        for i in range(f.shape[1]):
            into[start + k, i] = f[j, i]


@numba.njit(fastmath=_FAST, inline="never")
def _add_reads(rows: Array, w: Array, f: Array, z: Array, current: Array) -> None:
    for j in rows:
        z_j = z[j]
        for i in range(current.shape[0]):
            current[i] += (w[j, i] + f[j, i]) * z_j


@numba.njit(inline="never")
def _add_noise_of_reads(
    rows: Array,
    w: Array,
    f: Array,
    z: Array,
    offset: float,
    std: float,
    key: int,
    step: int,
    current: Array,
) -> None:
    """Of every device and of those of the reference column, summed by their squares."""
    n_out = current.shape[0]
    square, reference = np.zeros_like(current), current.dtype.type(0)
    for j in rows:
        reference += (offset * z[j]) ** 2
        for i in range(n_out):
            square[i] += ((offset + (w[j, i] + f[j, i])) * z[j]) ** 2
    first = z.shape[0] * n_out
    shared = math.sqrt(reference) * _noise_level(key, step, first + n_out)
    for i in range(n_out):
        own = math.sqrt(square[i]) * _noise_level(key, step, first + i)
        current[i] += std * NOISE_UNIT * (own - shared)


@numba.njit(fastmath=_FAST, inline="never")
def _row_sums(rows: Array, w: Array, f: Array, start: Any, total: Array) -> None:
    """Conductance of each row in all, in units of W."""
    for k in range(rows.shape[0]):
        j = rows[k]
        row = start
        for i in range(w.shape[1]):
            row += w[j, i] + f[j, i]
        total[k] = row


@numba.njit(fastmath=_FAST, inline="never")
def _dots(rows: Array, a: Array, b: Array) -> Any:
    total = a.dtype.type(0)
    for j in rows:
        for i in range(a.shape[1]):
            total += a[j, i] * b[j, i]
    return total


@numba.njit(fastmath=_FAST, inline="never")
def _issue(
    rows: Array, gamma: Array, h: Array, z: Array, least: float, most: float, issued: Array
) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j = z[j]
        for i in range(h.shape[0]):
            issued[k, i] = _pulse(gamma[j, i] * (z_j * h[i]), least, most, True)


@numba.njit(fastmath=_FAST, inline="never")
def _count_rows(issued: Array, n: int) -> int:
    count = 0
    for k in range(n):
        largest = issued.dtype.type(0)
        for i in range(issued.shape[1]):
            largest = max(largest, abs(issued[k, i]))
        count += largest > 0
    return count


@numba.njit(fastmath=_FAST, inline="never")
def _pulse_sizes(
    rows: Array, issued: Array, gamma_power: Array, h_power: Array, z_power: Array, most: float
) -> Any:
    """Sum of |dF|^p over the pulses issued."""
    zero = total = issued.dtype.type(0)
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j = z_power[j]
        for i in range(h_power.shape[0]):
            whole = min(gamma_power[j, i] * (h_power[i] * z_j), most)
            total += whole if issued[k, i] != 0 else zero
    return total


@numba.njit(inline="never")
def _add_noise(rows: Array, issued: Array, std: float, key: int, step: int) -> None:
    n_out = issued.shape[1]
    for k in range(rows.shape[0]):
        for i in range(n_out):
            if issued[k, i] != 0:
                noise = _noise_level(key, step, rows[k] * n_out + i) * NOISE_UNIT
                issued[k, i] *= max(1 + std * noise, 0.0)


@numba.njit(fastmath=_FAST, inline="never")
def _write(
    rows: Array,
    f: Array,
    decay: Array,
    issued: Array,
    gain: Array,
    w: Array,
    low: float,
    high: float,
) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        for i in range(w.shape[1]):
            faded, pulse = decay[j, i] * f[j, i], gain[j, i] * issued[k, i]
            f[j, i] = _windowed(faded, pulse, low, high, w[j, i])


@numba.njit(inline="never")
def _presynaptic(x: Array, h: Array, normalise: bool, pulses: Pulses, z: Array) -> Any:
    """Write z, as the rows get it; return the norm that it was divided by, or 1."""
    norm = _joined(x, h, normalise, z)
    if pulses.inp_step > 0:
        for j in range(z.shape[0]):
            z[j] = _converted(z[j], pulses.inp_step, pulses.inp_bound)
    return norm


@numba.njit(fastmath=_FAST, inline="never")
def _joined(x: Array, h: Array, normalise: bool, z: Array) -> Any:
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


@compiled(parallel=True)
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
        Sum what joules follow from, with visits.

    Returns
    -------
    h : (T, B, N)
    sums : (3, T, B)
        Over the pulses of each step of |dF|^p, and over its reads of |z| G in units of W, both if
        `charged`; rows in which any pulse was issued.
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
        f = trace[b]
        z, z_power = np.empty(n_pre, x.dtype), np.empty(n_pre, x.dtype)
        found, every = np.empty(n_pre, np.int64), np.arange(n_pre)
        power, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        current, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        issued, total = np.empty((n_pre, n_out), x.dtype), np.empty(n_pre, x.dtype)
        h = h0[b].copy()
        v, number = starts[b, 0] if kept else 0, first + pulses.shift
        held = kind(0)
        for t in range(n_steps):
            if keep[t, b] == 0:
                if charged:
                    held += _catch_up(
                        *(every, f, seen[b], first + t, layer, charged, power, square)
                    )
                f[:] = 0
                seen[b] = first + t
                h[:] = 0
            _presynaptic(x[t, b], h, normalise, pulses, z)
            n = 0
            for j in range(n_pre):
                found[n] = j
                n += z[j] != 0
            active = found[:n]
            held += _catch_up(active, f, seen[b], first + t, layer, charged, power, square)
            if kept:
                _gather(active, f, before, v)
                row[v : v + n] = active
            current[:] = layer.bias
            _add_reads(active, layer.weight, f, z, current)
            if pulses.w_noise > 0:
                _add_noise_of_reads(
                    *(active, layer.weight, f, z, kind(pulses.offset), pulses.w_noise),
                    *(pulses.keys[b], number + t, current),
                )
            if pulses.out_step > 0:
                for i in range(n_out):
                    u = _converted(current[i] - layer.bias[i], pulses.out_step, pulses.out_bound)
                    current[i] = layer.bias[i] + u
            for i in range(n_out):
                h[i] = np.tanh(current[i])
            _issue(active, layer.gamma, h, z, least, most, issued)
            sums[2, t, b] = _count_rows(issued, n)
            if charged:
                held += _dots(active, f, layer.held)
                _row_sums(active, layer.weight, f, offset, total)
                for k in range(n):
                    z_power[active[k]] = _power_of(abs(z[active[k]]), exponent)
                    sums[1, t, b] += abs(z[active[k]]) * total[k]
                for i in range(n_out):
                    h_power[i] = _power_of(abs(h[i]), exponent)
                sums[0, t, b] = _pulse_sizes(
                    active, issued, layer.gamma_power, h_power, z_power, largest
                )
            if pulses.std > 0:
                _add_noise(active, issued, pulses.std, pulses.keys[b], number + t)
            _write(active, f, layer.decay, issued, layer.gain, layer.weight, low, high)
            for j in active:
                seen[b, j] = first + t + 1
            if kept:
                _gather(active, f, after, v)
                v += n
                starts[b, t + 1] = v
            h_all[t, b] = h
        if kept:
            held += _catch_up(every, f, seen[b], first + n_steps, layer, charged, power, square)
            seen[b] = first + n_steps
        held_all[b] = held
    return h_all, sums, held_all


@compiled(parallel=True)
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
        for j in range(len(decay)):
            if not trace[b, j].any():
                continue
            _raise(decay[j], step - seen[b, j], power, square)
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
    """Take the adjoint of F of a row back to `gap` steps before, where F was `after`.

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
def _update_adjoints(rows: Array, p: Array, gain: Array, q: Array) -> None:
    """Write those of the wanted updates, through F, as if all of them were issued."""
    for k in range(rows.shape[0]):
        j = rows[k]
        for i in range(p.shape[1]):
            q[k, i] = gain[j, i] * p[j, i]


@numba.njit(fastmath=_FAST, inline="never")
def _add_pulse_slopes(
    rows: Array,
    gamma: Array,
    gamma_power: Array,
    h: Array,
    h_power: Array,
    z: Array,
    z_power: Array,
    factor: float,
    least: float,
    most: float,
    q: Array,
) -> None:
    """Add what the wanted updates change of the energy of their pulses.

    It is that of what is issued: none below the limits, the same for whatever is above.
    """
    zero, one = q.dtype.type(0), q.dtype.type(1)
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j, power_j = z[j], factor * z_power[j]
        for i in range(h.shape[0]):
            wanted = gamma[j, i] * (z_j * h[i])
            within = (abs(wanted) >= least) & (abs(wanted) < most) & (wanted != 0)
            size = gamma_power[j, i] * (h_power[i] * power_j)
            q[k, i] += size / (wanted if within else one) if within else zero


@numba.njit(fastmath=_FAST, inline="never")
def _through_pulses(
    rows: Array,
    q: Array,
    gamma: Array,
    h: Array,
    z: Array,
    least: float,
    most: float,
    into: Array,
) -> None:
    """Write the adjoints of h z: Gamma times those of the updates that the limits let vary."""
    zero = q.dtype.type(0)
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j = z[j]
        for i in range(h.shape[0]):
            size = abs(gamma[j, i] * (z_j * h[i]))
            within = (size >= least) & (size <= most)
            into[k, i] = q[k, i] * gamma[j, i] if within else zero


@numba.njit(fastmath=_FAST, inline="never")
def _add_columns(rows: Array, q: Array, z: Array, total: Array) -> None:
    for k in range(rows.shape[0]):
        z_j = z[rows[k]]
        for i in range(total.shape[0]):
            total[i] += q[k, i] * z_j


@numba.njit(fastmath=_FAST, inline="never")
def _add_outer(rows: Array, q: Array, h: Array, z: Array, total: Array) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j = z[j]
        for i in range(h.shape[0]):
            total[j, i] += q[k, i] * h[i] * z_j


@numba.njit(fastmath=_FAST, inline="never")
def _add_ddecay(rows: Array, p: Array, before: Array, start: int, ddecay: Array) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        for i in range(p.shape[1]):
            ddecay[j, i] += p[j, i] * before[start + k, i]


@numba.njit(fastmath=_FAST, inline="never")
def _add_dweight(rows: Array, da: Array, z: Array, read: float, dweight: Array) -> None:
    for j in rows:
        z_j = z[j]
        standing = read * abs(z_j)
        for i in range(da.shape[0]):
            dweight[j, i] += da[i] * z_j + standing


@numba.njit(fastmath=_FAST, inline="never")
def _input_adjoints(
    rows: Array,
    q: Array,
    h: Array,
    w: Array,
    before: Array,
    start: int,
    da: Array,
    z: Array,
    read: float,
    offset: float,
    dz: Array,
) -> None:
    """Those of z, from the adjoints `q` of Gamma h z / (h z)."""
    zero = q.dtype.type(0)
    for k in range(rows.shape[0]):
        j = rows[k]
        total, conductance = zero, offset
        for i in range(h.shape[0]):
            s = w[j, i] + before[start + k, i]
            total += q[k, i] * h[i] + s * da[i]
            conductance += s
        dz[j] = total + read * np.sign(z[j]) * conductance


@numba.njit(fastmath=_FAST, inline="never")
def _step_back(rows: Array, p: Array, decay: Array, da: Array, z: Array, read: float) -> None:
    for j in rows:
        z_j = z[j]
        standing = read * abs(z_j)
        for i in range(da.shape[0]):
            p[j, i] = decay[j, i] * p[j, i] + da[i] * z_j + standing


@numba.njit(fastmath=_FAST, inline="never")
def _charge(rows: Array, factor: float, values: Array, total: Array) -> None:
    for j in rows:
        for i in range(total.shape[1]):
            total[j, i] += factor * values[j, i]


@numba.njit(fastmath=_FAST, inline="never")
def _charge_gathered(rows: Array, factor: float, values: Array, start: int, total: Array) -> None:
    for k in range(rows.shape[0]):
        j = rows[k]
        for i in range(total.shape[1]):
            total[j, i] += factor * values[start + k, i]


@compiled(parallel=True)
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

    The gradient of Gamma passes the limits straight through, so that a Gamma too small for any
    pulse can grow: it is that of the update that was wanted, at the F that came of it. Those of
    h and z stop at an update that is not issued or bounded, as the recursion itself does:
    passed on, they grow without bound where the recursion is stable. Noise is left out, and
    converters are passed straight through where a row is driven. Silent inputs get the gradient
    0, which is right behind a ReLU.

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
    before, after, visited, starts = visits
    for part in numba.prange(_N_PARTS):
        dweight, ddecay, dgamma, dheld = parts[part]
        z, dz = np.empty(n_pre, x.dtype), np.zeros(n_pre, x.dtype)
        at, z_power = np.empty(n_pre, np.int64), np.empty(n_pre, x.dtype)
        da, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        q, through = np.empty((n_pre, n_out), x.dtype), np.empty((n_pre, n_out), x.dtype)
        one_less, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        zero = np.zeros(n_out, x.dtype)
        for b in range(part, n_batch, _N_PARTS):
            dh = np.zeros(n_out, x.dtype)
            p = dtrace[b]
            charged = grad_held[b]
            at[:] = n_steps
            for t in range(n_steps - 1, -1, -1):
                h = h_all[t, b]
                if keep[t, b] == 0:
                    norm = _presynaptic(x[t, b], zero, normalise, pulses, z)
                elif t == 0:
                    norm = _presynaptic(x[t, b], h0[b], normalise, pulses, z)
                else:
                    norm = _presynaptic(x[t, b], h_all[t - 1, b], normalise, pulses, z)
                spent, read = exponent * grad_pulse[t, b], grad_read[t, b]
                da[:] = grad_h[t, b] + dh
                start = starts[b, t]
                rows = visited[start : starts[b, t + 1]]
                for k in range(rows.shape[0]):
                    j = rows[k]
                    gap = at[j] - (t + 1)
                    if gap > 0:
                        _back_through_gap(
                            *(p[j], after[start + k], gap, layer.decay[j], ddecay[j]),
                            *(layer.held[j], dheld[j], charged, one_less, square),
                        )
                    at[j] = t
                _update_adjoints(rows, p, layer.gain, q)
                if spent != 0:
                    for j in rows:
                        z_power[j] = _power_of(abs(z[j]), exponent)
                    for i in range(n_out):
                        h_power[i] = _power_of(abs(h[i]), exponent)
                    _add_pulse_slopes(
                        *(rows, layer.gamma, layer.gamma_power, h, h_power, z, z_power),
                        *(spent, least, most, q),
                    )
                _through_pulses(rows, q, layer.gamma, h, z, least, most, through)
                _add_columns(rows, through, z, da)
                for i in range(n_out):
                    da[i] *= one - h[i] * h[i]
                dbias[b] += da
                _add_outer(rows, q, h, z, dgamma)
                _add_ddecay(rows, p, before, start, ddecay)
                _add_dweight(rows, da, z, read, dweight)
                _input_adjoints(
                    *(rows, through, h, layer.weight, before, start, da, z, read, offset, dz)
                )
                _step_back(rows, p, layer.decay, da, z, read)
                if charged != 0:
                    _charge_gathered(rows, charged, before, start, dheld)
                    _charge(rows, charged, layer.held, p)
                if normalise:
                    along = kind(0)
                    for j in rows:
                        along += dz[j] * z[j]
                    for j in rows:
                        dz[j] = (dz[j] - along * z[j]) / norm
                dh[:] = 0
                for j in rows:
                    if j < n_in:
                        dx[t, b, j] = dz[j]
                    elif keep[t, b] != 0:
                        dh[j - n_in] = dz[j]
                if keep[t, b] == 0:
                    p[:] = 0
                    at[:] = t
            for j in range(n_pre):
                if at[j] > 0 and (charged != 0 or p[j].any()):
                    _back_through_gap(
                        *(p[j], trace0[b, j], at[j], layer.decay[j], ddecay[j]),
                        *(layer.held[j], dheld[j], charged, one_less, square),
                    )
            dh0[b] = dh
    total = parts[0] + parts[1] + parts[2] + parts[3]
    return dx, dh0, dtrace, total[0], total[1], total[2], total[3], dbias.sum(0)
