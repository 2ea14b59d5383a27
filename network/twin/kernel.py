"""Fused CPU kernel of the m-STPN recursion and its hand-written backward pass.

The recursion is that of `mstpn.network.twin.layer`; ``keep(t) = 0`` starts a new game before
step t: F and h are zeroed.

Only synapses of active inputs (x != 0) and of h are visited. Arrays are (M, N), so that the
synapses of one input are one row. Between two visits F of a row decays by Lambda^k, and so does
its adjoint on the way back, so silent inputs cost nothing::

    F(t) = Lambda^k F+           decay since the last visit
    S    = W + F(t)              read
    u    = Gamma h(t) z(t)       wanted, and issued within the device's limits
    F+   = Lambda F(t) + issued  = F(t+1)

For the backward pass a visit keeps F(t), and a gap between visits the F+ that it began with.
Beside h the kernel sums what joules follow from; the factors between are the caller's.

Loops are split so that each writes one array, or two and reads few: LLVM then proves the
absence of aliasing with few run-time checks and vectorises all of them. A row is taken through
all loops at once, while it is in the first-level cache.
"""

import math
from enum import IntEnum
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mstpn.network.normalisation import NORM_FLOOR
from mstpn.network.twin.threads import N_PARTS
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled
from mstpn.synapses.nonidealities import NOISE_UNIT, noise_level

__all__ = ["Layer", "Of", "Pulses", "Record", "backward", "count", "forward", "settle"]

Array = NDArray[Any]
"""float32 or float64, all of a call alike, unless said otherwise."""

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # limits may be infinite
_of_row = numba.njit(fastmath=_FAST, forceinline=True)
_of_rows = numba.njit(fastmath=_FAST)


class Layer(NamedTuple):
    """Parameters of a layer.

    Parameters
    ----------
    synapses : Array, (M, 7, N)
        What a visit of a row needs, side by side, in the order of `Of`.
    bias : Array, (N,)
    """

    synapses: Array
    bias: Array


class Of(IntEnum):
    """Parameters of synapses.

    `W` and `DECAY` are as the devices have them, `GAMMA` as programmed, `GAIN` that of the
    updates from device to device, `POWER` |Gamma|^p, `HELD` the weights of the sum of F over
    all steps and synapses, and `SPAN` 1 / (1 - Lambda), the sum of all powers of Lambda.
    """

    W = 0
    DECAY = 1
    GAMMA = 2
    GAIN = 3
    POWER = 4
    HELD = 5
    SPAN = 6


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


class Record(NamedTuple):
    """What the backward pass needs of the visits of rows and the gaps between, game by game.

    Parameters
    ----------
    before : Array, (V, N)
        F(t) at the read of a visit.
    row : (V,) of int64
    starts : (B, T + 1) of int64
        Where the visits of each step begin.
    after : Array, (G, N)
        F at the beginning of a gap.
    gap_row, gap : (G,) of int64
        Its row, and its length in steps.
    gap_starts : (B, T + 2) of int64
        Where the gaps that end with each step, before its visits, begin; those after the last
        visits end with step T.
    """

    before: Array
    row: Array
    starts: Array
    after: Array
    gap_row: Array
    gap: Array
    gap_starts: Array

    @classmethod
    def none(cls, like: Array) -> "Record":
        """For where no backward pass follows."""
        rows, empty = np.empty((0, like.shape[-1]), like.dtype), np.empty(0, np.int64)
        nowhere = np.empty((0, 0), np.int64)
        return cls(rows, empty, nowhere, rows, empty, empty, nowhere)

    @classmethod
    def room(cls, x: Array, keep: Array, n_out: int, n_pre: int) -> "Record":
        """For a batch of sequences x, (T, B, I)."""
        n_steps, n_batch, n_in = x.shape
        visits, gaps = np.zeros((2, n_batch + 1), np.int64)
        count(x, keep, visits[1:], gaps[1:])
        visits[1:] += n_steps * (n_pre - n_in)
        gaps[1:] += (1 + (keep == 0).sum(0)) * n_pre
        visits, gaps = visits.cumsum(), gaps.cumsum()
        starts = np.zeros((n_batch, n_steps + 1), np.int64)
        gap_starts = np.zeros((n_batch, n_steps + 2), np.int64)
        starts[:, 0], gap_starts[:, 0] = visits[:-1], gaps[:-1]
        before, after = (np.empty((n[-1], n_out), x.dtype) for n in (visits, gaps))
        row, gap_row, gap = (np.empty(n[-1], np.int64) for n in (visits, gaps, gaps))
        return cls(before, row, starts, after, gap_row, gap, gap_starts)


