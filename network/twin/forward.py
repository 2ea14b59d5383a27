"""The m-STPN recursion forward, fused for the CPU: see `mstpn.network.twin.kernel`."""

import math
from typing import Any

import numba
import numpy as np

from mstpn.network.twin.kernel import (
    DECAY,
    GAIN,
    GAMMA,
    HELD,
    NOTHING,
    POWER,
    SPAN,
    Array,
    Layer,
    Pulses,
    Record,
    W,
    converted,
    of_row,
    of_rows,
    power_of,
    presynaptic,
    pulse_of,
    raise_decay,
)
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled
from mstpn.synapses.nonidealities import NOISE_UNIT, noise_level

__all__ = ["forward", "settle"]

_windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "numba")
_noise_level = numba.njit(noise_level)


@of_row
def _multiply(f: Array, j: int, power: Array) -> None:
    """Let a row decay; what is too small to matter becomes 0, as denormal numbers are slow."""
    zero, least = f.dtype.type(0), f.dtype.type(NOTHING)
    for i in range(power.shape[0]):
        left = f[j, i] * power[i]
        f[j, i] = left if abs(left) > least else zero


@of_row
def _held(f: Array, synapses: Array, j: int, power: Array) -> Any:
    """Sum of held F over the steps in which F of a row decays by `power` = Lambda^k."""
    total, one = f.dtype.type(0), f.dtype.type(1)
    for i in range(power.shape[0]):
        share = (one - power[i]) * synapses[j, SPAN, i]
        total += synapses[j, HELD, i] * f[j, i] * share
    return total


@of_row
def _copy(source: Array, j: int, into: Array, k: int) -> None:
    for i in range(source.shape[1]):
        into[k, i] = source[j, i]


@of_rows
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
        raise_decay(synapses, j, gap, power, square)
        if charged:
            total += _held(f, synapses, j, power)
        _multiply(f, j, power)
        seen[j] = now
    return total, g


@of_rows
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


@of_rows
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
            current[i] += (synapses[j, W, i] + f[j, i]) * z_j
        if charged:
            conductance = of_f = zero
            for i in range(current.shape[0]):
                conductance += synapses[j, W, i] + f[j, i]
                of_f += synapses[j, HELD, i] * f[j, i]
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
            square[i] += ((offset + (synapses[j, W, i] + f[j, i])) * z[j]) ** 2
    first = z.shape[0] * n_out
    shared = math.sqrt(reference) * _noise_level(key, step, first + n_out)
    for i in range(n_out):
        own = math.sqrt(square[i]) * _noise_level(key, step, first + i)
        current[i] += std * NOISE_UNIT * (own - shared)


@of_row
def _n_pulses(synapses: Array, j: int, h: Array, z_j: Any, least: Any, most: Any) -> Any:
    """Number of pulses that are issued in a row."""
    n, one = np.int32(0), h.dtype.type(1)
    for i in range(h.shape[0]):
        issued = pulse_of(synapses[j, GAMMA, i] * (z_j * h[i]), least, most, one) != 0
        n += np.int32(issued)
    return n


@of_row
def _draw_noise(std: Any, key: int, step: int, first: int, noise: Array) -> None:
    unit = noise.dtype.type(std * NOISE_UNIT)
    one, zero = noise.dtype.type(1), noise.dtype.type(0)
    for i in range(noise.shape[0]):
        level = noise.dtype.type(_noise_level(key, step, first + i))
        noise[i] = max(one + unit * level, zero)


@of_row
def _fade(f: Array, synapses: Array, j: int, low: Any, high: Any) -> None:
    """Take a row through a step without a pulse."""
    for i in range(f.shape[1]):
        faded = synapses[j, DECAY, i] * f[j, i]
        f[j, i] = _windowed(faded, f.dtype.type(0), low, high, synapses[j, W, i])


@of_row
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
        wanted, gain = synapses[j, GAMMA, i] * (z_j * h[i]), synapses[j, GAIN, i] * noise[i]
        faded, pulse = synapses[j, DECAY, i] * f[j, i], pulse_of(wanted, least, most, gain)
        f[j, i] = _windowed(faded, pulse, low, high, synapses[j, W, i])


@of_row
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
        issued = pulse_of(synapses[j, GAMMA, i] * (z_j * h[i]), least, most, one) != 0
        size = min(synapses[j, POWER, i] * (h_power[i] * z_power), most_power)
        total += size if issued else zero
        n += np.int32(issued)
    return n, total


@of_rows
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
            z_power = power_of(abs(z[j]), exponent)
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
    short_term: Array,
    seen: Array,
    first: int,
    keep: Array,
    layer: Layer,
    normalise: bool,
    pulses: Pulses,
    record: Record,
    charged: bool,
    from_short_term: bool,
) -> tuple[Array, Array, Array]:
    """Run the recursion.

    Parameters
    ----------
    x : (T, B, I)
    h0 : (B, N)
    short_term : (B, M, N)
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
    from_short_term : bool
        Record what the gradient of `short_term` needs, too.

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
        f, last = short_term[b], seen[b]
        z, found = np.empty(n_pre, x.dtype), np.empty(n_pre, np.int64)
        power, square = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        current, h_power = np.empty(n_out, x.dtype), np.empty(n_out, x.dtype)
        noise = np.ones(n_out, x.dtype)
        h = h0[b].copy()
        v, g = (starts[b, 0], gap_starts[b, 0]) if kept else (0, 0)
        begin, still = first, not from_short_term
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
            presynaptic(x[t, b], h, normalise, pulses, z)
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
                    u = converted(current[i] - bias[i], pulses.out_step, pulses.out_bound)
                    current[i] = bias[i] + u
            for i in range(n_out):
                h[i] = np.tanh(current[i])
            if charged:
                for i in range(n_out):
                    h_power[i] = power_of(abs(h[i]), exponent)
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
def settle(short_term: Array, seen: Array, step: int, synapses: Array) -> None:
    """Bring all rows forward to a step.

    Parameters
    ----------
    short_term : (B, M, N)
    seen : (B, M) of int64
    step : int
    synapses : (M, 7, N)
        As in `Layer`.
    """
    for b in numba.prange(len(short_term)):
        power, square = np.empty_like(synapses[0, 0]), np.empty_like(synapses[0, 0])
        f, found = short_term[b], np.empty(len(synapses), np.int64)
        for j in found[: _stirred(f, seen[b], step, True, found)]:
            raise_decay(synapses, j, step - seen[b, j], power, square)
            _multiply(f, j, power)
        seen[b] = step
