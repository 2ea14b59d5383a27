"""What the CPU kernels of the m-STPN recursion share: their arrays, and functions of a row.

The recursion is that of `mstpn.network.twin.layer`; `mstpn.network.twin.forward` runs it, and
`mstpn.network.twin.backward` is its hand-written backward pass. ``keep(t) = 0`` starts a new game
before step t: F and h are zeroed.

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
from mstpn.synapses import law
from mstpn.synapses.compiled import compiled

__all__ = [
    *("DECAY", "GAIN", "GAMMA", "HELD", "NOTHING", "POWER", "SPAN", "W"),
    *("Layer", "Of", "Pulses", "Record"),
    *("converted", "count", "of_row", "of_rows", "power_of", "presynaptic", "pulse_of"),
    "raise_decay",
]

Array = NDArray[Any]
"""float32 or float64, all of a call alike, unless said otherwise."""

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # limits may be infinite
of_row = numba.njit(fastmath=_FAST, forceinline=True)
of_rows = numba.njit(fastmath=_FAST)


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


W, DECAY, GAMMA, GAIN, POWER, HELD, SPAN = range(len(Of))
NOTHING = 1e-30
"""F and adjoints of F up to here are 0 after a gap."""
pulse_of = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain", "numba")
converted = law.function(law.CONVERTED, "x, step, bound", "numba")


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
def power_of(x: Any, exponent: Any) -> Any:
    return math.sqrt(x) if exponent == 0.5 else x**exponent


@of_row
def raise_decay(synapses: Array, j: int, exponent: int, out: Array, square: Array) -> None:
    """Write Lambda^exponent of a row, exponent >= 0, by repeated squaring."""
    for i in range(out.shape[0]):
        square[i] = synapses[j, DECAY, i]
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


@of_rows
def presynaptic(x: Array, h: Array, normalise: bool, pulses: Pulses, z: Array) -> Any:
    """Write z, as the rows get it; return the norm that it was divided by, or 1."""
    norm = _joined(x, h, normalise, z)
    if pulses.inp_step > 0:
        for j in range(z.shape[0]):
            z[j] = converted(z[j], pulses.inp_step, pulses.inp_bound)
    return norm


@of_rows
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