_W, _DECAY, _GAMMA, _GAIN, _POWER, _HELD, _SPAN = range(len(Of))
_NOTHING = 1e-30
"""F and adjoints of F up to here are 0 after a gap."""
_DHELD = 3
"""Of the gradients, the first three of which are those of the first three parameters."""
_pulse = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain", "numba")
_windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "numba")
_converted = law.function(law.CONVERTED, "x, step, bound", "numba")
_noise_level = numba.njit(noise_level)


@compiled(parallel=True)
def count(x: Array, keep: Array, visits: Array, gaps: Array) -> None:
    """Count active inputs, and how often one becomes active within a game, of each sequence.

    Parameters
    ----------
    x : (T, B, I)
    keep : (T, B)
    visits, gaps : (B,) of int64
        Written.
    """
    n_steps, n_batch, n_in = x.shape
    for b in numba.prange(n_batch):
        active = begins = 0
        for t in range(n_steps):
            for j in range(n_in):
                active += x[t, b, j] != 0
            if t > 0 and keep[t, b] != 0:
                for j in range(n_in):
                    begins += (x[t, b, j] != 0) & (x[t - 1, b, j] == 0)
        visits[b], gaps[b] = active, begins


@numba.njit
def _power_of(x: Any, exponent: Any) -> Any:
    return math.sqrt(x) if exponent == 0.5 else x**exponent


@_of_row
def _raise(synapses: Array, j: int, exponent: int, out: Array, square: Array) -> None:
    """Write Lambda^exponent of a row, exponent >= 0, by repeated squaring."""
    for i in range(out.shape[0]):
        square[i] = synapses[j, _DECAY, i]
    while exponent & 1 == 0 and exponent > 0:
        exponent >>= 1
        for i in range(out.shape[0]):
            square[i] *= square[i]
    for i in range(out.shape[0]):
        out[i] = square[i] if exponent > 0 else 1
    while exponent > 1:
        exponent >>= 1
        for i in range(out.shape[0]):
            square[i] *= square[i]
        if exponent & 1:
            for i in range(out.shape[0]):
                out[i] *= square[i]


@_of_row
def _multiply(f: Array, j: int, power: Array) -> None:
    """Let a row decay; what is too small to matter becomes 0, as denormal numbers are slow."""
    zero, least = f.dtype.type(0), f.dtype.type(_NOTHING)
    for i in range(power.shape[0]):
        left = f[j, i] * power[i]
        f[j, i] = left if abs(left) > least else zero


@_of_row
def _held(f: Array, synapses: Array, j: int, power: Array) -> Any:
    """Sum of held F over the steps in which F of a row decays by `power` = Lambda^k."""
    total, one = f.dtype.type(0), f.dtype.type(1)
    for i in range(power.shape[0]):
        share = (one - power[i]) * synapses[j, _SPAN, i]
        total += synapses[j, _HELD, i] * f[j, i] * share
    return total


@_of_row
def _copy(source: Array, j: int, into: Array, k: int) -> None:
    for i in range(source.shape[1]):
        into[k, i] = source[j, i]


@_of_rows
def _cross_gaps(
    rows: Array,
    f: Array,
    seen: Array,
    now: int,
    synapses: Array,
    charged: bool,
    after: Array,
    gap_row: Array,
    gaps: Array,
    g: int,
    power: Array,
    square: Array,
) -> tuple[Any, int]:
    """Bring rows forward to a step, recording their gaps from the g-th on, if there is room.

    Returns their sum of held F over the gaps, if charged, and the number of the next gap.
    """
    total = f.dtype.type(0)
    for j in rows:
        gap = now - seen[j]
        if gap <= 0:
            continue
        if after.shape[0] > 0:
            gap_row[g], gaps[g] = j, gap
            _copy(f, j, after, g)
            g += 1
        _raise(synapses, j, gap, power, square)
        if charged:
            total += _held(f, synapses, j, power)
        _multiply(f, j, power)
        seen[j] = now
    return total, g


@_of_rows
def _stirred(f: Array, seen: Array, begin: int, still: bool, found: Array) -> int:
    """Find the rows to be followed to the end of a game or sequence; return their number.

    That is all of them but, if `still` ones are to be left out, those that are 0 and were not
    visited since `begin`.
    """
    n = 0
    for j in range(f.shape[0]):
        largest = f.dtype.type(0)
        if still and seen[j] <= begin:
            for i in range(f.shape[1]):
                largest = max(largest, abs(f[j, i]))
        found[n] = j
        n += seen[j] > begin or not still or largest > 0
    return n


@_of_rows
def _read_rows(
    rows: Array,
    f: Array,
    synapses: Array,
    z: Array,
    offset: Any,
    charged: bool,
    before: Array,
    v: int,
    current: Array,
) -> tuple[Any, Any]:
    """Add to the currents, and record F from the v-th visit on, if there is room.

    Returns the sums of |z| G in units of W, and of held F, if charged.
    """
    zero = read = held = f.dtype.type(0)
    for k in range(rows.shape[0]):
        j = rows[k]
        z_j = z[j]
        if before.shape[0] > 0:
            _copy(f, j, before, v + k)
        for i in range(current.shape[0]):
            current[i] += (synapses[j, _W, i] + f[j, i]) * z_j
        if charged:
            conductance = of_f = zero
            for i in range(current.shape[0]):
                conductance += synapses[j, _W, i] + f[j, i]
                of_f += synapses[j, _HELD, i] * f[j, i]
            read += abs(z_j) * (offset + conductance)
            held += of_f
    return read, held


@numba.njit
def _add_noise_of_reads(
    rows: Array,
    f: Array,
    synapses: Array,
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
            square[i] += ((offset + (synapses[j, _W, i] + f[j, i])) * z[j]) ** 2
    first = z.shape[0] * n_out
    shared = math.sqrt(reference) * _noise_level(key, step, first + n_out)
    for i in range(n_out):
        own = math.sqrt(square[i]) * _noise_level(key, step, first + i)
        current[i] += std * NOISE_UNIT * (own - shared)


@_of_row
def _n_pulses(synapses: Array, j: int, h: Array, z_j: Any, least: Any, most: Any) -> Any:
    """Number of pulses that are issued in a row."""
    n, one = np.int32(0), h.dtype.type(1)
    for i in range(h.shape[0]):
        issued = _pulse(synapses[j, _GAMMA, i] * (z_j * h[i]), least, most, one) != 0
        n += np.int32(issued)
    return n


@_of_row
def _draw_noise(std: Any, key: int, step: int, first: int, noise: Array) -> None:
    unit = noise.dtype.type(std * NOISE_UNIT)
    one, zero = noise.dtype.type(1), noise.dtype.type(0)
    for i in range(noise.shape[0]):
        level = noise.dtype.type(_noise_level(key, step, first + i))
        noise[i] = max(one + unit * level, zero)


@_of_row
def _fade(f: Array, synapses: Array, j: int, low: Any, high: Any) -> None:
    """Take a row through a step without a pulse."""
    for i in range(f.shape[1]):
        faded = synapses[j, _DECAY, i] * f[j, i]
        f[j, i] = _windowed(faded, f.dtype.type(0), low, high, synapses[j, _W, i])


@_of_row
def _write(
    f: Array,
    synapses: Array,
    j: int,
    h: Array,
    z_j: Any,
    noise: Array,
    least: Any,
    most: Any,
    low: Any,
    high: Any,
) -> None:
    for i in range(f.shape[1]):
        wanted, gain = synapses[j, _GAMMA, i] * (z_j * h[i]), synapses[j, _GAIN, i] * noise[i]
        faded, pulse = synapses[j, _DECAY, i] * f[j, i], _pulse(wanted, least, most, gain)
        f[j, i] = _windowed(faded, pulse, low, high, synapses[j, _W, i])


@_of_row
def _pulse_sizes(
    synapses: Array,
    j: int,
    h: Array,
    h_power: Array,
    z_j: Any,
    z_power: Any,
    least: Any,
    most: Any,
    most_power: Any,
) -> tuple[Any, Any]:
    """Number of pulses that are issued in a row, and their sum of |dF|^p."""
    zero = total = h.dtype.type(0)
    n, one = np.int32(0), h.dtype.type(1)
    for i in range(h.shape[0]):
        issued = _pulse(synapses[j, _GAMMA, i] * (z_j * h[i]), least, most, one) != 0
        size = min(synapses[j, _POWER, i] * (h_power[i] * z_power), most_power)
        total += size if issued else zero
        n += np.int32(issued)
    return n, total


@_of_rows
def _write_rows(
    rows: Array,
    f: Array,
    synapses: Array,
    h: Array,
    h_power: Array,
    z: Array,
    limits: tuple[Any, Any],
    window: tuple[Any, Any],
    charged: bool,
    exponent: Any,
    std: float,
    key: int,
    step: int,
    noise: Array,
) -> tuple[Any, int]:
    """Take rows through a step; return the sum of |dF|^p, if charged, and of rows with pulses."""
    (least, most), (low, high) = limits, window
    sizes, n, most_power = h.dtype.type(0), 0, most**exponent
    for j in rows:
        if charged:
            z_power = _power_of(abs(z[j]), exponent)
            n_pulses, size = _pulse_sizes(
                *(synapses, j, h, h_power, z[j], z_power, least, most, most_power)
            )
            sizes += size
        else:
            n_pulses = _n_pulses(synapses, j, h, z[j], least, most)
        if n_pulses == 0:
            _fade(f, synapses, j, low, high)
            continue
        n += 1
        if std > 0:
            _draw_noise(std, key, step, j * h.shape[0], noise)
        _write(f, synapses, j, h, z[j], noise, least, most, low, high)
    return sizes, n


@_of_rows
def _presynaptic(x: Array, h: Array, normalise: bool, pulses: Pulses, z: Array) -> Any:
    """Write z, as the rows get it; return the norm that it was divided by, or 1."""
    norm = _joined(x, h, normalise, z)
    if pulses.inp_step > 0:
        for j in range(z.shape[0]):
            z[j] = _converted(z[j], pulses.inp_step, pulses.inp_bound)
    return norm


@_of_rows
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


@numba.njit
def _to_visit(x: Array, found: Array) -> int:
    """Find the rows of active inputs and all those of h; return their number."""
    n = 0
    for j in range(x.shape[0]):
        found[n] = j
        n += x[j] != 0
    for j in range(x.shape[0], found.shape[0]):
        found[n] = j
        n += 1
    return n


@compiled(parallel=True, nogil=True)
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
    record: Record,
    charged: bool,
    from_trace: bool,
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
    record : Record
        Filled for the backward pass, which must begin with all rows as of `first`; or
        `Record.none`. With a record all rows are brought to the step after the last.
    charged : bool
        Sum what joules follow from, with a record.
    from_trace : bool
        Record what the gradient of `trace` needs, too.

    Returns
    -------
    h : (T, B, N)
    sums : (3, T, B)
        Over the pulses of each step of |dF|^p, and over its reads of |z| G in units of W, both if
        `charged`; rows in which any pulse was issued.
    held : (B,)
        Sum of held F over steps and synapses, if `charged`.
    """
    n_steps, n_batch = x.shape[:2]
    n_pre, _, n_out = layer.synapses.shape
    kind = x.dtype.type
    limits = kind(pulses.delta_f_min), kind(pulses.delta_f_max)
    window = kind(pulses.total_min), kind(pulses.total_max)
    exponent, offset = kind(pulses.exponent), kind(n_out * pulses.offset)
    keys = pulses.keys
    # numba counts references to members, and loses what a parallel loop writes to them
    synapses, bias = layer
    before, row, starts, after, gap_row, gaps, gap_starts = record
    kept = starts.shape[0] > 0
    h_all = np.empty((n_steps, n_batch, n_out), x.dtype)
    sums = np.zeros((3, n_steps, n_batch), x.dtype)
    held_all = np.zeros(n_batch, x.dtype)
    for b in numba.prange(n_batch):
        f, last = trace[b], seen[b]
        z, found = np.empty(n_pre, x.dtype), np.empty(n_pre, np.int64)
        power, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        current, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        noise = np.ones(n_out, x.dtype)
        h = h0[b].copy()
        v, g = (starts[b, 0], gap_starts[b, 0]) if kept else (0, 0)
        begin, still = first, not from_trace
        for t in range(n_steps):
            now = first + t
            if keep[t, b] == 0:
                if charged:
                    n = _stirred(f, last, begin, still, found)
                    held, g = _cross_gaps(
                        *(found[:n], f, last, now, synapses, charged),
                        *(after, gap_row, gaps, g, power, square),
                    )
                    held_all[b] += held
                f[:] = 0
                last[:] = now
                h[:] = 0
                begin, still = now, True
            _presynaptic(x[t, b], h, normalise, pulses, z)
            active = found[: _to_visit(x[t, b], found)]
            held, g = _cross_gaps(
                *(active, f, last, now, synapses, charged),
                *(after, gap_row, gaps, g, power, square),
            )
            held_all[b] += held
            current[:] = bias
            sums[1, t, b], held = _read_rows(
                *(active, f, synapses, z, offset, charged, before, v, current)
            )
            held_all[b] += held
            if pulses.w_noise > 0:
                _add_noise_of_reads(
                    *(active, f, synapses, z, kind(pulses.offset), pulses.w_noise),
                    *(keys[b], now + pulses.shift, current),
                )
            if pulses.out_step > 0:
                for i in range(n_out):
                    u = _converted(current[i] - bias[i], pulses.out_step, pulses.out_bound)
                    current[i] = bias[i] + u
            for i in range(n_out):
                h[i] = np.tanh(current[i])
            if charged:
                for i in range(n_out):
                    h_power[i] = _power_of(abs(h[i]), exponent)
            sums[0, t, b], sums[2, t, b] = _write_rows(
                *(active, f, synapses, h, h_power, z, limits, window, charged, exponent),
                *(pulses.std, keys[b], now + pulses.shift, noise),
            )
            for j in active:
                last[j] = now + 1
            if kept:
                gap_starts[b, t + 1] = g
                row[v : v + len(active)] = active
                v += len(active)
                starts[b, t + 1] = v
            h_all[t, b] = h
        if kept:
            n = _stirred(f, last, begin, still, found)
            held, g = _cross_gaps(
                *(found[:n], f, last, first + n_steps, synapses, charged),
                *(after, gap_row, gaps, g, power, square),
            )
            held_all[b] += held
            gap_starts[b, n_steps + 1] = g
            last[:] = first + n_steps
    return h_all, sums, held_all


@compiled(parallel=True, nogil=True)
def settle(trace: Array, seen: Array, step: int, synapses: Array) -> None:
    """Bring all rows forward to a step.

    Parameters
    ----------
    trace : (B, M, N)
    seen : (B, M) of int64
    step : int
    synapses : (M, 7, N)
        As in `Layer`.
    """
    for b in numba.prange(len(trace)):
        power, square = np.empty_like(synapses[0, 0]), np.empty_like(synapses[0, 0])
        f, found = trace[b], np.empty(len(synapses), np.int64)
        for j in found[: _stirred(f, seen[b], step, True, found)]:
            _raise(synapses, j, step - seen[b, j], power, square)
            _multiply(f, j, power)
        seen[b] = step


@_of_rows
def _back_through_gap(
    j: int,
    p: Array,
    after: Array,
    g: int,
    gap: int,
    synapses: Array,
    charged: Any,
    sums: Array,
    one_less: Array,
    square: Array,
) -> None:
    """Take the adjoint of F of a row back to `gap` steps before, where F was `after`.

    Over these steps ``sum F = after (1 - Lambda^gap) / (1 - Lambda)``; `charged` is the
    gradient of the sum of held F.
    """
    n, zero, one, least = p.shape[1], p.dtype.type(0), p.dtype.type(1), p.dtype.type(_NOTHING)
    length = p.dtype.type(gap)
    _raise(synapses, j, gap - 1, one_less, square)
    for i in range(n):
        sums[j, _DECAY, i] += length * one_less[i] * after[g, i] * p[j, i]
    for i in range(n):
        left = p[j, i] * (synapses[j, _DECAY, i] * one_less[i])
        p[j, i] = left if abs(left) > least else zero
    if charged == 0:
        return
    for i in range(n):
        square[i] = (one - synapses[j, _DECAY, i] * one_less[i]) * synapses[j, _SPAN, i]
    for i in range(n):
        change = (square[i] - length * one_less[i]) * synapses[j, _SPAN, i]
        sums[j, _DECAY, i] += charged * synapses[j, _HELD, i] * after[g, i] * change
    for i in range(n):
        sums[j, _DHELD, i] += charged * after[g, i] * square[i]
    for i in range(n):
        p[j, i] += charged * synapses[j, _HELD, i] * square[i]


@_of_row
def _update_adjoints(p: Array, synapses: Array, j: int, q: Array, k: int) -> None:
    """Write those of the wanted updates of a row, through F, as if all of them were issued."""
    for i in range(p.shape[1]):
        q[k, i] = synapses[j, _GAIN, i] * p[j, i]


@_of_row
def _add_pulse_slopes(
    synapses: Array,
    j: int,
    h: Array,
    h_power: Array,
    z_j: Any,
    z_power: Any,
    least: Any,
    most: Any,
    q: Array,
    k: int,
) -> None:
    """Add what the wanted updates of a row change of the energy of their pulses.

    It is that of what is issued: none below the limits, the same for whatever is above.
    """
    zero, one = q.dtype.type(0), q.dtype.type(1)
    for i in range(h.shape[0]):
        wanted = synapses[j, _GAMMA, i] * (z_j * h[i])
        within = (abs(wanted) >= least) & (abs(wanted) < most) & (wanted != 0)
        size = synapses[j, _POWER, i] * (h_power[i] * z_power)
        q[k, i] += size / (wanted if within else one) if within else zero


@_of_row
def _through_pulses(
    q: Array,
    k: int,
    synapses: Array,
    j: int,
    h: Array,
    z_j: Any,
    least: Any,
    most: Any,
    into: Array,
) -> None:
    """Write the adjoints of h z: Gamma times those of the updates that the limits let vary."""
    zero = q.dtype.type(0)
    for i in range(h.shape[0]):
        size = abs(synapses[j, _GAMMA, i] * (z_j * h[i]))
        within = (size >= least) & (size <= most)
        into[k, i] = q[k, i] * synapses[j, _GAMMA, i] if within else zero


@_of_row
def _add_row(rows: Array, k: int, factor: Any, total: Array) -> None:
    for i in range(total.shape[0]):
        total[i] += rows[k, i] * factor


@_of_row
def _add_to_gamma_and_weight(
    q: Array, k: int, h: Array, da: Array, z_j: Any, standing: Any, sums: Array, j: int
) -> None:
    for i in range(h.shape[0]):
        sums[j, _GAMMA, i] += q[k, i] * (h[i] * z_j)
        sums[j, _W, i] += da[i] * z_j + standing


@_of_row
def _add_to_decay(p: Array, before: Array, v: int, sums: Array, j: int) -> None:
    for i in range(p.shape[1]):
        sums[j, _DECAY, i] += p[j, i] * before[v, i]


@_of_row
def _input_adjoint(
    through: Array,
    k: int,
    synapses: Array,
    j: int,
    h: Array,
    before: Array,
    v: int,
    da: Array,
    read: Any,
    offset: Any,
) -> Any:
    """That of z of a row, from the adjoints `through` of h z."""
    total = conductance = h.dtype.type(0)
    for i in range(h.shape[0]):
        s = synapses[j, _W, i] + before[v, i]
        total += through[k, i] * h[i] + s * da[i]
        conductance += s
    return total + read * (offset + conductance)


@_of_row
def _step_back(p: Array, synapses: Array, j: int, da: Array, z_j: Any, standing: Any) -> None:
    for i in range(da.shape[0]):
        p[j, i] = synapses[j, _DECAY, i] * p[j, i] + da[i] * z_j + standing


@_of_row
def _charge(
    p: Array, synapses: Array, j: int, before: Array, v: int, charged: Any, sums: Array
) -> None:
    """Add to the adjoints of F and of the weights of held F, F being charged by the step."""
    for i in range(p.shape[1]):
        p[j, i] += charged * synapses[j, _HELD, i]
        sums[j, _DHELD, i] += charged * before[v, i]


@_of_rows
def _begin(rows: Array, begun: Array, sums: Array) -> None:
    """Set the sums of rows to 0 when they are first met."""
    for j in rows:
        if not begun[j]:
            begun[j] = True
            for of in range(sums.shape[1]):
                for i in range(sums.shape[2]):
                    sums[j, of, i] = 0


@_of_rows
def _back_to_outputs(
    rows: Array,
    p: Array,
    synapses: Array,
    h: Array,
    h_power: Array,
    z: Array,
    spent: Any,
    exponent: Any,
    least: Any,
    most: Any,
    q: Array,
    through: Array,
    da: Array,
) -> None:
    """Adjoints `q` of the updates of rows that were wanted, and what h gets `through` pulses."""
    for k in range(rows.shape[0]):
        j = rows[k]
        _update_adjoints(p, synapses, j, q, k)
        if spent != 0:
            z_power = spent * _power_of(abs(z[j]), exponent)
            _add_pulse_slopes(synapses, j, h, h_power, z[j], z_power, least, most, q, k)
        _through_pulses(q, k, synapses, j, h, z[j], least, most, through)
        _add_row(through, k, z[j], da)


@_of_rows
def _back_to_inputs(
    rows: Array,
    p: Array,
    synapses: Array,
    h: Array,
    z: Array,
    da: Array,
    before: Array,
    start: int,
    q: Array,
    through: Array,
    charged: Any,
    read: Any,
    offset: Any,
    sums: Array,
    dz: Array,
) -> None:
    """Take the adjoint of F back through a step, and add up those of all else."""
    for k in range(rows.shape[0]):
        j, v = rows[k], start + k
        standing, of_read = read * abs(z[j]), read * np.sign(z[j])
        _add_to_gamma_and_weight(q, k, h, da, z[j], standing, sums, j)
        _add_to_decay(p, before, v, sums, j)
        dz[j] = _input_adjoint(*(through, k, synapses, j, h, before, v, da, of_read, offset))
        _step_back(p, synapses, j, da, z[j], standing)
        if charged != 0:
            _charge(p, synapses, j, before, v, charged, sums)


@_of_rows
def _undo_norm(rows: Array, z: Array, norm: Any, dz: Array) -> None:
    """Adjoints of z before it was divided by its norm, from those after."""
    along = z.dtype.type(0)
    if norm > NORM_FLOOR:
        for j in rows:
            along += dz[j] * z[j]
    for j in rows:
        dz[j] = (dz[j] - along * z[j]) / norm


@_of_rows
def _add_parts(parts: Array, touched: Array, total: Array) -> None:
    """Add sums over groups of games, (N_PARTS, M, 4, N), to those of all, (4, N, M)."""
    n_pre, block = parts.shape[1], 16  # a line of the cache
    for start in range(0, n_pre, block):
        end = min(start + block, n_pre)
        for part in range(len(parts)):
            if not touched[part, start:end].any():
                continue
            for of in range(len(total)):
                for i in range(total.shape[1]):
                    for j in range(start, end):
                        if touched[part, j]:
                            total[of, i, j] += parts[part, j, of, i]


@compiled(parallel=True, nogil=True)
def backward(
    grad_h: Array,
    dtrace: Array,
    grad_pulse: Array,
    grad_read: Array,
    grad_held: Array,
    x: Array,
    h0: Array,
    keep: Array,
    layer: Layer,
    normalise: bool,
    pulses: Pulses,
    h_all: Array,
    record: Record,
) -> tuple[Array, Array, Array, Array]:
    """Gradients of the recursion, given those of its outputs.

    Those outputs are h, F(T), the first two sums of `forward`, and for each game the sum of
    held F over its steps and synapses. Shapes as in `forward`; `grad_held` is (B,), and
    `dtrace` either the gradient of F(T), which becomes that of F(0), or, where the former is 0 and
    the latter not wanted, zeros of (N_PARTS, M, N) to work in.

    The gradient of Gamma passes the limits straight through, so that a Gamma too small for any
    pulse can grow: it is that of the update that was wanted, at the F that came of it. Those of
    h and z stop at an update that is not issued or bounded, as the recursion itself does:
    passed on, they grow without bound where the recursion is stable. Noise is left out, and
    converters are passed straight through where a row is driven. Silent inputs get the gradient
    0, which is right behind a ReLU; that of h is exact.

    Returns
    -------
    dx, dh0
        As the arguments they belong to.
    of_synapses : (4, N, M)
        Of W, Lambda and the programmed Gamma as in `Of`, and of the weights of held F.
    dbias : (N,)
    """
    n_steps, n_batch, n_in = x.shape
    n_pre, _, n_out = layer.synapses.shape
    kind = x.dtype.type
    one = kind(1)
    least, most = kind(pulses.delta_f_min), kind(pulses.delta_f_max)
    exponent, offset = kind(pulses.exponent), kind(n_out * pulses.offset)
    dx = np.zeros_like(x)
    dh0 = np.empty_like(h0)
    dbias = np.zeros((n_batch, n_out), x.dtype)
    parts = np.empty((N_PARTS, n_pre, 4, n_out), x.dtype)
    touched = np.zeros((N_PARTS, n_pre), np.bool_)
    synapses, _ = layer
    before, row, starts, after, gap_row, gap, gap_starts = record
    for part in numba.prange(N_PARTS):
        sums, begun = parts[part], touched[part]
        z, dz = np.empty(n_pre, x.dtype), np.zeros(n_pre, x.dtype)
        da, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        q, through = np.empty((n_pre, n_out), x.dtype), np.empty((n_pre, n_out), x.dtype)
        nothing = np.zeros(n_out, x.dtype)
        one_less, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        for b in range(part, n_batch, N_PARTS):
            dh = np.zeros(n_out, x.dtype)
            p = dtrace[b % len(dtrace)]
            if len(dtrace) != n_batch:
                for j in range(n_pre):
                    if begun[j]:
                        p[j] = 0
            charged = grad_held[b]
            for t in range(n_steps, -1, -1):
                if t < n_steps:
                    h = h_all[t, b]
                    h_before = h0[b] if t == 0 else h_all[t - 1, b]
                    if keep[t, b] == 0:
                        h_before = nothing
                    norm = _presynaptic(x[t, b], h_before, normalise, pulses, z)
                    spent, read = exponent * grad_pulse[t, b], grad_read[t, b]
                    da[:] = grad_h[t, b] + dh
                    start = starts[b, t]
                    rows = row[start : starts[b, t + 1]]
                    if spent != 0:
                        for i in range(n_out):
                            h_power[i] = _power_of(abs(h[i]), exponent)
                    _begin(rows, begun, sums)
                    _back_to_outputs(
                        *(rows, p, synapses, h, h_power, z, spent, exponent, least, most),
                        *(q, through, da),
                    )
                    for i in range(n_out):
                        da[i] *= one - h[i] * h[i]
                    dbias[b] += da
                    _back_to_inputs(
                        *(rows, p, synapses, h, z, da, before, start, q, through),
                        *(charged, read, offset, sums, dz),
                    )
                    if normalise:
                        _undo_norm(rows, z, norm, dz)
                    dh[:] = 0
                    for j in rows:
                        if j < n_in:
                            dx[t, b, j] = dz[j]
                        elif keep[t, b] != 0:
                            dh[j - n_in] = dz[j]
                    if keep[t, b] == 0:
                        p[:] = 0
                for g in range(gap_starts[b, t], gap_starts[b, t + 1]):
                    _begin(gap_row[g : g + 1], begun, sums)
                    _back_through_gap(
                        *(gap_row[g], p, after, g, gap[g], synapses, charged, sums),
                        *(one_less, square),
                    )
            dh0[b] = dh
    total = np.zeros((4, n_out, n_pre), x.dtype)
    _add_parts(parts, touched, total)
    return dx, dh0, total, dbias.sum(0)
